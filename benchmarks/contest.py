"""Timing libraries side by side: the same arrays, in turns."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count, pairwise
from typing import Any, NamedTuple

import numpy as np
from cases import Case
from layouts import Layout
from machine import bytes_of_caches
from peers.library import Calls
from results import EXPONENTIAL, FLOOR, TABLE, WARM, Row

PAUSE = 0.015  # seconds, after which the OpenMP threads of the library before have stopped spinning
BATCH_BYTES = 2**15  # small arrays are timed several to a batch, which stays in the first-level cache
BATCHES = 3  # of one turn that are timed, at least
WARM_UP = 0.001  # seconds of a turn that are not timed: they wake the threads up and fill the caches
# Bytes that a contest with cold caches goes through; twice the third-level cache where that is more.
LEAST_ROTATED = 2**27
CHECKED = 2**18  # elements, or a few more, of a large result: all of them would take longer than to time it
LONG = 0.03  # seconds, beside which all this does not count

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
    caches: str = WARM
    part: str = TABLE

    def __str__(self):
        return f"{self.case.name} {self.dtype} {self.layout.name} {self.output} {self.caches}"

    def row(self, times):
        return Row(
            part=self.part,
            function=self.case.name,
            dtype=self.dtype,
            layout=self.layout.name,
            output=self.output,
            caches=self.caches,
            elements=self.layout.elements,
            times=times,
        )


class Contender(NamedTuple):
    name: str
    call: Callable[..., Any]
    batches: list[list[tuple[Any, ...]]]  # arguments of the calls of one batch, on arrays of its own
    read: Callable[[Any], np.ndarray]


@lru_cache(maxsize=8)
def drawn(draw, shape, dtype):
    return draw(np.random.default_rng(20240229), shape).astype(dtype)


def arrays_and_batches(setting):
    """How many arrays a batch goes through, and how many batches go by before an array comes again.

    With warm caches every batch takes the same arrays.
    """
    case, dtype, layout, output, caches, _ = setting
    size = layout.elements * np.dtype(dtype).itemsize
    if caches == WARM:
        return max(1, BATCH_BYTES // size), 1
    if output != IN_PLACE and not case.reduces:
        size *= 2
    rotated = max(LEAST_ROTATED, 2 * bytes_of_caches().get("L3", 0))
    return 1, max(2, -(-rotated // size))


class Contest:
    """The arrays of one setting, and who can compute it."""

    def __init__(self, setting, libraries, floor):
        case, dtype, layout, output, *_ = self.setting = setting
        self.count, self.rotation = arrays_and_batches(setting)
        self.elements = self.count * layout.elements
        self.arrays = [[layout.make(dtype) for _ in range(self.count)] for _ in range(self.rotation)]
        self.source = drawn(case.draw, self.arrays[0][0].shape, dtype)
        self.restore()
        self.outs = [[self.make_out() for _ in batch] for batch in self.arrays]
        self.contenders = [
            Contender(FLOOR, floor, [[(x,) for x in batch] for batch in self.arrays], np.asarray)
        ]
        for library in libraries:
            calls = library.calls.get(case.name, Calls())
            call = {IN_PLACE: calls.in_place, PREALLOCATED: calls.preallocated, NEW: calls.new}[output]
            if call is None:
                continue
            try:
                batches = [
                    [self.arguments(library, x, out) for x, out in zip(*pair, strict=True)]
                    for pair in zip(self.arrays, self.outs, strict=True)
                ]
            except ValueError:  # PyTorch has no negative strides
                continue
            self.contenders.append(Contender(library.name, call, batches, library.read))

    def make_out(self):
        case, dtype, layout, output, *_ = self.setting
        if output != PREALLOCATED:
            return None
        out = (
            np.zeros(np.delete(self.source.shape, layout.axis), dtype) if case.reduces else layout.make(dtype)
        )
        out[...] = 1  # so that the system has found its pages before the first library comes
        return out

    def arguments(self, library, x, out):
        taken = [library.wrap(x)]
        if self.setting.case.of_slices:
            taken.append(self.setting.layout.axis)
        if out is not None:
            taken.append(library.wrap(out))
        return tuple(taken)

    def restore(self):
        for batch in self.arrays:
            for array in batch:
                np.copyto(array, self.source)

    def leave_out_who_disagrees(self):
        """Compare with fastlogit, as far as an algorithm without special care can agree; yield complaints."""
        tolerance = 64 * np.finfo(self.setting.dtype).eps
        # Who subtracts a slice's largest element or its logsumexp rounds in units of these, however small the
        # result is.
        absolute = tolerance * (max(1, np.abs(self.source).max()) if self.setting.case.of_slices else 1)
        expected = None
        for contender in self.contenders[1:]:  # a copy
            self.restore()
            try:
                result = contender.read(contender.call(*contender.batches[0][0]))
            except (RuntimeError, NotImplementedError) as error:
                yield f"{contender.name} cannot: {str(error).splitlines()[0]}"
                self.contenders.remove(contender)
                continue
            result = result.flat[:: result.size // CHECKED | 1]
            if expected is None:
                expected = result  # fastlogit comes first
            elif contender.name != EXPONENTIAL and not np.allclose(
                result, expected, tolerance, absolute, equal_nan=True
            ):
                with np.errstate(divide="ignore", invalid="ignore"):
                    error = np.abs((result - expected) / expected).max()
                yield f"{contender.name} and fastlogit disagree, by a factor of up to 1 + {error:.1g}"
                self.contenders.remove(contender)

    def turn(self, contender):
        """Nanoseconds per element of each batch."""
        time.sleep(PAUSE)
        times = []
        spent = 0.0
        for batch in count():
            if self.setting.output == IN_PLACE and batch % self.rotation == 0:
                self.restore()  # a second logit in place would see no probabilities any more
            start = time.perf_counter()
            for arguments in contender.batches[batch % self.rotation]:
                contender.call(*arguments)
            elapsed = time.perf_counter() - start
            if spent > WARM_UP or elapsed > LONG:
                times.append(elapsed * 1e9 / self.elements)
            if len(times) >= max(BATCHES, self.rotation - 1) or (elapsed > LONG and self.rotation == 1):
                break
            spent += elapsed
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
