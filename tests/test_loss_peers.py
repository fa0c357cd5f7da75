"""The losses against PyTorch (value, autograd, Hessian by autograd) and scikit-learn's own losses.

Both compute in float64 here, from the very numbers that fastlogit is given. The faults of PyTorch that its
users have reported have a test each; these need no PyTorch.
"""

import itertools

import numpy as np
import pytest
from loss_calls import (
    EVERY_DTYPE,
    EVERY_REDUCTION,
    binary_everything,
    binary_sample,
    classes_everything,
    classes_sample,
    probabilities,
    same_everything,
)
from loss_reference import HESSIAN_BOUND_ULP, MEAN_ULP, exact_binary, exact_cross_entropy
from reference import logsumexp_error, same_bits

from fastlogit import binary_cross_entropy_with_logits, cross_entropy

inf, nan = np.inf, np.nan

# The errors of the others in float64. They take p from 1 and a logit from another one, so the unit is that of
# the weight, times the size of a logit for a loss.
PEER_ULP = 16
SPREAD = 3  # of the logits: with it, their errors are far below the unit of float32
LARGEST_LOGIT = 16

VIEWS = {
    "contiguous": lambda x: np.ascontiguousarray(x),
    "columns": lambda x: np.asfortranarray(x),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
}
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS)
SEEDS = pytest.mark.parametrize("seed", [0, 1])


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: nothing was compared with it")


@pytest.fixture(scope="module")
def sklearn_loss():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: nothing was compared with it")
    return pytest.importorskip("sklearn._loss", reason="this scikit-learn has no such losses")


def compare(got, theirs, exact, dtype):
    """(value, gradient, Hessian) of both; `exact` has the units."""
    value, grad, hess = got
    eps = np.finfo(dtype).eps
    scale = np.maximum(np.abs(exact.scale), np.finfo("f8").tiny).astype("f8")
    if dtype == "float32":
        units = exact.size, np.abs(exact.hess)
        allowed = HESSIAN_BOUND_ULP + MEAN_ULP + 0.01  # the largest of all bounds
    else:
        units = scale, scale
        allowed = PEER_ULP
    for ours, other, unit in zip((grad, hess), theirs[1:], units, strict=True):
        assert logsumexp_error(ours, other, unit).max() <= allowed
    largest = LARGEST_LOGIT * PEER_ULP * 2.0**-53 * scale.max()
    np.testing.assert_allclose(value, theirs[0], rtol=allowed * eps, atol=largest)


def tensor(torch, values):
    return None if values is None else torch.from_numpy(np.array(values).astype(np.float64))


def with_autograd(torch, loss_of, logits, axis=None):
    """Value, gradient and diagonal of the Hessian by autograd; the classes are on `axis`."""
    z = tensor(torch, logits).requires_grad_()
    loss = loss_of(z)
    (grad,) = torch.autograd.grad(loss.sum(), z, create_graph=True)
    hess = torch.zeros_like(z)
    for k in range(1 if axis is None else z.shape[axis]):
        part = grad if axis is None else grad.select(axis, k)
        (row,) = torch.autograd.grad(part.sum(), z, retain_graph=True)
        if axis is None:
            hess = row
        else:
            hess.select(axis, k).copy_(row.select(axis, k))
    return [result.detach().numpy() for result in (loss, grad, hess)]


@SEEDS
@EVERY_DTYPE
@EVERY_REDUCTION
@EVERY_VIEW
@pytest.mark.parametrize("kind", ["soft", "float64", "int64", "uint8", "bool"])
def test_binary_loss_is_that_of_pytorch(kind, view, reduction, dtype, seed, torch):
    rng = np.random.default_rng([1, seed])
    shape = 12, 7
    logits, target, *_ = binary_sample(rng, shape, dtype, SPREAD)
    if kind != "soft":
        target = np.round(target).astype(kind)
    weights = [rng.random(s).astype(dtype) for s in ((), (7,), (12, 1), shape)]
    of_positives = [rng.uniform(0.1, 5, s).astype(dtype) for s in ((), (7,), shape)]
    logits, target = VIEWS[view](logits), VIEWS[view](target)
    for weight, pos_weight in itertools.product([None, *weights], [None, *of_positives]):
        options = {"weight": weight, "pos_weight": pos_weight, "reduction": reduction}
        got = binary_everything(logits, target, **options)
        theirs = with_autograd(
            torch,
            lambda z, options=options: torch.nn.functional.binary_cross_entropy_with_logits(
                z,
                tensor(torch, target),
                weight=tensor(torch, options["weight"]),
                pos_weight=tensor(torch, options["pos_weight"]),
                reduction=options["reduction"],
            ),
            logits,
        )
        compare(got, theirs, exact_binary(logits, target, **options), dtype)


