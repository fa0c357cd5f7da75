"""Inputs that raise every flag, and the bits of the floating-point environment as glibc keeps it."""

import platform

import numpy as np
from numpy import inf, nan

EVERYTHING = [-inf, -1e30, -1000, -745.2, -720, -104, -95, -1, -5e-324, -0.0]
EVERYTHING += [
    0,
    5e-324,
    1e-310,
    1e-30,
    0.1,
    0.5,
    1 - 2.0**-53,
    1,
    2,
    30,
    95,
    720,
    745.2,
    1000,
    1e30,
    inf,
    nan,
]

# FLAGS: invalid, division by zero, overflow, underflow; CONTROL_WORD: of a fenv_t, in 32 bits each.
# FLUSH: subnormal results are 0, and subnormal operands count as 0. MODES: of fesetround.
if platform.machine() == "aarch64":
    FLAGS = 0xF
    CONTROL_WORD = 0  # FPCR
    FLUSH = 0x1000000
    ROUND_UP = 0x400000
    MODES = {"down": 0x800000, "up": 0x400000, "to zero": 0xC00000}
else:
    FLAGS = 0x1D
    CONTROL_WORD = 7  # MXCSR
    FLUSH = 0x8040
    ROUND_UP = 0x4000
    MODES = {"down": 0x400, "up": 0x800, "to zero": 0xC00}


def known(array):
    """The bytes of an array that have a meaning: x87's long double has 10 of 16."""
    array = np.ascontiguousarray(array).reshape(-1)
    counted = 10 if array.dtype.kind == "f" and np.finfo(array.dtype).nmant == 63 else array.itemsize
    return array.view(np.uint8).reshape(-1, array.itemsize)[:, :counted].tobytes()
