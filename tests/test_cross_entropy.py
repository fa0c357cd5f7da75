"""cross_entropy: options and special values.

Arguments of every kind, bits and memory, accuracy, what others compute, and what is refused:
test_cross_entropy_arguments.py, test_cross_entropy_bits.py, test_loss_accuracy.py, test_loss_peers.py,
test_loss_arguments.py.
"""

import numpy as np
import pytest
from floating_point import EVERYTHING
from loss_calls import (
    EVERY_DTYPE,
    EVERY_REDUCTION,
    NEEDS_WIDE,
    classes_sample,
    probabilities,
    same_everything,
)
from loss_calls import classes_everything as everything
from loss_reference import check_losses, exact_cross_entropy
from reference import same_bits

from fastlogit import cross_entropy

inf, nan = np.inf, np.nan
LOG_2, LOG_3 = np.log(2), np.log(3)

# z, the label, and the loss, gradient and Hessian: exact, or exact after one rounding.
SPECIAL = [
    ([5], 0, 0, [0], [0]),
    ([-1e30], 0, 0, [0], [0]),
    ([0, 0], 0, LOG_2, [-0.5, 0.5], [0.25, 0.25]),
    ([7, 7], 1, LOG_2, [0.5, -0.5], [0.25, 0.25]),
    ([-3, -3, -3, -3], 2, 2 * LOG_2, [0.25, 0.25, -0.75, 0.25], [0.1875] * 4),
    ([1000, 0], 0, 0, [0, 0], [0, 0]),
    ([1000, 0], 1, 1000, [1, -1], [0, 0]),
    ([1e30, -1e30], 1, 2e30, [1, -1], [0, 0]),
    ([inf, 0], 0, 0, [0, 0], [0, 0]),
    ([inf, 0], 1, inf, [1, -1], [0, 0]),
    ([0, inf, -inf], 1, 0, [0, 0, 0], [0, 0, 0]),
    ([0, inf, -inf], 2, inf, [0, 1, -1], [0, 0, 0]),
    ([-inf, 0], 0, inf, [-1, 1], [0, 0]),
    ([-inf, 0], 1, 0, [0, 0], [0, 0]),
    ([-inf, -1e30], 1, 0, [0, 0], [0, 0]),
    ([-inf, 2, 2], 1, LOG_2, [0, -0.5, 0.5], [0, 0.25, 0.25]),
    ([-inf, 2, 2], 0, inf, [-1, 0.5, 0.5], [0, 0.25, 0.25]),
    ([-inf, -inf], 0, nan, [nan, nan], [nan, nan]),
    ([-inf], 0, nan, [nan], [nan]),
    ([inf, inf], 0, nan, [nan, nan], [nan, nan]),
    ([nan, 0], 0, nan, [nan, nan], [nan, nan]),
    ([nan, 0], 1, nan, [nan, nan], [nan, nan]),
    ([inf, nan], 0, nan, [nan, nan], [nan, nan]),
    ([inf, -inf, nan], 0, nan, [nan] * 3, [nan] * 3),
    ([1, nan, 0, -inf], 3, nan, [nan] * 4, [nan] * 4),
    ([-inf, nan], 0, nan, [nan, nan], [nan, nan]),
]


# Values


@EVERY_DTYPE
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("z", "label", "loss", "grad", "hess"), SPECIAL, ids=str)
def test_special_slices(z, label, loss, grad, hess, order, dtype):
    """Alone, as one-hot probabilities, and among others, along and across."""
    z, grad, hess = (np.array(values).astype(dtype) for values in (z, grad, hess))
    loss = np.array(loss).astype(dtype)
    one_hot = np.zeros(z.size, dtype)
    one_hot[label] = 1
    for target in (label, one_hot):
        got = everything(z, target, reduction="none")
        for values, exact in zip(got, (loss, grad, hess), strict=True):
            np.testing.assert_array_equal(values, exact)
    logits, labels, *_ = classes_sample(np.random.default_rng(1), (70, z.size), dtype)
    before = everything(np.asarray(logits, order=order), labels, reduction="none")
    logits[33], labels[33] = z, label
    after = everything(np.asarray(logits, order=order), labels, reduction="none")
    for values, others, exact in zip(after, before, (loss, grad, hess), strict=True):
        np.testing.assert_array_equal(values[33], exact)
        same_bits(np.delete(values, 33, 0), np.delete(others, 33, 0))


