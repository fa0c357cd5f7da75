"""The ways in which an array of 2**k elements can lie in memory, for all benchmarks."""

import numpy as np


def near_square(elements):
    """Two powers of two whose product is `elements`, a power of two."""
    columns = 1 << (elements.bit_length() - 1) // 2
    return elements // columns, columns


def contiguous(elements, dtype):
    return np.zeros(elements, dtype)


def step_2(elements, dtype):
    return np.zeros(2 * elements, dtype)[::2]


def reverse(elements, dtype):
    return np.zeros(elements, dtype)[::-1]


def columns_0_to_8_of_64(elements, dtype):
    return np.zeros((elements // 8, 64), dtype)[:, :8]


def transposed(elements, dtype):
    return np.zeros(near_square(elements), dtype).T


def every_second_of_both_axes(elements, dtype):
    rows, columns = near_square(elements)
    return np.zeros((2 * rows, 2 * columns), dtype)[::2, ::2]


def unaligned(elements, dtype):
    return np.zeros(elements * np.dtype(dtype).itemsize + 1, np.uint8)[1:].view(dtype)


LAYOUTS = {
    "contiguous": contiguous,
    "[::2]": step_2,
    "[::-1]": reverse,
    "[:, :8] of 64": columns_0_to_8_of_64,
    "transposed": transposed,
    "[::2, ::2]": every_second_of_both_axes,
    "unaligned": unaligned,
}
