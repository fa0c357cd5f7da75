"""Calls of the losses for the tests: random arguments, and all that a call gives."""

import numpy as np
import pytest
from reference import DTYPES, longdouble_is_wider, longdouble_reason, same_bits

import fastlogit

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_REDUCTION = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
NEEDS_WIDE = pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)


def derivatives_like(logits):
    """Two arrays for the gradient and the Hessian, of the dtype that the losses compute these logits in."""
    logits = np.asarray(logits)
    dtype = np.float32 if logits.dtype.kind == "f" and logits.itemsize < 8 else np.float64
    return np.full(logits.shape, 7, dtype), np.full(logits.shape, 7, dtype)


def binary_everything(*args, **options):
    """The loss, the gradient and the Hessian of a call."""
    grad, hess = derivatives_like(args[0])
    value = fastlogit.binary_cross_entropy_with_logits(*args, **options, grad=grad, hess=hess)
    return value, grad, hess


def classes_everything(*args, **options):
    grad, hess = derivatives_like(args[0])
    value = fastlogit.cross_entropy(*args, **options, grad=grad, hess=hess)
    return value, grad, hess


def binary_sample(rng, shape, dtype, spread=8):
    """Logits, targets of which a half is certain, weights and weights of positives."""
    logits = rng.normal(0, spread, shape)
    target = np.where(rng.random(shape) < 0.5, rng.integers(0, 2, shape), rng.random(shape))
    weight = rng.choice([0, 0.5, 1, 3], shape)
    pos_weight = rng.choice([0.25, 1, 7], shape)
    return [np.asarray(array).astype(dtype) for array in (logits, target, weight, pos_weight)]


def classes_sample(rng, shape, dtype, axis=-1, spread=8):
    """Logits, labels of which some are -100, class weights and sample weights."""
    logits = np.asarray(rng.normal(0, spread, shape)).astype(dtype)
    classes = logits.shape[axis]
    kept = np.delete(shape, axis)
    labels = np.asarray(rng.integers(0, classes, kept))
    labels = np.where(rng.random(kept) < 0.2, -100, labels)
    weight = rng.choice([0.25, 1, 3], classes).astype(dtype)
    sample_weight = np.asarray(rng.choice([0, 0.5, 1, 2], kept)).astype(dtype)
    return logits, labels, weight, sample_weight


def probabilities(rng, shape, dtype, axis=-1):
    """Soft targets: a third of them 0, and none that sums to exactly 1."""
    t = rng.random(shape) * (rng.random(shape) < 2 / 3)
    return (t / np.maximum(np.sum(t, axis=axis, keepdims=True), 1e-3)).astype(dtype)


def same_everything(got, expected):
    for a, b in zip(got, expected, strict=True):
        same_bits(a, b)
