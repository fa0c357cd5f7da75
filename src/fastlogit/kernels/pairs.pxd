"""Arithmetic of numbers that are the sum of two doubles, to about twice the precision."""

from libc.math cimport INFINITY, fabs

from fastlogit.kernels.arithmetic cimport residual64
from fastlogit.kernels.doubles cimport add_exactly


cdef struct pair:  # high + low
    double high
    double low


cdef inline double rounded(pair a) noexcept nogil:
    return a.high + a.low


cdef inline pair add_pairs(pair a, pair b) noexcept nogil:
    """The tail of an infinite sum is 0."""
    cdef pair total = a
    total.low += b.low
    add_exactly(&total.high, &total.low, b.high)
    total.low = total.low if fabs(total.high) < INFINITY else 0
    return total


cdef inline pair multiply_pairs(pair a, pair b) noexcept nogil:
    """0 times infinity is 0 here: what has no weight does not count."""
    cdef pair product
    product.high = a.high * b.high
    product.low = (a.high * b.low + a.low * b.high) - residual64(a.high, b.high, product.high)
    product.low = product.low if fabs(product.high) < INFINITY else 0
    # Two conditions in one test would keep a loop scalar.
    product.high = 0 if a.high == 0 else product.high
    product.low = 0 if a.high == 0 else product.low
    product.high = 0 if b.high == 0 else product.high
    product.low = 0 if b.high == 0 else product.low
    return product
