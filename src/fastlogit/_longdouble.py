"""The functions of slices in long double: by NumPy, on one thread, for the kernels have none.

NumPy's sums depend on how an array lies in memory. So slices are copied, each into a row, and the bits of one
depend on neither its strides nor the other slices.
"""

import math
from typing import Any

import numpy as np

from fastlogit._arguments import Mask

Array = np.ndarray[Any, np.dtype[np.longdouble]]
Axes = tuple[int, ...]


def along_last(x: np.ndarray[Any, Any], axes: Axes) -> np.ndarray[Any, Any]:
    """The same array, with the axes of a slice last."""
    return x.transpose([axis for axis in range(x.ndim) if axis not in axes] + list(axes))


def rows_of(x: np.ndarray[Any, Any], axes: Axes, dtype: Any = np.longdouble) -> np.ndarray[Any, Any]:
    """A copy with one slice in each row."""
    length = math.prod(x.shape[axis] for axis in axes)
    return np.array(along_last(x, axes), dtype, order="C", subok=False).reshape(-1, length)


def in_place_of(x: np.ndarray[Any, Any], axes: Axes, rows: Array) -> Array:
    """The rows as an array with the axes of x."""
    result = rows.reshape(along_last(x, axes).shape)
    return np.moveaxis(result, range(x.ndim - len(axes), x.ndim), axes)


def offset(largest: Array) -> Array:
    """What is taken off a row, in one row for all."""
    column = largest[:, 0]
    return np.where(np.isfinite(column), column, np.longdouble(0))


def scaled_rows(x: np.ndarray[Any, Any], axes: Axes, mask: Mask | None) -> tuple[Array, Array]:
    """Rows less the largest element of each, and this, -inf where none counts."""
    rows = rows_of(x, axes)
    if mask is not None:
        np.copyto(rows, -np.inf, where=~rows_of(mask, axes, np.bool))
    largest = np.max(rows, axis=1, keepdims=True)
    rows -= offset(largest)[:, None]
    return rows, largest


def softmax(x: np.ndarray[Any, Any], axes: Axes, mask: Mask | None) -> Array:
    terms, largest = scaled_rows(x, axes, mask)
    np.exp(terms, out=terms)
    terms /= np.sum(terms, axis=1, keepdims=True)
    np.copyto(terms, np.nan, where=~np.isfinite(largest))
    return in_place_of(x, axes, terms)


def log_softmax(x: np.ndarray[Any, Any], axes: Axes, mask: Mask | None) -> Array:
    shifted, _ = scaled_rows(x, axes, mask)
    shifted -= np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return in_place_of(x, axes, shifted)


def logsumexp(x: np.ndarray[Any, Any], axes: Axes, mask: Mask | None) -> Array:
    """One number for each slice, in one row."""
    terms, largest = scaled_rows(x, axes, mask)
    np.exp(terms, out=terms)
    result: Array = offset(largest) + np.log(np.sum(terms, axis=1))
    return result


def weighted_logsumexp(
    x: np.ndarray[Any, Any], weights: np.ndarray[Any, Any], axes: Axes, mask: Mask | None
) -> tuple[Array, Array]:
    """The logarithm of the absolute value of the sum, and its sign."""
    counts = weights != 0
    if mask is not None:
        counts &= mask
    terms, largest = scaled_rows(x, axes, counts)
    np.exp(terms, out=terms)
    terms *= rows_of(weights, axes)
    np.copyto(terms, 0, where=~rows_of(counts, axes, np.bool))
    total = np.sum(terms, axis=1)
    return offset(largest) + np.log(np.abs(total)), np.sign(total)
