"""Which sizes of src/fastlogit/_tuning.py are best on this processor?

    python benchmarks/tune.py                    all of them, in some minutes
    python benchmarks/tune.py --sizes kept

For each size, a process for each candidate; the processes take turns, and a time is the least of all turns.
Printed are the times divided by that of the best candidate of the row. The last row is their geometric mean,
which chooses. A default within 3 % of the best stays: another processor has another best.

Run it on an idle machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys

from contest import warn_if_busy
from machine import describe, sentence, versions_of
from report import keep_table, markdown

from fastlogit import _tuning
from fastlogit._threads import get_num_threads

KIB = 1024
CANDIDATES = {
    "ahead": [0, KIB, 2 * KIB, 4 * KIB, 8 * KIB, 16 * KIB],
    "streamed": [2**20, 2**21, 3 * 2**20, 2**22, 2**23, 2**25, 2**40],
    "kept": [2**15, 2**18, 2**20, 2**21, 2**22, 2**23, 2**24, 2**25, 2**26, 2**40],
    "waking": [0, 12, 25, 50, 100, 200, 10**6],
}


def elementwise(name, dtype, elements, output):
    return f"{name} {dtype} 2^{elements.bit_length() - 1} {output}", (name, dtype, (elements,), None, output)


def slices(name, dtype, shape, axis, output):
    return f"{name} {dtype} {shape[0]}×{shape[1]}, axis {axis}, {output}", (name, dtype, shape, axis, output)


# What each size decides about. "cold": four pairs of arrays take turns; "rested": the threads sleep by then.
WORK = {
    "ahead": [
        elementwise(name, dtype, elements, output)
        for name in ("expit", "logit", "log_expit")
        for dtype in ("float32", "float64")
        for elements, output in ((2**24, "in place"), (2**24, "preallocated"), (2**19, "in place"))
    ],
    "streamed": [
        slices("log_softmax", dtype, (rows, 1000), -1, output)
        for dtype in ("float32", "float64")
        for rows in (256, 1024, 2048, 8192)
        for output in ("preallocated", "cold")
    ],
    "kept": [
        *(
            slices("softmax", dtype, (rows, 1000), 0, output)
            for dtype in ("float32", "float64")
            for rows in (1024, 2048, 4096, 8192, 16384)
            for output in ("in place", "preallocated")
        ),
        *(
            slices("softmax", dtype, (max(1, 2**22 // n), n), -1, output)
            for dtype in ("float32", "float64")
            for n in (2**14, 2**16, 2**18, 2**20, 2**22, 2**24)
            for output in ("in place", "preallocated")
        ),
    ],
    "waking": [
        elementwise(name, dtype, 2**exponent, "rested")
        for name, dtype in (("expit", "float32"), ("expit", "float64"), ("log_expit", "float64"))
        for exponent in range(15, 23)
    ],
}
TURNS = 12
MEASURE = """
import json, sys, time
import numpy as np
import fastlogit

for line in sys.stdin:
    name, dtype, shape, axis, output = json.loads(line)
    source = np.random.default_rng(1).uniform(0, 1, shape).astype(dtype)
    arguments = () if axis is None else (axis,)
    print("ready", flush=True)
    for turn in sys.stdin:
        if turn == "next\\n":
            break
        # In other pages each time: where the system has put an array can double the time.
        pairs = [(source.copy(), source.copy()) for _ in range(4 if output == "cold" else 1)]
        least = float("inf")
        for _ in range(4):
            for x, out in pairs:
                if output == "in place":
                    x[...] = source
                    out = x
                elif output == "rested":
                    time.sleep(0.003)
                start = time.perf_counter()
                getattr(fastlogit, name)(x, *arguments, out=out)
                least = min(least, time.perf_counter() - start)
        print(least, flush=True)
"""


class Candidate:
    """A process with a size of its own."""

    def __init__(self, name, size):
        self.size = size
        self.process = subprocess.Popen(
            [sys.executable, "-c", MEASURE],
            env={**os.environ, "FASTLOGIT_TUNING": f"{name}={size}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self):
        self.process.stdin.close()
        self.process.wait()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline()


def least_times(candidates, work, turns):
    for candidate in candidates:
        candidate.say(json.dumps(work))
        candidate.hear()
    times = [float("inf")] * len(candidates)
    for turn in range(turns):
        for number in range(len(candidates)) if turn % 2 else reversed(range(len(candidates))):
            candidates[number].say("time")
            times[number] = min(times[number], float(candidates[number].hear()))
    for candidate in candidates:
        candidate.say("next")
    return times


def table(name, turns):
    """Header, rows, and the choice."""
    candidates = [Candidate(name, size) for size in CANDIDATES[name]]
    body, logarithms = [], [0.0] * len(candidates)
    for title, work in WORK[name]:
        times = least_times(candidates, work, turns)
        body.append([title, *(f"{time / min(times):.2f}" for time in times)])
        logarithms = [total + math.log(time) for total, time in zip(logarithms, times, strict=True)]
    for candidate in candidates:
        candidate.end()
    means = [math.exp((logarithm - min(logarithms)) / len(body)) for logarithm in logarithms]
    body.append(["geometric mean", *(f"{mean:.3f}" for mean in means)])
    default = means[CANDIDATES[name].index(_tuning.DEFAULTS[name])]
    best = CANDIDATES[name][means.index(min(means))]
    choice = (
        f"{name}: the best is {best}, the default {_tuning.DEFAULTS[name]} takes {default:.3f} of its time: "
        + ("it stays." if default <= 1.03 else "change it, if other processors agree.")
    )
    return [name, *map(str, CANDIDATES[name])], body, choice


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--docs", help="folder of the documentation, whose tables are written anew")
    options = parser.parse_args()
    warn_if_busy()
    machine = describe(get_num_threads(), versions_of())
    print(f"{sentence(machine)}.\n")
    for name in options.sizes:
        header, body, choice = table(name, options.turns)
        print("\n".join(markdown(header, body, left=1)), f"\n{choice}\n", flush=True)
        if options.docs:
            keep_table(options.docs, f"tuning-{name}", machine, choice, (header, body))


if __name__ == "__main__":
    main()
