"""cross_entropy: arguments and outputs of every kind."""

import numpy as np
import pandas as pd
import pytest
from layouts import VIEWS
from loss_calls import EVERY_DTYPE, EVERY_REDUCTION, classes_sample, probabilities, same_everything
from loss_calls import classes_everything as everything
from reference import DTYPES, same_bits

from fastlogit import cross_entropy


@pytest.mark.parametrize("kind", ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", "<u2"])
def test_dtypes_of_labels(kind):
    rng = np.random.default_rng(9)
    for dtype in DTYPES:
        logits = rng.normal(0, 8, (30, 2)).astype(dtype)
        labels = rng.integers(0, 2, 30)
        for reduction in ("mean", "sum", "none"):
            expected = everything(logits, labels, reduction=reduction)
            same_everything(everything(logits, labels.astype(kind), reduction=reduction), expected)


@pytest.mark.parametrize(
    ("given", "working"),
    [("f2", "f4"), (">f4", "f4"), (">f8", "f8"), ("i1", "f8"), ("u8", "f8"), ("bool", "f8")],
)
def test_dtypes_of_logits(given, working):
    logits = np.arange(12).reshape(3, 4).astype(given)
    for target in ([0, 3, 1], np.full((3, 4), 0.25)):
        expected = everything(logits.astype(working), target, reduction="none")
        got = everything(logits, target, reduction="none")
        assert got[0].dtype == working
        same_everything(got, expected)
        same_bits(cross_entropy(logits, target), cross_entropy(logits.astype(working), target))


def test_lists_and_one_slice():
    assert type(cross_entropy([0.0, 0.0], 1)) is np.float64
    assert type(cross_entropy(np.zeros(2, "f4"), 1)) is np.float64
    assert type(cross_entropy(np.zeros(2, "f4"), np.int8(1), reduction="none")) is np.float32
    assert cross_entropy([[0.0, 0.0]], [1], reduction="none").shape == (1,)
    assert cross_entropy([[0.0, 0.0]], [True]) == cross_entropy([[0.0, 0.0]], [[0.0, 1.0]])


@EVERY_REDUCTION
def test_pandas(reduction):
    rng = np.random.default_rng(10)
    index = rng.permutation(20)
    logits, labels, weight, sample_weight = classes_sample(rng, (20, 3), "f8")
    expected = everything(logits, labels, weight, sample_weight=sample_weight, reduction=reduction)
    for kind in ("int64", "Int8", "int32[pyarrow]"):
        got = everything(
            logits,
            pd.Series(labels, index).astype(kind),
            pd.Series(weight, ["a", "b", "c"]),
            sample_weight=pd.Series(sample_weight, index),
            reduction=reduction,
        )
        same_everything(got, expected)
    soft = probabilities(rng, (20, 3), "f8")
    got = everything(pd.DataFrame(logits), pd.DataFrame(soft), reduction=reduction)
    same_everything(got, everything(logits, soft, reduction=reduction))


@EVERY_DTYPE
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_axis(axis, dtype):
    """The axis of the classes is the last one, moved: the bits are the same."""
    rng = np.random.default_rng(11)
    logits, labels, weight, sample_weight = classes_sample(rng, (6, 5, 4), dtype, axis)
    soft = probabilities(rng, logits.shape, dtype, axis)
    moved = np.moveaxis(logits, axis, -1)
    for reduction in ("mean", "sum", "none"):
        options = {"sample_weight": sample_weight, "reduction": reduction, "label_smoothing": 0.1}
        for target, moved_target in ((labels, labels), (soft, np.moveaxis(soft, axis, -1))):
            value, grad, hess = everything(logits, target, weight, axis=axis, **options)
            expected = everything(np.array(moved), np.array(moved_target), weight, **options)
            same_everything((value, np.moveaxis(grad, axis, -1), np.moveaxis(hess, axis, -1)), expected)


@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1), (1, 1), (4, 5), (1, 5)])
def test_sample_weights_broadcast(shape, dtype):
    rng = np.random.default_rng(12)
    logits, labels, weight, _ = classes_sample(rng, (4, 5, 3), dtype)
    sample_weight = np.asarray(rng.random(shape)).astype(dtype)
    full = np.ascontiguousarray(np.broadcast_to(sample_weight, (4, 5)))
    for reduction in ("mean", "sum", "none"):
        same_everything(
            everything(logits, labels, weight, sample_weight=sample_weight, reduction=reduction),
            everything(logits, labels, weight, sample_weight=full, reduction=reduction),
        )


@EVERY_DTYPE
@EVERY_REDUCTION
def test_options_that_change_nothing(dtype, reduction):
    rng = np.random.default_rng(13)
    logits, labels, *_ = classes_sample(rng, (40, 7), dtype)
    expected = everything(logits, labels, reduction=reduction)
    for options in (
        {"weight": np.ones(7)},
        {"sample_weight": 1},
        {"sample_weight": np.ones(40, np.float32)},
        {"label_smoothing": 0},
        {"ignore_index": -100},
        {"axis": 1},
    ):
        same_everything(everything(logits, labels, **options, reduction=reduction), expected)


# Outputs


@EVERY_DTYPE
def test_out_takes_the_losses(dtype):
    logits, labels, weight, _ = classes_sample(np.random.default_rng(14), (30, 8, 5), dtype)
    expected = cross_entropy(logits, labels, weight, reduction="none")
    memory = np.full((8, 60), 5, dtype)
    out = memory.T[::2]
    assert cross_entropy(logits, labels, weight, reduction="none", out=out) is out
    same_bits(out, expected)
    assert (memory.T[1::2] == 5).all()


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("view", VIEWS)
def test_gradient_or_hessian_in_place(view, axis, dtype, reduction):
    shape = VIEWS[view](np.zeros((256, 64), dtype)).shape
    rng = np.random.default_rng(15)
    logits, labels, weight, _ = classes_sample(rng, shape, dtype, axis)
    soft = probabilities(rng, shape, dtype, axis)
    for target, label_smoothing in ((labels, 0), (labels, 0.1), (soft, 0)):
        options = {"axis": axis, "reduction": reduction, "label_smoothing": label_smoothing}
        value, grad, hess = everything(logits, target, weight, **options)
        for name, expected in (("grad", grad), ("hess", hess)):
            place = VIEWS[view](np.zeros((256, 64), dtype))
            place[...] = logits
            other = np.empty_like(logits)
            outputs = {name: place, {"grad": "hess", "hess": "grad"}[name]: other}
            same_bits(cross_entropy(place, target, weight, **options, **outputs), value)
            same_bits(place, expected)
            same_bits(other, hess if name == "grad" else grad)


@EVERY_DTYPE
def test_results_do_not_depend_on_what_else_is_asked_for(dtype):
    logits, labels, weight, _ = classes_sample(np.random.default_rng(16), (100, 9), dtype)
    for reduction in ("mean", "sum", "none"):
        value, grad, hess = everything(logits, labels, weight, reduction=reduction)
        same_bits(cross_entropy(logits, labels, weight, reduction=reduction), value)
        for name, expected in (("grad", grad), ("hess", hess)):
            result = np.empty_like(logits)
            same_bits(cross_entropy(logits, labels, weight, reduction=reduction, **{name: result}), value)
            same_bits(result, expected)


@EVERY_DTYPE
def test_read_only_arguments_are_not_modified(dtype):
    args = classes_sample(np.random.default_rng(17), (30, 8), dtype)
    copies = [array.copy() for array in args]
    for array in args:
        array.flags.writeable = False
    everything(*args[:3], sample_weight=args[3])
    for array, copy in zip(args, copies, strict=True):
        same_bits(array, copy)
