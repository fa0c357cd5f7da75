"""Arrays cut into blocks of whole slices, for what has to be converted on the way to a kernel and back."""

import itertools
import math
from collections.abc import Iterator
from types import EllipsisType
from typing import Any

import numpy as np

# Elements of a block, unless one slice is longer. Half a MiB of float64: it stays in the second cache of a
# core, and is long enough for two threads (SMALLEST_PARALLEL in _axis.pyx).
MOST_ELEMENTS = 65536

Index = tuple[slice | EllipsisType, ...]  # with the ellipsis, an element is an array too


def blocks(x: np.ndarray[Any, Any], axes: tuple[int, ...], most: int = MOST_ELEMENTS) -> Iterator[Index]:
    """Indices of parts of x that leave the slices along `axes` whole, the largest part first."""
    lengths = list(x.shape)
    # Cut along the largest strides: what lies side by side stays in one block.
    for axis in sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])):
        rest = math.prod(lengths) // max(lengths[axis], 1)
        if axis not in axes and rest * lengths[axis] > most:
            lengths[axis] = max(1, most // rest)
    starts = (range(0, whole, max(length, 1)) for whole, length in zip(x.shape, lengths, strict=True))
    for corner in itertools.product(*starts):
        yield (
            *(slice(start, start + length) for start, length in zip(corner, lengths, strict=True)),
            ...,
        )
