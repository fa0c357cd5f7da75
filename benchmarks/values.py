"""What the values of an array cost, beside ordinary ones: ``python benchmarks/values.py``.

Where a result or a step on the way to it is subnormal, some processors take a hundred times as long. Scores
that are masked with -inf, and logits that are far out, should cost nothing. One thread, arrays in the cache,
all calls in turns in one process; the figures are the least of their times. ``--docs docs`` writes the table
of the page on speed.
"""

import argparse
from functools import partial

import numpy as np
import peers
from cases import CASES, probabilities
from contest import least_times
from machine import describe, versions_of
from report import keep_table

ROUNDS = 25
ROWS, COLUMNS = 10, 1000
ORDINARY = "ordinary"


def filled(value):
    return lambda generator, x: np.full_like(x, value)


def masked(part):
    """Some scores of each slice are -inf, but never all."""

    def values(generator, x):
        covered = generator.random(x.shape) < part
        covered[:, 0] = False
        return np.where(covered, x.dtype.type(-np.inf), x)

    return values


def spread_over(deviation):
    return lambda generator, x: x * x.dtype.type(deviation / 3)


OF_ELEMENTS = {
    "0": filled(0),
    "30": filled(30),
    "-1000": filled(-1000),
    "1000": filled(1000),
    "-inf": filled(-np.inf),
    "NaN": filled(np.nan),
}
OF_SLICES = {
    "2 % -inf": masked(0.02),
    "half of them -inf": masked(0.5),
    "standard deviation 30": spread_over(30),
    "standard deviation 1000": spread_over(1000),
}


def call_of(library, case, x, out):
    """Of slices into ``out``, of single elements into a new array."""
    of_case = library.calls[case.name]
    if case.of_slices:
        return partial(of_case.preallocated, library.wrap(x), -1, library.wrap(out))
    return partial(of_case.new, library.wrap(x))


def rows_of(case, dtype, libraries, rounds):
    """For each kind of values: nanoseconds an element, and the times beside those of ordinary values."""
    generator = np.random.default_rng(0)
    ordinary = case.draw(generator, (ROWS, COLUMNS)).astype(dtype)
    kinds = {ORDINARY: ordinary} | {
        name: make(generator, ordinary)
        for name, make in (OF_SLICES if case.of_slices else OF_ELEMENTS).items()
    }
    out = np.zeros(ROWS, dtype) if case.reduces else np.zeros_like(ordinary)
    calls = {
        (library.name, kind): call_of(library, case, x, out)
        for kind, x in kinds.items()
        for library in libraries
    }
    times = least_times(calls, rounds)
    for kind in kinds:
        cells = [case.name, dtype, kind]
        for library in libraries:
            of_kind, of_ordinary = times[library.name, kind], times[library.name, ORDINARY]
            cells += [f"{of_kind * 1e6 / ordinary.size:.2f}", f"{of_kind / of_ordinary:.2f}×"]
        yield cells


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--docs", help="folder of the documentation, whose table is written anew")
    arguments = parser.parse_args()
    libraries = peers.load(["fastlogit", "PyTorch"])
    for library in libraries:
        library.set_threads(1)
    rows = []
    for case in CASES:
        if case.draw is probabilities:
            continue
        for dtype in ("float32", "float64"):
            for row in rows_of(case, dtype, libraries, arguments.rounds):
                rows.append(row)
                print(*row, sep="  ", flush=True)
    if arguments.docs:
        header = ["function", "dtype", "values"]
        for library in libraries:
            header += [library.name, "of ordinary"]
        machine = describe(1, versions_of(libraries))
        keep_table(arguments.docs, "values", machine, "Nanoseconds per element.", (header, rows))


if __name__ == "__main__":
    main()
