"""fastlogit beside others who want the processors: a BLAS with threads of its own, and a second process.

Each row is measured in processes of their own, in turns, once for each way in which idle threads of libgomp
can wait. The figures are those of the best round: the least time, and the median, which tells more where
processes disturb each other. Several processes begin together, and each calls for half a second.
"""

import argparse
import json
import os
import subprocess
import sys

from machine import describe, sentence, versions_of
from report import keep_table

WAITING = {
    "by default": {},
    "libgomp's own default": {"GOMP_SPINCOUNT": "300000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=3000": {"GOMP_SPINCOUNT": "3000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
}
ROUNDS = 5

MEASURE = """
import json, sys, time
import numpy as np

def measured(call, pause=0):
    call()
    print("ready", flush=True)
    sys.stdin.readline()
    times = []
    stop = time.perf_counter() + 0.5
    while time.perf_counter() < stop:
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    times.sort()
    return times[0] * 1e6, times[len(times) // 2] * 1e6

name, library = sys.argv[1:]
if library == "SciPy":
    from scipy.special import expit, log_expit
elif library == "fastlogit":
    from fastlogit import expit, log_expit
else:
    expit = log_expit = lambda x, out: out
if name == "step":
    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(113_800, 30)), generator.normal(size=30)
    z = np.empty(len(x))
    p = np.empty(len(x))
    def call():
        np.matmul(x, w, out=z)
        log_expit(z, out=p)
        expit(z, out=p)
        return x.T @ p
    print(json.dumps(measured(call)))
else:
    size, _, pause = name.partition(" after ")
    y = np.zeros(int(size))
    print(json.dumps(measured(lambda: expit(y, out=y), float(pause or 0))))
"""

ROWS = {
    "logistic step, 113,800 × 30": ("step", 1),
    "expit, 20,000 elements": ("20000", 1),
    "expit, 200,000 elements": ("200000", 1),
    "expit, 20,000 elements, each after 5 ms": ("20000 after 0.005", 1),
    "expit, 200,000 elements, each after 5 ms": ("200000 after 0.005", 1),
    "expit, 200,000 elements, in each of two processes": ("200000", 2),
}


def measure(name, library, processes, waiting):
    """The least and the median time in microseconds; of several processes the mean."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MEASURE, name, library],
            env=environment | waiting,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    times = [json.loads(process.communicate()[0]) for process in running]
    return [sum(column) / processes for column in zip(*times, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--docs", help="folder of the documentation, whose table is written anew")
    options = parser.parse_args()
    machine = describe(os.cpu_count(), versions_of())
    print(f"{sentence(machine)}; microseconds: least, median of the best round\n")
    body = []
    for title, (name, processes) in ROWS.items():
        columns = {"SciPy": ("SciPy", {})}
        if name == "step":
            columns = {"BLAS alone": ("none", {})} | columns
        columns |= {f"fastlogit, {way}": ("fastlogit", waiting) for way, waiting in WAITING.items()}
        best = dict.fromkeys(columns, [float("inf")] * 2)
        for _ in range(options.rounds):
            for column, (library, waiting) in columns.items():
                best[column] = list(map(min, best[column], measure(name, library, processes, waiting)))
        print(title)
        for column, (least, median) in best.items():
            print(f"  {column:36} {least:10.1f} {median:10.1f}")
            body.append([title, column, f"{least:.0f}", f"{median:.0f}"])
        print(flush=True)
    if options.docs:
        header = ["what runs", "with", "least", "median"]
        keep_table(options.docs, "mixed", machine, "Microseconds, of the best round.", (header, body))


if __name__ == "__main__":
    main()
