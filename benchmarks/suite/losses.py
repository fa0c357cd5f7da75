"""Speed of the losses with their derivatives."""

from functools import lru_cache

import numpy as np

import fastlogit

from .inputs import ALL_THREADS, DTYPES, QUICK, THREADS, is_too_large

BINARY = 2**14 if QUICK else 2**22
SHAPES = [(256, 100), (4096, 10)] if QUICK else [(8192, 1000), (262144, 10), (128, 65536)]
DERIVATIVES = ["none", "grad", "grad and hess"]


@lru_cache(maxsize=2)
def scores(dtype, shape):
    return np.random.default_rng(0).normal(0, 3, shape).astype(dtype)


@lru_cache(maxsize=2)
def labels(classes, count):
    return np.random.default_rng(1).integers(0, classes, count).astype(np.int8 if classes == 2 else np.int64)


def threads_named(threads):
    return 1 if threads == "1" else ALL_THREADS


@lru_cache(maxsize=1)
def wanted(derivatives, dtype, shape):
    """Written once: what the system takes to find pages, tens of milliseconds at times, is not timed."""
    names = {"none": (), "grad": ("grad",), "grad and hess": ("grad", "hess")}[derivatives]
    return {name: np.ones(shape, dtype) for name in names}


class Binary:
    params = (DTYPES, ["labels", "probabilities"], DERIVATIVES, THREADS)
    param_names = ("dtype", "targets", "derivatives", "threads")

    def setup(self, dtype, targets, derivatives, threads):
        fastlogit.set_num_threads(threads_named(threads))
        self.logits, self.target = scores(dtype, BINARY), labels(2, BINARY)
        if targets == "probabilities":
            self.target = fastlogit.expit(self.logits)
        self.results = wanted(derivatives, dtype, BINARY)

    def teardown(self, *_):
        fastlogit.set_num_threads(ALL_THREADS)

    def time_loss(self, *_):
        fastlogit.binary_cross_entropy_with_logits(self.logits, self.target, **self.results)


class Classes:
    params = (DTYPES, SHAPES, ["labels", "probabilities", "smoothed labels"], DERIVATIVES, THREADS)
    param_names = ("dtype", "shape", "targets", "derivatives", "threads")

    def setup(self, dtype, shape, targets, derivatives, threads):
        if is_too_large(np.prod(shape), dtype):
            raise NotImplementedError
        fastlogit.set_num_threads(threads_named(threads))
        self.logits, self.target = scores(dtype, shape), labels(shape[1], shape[0])
        self.options = {}
        if targets == "probabilities":
            self.target = fastlogit.softmax(self.logits, -1)
        elif targets == "smoothed labels":
            self.options["label_smoothing"] = 0.1
        self.options |= wanted(derivatives, dtype, shape)

    def teardown(self, *_):
        fastlogit.set_num_threads(ALL_THREADS)

    def time_loss(self, *_):
        fastlogit.cross_entropy(self.logits, self.target, **self.options)
