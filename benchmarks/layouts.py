"""The ways in which arrays can lie in memory, for all benchmarks."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

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


# Of 2**k elements.
LAYOUTS = {
    "contiguous": contiguous,
    "[::2]": step_2,
    "[::-1]": reverse,
    "[:, :8] of 64": columns_0_to_8_of_64,
    "transposed": transposed,
    "[::2, ::2]": every_second_of_both_axes,
    "unaligned": unaligned,
}


class Layout(NamedTuple):
    """How the elements of an array lie in memory and, for functions of slices, along which axis those lie."""

    name: str
    elements: int
    make: Callable[[str], np.ndarray]  # an array of this layout, of a given dtype
    axis: int | None = None


def of_elements(name, elements):
    return Layout(name, elements, partial(LAYOUTS[name], elements))


def of_slices(rows, columns, axis):
    shape = (rows, columns)
    return Layout(f"{rows}×{columns}, axis {axis}", rows * columns, partial(np.zeros, shape), axis)


def rows_of_1024(elements):
    """One row where there are fewer elements, a power of two."""
    return of_slices(max(1, elements // 1024), min(elements, 1024), -1)


SLICES = [
    of_slices(8192, 1000, -1),
    of_slices(8192, 1000, 0),
    of_slices(262144, 16, -1),
    of_slices(2097152, 2, -1),
    of_slices(1000, 16, 0),
    of_slices(1000000, 16, 0),
    of_slices(1000000, 3, 0),
    of_slices(128, 65536, -1),
    of_slices(1, 2**24, -1),
]
SMALL_SLICES = [of_slices(1024, 1000, -1), of_slices(1024, 1000, 0), of_slices(32768, 16, -1)]
