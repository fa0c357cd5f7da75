"""From how many elements on are two threads faster than one?

    python benchmarks/thresholds.py      prints a table for smallest_parallel in kernels/elementwise.pxd

A call on fewer elements than the threshold never enters a parallel region, whatever the thread count, so
the crossing cannot be timed there. It is computed: the times of one thread are fitted by a straight line
over all sizes, those of two by a straight line over the sizes that are certainly split. The difference
of the intercepts is the cost of entering a parallel region; it has nothing to do with the formula, so
the median over all functions and dtypes is taken. Divided by the difference of the slopes it is the
size where two threads begin to win.

One and two threads take turns, over contiguous arrays, in place; slices are rows of 1024, and the result
goes into another array. A time is the median. "slowest" is the largest time of two threads relative to one
that was seen at any size, up to 2^24: with a good threshold it stays near 1, and above 1.1 it is a fault.

Run it on an idle machine: where another process holds a core, two threads wait for each other. They are
warm here, as in a loop of calls. After a pause they sleep, and waking them costs more.
"""

import argparse
import statistics
import sys
import time

import numpy as np
from cases import CASES
from contest import BATCH_BYTES, warn_if_busy
from layouts import of_elements, rows_of_1024
from peers.numpy_arrays import load_fastlogit
from tqdm import tqdm

import fastlogit

SIZES = [2**k for k in range(8, 19)]
SPLIT_SIZES = [2**15 * k for k in (1, 2, 3, 4, 6, 8)]  # from two slabs of a contiguous array on
LARGE_SIZES = [2**20, 2**22, 2**24]  # only for the comparison: the memory makes their lines less steep


class Batch:
    """Arrays of one size, as many as the first-level cache holds."""

    def __init__(self, case, dtype, size):
        layout = rows_of_1024(size) if case.of_slices else of_elements("contiguous", size)
        shape = layout.make(dtype).shape
        self.source = case.draw(np.random.default_rng(20240229), shape).astype(dtype)
        self.arrays = [self.source.copy() for _ in range(max(1, BATCH_BYTES // self.source.nbytes))]
        calls = load_fastlogit().calls[case.name]
        self.call = calls.preallocated if case.of_slices else calls.in_place
        self.arguments = [
            (x, layout.axis, np.empty_like(x[..., 0] if case.reduces else x)) if case.of_slices else (x,)
            for x in self.arrays
        ]

    def restore(self):
        for array in self.arrays:
            np.copyto(array, self.source)

    def seconds_per_call(self, threads):
        with fastlogit.num_threads(threads):
            self.restore()
            self.call(*self.arguments[0])  # wakes the threads up
            self.restore()
            start = time.perf_counter()
            for arguments in self.arguments:
                self.call(*arguments)
            return (time.perf_counter() - start) / len(self.arguments)


def measure(case, dtype, sizes, turns, progress):
    """Seconds per call for each size: medians with one thread, and with two."""
    one, two = {}, {}
    for size in sizes:
        batch = Batch(case, dtype, size)
        times = ([], [])
        for _ in range(max(7, min(turns, turns * SIZES[-1] // size))):
            for threads in (1, 2):
                times[threads - 1].append(batch.seconds_per_call(threads))
        one[size], two[size] = map(statistics.median, times)
        progress.update()
    return one, two


def line(times, sizes):
    """Intercept and slope of the straight line with the least sum of squared relative errors."""
    seconds = np.array([times[size] for size in sizes])
    slope, intercept = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    return intercept, slope


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.name for case in CASES]
    parser.add_argument("--functions", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--turns", type=int, default=301, help="turns per size (301), fewer of large ones")
    options = parser.parse_args()
    warn_if_busy()
    with fastlogit.num_threads(2):
        if fastlogit.get_num_threads() < 2:
            sys.exit("two threads cannot be had here: see fastlogit.show_config()")

    fitted = sorted({*SIZES, *SPLIT_SIZES})
    sizes = fitted + LARGE_SIZES
    cases = [case for case in CASES if case.name in options.functions]
    measured = {}
    with tqdm(total=len(cases) * 2 * len(sizes), unit="size", file=sys.stderr) as progress:
        for case in cases:
            for dtype in ("float32", "float64"):
                progress.set_description(f"{case.name} {dtype}")
                one, two = measure(case, dtype, sizes, options.turns, progress)
                slowest = max(sizes, key=lambda size: two[size] / one[size])
                ratio = two[slowest] / one[slowest]
                measured[case.name, dtype] = line(one, fitted), line(two, SPLIT_SIZES), (ratio, slowest)
    to_enter = statistics.median(two[0] - one[0] for one, two, _ in measured.values())

    print(f"entering a parallel region of two threads: {to_enter * 1e6:.2f} µs\n")
    print("| function | dtype | ns/element, 1 thread | 2 threads | two win from | slowest |")
    print("| --- | --- | --: | --: | --: | --: |")
    for (name, dtype), ((_, slope_one), (_, slope_two), (ratio, size)) in measured.items():
        crossing = to_enter / (slope_one - slope_two)
        print(
            f"| {name} | {dtype} | {slope_one * 1e9:.3f} | {slope_two * 1e9:.3f} | {crossing:.0f} "
            f"| {ratio:.2f} at {size} |"
        )


if __name__ == "__main__":
    main()
