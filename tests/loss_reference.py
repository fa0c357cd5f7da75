"""What the losses, their gradients and their Hessians are exactly, with every option.

Two references. `mpmath_binary` and `mpmath_slice_loss` evaluate the definitions below in mpmath, with 4000
bits, one element or one slice at a time. `exact_binary` and `exact_cross_entropy` take whole arrays and have
the signatures of the library; they compute in long double and are checked against the former
(test_loss_accuracy.py). Run as a script, this file prints the tables of ``loss_literals.py``.

The definitions. Binary, for a logit z, a target y, a weight w and a weight v of positives, p = expit(z)::

    loss = w (v y softplus(-z) + (1 - y) softplus(z))
    grad = w ((1 - y) p - v y (1 - p))
    hess = w (v y + 1 - y) p (1 - p)

Classes, for logits z_k, probabilities t_k (1 for the label, else 0), class weights w_k, a sample weight s,
and a label smoothing eps over C classes, p = softmax(z)::

    c_k = s w_k ((1 - eps) t_k + eps / C)
    loss = sum_k c_k (logsumexp(z) - z_k)
    grad_k = (sum_j c_j - c_k) p_k - c_k (1 - p_k)
    hess_k = (sum_j c_j) p_k (1 - p_k)

A term whose factor is 0 is 0, whatever the logit is. A single logit of +inf in a slice has the probability
1. A gradient is the difference of two terms; where they cancel, the unit in which its error is measured is
that of the larger one (`Derivatives.size`).
"""

from dataclasses import dataclass

import numpy as np
from reference import ExactSlices, exact_expit, exact_softplus, logsumexp_error, ulp_error

# The contract: largest errors in ulp per element.
LOSS_BOUND_ULP = 2.0
# The contract promises nothing of the derivatives. They are products: each factor that is rounded
# (probabilities, sums of targets and of weights, the product of weights, its quotients) adds at most one
# unit. docs/loss-errors.rst counts them; where both terms of a gradient of float64 have all of theirs, that
# is more than is found (tools/ulp) and demanded here. The gradient is measured in units of the larger of the
# two terms whose difference it is.
GRADIENT_BOUND_ULP = 8.0
HESSIAN_BOUND_ULP = 8.0
# With labels, and without weights and label smoothing, the gradient is the softmax less the target: within
# 1.5 as the softmax is; at the label either the quotient of two sums that have tails, rounded once, or 1 - p
# with p at most 1/2, whose own errors are halved. The binary loss makes it of E / (1 + E) in the same way.
LABEL_GRADIENT_BOUND_ULP = 2.0
# The factor of a mean is rounded once, and so is the product with it: each costs at most one more.
MEAN_ULP = 2.0

BITS_OF_MPMATH = 4000  # 1 - p is as small as exp(-1500) in the tests, and keeps more than 1800 bits


@dataclass(frozen=True)
class Derivatives:
    """Loss, gradient and Hessian; `value` is the reduced loss, or that of each element."""

    value: np.ndarray
    grad: np.ndarray
    hess: np.ndarray
    size: np.ndarray  # of the larger of the two terms that a gradient is the difference of
    scale: np.ndarray  # the factor of p (1 - p) in the Hessian


def check_losses(exact, value, grad, hess, reduction):
    """Each element within its bound of `exact`, a reduced loss within what a sum in float64 can lose."""
    more = MEAN_ULP if reduction == "mean" else 0
    if reduction == "none":
        assert ulp_error(np.asarray(value), exact.value).max(initial=0) <= LOSS_BOUND_ULP
    else:
        assert type(value) is np.float64
        check_sum(value, exact.value, grad.dtype, grad.size)
    assert logsumexp_error(grad, exact.grad, exact.size).max(initial=0) <= GRADIENT_BOUND_ULP + more
    assert ulp_error(hess, exact.hess).max(initial=0) <= HESSIAN_BOUND_ULP + more


