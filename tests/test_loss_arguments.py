"""What arguments the losses refuse, with which error, and that nothing has been written by then."""

import re

import numpy as np
import pandas as pd
import pytest

import fastlogit

inf, nan = np.inf, np.nan
BINARY, CLASSES = "binary_cross_entropy_with_logits", "cross_entropy"


def masked(values, mask):
    return np.ma.MaskedArray(np.array(values), mask)


def among(values, index, value):
    values = np.array(values)
    values[index] = value
    return values


def first_at(index, *words):
    """A message that names the position, as (1, 2) or as 1, and all of the words."""
    numbers = r"\D+".join(rf"\b{i}\b" for i in np.atleast_1d(index))
    return "".join(f"(?s:(?=.*{word}))" for word in (numbers, *words))


Z = np.zeros((3, 4))
Y = np.zeros((3, 4))
LABELS = np.array([0, 1, 3])
NOUGHTS = np.zeros((3, 4), int)
SHARES = np.full((3, 4), 0.25)

# What is wrong, the arguments that differ from a good call, the error, and what its message has.
BAD_BINARY = [
    # Targets
    ("target NaN", {"target": among(Y, (1, 2), nan)}, ValueError, first_at((1, 2), "target", "nan")),
    ("target above 1", {"target": among(Y, (2, 0), 1.5)}, ValueError, first_at((2, 0), "target", r"1\.5")),
    ("target just above 1", {"target": among(Y, (0, 3), 1 + 2**-52)}, ValueError, first_at((0, 3), "target")),
    ("target below 0", {"target": among(Y, (0, 1), -0.5)}, ValueError, first_at((0, 1), "target", r"-0\.5")),
    ("target inf", {"target": among(Y, (0, 1), inf)}, ValueError, first_at((0, 1), "target", "inf")),
    ("target -tiny", {"target": among(Y, (0, 1), -5e-324)}, ValueError, first_at((0, 1), "target")),
    ("integer target 2", {"target": among(NOUGHTS, (2, 3), 2)}, ValueError, first_at((2, 3), "target", "2")),
    (
        "int8 target -1",
        {"target": among(NOUGHTS.astype("i1"), (1, 0), -1)},
        ValueError,
        first_at((1, 0), "target", "-1"),
    ),
    (
        "uint64 target 2^64 - 1",
        {"target": among(NOUGHTS.astype("u8"), (1, 0), 2**64 - 1)},
        ValueError,
        first_at((1, 0), "target"),
    ),
    (
        "float32 target NaN",
        {"target": among(Y.astype("f4"), (0, 0), nan)},
        ValueError,
        first_at((0, 0), "target"),
    ),
    (
        "the first of two",
        {"target": among(among(Y, (2, 1), 7), (1, 3), 3)},
        ValueError,
        first_at((1, 3), "target"),
    ),
    ("target too short", {"target": Y[:2]}, ValueError, r"target.*\(2, 4\).*\(3, 4\)"),
    ("target that would broadcast", {"target": Y[:1]}, ValueError, r"target.*\(1, 4\).*\(3, 4\)"),
    ("scalar target", {"target": 1}, ValueError, r"target.*\(\).*\(3, 4\)"),
    ("target with an axis more", {"target": Y[np.newaxis]}, ValueError, r"target.*\(1, 3, 4\)"),
    ("complex target", {"target": Y.astype(complex)}, TypeError, "target.*complex"),
    ("object target", {"target": Y.astype(object)}, TypeError, "target.*object"),
    ("string target", {"target": np.full((3, 4), "1")}, TypeError, "target"),
    ("date target", {"target": Y.astype("M8[s]")}, TypeError, "target.*datetime"),
    (
        "missing target, Int64",
        {"logits": np.zeros(3), "target": pd.Series([1, None, 0], dtype="Int64")},
        ValueError,
        first_at(1, "target"),
    ),
    (
        "missing target, Float64",
        {"logits": np.zeros(3), "target": pd.Series([1, None, 0], dtype="Float64")},
        ValueError,
        first_at(1, "target"),
    ),
    (
        "missing target, boolean",
        {"logits": np.zeros(3), "target": pd.Series([True, False, None], dtype="boolean")},
        ValueError,
        first_at(2, "target"),
    ),
    (
        "missing target, Arrow",
        {"logits": np.zeros(3), "target": pd.Series([1, None, 0], dtype="int64[pyarrow]")},
        ValueError,
        first_at(1, "target"),
    ),
    (
        "missing target, NaN",
        {"logits": np.zeros(3), "target": pd.Series([1, nan, 0])},
        ValueError,
        first_at(1, "target"),
    ),
    (
        "masked target",
        {"logits": np.zeros(3), "target": masked([0, 1, 1], [0, 0, 1])},
        ValueError,
        first_at(2, "target", "mask"),
    ),
    # Weights
    ("weight that does not broadcast", {"weight": np.ones(3)}, ValueError, r"weight.*\(3,\).*\(3, 4\)"),
    (
        "weight with an axis more",
        {"weight": np.ones((2, 3, 4))},
        ValueError,
        r"weight.*\(2, 3, 4\).*\(3, 4\)",
    ),
    ("complex weight", {"weight": 1j}, TypeError, "weight.*complex"),
    ("object weight", {"weight": np.array([None] * 4)}, TypeError, "weight"),
    (
        "masked weight",
        {"weight": masked([1.0, 2, 3, 4], [0, 1, 0, 0])},
        ValueError,
        first_at(1, "weight", "mask"),
    ),
    ("pos_weight that does not broadcast", {"pos_weight": np.ones(3)}, ValueError, r"pos_weight.*\(3,\)"),
    ("complex pos_weight", {"pos_weight": 1j}, TypeError, "pos_weight.*complex"),
]

