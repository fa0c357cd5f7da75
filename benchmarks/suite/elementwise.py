"""Speed of the elementwise functions."""

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

import fastlogit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from layouts import LAYOUTS

FUNCTIONS = {
    "expit": fastlogit.expit,
    "logit": fastlogit.logit,
    "logit, eps": lambda x, out=None: fastlogit.logit(x, 1e-6, out=out),
    "log_expit": fastlogit.log_expit,
}
DTYPES = ["float32", "float64"]
THREADS = {"1": 1, "all": fastlogit.get_num_threads()}


@lru_cache(maxsize=1)
def probabilities(elements, dtype):
    """In the domain of all functions. Drawn once, because asv sets up again before every single call."""
    return np.random.default_rng(20240229).uniform(0, 1, elements).astype(dtype)


class Calls:
    """Into an array that is there already. A call is too short for the clock: a thousand of them."""

    params = (list(FUNCTIONS), DTYPES, [8, 100, 1000, 10_000])
    param_names = ("function", "dtype", "elements")

    def setup(self, function, dtype, elements):
        self.call = FUNCTIONS[function]
        self.x = probabilities(elements, dtype)
        self.out = np.zeros_like(self.x)

    def time_1000_calls(self, function, dtype, elements):
        for _ in range(1000):
            self.call(self.x, out=self.out)


class Large:
    """Arrays of any layout in place, and contiguous ones into a new array."""

    params = (list(FUNCTIONS), DTYPES, [], [], list(THREADS))
    param_names = ("function", "dtype", "layout", "elements", "threads")
    number = 1  # in place: a second call would meet the results of the first
    warmup_time = 0.02

    def setup(self, function, dtype, layout, elements, threads):
        fastlogit.set_num_threads(THREADS[threads])
        self.call = FUNCTIONS[function]
        if getattr(self, "x", None) is None:
            self.x = LAYOUTS[layout](elements, dtype)
        np.copyto(self.x, probabilities(elements, dtype).reshape(self.x.shape))


class Contiguous(Large):
    params = (list(FUNCTIONS), DTYPES, ["contiguous"], [2**15, 2**17, 2**20, 2**24], list(THREADS))

    def time_in_place(self, function, dtype, layout, elements, threads):
        self.call(self.x, out=self.x)

    def time_new_array(self, function, dtype, layout, elements, threads):
        self.call(self.x)


class Strided(Large):
    params = (
        list(FUNCTIONS),
        DTYPES,
        [layout for layout in LAYOUTS if layout != "contiguous"],
        [2**22],
        list(THREADS),
    )

    def time_in_place(self, function, dtype, layout, elements, threads):
        self.call(self.x, out=self.x)