def test_tiny_loss_keeps_its_digits():
    assert cross_entropy(np.array([40.0, 0.0]), 0) == 4.248354255291589e-18
    assert cross_entropy(np.array([[40.0, 0.0]]), [0]) == 4.248354255291589e-18
    loss = cross_entropy(np.array([[40, 0]], "f4"), [0], reduction="none")
    assert loss.tolist() == [float(np.float32(4.2483542e-18))]


@EVERY_DTYPE
def test_infinite_logits_of_classes_that_have_no_share(dtype):
    """A masked class costs nothing where its factor is 0, and everything where smoothing gives it one."""
    logits = np.array([-inf, 1, 1], dtype)
    for target in (1, np.array([0, 1, 0], dtype), np.array([0, 0.5, 0.5], dtype)):
        loss = cross_entropy(logits, target, reduction="none")
        np.testing.assert_array_equal(loss, np.array(LOG_2).astype(dtype))
        assert cross_entropy(logits, target, label_smoothing=0.1) == inf
    loss, grad, hess = everything(
        logits, 1, np.array([0, 1, 1], dtype), label_smoothing=0.3, reduction="none"
    )
    np.testing.assert_allclose(loss, 0.9 * LOG_2, rtol=2 * np.finfo(dtype).eps)
    assert grad[0] == hess[0] == 0


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("silent", [nan, inf, -inf])
@pytest.mark.parametrize("soft", [False, True])
def test_sample_weight_of_0_silences(soft, silent, dtype, reduction):
    rng = np.random.default_rng(2)
    logits, target, weight, sample_weight = classes_sample(rng, (50, 7), dtype)
    if soft:
        target = probabilities(rng, (50, 7), dtype)
    sample_weight[::3] = 0
    options = {"sample_weight": sample_weight, "reduction": reduction, "label_smoothing": 0.1}
    expected = everything(logits, target, weight, **options)
    logits[::3, 2] = silent
    got = everything(logits, target, weight, **options)
    same_everything(got, expected)
    assert not got[1][::3].any()
    assert not got[2][::3].any()


@EVERY_DTYPE
@EVERY_REDUCTION
def test_ignored_slices_are_silent(dtype, reduction):
    logits, labels, weight, _ = classes_sample(np.random.default_rng(3), (50, 7), dtype)
    ignored = labels == -100
    assert 0 < ignored.sum() < 50
    options = {"reduction": reduction, "label_smoothing": 0.1}
    loss, grad, hess = everything(logits, labels, weight, **options)
    logits[ignored] = nan
    same_everything(everything(logits, labels, weight, **options), (loss, grad, hess))
    assert not grad[ignored].any()
    assert not hess[ignored].any()
    kept = everything(logits[~ignored], labels[~ignored], weight, **options)
    same_bits(grad[~ignored], kept[1])
    same_bits(hess[~ignored], kept[2])
    if reduction == "none":
        same_bits(loss[~ignored], kept[0])
        assert not loss[ignored].any()


@EVERY_DTYPE
def test_everything_ignored(dtype):
    """NaN for the mean of nothing, as in PyTorch, and 0 for its sum; no derivative is NaN."""
    logits = np.random.default_rng(4).normal(size=(5, 3)).astype(dtype)
    for options in ({}, {"label_smoothing": 0.1}, {"weight": np.ones(3)}, {"sample_weight": np.zeros(5)}):
        labels = np.full(5, -100) if "sample_weight" not in options else np.arange(5) % 3
        for reduction in ("mean", "sum", "none"):
            loss, grad, hess = everything(logits, labels, **options, reduction=reduction)
            assert np.isnan(loss) if reduction == "mean" else not np.any(loss)
            assert not grad.any()
            assert not hess.any()


@pytest.mark.parametrize("ignore_index", [-100, -1, 255, 2, 0, 10**18])
def test_ignore_index(ignore_index):
    """It can be any number, a class among them."""
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    labels[::4] = ignore_index
    counts = labels != ignore_index
    got = everything(logits, labels, ignore_index=ignore_index)
    kept = everything(logits[counts], labels[counts])
    same_bits(got[0], kept[0])
    same_bits(got[1][counts], kept[1])
    assert not got[1][~counts].any()


@EVERY_DTYPE
@pytest.mark.parametrize("n", [1, 2, 100, 70_000])
def test_right_infinities_add_nothing_to_a_sum(n, dtype):
    labels = np.arange(n) % 3
    for infinity, others in ((inf, 0), (0, -inf), (inf, -inf)):
        logits = np.where(labels[:, np.newaxis] == np.arange(3), infinity, others).astype(dtype)
        for weight in (None, [3.0, 3.0, 3.0]):
            for reduction in ("sum", "mean"):
                assert cross_entropy(logits, labels, weight, reduction=reduction) == 0