BAD_CLASSES = [
    # Labels
    ("label C", {"target": [0, 4, 0]}, ValueError, first_at(1, "4 classes")),
    ("label -1", {"target": [0, 1, -1]}, ValueError, first_at(2, "-1", "4 classes")),
    (
        "label -100 that is not to be ignored",
        {"target": [-100, 1, 0], "ignore_index": -1},
        ValueError,
        first_at(0, "-100", "4 classes"),
    ),
    ("label of int8", {"target": np.array([0, 1, 127], "i1")}, ValueError, first_at(2, "127", "4 classes")),
    (
        "label of uint64",
        {"target": np.array([0, 2**64 - 100, 1], "u8")},
        ValueError,
        first_at(1, "4 classes"),
    ),
    ("the first of two labels", {"target": [0, 9, 8]}, ValueError, first_at(1, "9", "4 classes")),
    (
        "label True of one class",
        {"logits": np.zeros((2, 1)), "target": [False, True]},
        ValueError,
        first_at(1, "1 class"),
    ),
    (
        "label of two axes",
        {"logits": np.zeros((2, 3, 4)), "target": among(np.zeros((2, 3), int), (1, 2), 4)},
        ValueError,
        first_at((1, 2), "4 classes"),
    ),
    ("too few labels", {"target": [0, 1]}, ValueError, r"target.*\(2,\).*\(3,\)"),
    ("one label for all", {"target": 1}, ValueError, r"target.*\(\).*\(3,\)"),
    (
        "labels with the axis of the classes",
        {"target": LABELS[:, np.newaxis]},
        ValueError,
        r"target.*\(3, 1\)",
    ),
    ("integers of the logits' shape", {"target": np.zeros((3, 4), int)}, ValueError, r"target.*\(3, 4\)"),
    ("float labels", {"target": [0.0, 1.0, 3.0]}, (TypeError, ValueError), "target"),
    (
        "PyTorch's axis of the classes",
        {"logits": np.zeros((2, 3, 5)), "target": np.zeros((2, 5), int)},
        ValueError,
        "axis=1",
    ),
    (
        "PyTorch's axis, 4 axes",
        {"logits": np.zeros((2, 3, 5, 6)), "target": np.zeros((2, 5, 6), int)},
        ValueError,
        "axis=1",
    ),
    (
        "missing label, Int64",
        {"target": pd.Series([1, None, 0], dtype="Int64")},
        ValueError,
        first_at(1, "target"),
    ),
    (
        "missing label, Arrow",
        {"target": pd.Series([1, None, 0], dtype="int8[pyarrow]")},
        ValueError,
        first_at(1, "target"),
    ),
    ("masked label", {"target": masked([0, 1, 1], [0, 0, 1])}, ValueError, first_at(2, "target", "mask")),
    ("object labels", {"target": np.array([0, 1, 3], object)}, TypeError, "target.*object"),
    ("string labels", {"target": np.array(["a", "b", "c"])}, TypeError, "target"),
    ("complex labels", {"target": np.array([0j, 1, 2])}, TypeError, "target.*complex"),
    # Probabilities
    (
        "probability NaN",
        {"target": among(SHARES, (1, 2), nan)},
        ValueError,
        first_at((1, 2), "target", "nan"),
    ),
    (
        "probability above 1",
        {"target": among(SHARES, (2, 0), 1.5)},
        ValueError,
        first_at((2, 0), "target", r"1\.5"),
    ),
    ("probability below 0", {"target": among(SHARES, (0, 1), -1e-9)}, ValueError, first_at((0, 1), "target")),
    ("too few probabilities", {"target": SHARES[:2]}, ValueError, r"target.*\(2, 4\)"),
    # Weights
    (
        "weight of another number of classes",
        {"weight": np.ones(3)},
        ValueError,
        r"weight.*\(3,\).*\(4,\)|4 classes",
    ),
    ("scalar weight", {"weight": 2.0}, ValueError, "weight"),
    ("weight with an axis more", {"weight": np.ones((1, 4))}, ValueError, r"weight.*\(1, 4\)"),
    ("complex weight", {"weight": np.ones(4, complex)}, TypeError, "weight.*complex"),
    (
        "sample_weight that does not broadcast",
        {"sample_weight": np.ones(4)},
        ValueError,
        r"sample_weight.*\(4,\).*\(3,\)",
    ),
    ("sample_weight of the logits' shape", {"sample_weight": np.ones((3, 4))}, ValueError, "sample_weight"),
    ("string sample_weight", {"sample_weight": np.array(["a", "b", "c"])}, TypeError, "sample_weight"),
    # Options
    ("label_smoothing above 1", {"label_smoothing": 1.1}, ValueError, r"label_smoothing.*1\.1"),
    ("label_smoothing below 0", {"label_smoothing": -0.1}, ValueError, r"label_smoothing.*-0\.1"),
    ("label_smoothing NaN", {"label_smoothing": nan}, ValueError, "label_smoothing.*nan"),
    ("label_smoothing a string", {"label_smoothing": "0.1"}, TypeError, "label_smoothing"),
    ("ignore_index no integer", {"ignore_index": 0.5}, TypeError, "ignore_index|integer"),
    ("axis 2", {"axis": 2}, np.exceptions.AxisError, "axis 2"),
    ("axis -3", {"axis": -3}, np.exceptions.AxisError, "axis -3"),
    ("axis no integer", {"axis": 0.5}, TypeError, "axis|integer"),
    ("two axes", {"axis": (0, 1)}, TypeError, "axis|integer"),
    ("no axis at all", {"logits": 1.0, "target": 0}, (ValueError, np.exceptions.AxisError), "logits|axis"),
    ("no class", {"logits": np.zeros((3, 0)), "target": [0, 0, 0]}, ValueError, "class"),
]

