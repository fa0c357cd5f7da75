"""Inputs that raise every flag, and the bits of the floating-point environment as glibc keeps it."""

import platform

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
# FLUSH: subnormal results are 0, and subnormal operands count as 0.
if platform.machine() == "aarch64":
    FLAGS = 0xF
    CONTROL_WORD = 0  # FPCR
    FLUSH = 0x1000000
    ROUND_UP = 0x400000
else:
    FLAGS = 0x1D
    CONTROL_WORD = 7  # MXCSR
    FLUSH = 0x8040
    ROUND_UP = 0x4000
