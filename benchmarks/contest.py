"""Timing libraries side by side: the same arrays, in turns."""

import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from cases import Case
from layouts import Layout

PAUSE = 0.015  # seconds, after which the OpenMP threads of the library before have stopped spinning
BATCH_BYTES = 2**15  # small arrays are timed several to a batch, which stays in the first-level cache
BATCHES = 4  # in one turn
LONG = 0.1  # seconds, beside which waking the threads up and filling the caches does not count

IN_PLACE, PREALLOCATED, NEW = "in place", "preallocated", "new array"


class Floor:
    """Multiply an array in place with so many threads, each on one slice of the longest axis."""

    def __init__(self, threads):
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)

    def __call__(self, x):
        if self.threads == 1 or x.size < 2**16:
            np.multiply(x, 1, out=x)
            return
        x = np.moveaxis(x, np.argmax(x.shape), 0)
        bounds = np.linspace(0, len(x), self.threads + 1).astype(int)
        parts = [x[start:stop] for start, stop in pairwise(bounds)]
        list(self.pool.map(lambda part: np.multiply(part, 1, out=part), parts))


class Setting(NamedTuple):
    """One row of the table."""

    case: Case
    dtype: str
    layout: Layout
    output: str

    def __str__(self):
        return f"{self.case.name} {self.dtype} {self.layout.name} {self.output}"


class Contender(NamedTuple):
    name: str
    call: Callable[..., Any]
    arguments: list[tuple[Any, ...]]  # of the calls of one batch


class Contest:
    """The arrays of one setting, and who can compute it."""

    def __init__(self, setting, libraries, floor):
        case, dtype, layout, output = self.setting = setting
        itemsize = np.dtype(dtype).itemsize
        count = max(1, BATCH_BYTES // (layout.elements * itemsize))
        self.elements = count * layout.elements
        self.arrays = [layout.make(dtype) for _ in range(count)]
        generator = np.random.default_rng(20240229)
        self.source = case.draw(generator, self.arrays[0].shape).astype(dtype)
        self.restore()
        outs = []
        if output == PREALLOCATED and case.reduces:
            outs = [np.zeros(np.delete(x.shape, layout.axis), dtype) for x in self.arrays]
        elif output == PREALLOCATED:
            outs = [layout.make(dtype) for _ in self.arrays]
        self.contenders = [Contender("floor", floor, [(x,) for x in self.arrays])]
        for library in libraries:
            if case.name not in library.calls:
                continue
            calls = library.calls[case.name]
            call = {IN_PLACE: calls.in_place, PREALLOCATED: calls.preallocated, NEW: calls.new}[output]
            if call is None:
                continue
            try:
                arguments = [(library.wrap(x),) for x in self.arrays]
                if case.of_slices:
                    arguments = [(x, layout.axis) for (x,) in arguments]
                if outs:
                    arguments = [
                        (*others, library.wrap(out)) for others, out in zip(arguments, outs, strict=True)
                    ]
            except ValueError:  # PyTorch has no negative strides
                continue
            self.contenders.append(Contender(library.name, call, arguments))

    def restore(self):
        for array in self.arrays:
            np.copyto(array, self.source)

    def check(self):
        """Everybody agrees with fastlogit, to what an algorithm without special care can reach."""
        eps = np.finfo(self.setting.dtype).eps
        results = {}
        for name, call, arguments in self.contenders[1:]:
            self.restore()
            results[name] = np.asarray(call(*arguments[0])).copy()
        for name, result in results.items():
            np.testing.assert_allclose(
                result,
                results["fastlogit"],
                rtol=64 * eps,
                atol=64 * eps,
                err_msg=f"{self.setting}: {name} and fastlogit disagree",
            )

    def turn(self, contender):
        """Nanoseconds per element of each batch."""
        time.sleep(PAUSE)
        times = []
        for batch in range(BATCHES):
            if self.setting.output == IN_PLACE:
                self.restore()  # a second logit in place would see no probabilities any more
            start = time.perf_counter()
            for arguments in contender.arguments:
                contender.call(*arguments)
            elapsed = time.perf_counter() - start
            if batch > 0 or elapsed > LONG:  # the first one wakes the threads up and fills the caches
                times.append(elapsed * 1e9 / self.elements)
            if elapsed > LONG:
                break
        return times

    def run(self, seconds):
        """Median nanoseconds per element of each contender: each has so many seconds, and one turn."""
        times = {contender.name: [] for contender in self.contenders}
        left = dict.fromkeys(times, seconds)
        waiting = self.contenders
        while waiting:
            for contender in waiting:
                start = time.perf_counter()
                times[contender.name] += self.turn(contender)
                left[contender.name] -= time.perf_counter() - start
            # Whoever went first goes last: nobody always follows the same neighbour.
            waiting = [contender for contender in waiting[1:] + waiting[:1] if left[contender.name] > 0]
        return {name: statistics.median(of_name) for name, of_name in times.items()}


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.5:
        print(
            f"This machine is busy (load {load:.1f}). Threads that wait for a core make every library "
            "that uses them look slow: measure again when nothing else runs.",
            file=sys.stderr,
        )
