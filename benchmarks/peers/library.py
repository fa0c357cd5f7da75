"""What a library is to a contest: which functions it has, and how it takes an array of NumPy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Calls(NamedTuple):
    """One function in one library. None stands for what the library does not have.

    Of single elements: in_place(x) and new(x). Of slices: in_place(x, axis), preallocated(x, axis, out) and
    new(x, axis). A library that has no `out` may return a new array from `preallocated`: it is all that its
    user can do.
    """

    in_place: Callable[..., Any] | None = None
    preallocated: Callable[..., Any] | None = None
    new: Callable[..., Any] | None = None


class Library(NamedTuple):
    name: str
    version: str
    calls: dict[str, Calls]  # by the name of the case
    wrap: Callable[[np.ndarray], Any]  # the library's view of a NumPy array; raises where it has none
    set_threads: Callable[[int], None]
    read: Callable[[Any], np.ndarray] = np.asarray  # what a call gives


def same(array):
    return array


def ignore_threads(threads):
    """There is one thread, or nothing to set it with."""


def of_elements(call):
    return Calls(in_place=lambda x: call(x, out=x), new=call)


def contiguous(array):
    """A wrap for what walks through memory and knows no strides."""
    if not array.flags.c_contiguous:
        raise ValueError("contiguous arrays only")
    return array
