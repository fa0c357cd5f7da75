"""The formulas in long double, from the C library: within a few ulp, for completeness.

All have one signature; only a formula that clamps looks at the bounds.
"""

from libc.math cimport INFINITY, NAN

from fastlogit.kernels.arithmetic cimport longdouble

cdef extern from "<math.h>" nogil:
    long double expl(long double) noexcept
    long double fabsl(long double) noexcept
    long double logl(long double) noexcept
    long double log1pl(long double) noexcept


cdef inline longdouble expit_longdouble(longdouble x, longdouble lower, longdouble upper) noexcept nogil:
    cdef long double small = expl(-fabsl(x))
    return small / (1 + small) if x < 0 else 1 / (1 + small)


cdef inline longdouble log_expit_longdouble(longdouble x, longdouble lower, longdouble upper) noexcept nogil:
    return (x if x < 0 else <long double> -0.0) - log1pl(expl(-fabsl(x)))


cdef inline longdouble softplus_longdouble(longdouble x, longdouble lower, longdouble upper) noexcept nogil:
    return -log_expit_longdouble(-x, lower, upper)


cdef inline longdouble logit_longdouble(longdouble x, longdouble lower, longdouble upper) noexcept nogil:
    """Around 1/2 the quotient is near 1 and its logarithm is taken from 2 x - 1, which is exact."""
    if x < 0 or x > 1:
        return NAN
    if x == 0:
        return -INFINITY
    if x == 1:
        return INFINITY
    if 0.25 < x and x < 0.75:
        return log1pl((2 * x - 1) / (1 - x))
    return logl(x) - log1pl(-x)


cdef inline longdouble clamped_logit_longdouble(
    longdouble x, longdouble lower, longdouble upper
) noexcept nogil:
    x = lower if x < lower else x
    x = upper if x > upper else x
    return logit_longdouble(x, lower, upper)