# Of both losses.
BAD_LOGITS = [
    ("complex logits", {"logits": Z.astype(complex)}, TypeError, "logits.*complex"),
    ("object logits", {"logits": Z.astype(object)}, TypeError, "logits.*object"),
    ("long double logits", {"logits": Z.astype("g")}, TypeError, "logits.*(float|long)"),
    ("string logits", {"logits": np.full((3, 4), "1")}, TypeError, "logits"),
    (
        "masked logits",
        {"logits": masked(Z, Z.astype(bool) | (np.arange(4) == 2))},
        (TypeError, ValueError),
        "logits",
    ),
    ("another reduction", {"reduction": "average"}, ValueError, "reduction.*average"),
    ("reduction None", {"reduction": None}, (TypeError, ValueError), "reduction"),
]
CASES = [
    *((BINARY, *case) for case in BAD_BINARY + BAD_LOGITS),
    *((CLASSES, *case) for case in BAD_CLASSES + BAD_LOGITS),
]


def call(name, **options):
    good = {"logits": Z, "target": Y if name == BINARY else LABELS}
    arguments = {**good, **options}
    logits, target = arguments.pop("logits"), arguments.pop("target")
    return getattr(fastlogit, name)(logits, target, **arguments)


def test_there_are_many_cases():
    assert len(CASES) >= 60
    for name in (BINARY, CLASSES):
        assert np.isfinite(call(name))


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [pytest.param(name, *rest, id=f"{name}: {what}") for name, what, *rest in CASES],
)
def test_bad_arguments(name, options, error, message):
    shape = np.shape(options.get("logits", Z))
    grad, hess = np.full(shape, 5.0), np.full(shape, 5.0)
    with pytest.raises(error) as raised:
        call(name, **options, grad=grad, hess=hess)
    assert re.search(message, str(raised.value)), str(raised.value)
    assert (grad == 5).all()
    assert (hess == 5).all()


@pytest.mark.parametrize("loss", [BINARY, CLASSES])
def test_only_the_first_three_arguments_have_a_place(loss):
    function = getattr(fastlogit, loss)
    with pytest.raises(TypeError):
        function(Z, Y if loss == BINARY else LABELS, None, None)
    with pytest.raises(TypeError):
        function(Z)
