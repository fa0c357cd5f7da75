"""Calls with arbitrary arguments, most of them wrong, and what has to hold for each.

Whoever draws gives a function that picks one of a sequence: hypothesis in test_argument_fuzz.py, atheris in
``tools/fuzz_arguments.py``.
"""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

import fastlogit

Pick = Callable[[Sequence[Any]], Any]

SHAPES = [(), (0,), (1,), (4,), (2, 4), (4, 2), (1, 4), (2, 1), (3, 4), (2, 0, 4), (1, 2, 4)]
DTYPES = ["f2", "f4", "f8", ">f4", ">f8", "g", "i1", "u8", "i4", "?", "c8", "O", "U3", "M8[s]", "f4,f4", "S2"]
THINGS = [
    None, True, False, 0, 1, -1, 2, -3, 10**30, -(10**400), 0.0, -0.0, 0.1, 0.5, -1e-9, 1e300,
    float("inf"), float("nan"), 1j, "", "x", "K", b"x", [], [0.5], [[1, 2], [3]], (), (0,), (0, 1), (0, 0),
    (0, "1"), (-1, -2), {}, {1}, ..., object, len, np.float32(0.25), np.longdouble(0.1), np.int8(1),
    np.bool(True), Fraction(1, 3), Decimal("0.1"), range(4), memoryview(b"abcd"), bytearray(8),
    np.dtype("f8"), slice(3),
]  # fmt: skip
WORDS = ["f4", "f8", "g", "i8", "same_kind", "unsafe", "no", "K", "C"]
VALUES = np.array([0.25, 0.5, 1, 0, 2, 0.75, 3, 0.125, 0.5, 1, 0, 0.25])

# What NumPy says itself: each names the argument and what to pass. Those of the interpreter name it too.
OF_NUMPY = (
    "order must be|casting must be|'subok' must be a boolean|byte order|Argument given by name|"
    "unexpected keyword argument|positional argument|dtype must|multiple values"
)

LOSSES = ["binary_cross_entropy_with_logits", "cross_entropy"]
FUNCTIONS = ["logit", "expit", "log_expit", "softplus", "softmax", "log_softmax", "logsumexp", *LOSSES]
RESULTS = ("out", "grad", "hess")  # arguments that are written
OPTIONS = {
    "logit": ["eps", "out", "where", "casting", "order", "dtype", "subok"],
    "softmax": ["axis", "out", "where"],
    "logsumexp": ["axis", "b", "keepdims", "return_sign", "out", "where"],
}
OF_CLASSES = ["sample_weight", "axis", "ignore_index", "label_smoothing"]
for loss, of_it in zip(LOSSES, (["pos_weight"], OF_CLASSES), strict=True):
    OPTIONS[loss] = ["target", "weight", *of_it, "reduction", *RESULTS]
OPTIONS["expit"] = OPTIONS["log_expit"] = OPTIONS["softplus"] = OPTIONS["logit"][1:]
OPTIONS["log_softmax"] = OPTIONS["softmax"]