@SEEDS
@EVERY_DTYPE
@EVERY_REDUCTION
@EVERY_VIEW
@pytest.mark.parametrize("shape", [(4,), (9, 4), (3, 4, 5), (2, 4, 3, 2)])
@pytest.mark.parametrize("kind", ["int64", "int8", "soft"])
def test_cross_entropy_is_that_of_pytorch(kind, shape, view, reduction, dtype, seed, torch):
    """Its axis of the classes is 1, or 0 if there is no other."""
    rng = np.random.default_rng([2, seed, len(shape)])
    axis = min(1, len(shape) - 1)
    logits, target, weight, _ = classes_sample(rng, shape, dtype, axis, SPREAD)
    if kind == "soft":
        target = probabilities(rng, shape, dtype, axis)
        theirs_target = tensor(torch, target)
    else:
        target = np.where(np.arange(target.size).reshape(target.shape) == 0, 2, target).astype(kind)
        theirs_target = torch.from_numpy(target.astype(np.int64))
    if target.ndim:
        target = VIEWS[view](target)
    logits = VIEWS[view](logits)
    ignored = [-100] if kind == "soft" else [-100, 1]
    for w, ignore_index, label_smoothing in itertools.product([None, weight], ignored, [0.0, 0.1, 1.0]):
        if kind != "soft" and ignore_index == 1:
            target_now = np.where(target == -100, 1, target).astype(kind)
            theirs_now = torch.from_numpy(target_now.astype(np.int64))
        else:
            target_now, theirs_now = target, theirs_target
        options = {"weight": w, "label_smoothing": label_smoothing, "reduction": reduction}
        options["ignore_index"] = ignore_index
        got = classes_everything(logits, target_now, axis=axis, **options)
        theirs = with_autograd(
            torch,
            lambda z, options=options, labels=theirs_now: torch.nn.functional.cross_entropy(
                z, labels, **{**options, "weight": tensor(torch, options["weight"])}
            ),
            logits,
            axis,
        )
        compare(got, theirs, exact_cross_entropy(logits, target_now, axis=axis, **options), dtype)


@EVERY_DTYPE
@pytest.mark.parametrize("weighted", [False, True])
def test_half_binomial_loss_of_scikit_learn(weighted, dtype, sklearn_loss):
    rng = np.random.default_rng(3)
    logits, target, weight, _ = binary_sample(rng, 500, dtype, SPREAD)
    weight = weight if weighted else None
    loss, grad, hess = binary_everything(logits, target, weight, reduction="none")
    theirs = sklearn_loss.HalfBinomialLoss()
    wide = {"y_true": target.astype("f8"), "raw_prediction": logits.astype("f8")}
    wide["sample_weight"] = None if weight is None else weight.astype("f8")
    exact = exact_binary(logits, target, weight, reduction="none")
    compare((loss, grad, hess), (theirs.loss(**wide), *theirs.gradient_hessian(**wide)), exact, dtype)
    compare((loss, grad, hess), (*theirs.loss_gradient(**wide), hess), exact, dtype)
    # The mean of the others is the weighted one.
    total = binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    count = logits.size if weight is None else np.sum(weight, dtype="f8")
    np.testing.assert_allclose(total / count, theirs(**wide), rtol=1e-6 if dtype == "float32" else 1e-14)


@EVERY_DTYPE
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [3, 10])
def test_half_multinomial_loss_of_scikit_learn(classes, weighted, dtype, sklearn_loss):
    rng = np.random.default_rng(4)
    logits, labels, _, sample_weight = classes_sample(rng, (300, classes), dtype, spread=SPREAD)
    labels = np.where(labels < 0, 0, labels)
    sample_weight = sample_weight if weighted else None
    options = {"sample_weight": sample_weight, "reduction": "none"}
    got = classes_everything(logits, labels, **options)
    theirs = sklearn_loss.HalfMultinomialLoss(n_classes=classes)
    wide = {"y_true": labels.astype("f8"), "raw_prediction": logits.astype("f8")}
    wide["sample_weight"] = None if sample_weight is None else sample_weight.astype("f8")
    exact = exact_cross_entropy(logits, labels, **options)
    compare(got, (theirs.loss(**wide), *theirs.gradient_hessian(**wide)), exact, dtype)
    mean = cross_entropy(logits, labels, sample_weight=sample_weight)
    np.testing.assert_allclose(mean, theirs(**wide), rtol=1e-6 if dtype == "float32" else 1e-14)