def check_sum(value, exact, dtype, n):
    """A sum, or a quotient of two, of n numbers that are not negative, each within the bound.

    The relative error of such a sum is at most that of its terms, and (n - 1) 2^-53 if it is added up in
    float64, in whatever order.
    """
    if not np.isfinite(exact):
        np.testing.assert_array_equal(value, np.float64(exact))
        return
    largest = LOSS_BOUND_ULP * np.finfo(dtype).eps + (2 * n + 2) * 2.0**-53
    assert abs(value - exact) <= largest * exact


def product(factor, value):
    """0 where the factor is 0, also of infinity and NaN."""
    with np.errstate(all="ignore"):
        return np.where(factor == 0, 0, factor * value)


def quotient(values, denominator):
    """What is silent stays 0 in a mean over nothing."""
    with np.errstate(all="ignore"):
        return np.where(values == 0, 0, values / denominator)


def reduced(loss, grads, reduction, denominator):
    """`grads` are grad, hess, size and scale."""
    with np.errstate(all="ignore"):
        if reduction == "none":
            return Derivatives(loss, *grads)
        total = np.sum(loss, dtype=np.longdouble)
        if reduction == "sum":
            return Derivatives(total, *grads)
        return Derivatives(total / denominator, *(quotient(values, denominator) for values in grads))


def exact_binary(logits, target, weight=None, *, pos_weight=None, reduction="mean"):
    z, y = (np.asarray(values).astype(np.longdouble) for values in (logits, target))
    w = np.broadcast_to(1 if weight is None else np.asarray(weight).astype(np.longdouble), z.shape)
    v = np.broadcast_to(1 if pos_weight is None else np.asarray(pos_weight).astype(np.longdouble), z.shape)
    positive, negative = w * v * y, w * (1 - y)
    p, rest = exact_expit(z), exact_expit(-z)
    loss = product(positive, exact_softplus(-z)) + product(negative, exact_softplus(z))
    up, down = product(negative, p), product(positive, rest)
    hess = product(positive + negative, p * rest)
    size = np.maximum(np.abs(up), np.abs(down))
    count = np.longdouble(z.size)
    return reduced(loss, (up - down, hess, size, positive + negative), reduction, count)


def smoothed(t, label_smoothing):
    eps = np.longdouble(label_smoothing)
    return (1 - eps) * t + eps / t.shape[-1]


def exact_cross_entropy(
    logits,
    target,
    weight=None,
    *,
    axis=-1,
    sample_weight=None,
    ignore_index=-100,
    label_smoothing=0.0,
    reduction="mean",
):
    z = np.moveaxis(np.asarray(logits).astype(np.longdouble), axis, -1)
    classes = z.shape[-1]
    w = np.ones(classes, np.longdouble) if weight is None else np.asarray(weight).astype(np.longdouble)
    s = np.broadcast_to(1 if sample_weight is None else np.asarray(sample_weight), z.shape[:-1])
    s = s.astype(np.longdouble)
    target = np.asarray(target)
    if target.dtype.kind in "biu":
        labels = target.astype(np.int64)
        counts = labels != ignore_index
        t = labels[..., np.newaxis] == np.arange(classes)
        s = np.where(counts, s, 0)
        mass = s * w[np.where(counts, labels, 0)] if classes else s
    else:
        t = np.moveaxis(target, axis, -1)
        mass = s
    c = s[..., np.newaxis] * (w * smoothed(t.astype(np.longdouble), label_smoothing))
    loss, *grads = exact_slices(z, c)
    grads = [np.moveaxis(values, -1, axis) for values in grads]
    return reduced(loss, grads, reduction, np.sum(mass, dtype=np.longdouble))


def sum_of_the_others(c):
    """Of each element; next to the largest it is added up, as a difference to the total would cancel."""
    largest = np.argmax(c, axis=-1, keepdims=True) == np.arange(c.shape[-1])
    next_to_largest = np.sum(np.where(largest, 0, c), axis=-1, keepdims=True)
    return np.where(largest, next_to_largest, np.sum(c, axis=-1, keepdims=True) - c)