@dataclass
class Case:
    name: str
    x: Any
    options: dict[str, Any]

    def run(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a mask without out
            return getattr(fastlogit, self.name)(self.x, **self.options)


def array(pick: Pick, memory: np.ndarray) -> Any:
    """New or, half of the time, a view of what all arguments may share; of any dtype, order and flags."""
    dtype, shape = np.dtype(pick(DTYPES)), pick(SHAPES)
    count = int(np.prod(shape))
    if dtype.kind in "iufb" and pick([False, True]):
        start = pick([0, 1, 4, 8, 16, 17, 32])
        step = pick([1, 1, 2])
        made = memory[start : start + count * step * dtype.itemsize].view(dtype)[::step]
    else:
        made = np.resize(VALUES, count).astype("f8" if dtype.kind in "cOUSMV" else dtype)
        made = made.astype(dtype) if dtype.kind not in "MV" else np.zeros(count, dtype)
    made = made.reshape(shape)
    kind = pick(["plain", "plain", "plain", "backwards", "transposed", "read-only", "repeated", "masked"])
    if kind == "backwards":
        return made[tuple(slice(None, None, -1) for _ in shape)] if shape else made
    if kind == "transposed":
        return made.T
    if kind == "read-only":
        made = made.view()
        made.flags.writeable = False
    if kind == "repeated" and made.ndim:
        return np.lib.stride_tricks.as_strided(made, shape, (0, *made.strides[1:]))
    if kind == "masked" and dtype.kind in "iufb":
        return np.ma.MaskedArray(made, made == 1)
    return made


def argument(pick: Pick, memory: np.ndarray) -> Any:
    return array(pick, memory) if pick([True, True, False]) else pick(THINGS)


def argument_of_a_loss(pick: Pick, memory: np.ndarray, case: Case, option: str) -> Any:
    """One that fits, as often as not."""
    shape = np.shape(case.x) if isinstance(case.x, np.ndarray) else pick(SHAPES)
    if option == "target":
        labels, shares = np.resize([0, 1, 0, 0], shape[:-1]), np.resize([0.0, 1, 0.25], shape)
        return pick([labels, shares, shares, labels, -labels, argument(pick, memory)])
    if option == "reduction":
        return pick(["mean", "sum", "none", "none", "none", *THINGS])
    if option in RESULTS:
        dtype = pick(["f4", "f8"]) if not isinstance(case.x, np.ndarray) else case.x.dtype
        kept = shape[:-1] if option == "out" and case.name == "cross_entropy" else shape
        return pick([case.x, np.zeros(kept, dtype), np.zeros(kept), argument(pick, memory)])
    weights = np.resize([0.5, 0, 2], pick([shape, shape[-1:], shape[:-1]]))
    return pick([weights, weights, 0.1, 0, -100, argument(pick, memory)])


def arbitrary(pick: Pick) -> Case:
    memory = np.frombuffer(bytearray(np.tile(VALUES, 8).tobytes()), np.uint8)
    name = pick(FUNCTIONS)
    case = Case(name, argument(pick, memory), {})
    for option in OPTIONS[name]:
        if option != "target" and not pick([False, False, True]):
            continue
        if name in LOSSES and option != "axis":
            case.options[option] = argument_of_a_loss(pick, memory, case, option)
        elif option in ("out", "b"):
            case.options[option] = pick([case.x, argument(pick, memory), argument(pick, memory)])
        elif option == "where":
            shape = np.shape(case.x) if isinstance(case.x, np.ndarray) else pick(SHAPES)
            mask = np.resize([True, False, True], pick([shape, shape, pick(SHAPES)]))
            case.options[option] = pick([mask, mask, argument(pick, memory)])
        elif option == "axis":
            case.options[option] = pick([0, 1, -1, 2, None, (0, 1), (), *THINGS])
        elif option in ("dtype", "casting", "order"):
            case.options[option] = pick([*WORDS, *THINGS])
        else:
            case.options[option] = pick([0.1, 1e-6, True, False, *THINGS])
    return case


def bases(case: Case) -> list[np.ndarray]:
    """The memory of all that is passed."""
    found = []
    for value in (case.x, *case.options.values()):
        while isinstance(value, np.ndarray):
            base = value
            value = value.base
            if not isinstance(value, np.ndarray):
                found.append(base)
    return found


def apart(case: Case) -> Case:
    """The same call without any memory in common; out has its own, of its own elements."""
    options = {
        key: value.copy() if isinstance(value, np.ndarray) else value for key, value in case.options.items()
    }
    for name in RESULTS:
        if isinstance(options.get(name), np.ndarray):
            options[name] = np.array(options[name], subok=False)
    return Case(case.name, case.x.copy() if isinstance(case.x, np.ndarray) else case.x, options)


def shares_itself(value: Any) -> bool:
    return isinstance(value, np.ndarray) and 0 in [
        stride for stride, length in zip(value.strides, value.shape, strict=True) if length > 1
    ]


def written(case: Case, result: Any) -> tuple[Any, ...]:
    derivatives = [case.options.get(name) for name in ("grad", "hess")]
    return (*(result if isinstance(result, tuple) else (result,)), *derivatives)


def comparable(result: Any) -> Any:
    """A NaN that is an object is not equal to another."""
    result = np.asarray(result)
    return result.astype(float) if result.dtype == object and result[()] is not None else result


def check(case: Case) -> str:
    """Run it; what came: "answered" or the class of the exception."""
    memory = bases(case)
    before = [base.tobytes() for base in memory]
    out = case.options.get("out")
    reference = apart(case)
    try:
        got = case.run()
    except Exception as error:
        if not isinstance(error, TypeError | ValueError):
            raise
        message = str(error)
        assert message.startswith(f"{case.name}: ") or re.search(OF_NUMPY, message), message
        assert "clamped" not in message, message
        assert [base.tobytes() for base in memory] == before
        return type(error).__name__
    if isinstance(out, np.ndarray):
        result = got[0] if isinstance(got, tuple) else got
        assert result is out
    elif not any(isinstance(case.options.get(name), np.ndarray) for name in RESULTS):
        assert [base.tobytes() for base in memory] == before
    if out is None and case.options.get("where", True) is not True and case.name in FUNCTIONS[:4]:
        return "answered"  # what is masked is not initialised
    if shares_itself(out) or shares_itself(case.options.get("where")):
        return "answered"
    expected = reference.run()
    for one, other in zip(written(case, got), written(reference, expected), strict=True):
        mask = np.ma.getmask(one)  # NumPy gives out the mask of a shorter x, which is none
        seen = ~mask if np.shape(mask) == np.shape(one) else ...
        np.testing.assert_array_equal(comparable(one)[seen], comparable(other)[seen])
    return "answered"
