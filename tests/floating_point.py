"""Inputs that raise every flag, and the bits of the floating-point environment of x86-64."""

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

FLAGS = 0x1D  # invalid, division by zero, overflow, underflow
FLUSH = 0x8040  # MXCSR: subnormal results are 0, and subnormal operands count as 0
ROUND_UP = 0x4000
