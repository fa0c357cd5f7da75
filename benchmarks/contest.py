"""Timing libraries side by side: the same arrays, in turns."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from cases import Case
from layouts import Layout

PAUSE = 0.015  # seconds, after which the OpenMP threads of the library before have stopped spinning
BATCH_BYTES = 2**15  # small arrays are timed several to a batch, which stays in the first-level cache
BATCHES = 4  # in one turn
CHECKED = 2**18  # elements, or a few more, of a large result: all of them would take longer than to time it
LONG = 0.03  # seconds, beside which waking the threads up and filling the caches does not count

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


def least_times(calls, rounds):
    """Of each of these calls, in milliseconds; all are called in turns."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: min(of_call) * 1e3 for name, of_call in times.items()}


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


@lru_cache(maxsize=8)
def drawn(draw, shape, dtype):
    return draw(np.random.default_rng(20240229), shape).astype(dtype)


class Contest:
    """The arrays of one setting, and who can compute it."""

    def __init__(self, setting, libraries, floor):
        case, dtype, layout, output = self.setting = setting
        itemsize = np.dtype(dtype).itemsize
        count = max(1, BATCH_BYTES // (layout.elements * itemsize))
        self.elements = count * layout.elements
        self.arrays = [layout.make(dtype) for _ in range(count)]
        self.source = drawn(case.draw, self.arrays[0].shape, dtype)
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

    def leave_out_who_disagrees(self):
        """Compare with fastlogit, as far as an algorithm without special care can agree; yield complaints."""
        tolerance = 64 * np.finfo(self.setting.dtype).eps
        expected = None
        for contender in self.contenders[1:]:  # a copy
            self.restore()
            result = np.asarray(contender.call(*contender.arguments[0]))
            result = result.flat[:: result.size // CHECKED | 1]
            if expected is None:
                expected = result  # fastlogit comes first
            elif not np.allclose(result, expected, tolerance, tolerance, equal_nan=True):
                error = np.abs((result - expected) / expected).max()
                yield f"{contender.name} and fastlogit disagree, by a factor of up to 1 + {error:.1g}"
                self.contenders.remove(contender)

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
        """Nanoseconds per element of all batches of a contender: each has so many seconds, and one turn."""
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
        return times


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.5:
        print(
            f"This machine is busy (load {load:.1f}). Threads that wait for a core make every library "
            "that uses them look slow: measure again when nothing else runs.",
            file=sys.stderr,
        )
