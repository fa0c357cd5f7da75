"""From how many elements on are two threads faster than one?

    python benchmarks/thresholds.py      prints a table for smallest_parallel in kernels/elementwise.pxd

A call on fewer elements than the threshold never enters a parallel region, whatever the thread count, so
the crossing cannot be timed there. It is computed: the times of one thread are fitted by a straight line
over all sizes, those of two by a straight line over the sizes that are certainly split. The difference
of the intercepts is the cost of entering a parallel region; it has nothing to do with the formula, so
the median over all functions and dtypes is taken. Divided by the difference of the slopes it is the
size where two threads begin to win.

One and two threads take turns, in place over contiguous arrays; a time is the median. "slowest" is the
largest time of two threads relative to one that was seen at any size: with a good threshold it stays
near 1.

Run it on an idle machine: where another process holds a core, two threads wait for each other. They are
warm here, as in a loop of calls. After a pause they sleep, and waking them costs more.
"""

import argparse
import statistics
import sys
import time

import numpy as np
from compare import BATCH_BYTES, CASES, warn_if_busy
from tqdm import tqdm

import fastlogit

SIZES = [2**k for k in range(8, 19)]
SPLIT_SIZES = [2**15 * k for k in (1, 2, 3, 4, 6, 8)]  # from two slabs of a contiguous array on


def seconds_per_call(call, arrays, source, threads):
    for array in arrays:
        np.copyto(array, source)
    with fastlogit.num_threads(threads):
        call(arrays[0])  # wakes the threads up
        np.copyto(arrays[0], source)
        start = time.perf_counter()
        for array in arrays:
            call(array)
        return (time.perf_counter() - start) / len(arrays)


def measure(case, dtype, sizes, turns, progress):
    """Seconds per call for each size: medians with one thread, and with two."""
    call = eval(f"lambda x: {case.calls['fastlogit'][0]}", {"fastlogit": fastlogit, "EPS": 1e-6})
    generator = np.random.default_rng(20240229)
    one, two = {}, {}
    for size in sizes:
        source = case.draw(generator, (size,)).astype(dtype)
        arrays = [source.copy() for _ in range(max(1, BATCH_BYTES // source.nbytes))]
        times = ([], [])
        for _ in range(turns):
            for threads in (1, 2):
                times[threads - 1].append(seconds_per_call(call, arrays, source, threads))
        one[size], two[size] = map(statistics.median, times)
        progress.update()
    return one, two


def line(times):
    """Intercept and slope of the straight line with the least sum of squared relative errors."""
    sizes, seconds = np.array(list(times)), np.array(list(times.values()))
    slope, intercept = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    return intercept, slope


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=301, help="turns per size (301)")
    options = parser.parse_args()
    warn_if_busy()
    with fastlogit.num_threads(2):
        if fastlogit.get_num_threads() < 2:
            sys.exit("two threads cannot be had here: see fastlogit.show_config()")

    sizes = sorted({*SIZES, *SPLIT_SIZES})
    measured = {}
    with tqdm(total=len(CASES) * 2 * len(sizes), unit="size", file=sys.stderr) as progress:
        for case in CASES:
            for dtype in ("float32", "float64"):
                progress.set_description(f"{case.name} {dtype}")
                one, two = measure(case, dtype, sizes, options.turns, progress)
                split = {size: two[size] for size in SPLIT_SIZES}
                slowest = max(sizes, key=lambda size: two[size] / one[size])
                ratio = two[slowest] / one[slowest]
                measured[case.name, dtype] = line(one), line(split), (ratio, slowest)
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