# Reported to PyTorch (https://github.com/pytorch/pytorch/issues/...)


@EVERY_DTYPE
def test_pytorch_49844_minus_infinity_of_a_negative(dtype):
    """NaN there, 0 here."""
    assert binary_cross_entropy_with_logits(np.array([-inf], dtype), [0.0]) == 0


@EVERY_DTYPE
def test_pytorch_102894_infinity_of_a_positive(dtype):
    """NaN there; the mean of 0 and softplus(1) here."""
    loss = binary_cross_entropy_with_logits(np.array([inf, 1], dtype), np.array([1, 0], dtype))
    np.testing.assert_allclose(loss, 1.3132616875182228 / 2, rtol=2 * np.finfo(dtype).eps)


@EVERY_DTYPE
def test_pytorch_135359_minus_infinity_of_a_soft_target(dtype):
    """NaN there; the equation in its documentation gives infinity."""
    assert binary_cross_entropy_with_logits(np.array(-inf, dtype), np.array(0.9, dtype)) == inf


@EVERY_REDUCTION
def test_pytorch_69339_weight_smoothing_and_ignored_labels(reduction):
    """An IndexError in 1.10: the ignored label was looked up in the weights."""
    logits = np.array([[1, 2], [3, 0.4]])
    options = {"label_smoothing": 0.1, "reduction": reduction}
    loss, grad, hess = classes_everything(logits, [-100, 1], [0.2, 0.3], **options)
    alone = classes_everything(logits[1:], [1], [0.2, 0.3], **options)
    same_everything((loss if reduction != "none" else loss[1:], grad[1:], hess[1:]), alone)
    assert not grad[0].any()


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_pytorch_73205_smoothing_of_ignored_labels(label_smoothing):
    """The uniform part counted what was ignored."""
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(10, 5)), rng.integers(0, 5, 10)
    labels[rng.permutation(10)[:3]] = -100
    counts = labels != -100
    for reduction in ("sum", "mean"):
        options = {"label_smoothing": label_smoothing, "reduction": reduction}
        same_bits(
            cross_entropy(logits, labels, **options), cross_entropy(logits[counts], labels[counts], **options)
        )


def test_pytorch_91383_mean_of_weights_with_smoothing_and_ignored_labels():
    """Out of bounds in 1.10; a mean divides by the weights of the labels that count."""
    logits = np.array([[1.0, 0, 0], [1, 0, 0], [1, 0, 0]])
    loss = cross_entropy(logits, [0, 1, -100], [1.0, 1, 1], label_smoothing=0.1)
    log_sum = np.log(np.e + 2)
    smooth = 0.1 / 3 * (3 * log_sum - 1)
    expected = (0.9 * (log_sum - 1) + 0.9 * log_sum + 2 * smooth) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-15)


def test_pytorch_12670_negative_label():
    """It was taken for one that is ignored, or read what lies before the row."""
    logits = np.zeros((3, 5))
    with pytest.raises(ValueError, match=r"(?=.*\b2\b)(?=.*\b5\b)"):
        cross_entropy(logits, [0, 1, -4], ignore_index=-1, reduction="none")
    assert cross_entropy(logits, [0, 1, -1], ignore_index=-1, reduction="none")[2] == 0


@EVERY_REDUCTION
def test_pytorch_116349_all_labels_ignored(reduction):
    """NaN is the mean of nothing there too, on purpose; the losses and their sum are 0."""
    logits = np.random.default_rng(6).normal(size=(5, 10))
    loss, grad, _ = classes_everything(logits, np.full(5, -100), reduction=reduction)
    assert np.isnan(loss) if reduction == "mean" else not np.any(loss)
    assert not grad.any()


def test_pytorch_treats_special_cases_alike(torch):
    """PyTorch 2.13 where it is right, and where it gives NaN, as the documentation says."""
    functional = torch.nn.functional
    z = torch.tensor([[1.0, 2], [3, 0.4]], dtype=torch.float64)
    w = torch.tensor([0.2, 0.3], dtype=torch.float64)
    for reduction in ("mean", "sum", "none"):
        theirs = functional.cross_entropy(
            z, torch.tensor([-100, 1]), w, label_smoothing=0.1, reduction=reduction
        )
        ours = cross_entropy(z.numpy(), [-100, 1], w.numpy(), label_smoothing=0.1, reduction=reduction)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-14)
    assert torch.isnan(functional.cross_entropy(z, torch.tensor([-100, -100])))
    infinite = torch.tensor([inf, -inf])
    assert torch.isnan(functional.binary_cross_entropy_with_logits(infinite, torch.tensor([1.0, 0.0])))