def exact_slices(z, c):
    """Loss, gradient, Hessian, size and scale, with the classes on the last axis of both."""
    infinite = z == np.inf
    certain = np.sum(infinite, axis=-1, keepdims=True) == 1
    certain = certain & ~np.any(np.isnan(z), axis=-1, keepdims=True)
    z = np.where(certain, np.where(infinite, 0, -np.inf), z)
    exact = ExactSlices.of(z, -1)
    with np.errstate(all="ignore"):
        cost = exact.log_total - exact.difference - exact.rest
        p = np.where(np.isfinite(exact.largest), exact.terms / exact.total, np.nan)
        others = np.where(z == exact.largest, np.expm1(exact.log_total), exact.total - exact.terms)
        rest = np.where(np.isfinite(exact.largest), others / exact.total, np.nan)
        total = np.sum(c, axis=-1, keepdims=True)
        loss = np.sum(product(c, cost), axis=-1)
        up = product(sum_of_the_others(c), p)
        down = product(c, rest)
        hess = product(total, p * rest)
    return loss, up - down, hess, np.maximum(np.abs(up), np.abs(down)), np.broadcast_to(total, z.shape)


# ---- the same in mpmath -------------------------------------------------------------------------------


def decimals(values):
    """25 significant digits, of one number or of a list; 0 for what is too small for a long double."""
    import mpmath

    if isinstance(values, list):
        return [decimals(value) for value in values]
    if abs(values) < mpmath.mpf("1e-4900"):
        return "0.0"
    return mpmath.nstr(values, 25, min_fixed=0, max_fixed=0)


def longdoubles(values):
    return np.array(decimals(list(values))).astype(np.longdouble)


def mpmath_binary(z, y, w=1.0, v=1.0):
    """Loss, gradient, Hessian and size of one element, of finite arguments, in mpmath."""
    import mpmath

    with mpmath.workprec(BITS_OF_MPMATH):
        z, y, w, v = (mpmath.mpf(float(number)) for number in (z, y, w, v))
        p, rest = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        loss = w * (v * y * -mpmath.log(p) + (1 - y) * -mpmath.log(rest))
        up, down = w * (1 - y) * p, w * v * y * rest
        return loss, up - down, w * (v * y + 1 - y) * p * rest, max(abs(up), abs(down))


def mpmath_slice_loss(z, t, w=None, s=1.0, eps=0.0):
    """Loss, and by class the gradient, Hessian and size, of one slice of finite logits, in mpmath."""
    import mpmath

    with mpmath.workprec(BITS_OF_MPMATH):
        exact = mpmath.mpf
        terms = [mpmath.exp(exact(float(value))) for value in z]
        total = mpmath.fsum(terms)
        p = [term / total for term in terms]
        rest = [mpmath.fsum(terms[:k] + terms[k + 1 :]) / total for k in range(len(terms))]
        w = [1.0] * len(terms) if w is None else w
        eps = exact(float(eps))
        c = [
            exact(float(s)) * exact(float(w_k)) * ((1 - eps) * exact(float(t_k)) + eps / len(terms))
            for w_k, t_k in zip(w, t, strict=True)
        ]
        loss = mpmath.fsum(-c_k * mpmath.log(p_k) for c_k, p_k in zip(c, p, strict=True) if c_k)
        up = [mpmath.fsum(c[:k] + c[k + 1 :]) * p_k for k, p_k in enumerate(p)]
        down = [c_k * rest_k for c_k, rest_k in zip(c, rest, strict=True)]
        grad = [a - b for a, b in zip(up, down, strict=True)]
        hess = [mpmath.fsum(c) * p_k * rest_k for p_k, rest_k in zip(p, rest, strict=True)]
        size = [max(abs(a), abs(b)) for a, b in zip(up, down, strict=True)]
        return loss, grad, hess, size


if __name__ == "__main__":
    from loss_literals import BINARY, CLASSES

    print("BINARY = [")
    for arguments, _ in BINARY:
        print(f"    ({arguments}, {tuple(decimals(list(mpmath_binary(*arguments)[:3])))}),")
    print("]\n\nCLASSES = [")
    for arguments, _ in CLASSES:
        z, t, w, eps = arguments
        loss, grad, hess, _ = mpmath_slice_loss(z, t, w, eps=eps)
        print(f"    ({arguments}, ({decimals(loss)!r}, {decimals(grad)}, {decimals(hess)})),")
    print("]")
