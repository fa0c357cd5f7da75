"""Sums and quotients of doubles with what their rounding lost: two numbers for one.

The names of the literature stand in brackets: T. J. Dekker, Numer. Math. 18 (1971) 224-242; D. E. Knuth, The
Art of Computer Programming 2, 4.2.2.
"""

from fastlogit.kernels.arithmetic cimport residual64


cdef inline void add_exactly(double *high, double *low, double term) noexcept nogil:
    """high += term, the rounding error added to ``low`` (two-sum)."""
    cdef double total = high[0] + term
    cdef double part = total - high[0]
    low[0] += (high[0] - (total - part)) + (term - part)
    high[0] = total


cdef inline void add_by_size(double *high, double *low, double term) noexcept nogil:
    """`add_exactly` for numbers that are not negative: to order them costs less than to do without."""
    cdef double larger = term if term > high[0] else high[0]
    cdef double smaller = high[0] if term > high[0] else term
    high[0] = larger + smaller
    low[0] += smaller - (high[0] - larger)


cdef inline void renormalise(double *high, double *low) noexcept nogil:
    """The same sum with ``high`` rounded to nearest, where abs(high) >= abs(low) (fast two-sum)."""
    cdef double total = high[0] + low[0]
    low[0] = low[0] - (total - high[0])
    high[0] = total


cdef inline double reciprocal(double high, double low, double *tail) noexcept nogil:
    """1 / (high + low), with a tail to twice the precision."""
    cdef double value = 1 / high
    tail[0] = value * (residual64(value, high, 1) - value * low)
    return value


cdef inline double quotient(double high, double low, double divisor, double divisor_low) noexcept nogil:
    """(high + low) / (divisor + divisor_low), but for the last rounding to about twice the precision."""
    cdef double value = high / divisor
    return value + ((residual64(value, divisor, high) + low) - value * divisor_low) / divisor
