"""What one call costs on a small array, beside SciPy and PyTorch, and how much faster a large one is.

    python benchmarks/calls.py

Microseconds for one call that writes into an array that is there already, from Python, with one array at a
time in the cache; in brackets how many times as long as fastlogit takes. SciPy's softmax and logsumexp have
no `out`. The libraries take turns, and a time is the least of all turns: what disturbs a call of a
microsecond only ever makes it longer.
"""

import argparse
import importlib
import sys
from timeit import Timer

import numpy as np
from cases import CASES, SPELLINGS
from contest import warn_if_busy
from machine import describe, versions_of
from report import keep_table, markdown
from tqdm import tqdm

import fastlogit

SIZES = [8, 100, 1000, 10_000]
PYTORCH = {  # what it calls the functions, and how they take the result
    **{name: f"{spellings.pytorch}(x_tensor, out=out_tensor)" for name, spellings in SPELLINGS.items()},
    "softmax": "torch.softmax(x_tensor, 0, out=out_tensor)",
    "log_softmax": "torch._log_softmax(x_tensor, 0, False, out=out_tensor)",
    "logsumexp": "torch.logsumexp(x_tensor, 0)",
}


def statements_of(case):
    ours = "" if case.reduces else ", out=out"
    statements = {
        "fastlogit": f"fastlogit.{case.name}(x{ours})",
        "SciPy": f"special.{case.name}(x{'' if case.of_slices else ours})",
    }
    return statements | ({"PyTorch": PYTORCH[case.name]} if case.name in PYTORCH else {})


STATEMENTS = {case.name: statements_of(case) for case in CASES if case.name != "logit, eps"}


def names_for(x):
    """What the statements may name; without PyTorch if that is not installed."""
    names = {"fastlogit": fastlogit, "x": x, "out": np.zeros_like(x)}
    names["special"] = importlib.import_module("scipy.special")
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return names
    torch.set_num_threads(fastlogit.get_num_threads())
    return {
        **names,
        "torch": torch,
        "x_tensor": torch.from_numpy(x),
        "out_tensor": torch.from_numpy(names["out"]),
    }


def microseconds(statements, names, seconds):
    """The least time of one call for each library, which has so many seconds."""
    timers = {
        library: Timer(statement, globals=names)
        for library, statement in statements.items()
        if library != "PyTorch" or "torch" in names
    }
    counts = {library: timer.autorange()[0] // 20 + 1 for library, timer in timers.items()}
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(round(seconds * 100)):  # autorange takes 0.2 s, hence a turn 10 ms
        for library, timer in timers.items():
            best[library] = min(best[library], timer.timeit(counts[library]) / counts[library] * 1e6)
    return best


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--functions", nargs="+", choices=list(STATEMENTS), default=list(STATEMENTS))
    parser.add_argument("--dtypes", nargs="+", default=["float64"], metavar="DTYPE")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each figure (0.3)")
    parser.add_argument("--docs", help="folder of the documentation, whose table is written anew")
    options = parser.parse_args()
    warn_if_busy()
    settings = [
        (function, dtype, size)
        for function in options.functions
        for dtype in options.dtypes
        for size in SIZES
    ]
    results = {}
    for function, dtype, size in tqdm(settings, unit="row", file=sys.stderr):
        x = np.random.default_rng(20240229).uniform(0, 1, size).astype(dtype)
        statements = STATEMENTS[function]
        results[function, dtype, size] = microseconds(statements, names_for(x), options.seconds)
    if "PyTorch" not in next(iter(results.values())):
        print("*** PyTorch is left out: it is not installed", file=sys.stderr)
    header = ["function", "dtype", "elements", "fastlogit", "SciPy", "PyTorch"]
    body = []
    for (function, dtype, size), times in results.items():
        ours = times["fastlogit"]
        peers = [
            f"{times[name]:.2f} ({times[name] / ours:.1f}×)" if name in times else "–"
            for name in ("SciPy", "PyTorch")
        ]
        body.append([function, dtype, f"{size}", f"{ours:.2f}", *peers])
    print("\n".join(markdown(header, body, left=2)))
    if options.docs:
        machine = describe(fastlogit.get_num_threads(), versions_of())
        keep_table(options.docs, "calls", machine, "Microseconds for a call.", (header, body))


if __name__ == "__main__":
    main()
