"""binary_cross_entropy_with_logits: options, special values, arguments and outputs of every kind.

Bits, strides and memory, accuracy, what others compute, and what is refused: test_binary_loss_bits.py,
test_loss_accuracy.py, test_loss_peers.py, test_loss_arguments.py.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from floating_point import EVERYTHING
from layouts import VIEWS
from loss_calls import EVERY_DTYPE, EVERY_REDUCTION, NEEDS_WIDE, binary_sample, same_everything
from loss_calls import binary_everything as everything
from loss_reference import check_losses, exact_binary
from reference import DTYPES, same_bits

from fastlogit import binary_cross_entropy_with_logits

inf, nan = np.inf, np.nan

# z, y, w, v, and the loss, gradient and Hessian: exact, or exact after one rounding.
SPECIAL = [
    (inf, 1, 1, 1, 0, 0, 0),
    (inf, 0, 1, 1, inf, 1, 0),
    (-inf, 0, 1, 1, 0, 0, 0),
    (-inf, 1, 1, 1, inf, -1, 0),
    (inf, 0.75, 1, 1, inf, 0.25, 0),
    (-inf, 0.75, 1, 1, inf, -0.75, 0),
    (inf, 1, 3, 5, 0, 0, 0),
    (-inf, 1, 3, 5, inf, -15, 0),
    (inf, 0, 0, 1, 0, 0, 0),
    (nan, 0, 0, 1, 0, 0, 0),
    (nan, 1, 0, 2, 0, 0, 0),
    (nan, 0, 1, 1, nan, nan, nan),
    (nan, 1, 1, 1, nan, nan, nan),
    (nan, 0.5, 1, 1, nan, nan, nan),
    (0, 0, 1, 1, np.log(2), 0.5, 0.25),
    (0, 1, 1, 1, np.log(2), -0.5, 0.25),
    (0, 0.5, 1, 1, np.log(2), 0, 0.25),
    (-0.0, 0.5, 1, 1, np.log(2), 0, 0.25),
    (0, 1, 1, 4, 4 * np.log(2), -2, 1),
    (0, 1, 2, 4, 8 * np.log(2), -4, 2),
    (0, 1, 1, 0, 0, 0, 0),
    (-1000, 1, 1, 1, 1000, -1, 0),
    (1000, 1, 1, 1, 0, 0, 0),
    (1000, 0, 1, 1, 1000, 1, 0),
    (-1000, 0, 1, 1, 0, 0, 0),
    (-1e30, 1, 1, 1, 1e30, -1, 0),
    (1e30, 0, 2, 1, 2e30, 2, 0),
]


# Values


@EVERY_DTYPE
@pytest.mark.parametrize(("z", "y", "w", "v", "loss", "grad", "hess"), SPECIAL)
def test_special_values(z, y, w, v, loss, grad, hess, dtype):
    """Alone, in a row of their likes, and among others."""
    for n in (1, 3, 8, 17, 100):
        z_n, y_n, w_n, v_n = (np.full(n, value, dtype) for value in (z, y, w, v))
        got = everything(z_n, y_n, w_n, pos_weight=v_n, reduction="none")
        for values, exact in zip(got, (loss, grad, hess), strict=True):
            np.testing.assert_allclose(values, np.full(n, exact).astype(dtype), rtol=0, atol=0)
    logits, target, weight, pos_weight = binary_sample(np.random.default_rng(1), 100, dtype)
    before = everything(logits, target, weight, pos_weight=pos_weight, reduction="none")
    logits[33], target[33], weight[33], pos_weight[33] = z, y, w, v
    after = everything(logits, target, weight, pos_weight=pos_weight, reduction="none")
    for values, others, exact in zip(after, before, (loss, grad, hess), strict=True):
        np.testing.assert_array_equal(values[33], np.array(exact).astype(dtype))
        same_bits(np.delete(values, 33), np.delete(others, 33))


@EVERY_DTYPE
def test_no_loss_is_negative_and_no_zero_is(dtype):
    logits = np.array([inf, -inf, 1000, -1000, 0, 40, -40], dtype)
    for target in (logits > 0, logits <= 0):
        loss, _, hess = everything(logits, target, reduction="none")
        assert not np.signbit(loss).any()
        assert not np.signbit(hess).any()


def test_tiny_loss_keeps_its_digits():
    """1 - expit(40) is 0 in float64; its logarithm would be too."""
    assert binary_cross_entropy_with_logits(40.0, 1) == 4.248354255291589e-18
    assert binary_cross_entropy_with_logits(-40.0, 0) == 4.248354255291589e-18
    assert binary_cross_entropy_with_logits(np.float32(40), 1, reduction="none") == np.float32(4.2483542e-18)


@EVERY_DTYPE
@EVERY_REDUCTION
def test_pos_weight_of_1_equals_none(dtype, reduction):
    logits, target, weight, _ = binary_sample(np.random.default_rng(2), (40, 7), dtype)
    expected = everything(logits, target, weight, reduction=reduction)
    for one in (1, 1.0, np.ones(7), np.ones((40, 7), dtype)):
        same_everything(everything(logits, target, weight, pos_weight=one, reduction=reduction), expected)
    same_everything(
        everything(logits, target, 1, reduction=reduction), everything(logits, target, reduction=reduction)
    )


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("silent", [nan, inf, -inf])
def test_weight_of_0_silences(silent, dtype, reduction):
    logits, target, weight, pos_weight = binary_sample(np.random.default_rng(3), 200, dtype)
    weight[::3] = 0
    expected = everything(logits, target, weight, pos_weight=pos_weight, reduction=reduction)
    logits[::3] = silent
    got = everything(logits, target, weight, pos_weight=pos_weight, reduction=reduction)
    same_everything(got, expected)
    assert not got[1][::3].any()
    assert not got[2][::3].any()


@EVERY_DTYPE
@pytest.mark.parametrize("n", [1, 2, 100, 70_000])
def test_right_infinities_add_nothing_to_a_sum(n, dtype):
    target = np.arange(n) % 2
    logits = np.where(target == 1, inf, -inf).astype(dtype)
    for weight in (None, 3.0):
        for reduction in ("sum", "mean"):
            assert binary_cross_entropy_with_logits(logits, target, weight, reduction=reduction) == 0


@EVERY_DTYPE
@EVERY_REDUCTION
def test_nan_is_kept(dtype, reduction):
    logits, target, *_ = binary_sample(np.random.default_rng(4), 100, dtype)
    logits[50] = nan
    loss, grad, hess = everything(logits, target, reduction=reduction)
    assert np.isnan(loss if reduction != "none" else loss[50])
    assert np.flatnonzero(np.isnan(grad)).tolist() == [50]
    assert np.flatnonzero(np.isnan(hess)).tolist() == [50]
    logits[50] = 0
    for name in ("weight", "pos_weight"):
        weights = np.ones(100, dtype)
        weights[50] = nan
        target[50] = 1
        loss = binary_cross_entropy_with_logits(logits, target, reduction="none", **{name: weights})
        assert np.flatnonzero(np.isnan(loss)).tolist() == [50]


@NEEDS_WIDE
@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("of_positives", [False, True])
def test_every_combination(dtype, reduction, weighted, of_positives):
    for shape in [(), (1,), (7,), (300,), (4, 50), (3, 4, 5), (0,), (4, 0)]:
        logits, target, weight, pos_weight = binary_sample(np.random.default_rng(5), shape, dtype)
        args = logits, target, *([weight] if weighted else [])
        options = {"reduction": reduction, **({"pos_weight": pos_weight} if of_positives else {})}
        check_losses(exact_binary(*args, **options), *everything(*args, **options), reduction)


def test_reduced_loss_of_float32_is_summed_in_float64():
    """2^25 times the same number: a sum in float32 would have stopped growing at 2^24.

    The bound is that of a sum in any order.
    """
    n = 2**25
    logits = np.zeros(n, np.float32)
    target = np.broadcast_to(np.float32(1), n)
    one = float(binary_cross_entropy_with_logits(np.zeros(1, np.float32), [1], reduction="sum"))
    total = binary_cross_entropy_with_logits(logits, target, reduction="sum")
    assert type(total) is np.float64
    assert abs(total - n * one) <= n * 2.0**-53 * total
    assert abs(binary_cross_entropy_with_logits(logits, target) - one) <= n * 2.0**-53 * one


@EVERY_DTYPE
def test_empty(dtype):
    """A mean of nothing is NaN, as in PyTorch; it does not warn."""
    for shape in [(0,), (3, 0), (0, 3)]:
        nothing = np.empty(shape, dtype)
        assert np.isnan(binary_cross_entropy_with_logits(nothing, nothing))
        assert binary_cross_entropy_with_logits(nothing, nothing, reduction="sum") == 0
        loss, grad, hess = everything(nothing, nothing, reduction="none")
        assert loss.shape == grad.shape == hess.shape == shape
        assert loss.dtype == dtype


@EVERY_DTYPE
def test_no_floating_point_flag(dtype):
    with np.errstate(over="ignore", under="ignore"):
        logits = np.array(EVERYTHING).astype(dtype)
    with np.errstate(all="raise"):
        for target in (0, 1, 0.3):
            for reduction in ("mean", "sum", "none"):
                everything(logits, np.full(logits.size, target), 0.7, pos_weight=1.3, reduction=reduction)


# Arguments


@EVERY_REDUCTION
@pytest.mark.parametrize(
    "kind", ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", "f2", "f4", ">f8"]
)
def test_dtypes_of_targets(kind, reduction):
    for dtype in DTYPES:
        rng = np.random.default_rng(6)
        logits = rng.normal(0, 8, (30, 7)).astype(dtype)
        target = rng.integers(0, 2, (30, 7))
        expected = everything(logits, target.astype(dtype), reduction=reduction)
        same_everything(everything(logits, target.astype(kind), reduction=reduction), expected)


def test_float64_targets_of_float32_logits():
    """The target is what it is, or its nearest float32: no other number."""
    logits = np.zeros(1, np.float32)
    grad = np.empty_like(logits)
    binary_cross_entropy_with_logits(logits, np.array([0.1]), reduction="sum", grad=grad)
    assert abs(float(grad[0]) - 0.4) <= 2.0**-24


@pytest.mark.parametrize(
    ("given", "working"),
    [("f2", "f4"), (">f4", "f4"), (">f8", "f8"), ("i1", "f8"), ("u8", "f8"), ("bool", "f8")],
)
def test_dtypes_of_logits(given, working):
    logits = np.arange(12).reshape(3, 4).astype(given)
    target = np.arange(12).reshape(3, 4) % 2
    expected = everything(logits.astype(working), target, reduction="none")
    got = everything(logits, target, reduction="none")
    assert got[0].dtype == working
    same_everything(got, expected)
    same_bits(
        binary_cross_entropy_with_logits(logits, target),
        binary_cross_entropy_with_logits(logits.astype(working), target),
    )


def test_lists_and_scalars():
    assert type(binary_cross_entropy_with_logits([0.0, 0.0], [0, 1])) is np.float64
    assert type(binary_cross_entropy_with_logits(0.0, 1, reduction="none")) is np.float64
    assert type(binary_cross_entropy_with_logits(np.float32(0), True, reduction="none")) is np.float32
    assert type(binary_cross_entropy_with_logits(np.float32(0), True)) is np.float64
    loss = binary_cross_entropy_with_logits(np.zeros((1, 1)), [[0]], reduction="none")
    assert loss.shape == (1, 1)


@EVERY_REDUCTION
def test_pandas(reduction):
    rng = np.random.default_rng(7)
    index = rng.permutation(20)
    logits = rng.normal(0, 3, 20)
    target, weight = rng.integers(0, 2, 20), rng.random(20)
    expected = everything(logits, target, weight, pos_weight=weight, reduction=reduction)
    for kind in ("int64", "boolean", "Int8", "float32", "Float64", "int64[pyarrow]", "bool[pyarrow]"):
        labels = pd.Series(target, index).astype(kind)
        weights = pd.Series(weight, index)
        got = everything(logits, labels, weights, pos_weight=weights, reduction=reduction)
        same_everything(got, expected)
    same_everything(
        everything(
            logits, target, pd.Series(weight, dtype="Float64"), pos_weight=weight, reduction=reduction
        ),
        expected,
    )


def test_pandas_logits_give_labelled_losses():
    index = [3, 1, 2]
    logits = pd.Series([0.5, -1.0, 2.0], index, name="scores")
    loss = binary_cross_entropy_with_logits(logits, [1, 0, 1], reduction="none")
    values = binary_cross_entropy_with_logits(logits.to_numpy(), [1, 0, 1], reduction="none")
    pd.testing.assert_series_equal(loss, pd.Series(values, index, name="scores"))


@EVERY_DTYPE
def test_read_only_and_unaligned_arguments(dtype):
    args = binary_sample(np.random.default_rng(8), (30, 7), dtype)
    expected = everything(*args[:3], pos_weight=args[3])
    for array in args:
        array.flags.writeable = False
    same_everything(everything(*args[:3], pos_weight=args[3]), expected)
    unaligned = []
    for array in args:
        memory = np.zeros(array.nbytes + 1, np.uint8)
        unaligned.append(memory[1:].view(dtype).reshape(array.shape))
        unaligned[-1][...] = array
    same_everything(everything(*unaligned[:3], pos_weight=unaligned[3]), expected)


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (4, 1), (1, 1, 1), (3, 1, 1), (3, 4, 5)])
def test_weights_broadcast(shape, dtype, reduction):
    rng = np.random.default_rng(9)
    logits, target, *_ = binary_sample(rng, (3, 4, 5), dtype)
    weight, pos_weight = rng.random((2, *shape)).astype(dtype)
    full = [np.ascontiguousarray(np.broadcast_to(w, logits.shape)) for w in (weight, pos_weight)]
    for w, v in itertools.product((weight, full[0]), (pos_weight, full[1])):
        same_everything(
            everything(logits, target, w, pos_weight=v, reduction=reduction),
            everything(logits, target, full[0], pos_weight=full[1], reduction=reduction),
        )


# Outputs


@EVERY_DTYPE
def test_out_takes_the_losses(dtype):
    logits, target, weight, _ = binary_sample(np.random.default_rng(10), (30, 8), dtype)
    expected = binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    memory = np.full((8, 60), 5, dtype)
    out = memory.T[::2]
    assert binary_cross_entropy_with_logits(logits, target, weight, reduction="none", out=out) is out
    same_bits(out, expected)
    assert (memory.T[1::2] == 5).all()
    place = logits.copy()
    assert binary_cross_entropy_with_logits(place, target, weight, reduction="none", out=place) is place
    same_bits(place, expected)


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("view", VIEWS)
def test_gradient_or_hessian_in_place(view, dtype, reduction):
    shape = VIEWS[view](np.zeros((256, 64), dtype)).shape
    logits, target, weight, _ = binary_sample(np.random.default_rng(11), shape, dtype)
    value, grad, hess = everything(logits, target, weight, reduction=reduction)
    for name, expected in (("grad", grad), ("hess", hess)):
        place = VIEWS[view](np.zeros((256, 64), dtype))
        place[...] = logits
        other = np.empty_like(logits)
        options = {name: place, {"grad": "hess", "hess": "grad"}[name]: other}
        got = binary_cross_entropy_with_logits(place, target, weight, reduction=reduction, **options)
        same_bits(got, value)
        same_bits(place, expected)
        same_bits(other, hess if name == "grad" else grad)


@EVERY_DTYPE
def test_arguments_are_not_modified(dtype):
    args = binary_sample(np.random.default_rng(12), (30, 8), dtype)
    copies = [array.copy() for array in args]
    everything(*args[:3], pos_weight=args[3])
    for array, copy in zip(args, copies, strict=True):
        same_bits(array, copy)


@EVERY_DTYPE
def test_results_do_not_depend_on_what_else_is_asked_for(dtype):
    logits, target, weight, pos_weight = binary_sample(np.random.default_rng(13), 1000, dtype)
    for reduction in ("mean", "sum", "none"):
        options = {"pos_weight": pos_weight, "reduction": reduction}
        value, grad, hess = everything(logits, target, weight, **options)
        same_bits(binary_cross_entropy_with_logits(logits, target, weight, **options), value)
        for name, expected in (("grad", grad), ("hess", hess)):
            result = np.empty_like(logits)
            same_bits(
                binary_cross_entropy_with_logits(logits, target, weight, **options, **{name: result}), value
            )
            same_bits(result, expected)
