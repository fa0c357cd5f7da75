"""Calls every function, and every place that raises an exception, a million times, and watches the memory.

    python tools/soak.py                       a few minutes on an idle core
    python tools/soak.py --calls 10000         what CI runs
    python tools/soak.py --only softmax        names that have this in them
    python tools/soak.py --summary docs/soak.rst.inc

A place is a line that raises: of the wrong calls in ``tests/bad_calls.py`` the first that ends there. Linux.
"""

import argparse
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bad_calls import CALLS, BadCall
from reference import FUNCTIONS

import fastlogit
from fastlogit import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    logit,
    logsumexp,
    softmax,
    ufuncs,
)

WARM = 2000  # calls after which caches are full
ALLOWED = 2**20  # bytes that may come in between: the memory of threads, of the interpreter's free lists


def resident() -> int:
    """Bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def place(call: BadCall) -> tuple[str, int]:
    """The file and the line that raise, as far as the traceback tells."""
    arguments, options = call.make()
    try:
        call.function(*arguments, **options)
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is None:
            return "", 0
        return trace.tb_frame.f_code.co_filename, trace.tb_lineno
    raise AssertionError(f"{call.name} is no wrong call")


def wrong_calls() -> Iterator[tuple[str, Callable[[], object]]]:
    seen = set()
    for call in CALLS:
        where = place(call)
        if where in seen:
            continue
        seen.add(where)
        arguments, options = call.make()

        def run(call=call, arguments=arguments, options=options):
            try:
                call.function(*arguments, **options)
            except Exception:
                return
            raise AssertionError(f"{call.name} was answered")

        yield f"{call.function.__name__}, {call.name} ({Path(where[0]).name}:{where[1]})", run


def right_calls() -> Iterator[tuple[str, Callable[[], object]]]:
    x = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    out, integers, mask = np.empty_like(x), np.array([0, 1]), x > 0.2
    single, long = x.astype("f4"), x.astype("g")
    for name, function in FUNCTIONS.items():
        yield f"{name}(x)", lambda call=function.call: call(x)
        yield f"{name}(x, out=out)", lambda call=function.call: call(x, out=out)
        yield f"{name}(integers)", lambda call=function.call: call(integers)
        yield f"{name}(number)", lambda call=function.call: call(0.25)
        yield f"{name}(x, out=out, where=mask)", lambda call=function.call: call(x, out=out, where=mask)
        yield f"ufuncs.{name}(long double)", lambda call=function.ufunc: call(long)
    for call in (softmax, log_softmax, logsumexp):
        name = call.__name__
        yield f"{name}(x, axis=1)", lambda call=call: call(x, axis=1)
        yield f"{name}(x, axis=(0, 1), where=mask)", lambda call=call: call(x, axis=(0, 1), where=mask)
        yield f"{name}(integers)", lambda call=call: call(integers)
        yield f"{name}(long double)", lambda call=call: call(long)
    yield "softmax(x, out=out)", lambda: softmax(x, out=out)
    yield "softmax(x, out=float32)", lambda: softmax(x, out=single)
    yield "logsumexp(x, b=x, return_sign=True)", lambda: logsumexp(x, b=x, return_sign=True)
    yield "logsumexp(x, b=float32)", lambda: logsumexp(x, b=single)
    values = iter(np.random.default_rng(0).uniform(0, 0.5, 4_000_000).tolist())
    yield "logit(number, another eps each time)", lambda: logit(0.25, next(values))
    yield "ufuncs.clamped_logit(another eps)", lambda: ufuncs.clamped_logit(next(values))
    yield from losses()
    yield "with num_threads(1)", lambda: fastlogit.num_threads(1).__enter__() or fastlogit.get_num_threads()


def losses() -> Iterator[tuple[str, Callable[[], object]]]:
    x = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    grad, hess, each, slices = np.empty_like(x), np.empty_like(x), np.empty_like(x), np.empty(2)
    single, labels, y = x.astype("f4"), np.array([2, 0]), np.array([[0, 1, 0], [1, 1, 0]])
    wide = np.zeros((2, 6))
    of_all = {"reduction": "none", "grad": grad, "hess": hess}
    calls = {
        "x, y": lambda f: f(x, y),
        "x, y, x, pos_weight=x": lambda f: f(x, y, x, pos_weight=x),
        "x, y, out=, grad=, hess=": lambda f: f(x, y, out=each, **of_all),
        "float32, y, grad=x": lambda f: f(single, y, grad=single),
        "strided, y, grad=x": lambda f: f(wide[:, ::2], y, grad=wide[:, ::2]),
    }
    for arguments, call in calls.items():
        function = binary_cross_entropy_with_logits
        yield f"{function.__name__}({arguments})", lambda call=call, f=function: call(f)
    calls = {
        "x, labels": lambda f: f(x, labels),
        "x, probabilities, label_smoothing=0.1": lambda f: f(x, x, label_smoothing=0.1),
        "x, labels, weight, sample_weight=": lambda f: f(x, labels, x[0], sample_weight=slices),
        "x, labels, out=, grad=, hess=": lambda f: f(x, labels, out=slices, **of_all),
        "float32, labels, grad=x": lambda f: f(single, labels, grad=single),
        "strided, labels, grad=x": lambda f: f(wide[:, ::2], labels, grad=wide[:, ::2]),
        "x, labels, axis=0": lambda f: f(x, y[0], axis=0),
    }
    for arguments, call in calls.items():
        function = cross_entropy
        yield f"{function.__name__}({arguments})", lambda call=call, f=function: call(f)


def grown(run: Callable[[], object], calls: int) -> tuple[int, float]:
    """Bytes of resident memory that came in between, and seconds per call."""
    for _ in range(WARM):
        run()
    before, start = resident(), time.perf_counter()
    for _ in range(calls):
        run()
    return resident() - before, (time.perf_counter() - start) / calls


def summary(rows: list[tuple[str, int]], calls: int) -> str:
    """A table in reStructuredText: the kinds of calls of each function, right and wrong, and their cost."""
    table: dict[str, tuple[int, int, int]] = {}
    for title, bytes_more in rows:
        name = re.split(r"[(,]", title.removeprefix("ufuncs."))[0]
        right, wrong, most = table.get(name, (0, 0, 0))
        is_wrong = bool(re.search(r":\d+\)$", title))
        table[name] = (right + (not is_wrong), wrong + is_wrong, max(most, bytes_more))
    cells = [("function", "right", "wrong", "KiB")]
    cells += [(f"``{n}``", str(r), str(w), f"{most / 1024:.0f}") for n, (r, w, most) in table.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(
        [
            f"``python tools/soak.py --calls {calls}``: so many calls of each kind, right ones and one wrong",
            "one for each line that raises, and the resident memory that came in between, at most.",
            "",
            *[rule, lines[0], rule, *lines[1:], rule],
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--summary", type=Path, help="a file for the table of the documentation")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for title, run in [*right_calls(), *wrong_calls()]:
        if options.only not in title:
            continue
        bytes_more, seconds = grown(run, options.calls)
        rows.append((title, bytes_more))
        verdict = "" if bytes_more <= ALLOWED else "   GROWS"
        print(f"{bytes_more / 1024:8.0f} KiB {seconds * 1e6:8.2f} us  {title}{verdict}", flush=True)
    worst = max((bytes_more for _, bytes_more in rows), default=0)
    print(f"{len(rows)} kinds of calls, {options.calls} of each: at most {worst / 1024:.0f} KiB more")
    if options.summary:
        options.summary.write_text(summary(rows, options.calls))
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
