"""pandas objects beside the bare arrays that they hold: ``python benchmarks/containers.py``.

All are called in turns in one process; the figures are the least of their times in milliseconds, and how many
times that of the bare array. A new result is made each time, as pandas makes one.
"""

import argparse

import numpy as np
import pandas as pd
from contest import least_times

import fastlogit

ROUNDS = 15
ELEMENTS = 10**7
COLUMNS = 10


def cases(elements):
    """Of each function: the bare array first."""
    values = np.random.default_rng(0).random(elements)
    table = values.reshape(-1, COLUMNS)
    series, frame, many = pd.Series(values), pd.DataFrame(table), pd.DataFrame(table.copy())
    many = many.astype({0: "float32"}).astype({0: "float64"})  # columns in several blocks
    nullable = series.astype("Float64")
    columns = frame.to_numpy()  # in the order in which pandas has it
    for name, call in {
        "logit, eps": lambda x: fastlogit.logit(x, 1e-6),
        "expit": fastlogit.expit,
    }.items():
        yield name, {
            "array": lambda call=call: call(values),
            "Series": lambda call=call: call(series),
            "Series, Float64": lambda call=call: call(nullable),
            "DataFrame": lambda call=call: call(frame),
        }
    yield "softmax, all", {
        "array": lambda: fastlogit.softmax(values),
        "Series": lambda: fastlogit.softmax(series),
        "Series, Float64": lambda: fastlogit.softmax(nullable),
    }
    for axis in (0, 1):
        yield f"softmax, axis {axis}", {
            "array": lambda axis=axis: fastlogit.softmax(columns, axis=axis),
            "array, rows in order": lambda axis=axis: fastlogit.softmax(table, axis=axis),
            "DataFrame": lambda axis=axis: fastlogit.softmax(frame, axis=axis),
            "DataFrame, several blocks": lambda axis=axis: fastlogit.softmax(many, axis=axis),
        }
        yield f"logsumexp, axis {axis}", {
            "array": lambda axis=axis: fastlogit.logsumexp(columns, axis=axis),
            "DataFrame": lambda axis=axis: fastlogit.logsumexp(frame, axis=axis),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--elements", type=int, default=ELEMENTS, help="a multiple of ten")
    arguments = parser.parse_args()
    print(f"pandas {pd.__version__}, {arguments.elements} elements, {fastlogit.get_num_threads()} threads")
    for name, calls in cases(arguments.elements):
        times = least_times(calls, arguments.rounds)
        for kind, milliseconds in times.items():
            print(f"{name:20} {kind:26} {milliseconds:8.2f} ms  {milliseconds / times['array']:5.2f} ×")


if __name__ == "__main__":
    main()