@EVERY_DTYPE
@EVERY_REDUCTION
def test_nan_is_kept(dtype, reduction):
    logits, *_ = classes_sample(np.random.default_rng(6), (20, 5), dtype)
    labels = np.arange(20) % 5
    logits[7, 3] = nan
    loss, grad, hess = everything(logits, labels, reduction=reduction)
    assert np.isnan(loss if reduction != "none" else loss[7])
    for values in (grad, hess):
        assert np.isnan(values).all(axis=1).tolist() == [i == 7 for i in range(20)]
        assert np.isnan(values).sum() == 5


@NEEDS_WIDE
@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("label_smoothing", [0.0, 1e-20, 0.1, 1.0])
def test_every_combination(label_smoothing, soft, dtype, reduction):
    for seed, (shape, axis) in enumerate(
        [((4,), 0), ((1, 1), 1), ((6, 5), -1), ((5, 6), 0), ((4, 3, 5), 1), ((2, 3, 2, 7), 2), ((0, 4), 1)]
    ):
        rng = np.random.default_rng([7, seed])
        logits, target, weight, sample_weight = classes_sample(rng, shape, dtype, axis)
        if soft:
            target = probabilities(rng, shape, dtype, axis)
        for weighted in ({}, {"weight": weight}):
            for sampled in ({}, {"sample_weight": sample_weight}):
                options = {**weighted, **sampled, "label_smoothing": label_smoothing}
                options |= {"axis": axis, "reduction": reduction}
                exact = exact_cross_entropy(logits, target, **options)
                check_losses(exact, *everything(logits, target, **options), reduction)


@NEEDS_WIDE
@EVERY_DTYPE
@pytest.mark.parametrize("classes", [1, 2, 3, 16, 17, 63, 64, 129, 1000, 4096, 4097, 70_001])
def test_slices_of_any_length(classes, dtype):
    shape = max(3, 3000 // classes), classes
    rng = np.random.default_rng([8, classes])
    logits, labels, weight, sample_weight = classes_sample(rng, shape, dtype)
    soft = probabilities(rng, shape, dtype)
    for target, smoothing in ((labels, 0), (labels, 0.1), (soft, 0), (soft, 0.1)):
        options = {"sample_weight": sample_weight, "label_smoothing": smoothing, "reduction": "none"}
        exact = exact_cross_entropy(logits, target, weight, **options)
        check_losses(exact, *everything(logits, target, weight, **options), "none")


def test_reduced_loss_of_float32_is_summed_in_float64():
    """2^25 times the same number: a sum in float32 would have stopped growing at 2^24.

    The bound is that of a sum in any order.
    """
    n = 2**25
    logits = np.broadcast_to(np.zeros(2, np.float32), (n, 2))
    labels = np.broadcast_to(np.int8(1), n)
    one = float(cross_entropy(np.zeros((1, 2), np.float32), [1], reduction="sum"))
    total = cross_entropy(logits, labels, reduction="sum")
    assert type(total) is np.float64
    assert abs(total - n * one) <= n * 2.0**-53 * total
    assert abs(cross_entropy(logits, labels) - one) <= n * 2.0**-53 * one


@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(0, 3), (4, 0, 3)])
def test_empty(shape, dtype):
    nothing, labels = np.empty(shape, dtype), np.empty(shape[:-1], int)
    for target in (labels, nothing):
        assert np.isnan(cross_entropy(nothing, target))
        assert cross_entropy(nothing, target, reduction="sum") == 0
        loss, grad, _ = everything(nothing, target, reduction="none")
        assert loss.shape == shape[:-1]
        assert loss.dtype == dtype
        assert grad.shape == shape


@EVERY_DTYPE
def test_no_floating_point_flag(dtype):
    with np.errstate(over="ignore", under="ignore"):
        values = np.array(EVERYTHING).astype(dtype)
    pairs = np.stack(np.meshgrid(values, values), -1).reshape(-1, 2)
    for logits in (pairs, np.asfortranarray(pairs), values[np.newaxis]):
        labels = np.arange(len(logits)) % 2
        with np.errstate(all="raise"):
            for reduction in ("mean", "sum", "none"):
                for label_smoothing in (0, 1e-300, 0.1):
                    everything(logits, labels, reduction=reduction, label_smoothing=label_smoothing)
