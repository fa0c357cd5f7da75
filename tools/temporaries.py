"""What a call asks for beside its arguments and its result, in bytes: the table of ``docs/reliability.rst``.

    python tools/temporaries.py
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from memory import traced_peak

from fastlogit import expit, log_softmax, logsumexp, softmax

SHAPE = (2048, 1024)


def scores(dtype: str = "f8") -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, SHAPE).astype(dtype)


def cases():
    """What it is, the input, the place for the result if there is one, and the call."""
    x, single, wide = scores(), scores("f4"), scores("g")
    half, small = scores("f2"), scores("i1")
    out, out_single = np.empty(SHAPE), np.empty(SHAPE, "f4")
    both = np.concatenate([x, x], axis=1)
    left, right = both[:, : SHAPE[1]], both[:, SHAPE[1] :]
    upper, lower = both[:-1], both[1:]
    masked = np.ma.MaskedArray(scores(), scores() < 0)
    yield "``softmax(x, 1, out=x)``", out, out, lambda: softmax(out, 1, out=out)
    yield "``softmax(a[:, :n], 1, out=a[:, n:])``", left, right, lambda: softmax(left, 1, out=right)
    yield "``expit(a[:, :n], out=a[:, n:])``", left, right, lambda: expit(left, out=right)
    yield "``softmax`` of float16", half, None, lambda: softmax(half, 1)
    yield "``softmax`` of float64 into float32", x, out_single, lambda: softmax(x, 1, out=out_single)
    yield "the same, ``axis=None``", x, out_single, lambda: softmax(x, out=out_single)
    yield "``softmax`` of float32 into float64", single, out, lambda: softmax(single, 1, out=out)
    yield "``softmax`` of int8 into float64", small, out, lambda: softmax(small, out=out)
    yield "``softmax(a[:-1], 1, out=a[1:])``", upper, lower, lambda: softmax(upper, 1, out=lower)
    yield "``log_softmax`` of long double", wide, None, lambda: log_softmax(wide, 1)
    yield "the same, ``axis=None``", wide, None, lambda: log_softmax(wide)
    yield "``logsumexp`` of int8", small, None, lambda: logsumexp(small, 1)
    yield "the same, ``axis=None``", small, None, lambda: logsumexp(small)
    yield "``logsumexp`` of float16", half, None, lambda: logsumexp(half, 1)
    yield "``logsumexp`` of float32, ``b`` of float64", single, None, lambda: logsumexp(single, 1, b=x)
    yield "the same, ``axis=None``", single, None, lambda: logsumexp(single, b=x)
    yield "``logsumexp`` of long double", wide, None, lambda: logsumexp(wide, 1)
    yield "``softmax`` of a masked array", masked, None, lambda: softmax(masked, 1)
    try:
        import pandas
    except ImportError:
        return
    frame = pandas.DataFrame(x)
    yield "``softmax`` of a DataFrame", x, None, lambda: softmax(frame, 1)


def main() -> None:
    rows = []
    for title, x, out, call in cases():
        call()
        kept = []
        beside = traced_peak(lambda call=call, kept=kept: kept.append(call()))
        if out is None:
            beside -= np.asarray(kept[0]).nbytes
        rows.append((title, f"{x.nbytes / 2**20:.1f}", f"{beside / 2**20:.2f}"))
    widths = [max(len(row[i]) for row in [*rows, ("call", "input", "beside")]) for i in range(3)]
    line = "  ".join("=" * width for width in widths)
    print(line)
    for row in [("call", "input", "beside"), *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if row[0] == "call":
            print(line)
    print(line)


if __name__ == "__main__":
    main()
