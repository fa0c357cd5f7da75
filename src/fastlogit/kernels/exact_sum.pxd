"""A sum of doubles without rounding, so that it does not depend on their order.

Fixed point from the smallest subnormal to beyond the largest double, in limbs of 32 bits kept in 64, whose
carries wait (U. Kulisch's long accumulator). An addition touches three limbs.
"""

from libc.math cimport INFINITY, fabs, ldexp
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from fastlogit.kernels.arithmetic cimport bits64
from fastlogit.kernels.doubles cimport add_exactly


cdef extern from *:
    """
    #define LOWER_HALF 0xffffffffULL
    """
    const uint64_t LOWER_HALF

cdef enum:
    LIMBS = 68  # (2046 + 53) / 32, and room for the carries of 2^63 additions
    MOST_ADDITIONS = 1 << 29  # of at most 2^33 to a limb before carries have to go on


cdef struct exact_sum:
    int64_t limbs[LIMBS]  # limb k counts 2^(32 k - 1074)
    double not_finite  # the sum of those that are not, which decide then
    Py_ssize_t additions


cdef inline void begin_sum(exact_sum *total) noexcept nogil:
    memset(total, 0, sizeof(exact_sum))


cdef inline void carry(exact_sum *total) noexcept nogil:
    """All limbs but the last between 0 and 2^32."""
    cdef int64_t upper
    cdef int k
    for k in range(LIMBS - 1):
        upper = total.limbs[k] >> 32
        total.limbs[k] -= upper * (<int64_t> 1 << 32)
        total.limbs[k + 1] += upper
    total.additions = 0


cdef inline void add_to_sum(exact_sum *total, double x) noexcept nogil:
    cdef uint64_t bits = bits64(x), digits = bits & ((<uint64_t> 1 << 52) - 1), lower, upper
    cdef int exponent = <int> (bits >> 52) & 0x7ff, position, shift
    cdef int64_t sign = -1 if bits >> 63 else 1
    if exponent == 0x7ff:
        total.not_finite += x
        return
    if exponent:
        digits |= <uint64_t> 1 << 52
        exponent -= 1
    position, shift = exponent // 32, exponent % 32
    lower = (digits & LOWER_HALF) << shift
    upper = (digits >> 32) << shift
    total.limbs[position] += sign * <int64_t> (lower & LOWER_HALF)
    total.limbs[position + 1] += sign * <int64_t> ((lower >> 32) + (upper & LOWER_HALF))
    total.limbs[position + 2] += sign * <int64_t> (upper >> 32)
    total.additions += 1
    if total.additions == MOST_ADDITIONS:
        carry(total)


cdef inline void merge_sums(const exact_sum *part, exact_sum *total) noexcept nogil:
    cdef int k
    carry(total)
    for k in range(LIMBS):
        total.limbs[k] += part.limbs[k]
    total.not_finite += part.not_finite
    carry(total)


cdef inline double rounded_sum(exact_sum *total) noexcept nogil:
    """From the limb of the highest digit downwards; what is below the third cannot be seen in the result."""
    cdef double high = 0, low = 0, sign = 1
    cdef int k, top = LIMBS - 1
    if total.not_finite != 0:
        return total.not_finite
    carry(total)
    if total.limbs[LIMBS - 1] < 0:
        sign = -1
        for k in range(LIMBS):
            total.limbs[k] = -total.limbs[k]
        carry(total)
    while top > 0 and total.limbs[top] == 0:
        top -= 1
    for k in range(top, max(top - 4, -1), -1):
        add_exactly(&high, &low, ldexp(<double> total.limbs[k], 32 * k - 1074))
    high = high + low if fabs(high) < INFINITY else high
    return sign * high
