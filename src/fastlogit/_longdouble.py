"""The functions of slices in long double: by NumPy, on one thread, for the kernels have none."""

from typing import Any

import numpy as np

from fastlogit._arguments import Mask

Array = np.ndarray[Any, np.dtype[np.longdouble]]


def scaled(x: Array, axes: tuple[int, ...], mask: Mask | None) -> tuple[Array, Array]:
    """x, which is overwritten, less the largest element of each slice, and this, -inf where none counts."""
    if mask is not None:
        np.copyto(x, -np.inf, where=~mask)
    largest = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    x -= np.where(np.isfinite(largest), largest, 0)
    return x, largest


def softmax(x: Array, axes: tuple[int, ...], mask: Mask | None) -> Array:
    """In place, as `log_softmax`."""
    terms, largest = scaled(x, axes, mask)
    np.exp(terms, out=terms)
    terms /= np.sum(terms, axis=axes, keepdims=True)
    np.copyto(terms, np.nan, where=~np.isfinite(largest))
    return terms


def log_softmax(x: Array, axes: tuple[int, ...], mask: Mask | None) -> Array:
    shifted, _ = scaled(x, axes, mask)
    shifted -= np.log(np.sum(np.exp(shifted), axis=axes, keepdims=True))
    return shifted


def logsumexp(x: Array, axes: tuple[int, ...], mask: Mask | None) -> Array:
    """x is overwritten."""
    terms, largest = scaled(x, axes, mask)
    np.exp(terms, out=terms)
    total = np.sum(terms, axis=axes, keepdims=True)
    return np.where(np.isfinite(largest), largest, 0) + np.log(total)


def weighted_logsumexp(
    x: Array, weights: Array, axes: tuple[int, ...], mask: Mask | None
) -> tuple[Array, Array]:
    """The logarithm of the absolute value of the sum, and its sign; x is overwritten."""
    counts = weights != 0
    if mask is not None:
        counts &= mask
    terms, largest = scaled(x, axes, counts)
    np.exp(terms, out=terms)
    terms *= weights
    np.copyto(terms, 0, where=~counts)
    total = np.sum(terms, axis=axes, keepdims=True)
    return np.where(np.isfinite(largest), largest, 0) + np.log(np.abs(total)), np.sign(total)
