"""Arrays that lie in memory in every way."""

import math

import numpy as np

# Of a base of two axes.
VIEWS = {
    "contiguous": lambda base: base,
    "transposed": lambda base: base.T,
    "every second row and column": lambda base: base[::2, ::2],
    "backwards": lambda base: base[::-1, ::-1],
    "8 of 64 columns": lambda base: base.reshape(-1, 64)[:, :8],
    "three axes in another order": lambda base: base.reshape(16, 128, -1).transpose(1, 2, 0),
    "unaligned": lambda base: base.view(np.uint8).ravel()[3 : 3 - 2 * base.itemsize].view(base.dtype),
}


def random_shape(rng):
    """0 to 6 axes, up to 130,000 elements: some empty, some long enough for threads."""
    ndim = int(rng.integers(0, 7))
    limit = 2 ** rng.uniform(0, 17)
    shape = [1] * ndim
    for axis in rng.permutation(ndim):
        shape[axis] = int(2 ** rng.uniform(0, math.log2(limit / math.prod(shape))))
    if ndim and rng.random() < 0.03:
        shape[rng.integers(ndim)] = 0
    return tuple(shape)


def random_layout(rng, shape, itemsize, repeat=False):
    """(size of the memory in bytes, offset, strides): no element shares a byte with another one.

    Axes in any order and direction, gaps that are no multiple of the item size, any alignment. `repeat`
    gives some axes the stride 0, so that their elements are all the same.
    """
    strides = [0] * len(shape)
    offset = int(rng.integers(0, 2 * itemsize)) if rng.random() < 0.5 else 0
    extent = itemsize
    first = offset
    for axis in rng.permutation(len(shape)):
        if repeat and rng.random() < 0.25:
            continue
        stride = extent
        if rng.random() < 0.4:
            stride += int(rng.integers(1, 4)) * itemsize
        elif rng.random() < 0.15:
            stride += int(rng.integers(1, itemsize))
        extent = stride * max(shape[axis], 1)
        if rng.random() < 0.3:
            first += stride * max(shape[axis] - 1, 0)
            stride = -stride
        strides[axis] = stride
    return offset + extent, first, tuple(strides)


def laid_out(layout, shape, dtype):
    """Memory with a pattern in every byte, and the view of it that the layout describes."""
    size, offset, strides = layout
    memory = np.full(size, 0xA5, np.uint8)
    return memory, np.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
