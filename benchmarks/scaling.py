"""How many cores does each function keep busy before the memory is the limit?

    python benchmarks/scaling.py                  prints what docs/scaling.rst shows
    python benchmarks/scaling.py --docs docs      writes it there

Two things are measured. The arithmetic: nanoseconds per element on one thread, over arrays that stay in the
first or the second cache; the slope of a straight line over several sizes, so that what a call costs is not
in it. The memory: bytes per nanosecond (that is GB/s) of one thread and of all, of a multiplication in place
for the functions that read and write, of a search for the largest element for logsumexp, which only reads.

The model is that of two resources that work at the same time ("roofline"; S. Williams, A. Waterman,
D. Patterson, Commun. ACM 52 (2009) 65-76): c cores take max(arithmetic / c, bytes / bandwidth) for an
element. Its prediction for large arrays stands beside the measurement, for one thread and for all.
"""

import argparse
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from timeit import Timer
from typing import NamedTuple

import numpy as np
import report
from cases import CASES
from contest import PAUSE, warn_if_busy
from machine import describe, sentence, versions_of
from tqdm import tqdm

import fastlogit

LEVEL_1_BYTES = [2**10 * k for k in (4, 6, 8, 12)]  # of the array that is read; one as large is written
LEVEL_2_BYTES = [2**10 * k for k in (64, 96, 128, 192)]
ROW = 256  # elements of a slice
LARGE = 2**24  # elements, beyond every cache
BANDWIDTHS = [50, 100, 200, 400]  # GB/s: from a notebook's to those of a server's socket


def call_of(case, x, out):
    return partial(case.call, x, *([-1] if case.of_slices else []), out=out)


class Scaling(NamedTuple):
    """Of one function and dtype: times in ns per element, for large arrays by number of threads."""

    bytes_moved: int  # for one element
    in_level_1: float
    in_level_2: float
    large: dict[int, float]

    def predicted(self, threads, bandwidth):
        return max(self.in_level_2 / threads, self.bytes_moved / bandwidth)

    def cores(self, bandwidth):
        """How many there must be for the memory, of so many GB/s, to be the limit."""
        return self.in_level_2 * bandwidth / self.bytes_moved


def draw(case, dtype, elements):
    shape = (elements // ROW, ROW) if case.of_slices else (elements,)
    x = case.draw(np.random.default_rng(20240229), shape).astype(dtype)
    return x, np.empty_like(x[:, 0] if case.reduces else x)


def arithmetic(case, dtype, sizes_in_bytes, seconds):
    """Nanoseconds per element on one thread: the slope over the sizes."""
    sizes = [size // np.dtype(dtype).itemsize for size in sizes_in_bytes]
    times = []
    for size in sizes:
        timer = Timer(call_of(case, *draw(case, dtype, size)))
        count = max(1, int(1e-3 / min(timer.repeat(5, 1))))
        turns = max(5, round(seconds / len(sizes) / 1e-3))
        times.append(min(timer.repeat(turns, count)) / count * 1e9)
    slope, _ = np.polyfit(sizes, times, 1)
    return slope


def median_time(call, restore, seconds):
    """Nanoseconds of one call; at least five calls, and the first does not count."""
    time.sleep(PAUSE)
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 6 or time.perf_counter() < end:
        restore()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1e9


def large(case, dtype, threads, seconds):
    x, out = draw(case, dtype, LARGE)
    source = x.copy()
    out = out if case.reduces else x  # in place: what it reads it writes
    with fastlogit.num_threads(threads):
        call = call_of(case, x, out)
        return median_time(call, partial(np.copyto, x, source), seconds) / LARGE


def bandwidth(operation, bytes_moved, threads, seconds):
    """GB/s of an operation over float64 that runs on slices of one array, one for each thread."""
    parts = np.array_split(np.ones(LARGE), threads)
    with ThreadPoolExecutor(threads) as pool:
        return (
            LARGE * bytes_moved / median_time(lambda: list(pool.map(operation, parts)), lambda: None, seconds)
        )


def write_back(part):
    np.multiply(part, 1, out=part)


def rows(measured, all_threads, bandwidths):
    yield [
        *("function", "dtype", "bytes / element", "ns, L1", "ns, L2"),
        *(
            f"ns, large, {label}: model / measured"
            for label in ("1 thread", f"{all_threads} threads")[: 1 + (all_threads > 1)]
        ),
        *(f"cores at {speed} GB/s" for speed in BANDWIDTHS),
    ]
    for (case, dtype), scaling in measured.items():
        yield [
            *(case.name, dtype, f"{scaling.bytes_moved}"),
            *(f"{scaling.in_level_1:.2f}", f"{scaling.in_level_2:.2f}"),
            *(
                f"{scaling.predicted(threads, bandwidths[case.reduces, threads]):.2f} / {ns:.2f}"
                for threads, ns in scaling.large.items()
            ),
            *(f"{scaling.cores(speed):.1f}" for speed in BANDWIDTHS),
        ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="for each figure (0.5)")
    parser.add_argument(
        "--docs", metavar="FOLDER", help="folder of the documentation, whose table is written anew"
    )
    options = parser.parse_args()
    warn_if_busy()
    all_threads = fastlogit.get_num_threads()
    thread_counts = sorted({1, all_threads})

    bandwidths = {}
    for threads in thread_counts:
        bandwidths[False, threads] = bandwidth(write_back, 16, threads, options.seconds)
        bandwidths[True, threads] = bandwidth(np.max, 8, threads, options.seconds)
    measured = {}
    settings = [(case, dtype) for case in CASES for dtype in ("float32", "float64")]
    for case, dtype in tqdm(settings, unit="function", file=sys.stderr):
        with fastlogit.num_threads(1):
            in_caches = [
                arithmetic(case, dtype, sizes, options.seconds) for sizes in (LEVEL_1_BYTES, LEVEL_2_BYTES)
            ]
        measured[case, dtype] = Scaling(
            np.dtype(dtype).itemsize * (1 if case.reduces else 2),
            *in_caches,
            {threads: large(case, dtype, threads, options.seconds) for threads in thread_counts},
        )

    speeds = "; ".join(
        f"{threads} {'threads' if threads > 1 else 'thread'} read and write "
        f"{bandwidths[False, threads]:.1f} GB/s, and read {bandwidths[True, threads]:.1f} GB/s"
        for threads in thread_counts
    )
    header, *body = rows(measured, all_threads, bandwidths)
    machine = describe(all_threads, versions_of())
    print(f"{sentence(machine)}. Memory: {speeds}.", *report.markdown(header, body, left=2), sep="\n")
    if options.docs:
        report.keep_table(options.docs, "scaling", machine, f"Memory: {speeds}.", (header, body))


if __name__ == "__main__":
    main()
