"""Wrong calls of every function: one for each row of the tables in ``bad_arguments.py``.

Read by test_bad_input.py and by ``tools/soak.py``.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from bad_arguments import (
    OF_AXES,
    OF_ELEMENTWISE,
    OF_EPS,
    OF_FLAGS,
    OF_LABEL,
    OF_LOSS_OUT,
    OF_MASK,
    OF_ONE_AXIS,
    OF_OUT,
    OF_PANDAS,
    OF_POLARS,
    OF_SMOOTHING,
    OF_THREADS,
    OF_WEIGHTS,
    OF_X,
    Arguments,
    AxisError,
    out,
    polars_series,
    x,
)
from reference import PUBLIC
from test_loss_arguments import BINARY, CLASSES, LABELS, Y, Z
from test_loss_arguments import CASES as LOSS_CASES

import fastlogit
from fastlogit import log_softmax, logit, logsumexp, softmax, ufuncs


@dataclass(frozen=True)
class BadCall:
    name: str
    function: Callable[..., Any]
    make: Callable[[], Arguments]
    error: type[Exception] | tuple[type[Exception], ...]
    message: str  # a regular expression


CONTAINERS = {"masked array": lambda x: np.ma.MaskedArray(x, x == x[0, 0])}
if find_spec("pandas"):
    CONTAINERS["DataFrame"] = lambda x: importlib.import_module("pandas").DataFrame(x)

OTHER_WEIGHTS = {BINARY: "pos_weight", CLASSES: "sample_weight"}

Row = tuple[str, Callable[[], Arguments], type[Exception], str]


def rows_of_x(argument: str) -> Iterator[Row]:
    for kind, (make, error, message) in OF_X.items():
        yield f"{argument}: {kind}", lambda make=make: ((make(),), {}), error, message.replace("X", argument)


def rows_of_mask(shape: tuple[int, ...], *rest: Any) -> Iterator[Row]:
    for kind, (make, message) in OF_MASK.items():
        yield (
            f"where: {kind}",
            lambda make=make: ((x(), *rest), {"out": out(shape=shape), "where": make()}),
            TypeError,
            message,
        )


def rows_of_out(shape: tuple[int, ...], *rest: Any) -> Iterator[Row]:
    for kind, (make, error, message) in OF_OUT.items():
        yield f"out: {kind}", lambda make=make: ((x(), *rest), {"out": make(shape)}), error, message


def rows_of_elementwise() -> Iterator[Row]:
    yield from rows_of_x("x")
    yield from rows_of_mask((2, 4))
    yield from rows_of_out((2, 4))
    tables = [OF_ELEMENTWISE]
    containers = {"polars": OF_POLARS, "pandas": OF_PANDAS}
    tables += [table for library, table in containers.items() if find_spec(library)]
    for table in tables:
        for kind, row in table.items():
            yield kind, *row


def rows_of_slices(argument: str, shape: tuple[int, ...]) -> Iterator[Row]:
    yield from rows_of_x(argument)
    yield from rows_of_mask(shape, 1)
    yield from rows_of_out(shape, 1)
    for kind, (axis, error, message) in OF_AXES.items():
        make = lambda axis=axis: ((x(), axis), {"out": out(shape=shape)})  # noqa: E731
        yield f"axis: {kind}", make, error, message
    yield "axis of a number", lambda: ((3.0, 1), {}), AxisError, "pass axis=None: axis 1 is out of bounds"
    yield "no argument", lambda: ((), {}), TypeError, "argument"
    yield "unknown option", lambda: ((x(),), {"eps": 0}), TypeError, "eps"
    yield (
        "mask of another shape",
        lambda: ((x(), 1), {"out": out(shape=shape), "where": np.ones(3, bool)}),
        ValueError,
        r"where has shape \(3,\), which does not broadcast to the shape \(2, 4\).*give it that shape",
    )
    if find_spec("polars"):
        make = lambda: ((np.ones(2),), {"out": polars_series()})  # noqa: E731
        yield "polars out", make, TypeError, "out must be an array, not Series"


def rows_of_weights() -> Iterator[Row]:
    def weighted(b: Any) -> Arguments:
        return (x(), 1), {"b": b, "out": out(shape=(2,))}

    for kind, (make, error, message) in OF_X.items():
        if kind != "None":
            yield f"b: {kind}", lambda make=make: weighted(make()), error, message.replace("X", "b")
    for kind, (b, error, message) in OF_WEIGHTS.items():
        yield kind, lambda b=b: weighted(b), error, message
        for container, make in CONTAINERS.items():
            yield f"{kind}, {container}", lambda b=b, make=make: ((make(x()),), {"b": b}), error, message
    for flag in ("keepdims", "return_sign"):
        for kind, (value, message) in OF_FLAGS.items():
            options = {flag: value}
            yield (
                f"{flag}: {kind}",
                lambda options=options: ((x(), 1), {**options, "out": out(shape=(2,))}),
                TypeError,
                f"{flag} {message}",
            )


def rows_of_eps() -> Iterator[Row]:
    for kind, (eps, error, message) in OF_EPS.items():
        yield f"eps: {kind}", lambda eps=eps: ((x(), eps), {"out": out()}), error, message


def loss_call(loss: str, given: dict[str, Any]) -> Arguments:
    """A good call with places for all results, of which something is replaced."""
    arguments = {"logits": Z.copy(), "target": (Y if loss == BINARY else LABELS).copy(), **given}
    logits, target = arguments.pop("logits"), arguments.pop("target")
    shape = logits.shape if isinstance(logits, np.ndarray) else Z.shape
    return (logits, target), {"grad": out(shape=shape), "hess": out(shape=shape), **arguments}


def rows_of_loss(loss: str) -> Iterator[Row]:
    for name, kind, given, error, message in LOSS_CASES:
        if name == loss:
            yield kind, lambda given=given: loss_call(loss, given), error, message
    for argument in ("logits", "target", "weight", OTHER_WEIGHTS[loss]):
        for kind, (make, error, message) in OF_X.items():
            if kind != "None" or argument in ("logits", "target"):
                call = lambda a=argument, make=make: loss_call(loss, {a: make()})  # noqa: E731
                yield f"{argument}: {kind}", call, error, message.replace("X", argument)
    if loss == BINARY:
        return
    of_options = {"axis": OF_ONE_AXIS, "label_smoothing": OF_SMOOTHING, "ignore_index": OF_LABEL}
    for option, table in of_options.items():
        for kind, (value, error, message) in table.items():
            call = lambda o=option, value=value: loss_call(loss, {o: value})  # noqa: E731
            yield f"{option}: {kind}", call, error, message


def rows_of_loss_outputs(loss: str) -> Iterator[Row]:
    for place in ("out", "grad", "hess"):
        shape = LABELS.shape if place == "out" and loss == CLASSES else Z.shape
        for kind, (make, error, message) in OF_LOSS_OUT.items():

            def arguments(place=place, make=make, shape=shape):
                return loss_call(loss, {"reduction": "none", place: make(shape)})

            yield f"{place}: {kind}", arguments, error, message.replace("OUT", place)
    yield "out of a mean", lambda: loss_call(loss, {"out": out()}), ValueError, "out takes.*reduction='none'"


def clamped(x: Any, *rest: Any, **options: Any) -> Any:
    return logit(x, 1e-6, *rest, **options)


clamped.__name__ = "logit with eps"

CALLS = [
    BadCall(kind, getattr(fastlogit, name), *row)
    for name in PUBLIC
    for kind, *row in rows_of_elementwise()
    if (name, kind) != ("logit", "three positions")  # its second is eps
]
CALLS += [BadCall(kind, clamped, *row) for kind, *row in rows_of_elementwise() if row[0]()[0]]
CALLS += [
    BadCall(kind, function, *row)
    for function in (softmax, log_softmax)
    for kind, *row in rows_of_slices("x", (2, 4))
]
CALLS += [BadCall(kind, logsumexp, *row) for kind, *row in (*rows_of_slices("a", (2,)), *rows_of_weights())]
CALLS += [BadCall(kind, logit, *row) for kind, *row in rows_of_eps()]
CALLS += [
    BadCall(f"eps: {kind}", ufuncs.clamped_logit, lambda eps=eps: ((eps,), {}), error, message)
    for kind, (eps, error, message) in OF_EPS.items()
]
CALLS += [
    BadCall(kind, getattr(fastlogit, loss), *row)
    for loss in (BINARY, CLASSES)
    for kind, *row in (*rows_of_loss(loss), *rows_of_loss_outputs(loss))
]
CALLS += [
    BadCall(f"n: {kind}", fastlogit.set_num_threads, lambda n=n: ((n,), {}), error, message)
    for kind, (n, error, message) in OF_THREADS.items()
]
