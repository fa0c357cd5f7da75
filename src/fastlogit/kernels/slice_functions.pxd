"""What tells the functions of slices apart: all that a new one adds to the engine.

Of each function: its traits, how the sum of a slice becomes the coefficients of its result, and the rule that
makes a result of one element. Cython turns each of these chains of comparisons into a C switch, and
``-Werror=switch-enum`` refuses one that forgets a function.
"""

from libc.math cimport INFINITY, fabs, fabsf

from fastlogit.kernels.arithmetic cimport (
    FUSED, float32, float64, muladd, real, residual, residual64,
)
from fastlogit.kernels.doubles cimport add_exactly, reciprocal, renormalise
from fastlogit.kernels.expsum cimport MOST_LANES, relative_sums, scaled_sums, scaling, slice_sums
from fastlogit.kernels.formulas cimport TWO_64, TWO_MINUS_HEADROOM, log_positive
from fastlogit.kernels.terms cimport exp_double, exp_term
from fastlogit.kernels.slices cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, slice_function


cdef extern from *:
    """
    #define TWO_120 0x1p120
    /* A term with its tail is term (1 + c sign), the sign that of the tail, at most 1.061 half units away.
       With (0.05 +- 0.53) half units positive tails are 0.481 off and negative ones 0.48, less than half:
       equal elements, 2^k of them, have exactly 2^-k each. float32 without fused multiply-add has no room
       for that. */
    #define HALF_UNIT 0x1p-53
    #define HALF_UNIT_32 0x1p-24
    """
    const double TWO_120, HALF_UNIT, HALF_UNIT_32


# The coefficients of a result; which there are, its function says.
cdef enum:
    # softmax
    LARGEST_TERM = 0  # infinite where the largest element is one of many
    RECIPROCAL  # of the sum, lifted
    RECIPROCAL_TAIL
    RECIPROCAL_TIMES_TAIL  # of a term
    LARGEST_SHARE

    # log_softmax
    LARGEST = 0
    LOG_SUM  # relative to the largest

    # logsumexp
    RESULT = 0

    MOST_COEFFICIENTS = 5


cdef struct coefficients:
    double of_lane[MOST_COEFFICIENTS][MOST_LANES]


# ---- traits ----------------------------------------------------------------------------------------


cdef struct traits:
    bint keeps_terms  # results are made of the terms, kept in ``out`` and scaled alike; else of ``x``
    bint is_one_number  # a slice becomes one number, its only coefficient
    int coefficients


cdef inline traits traits_of(slice_function function) noexcept nogil:
    cdef traits these
    these.keeps_terms, these.is_one_number, these.coefficients = False, False, 0
    if function == SOFTMAX:
        these.keeps_terms, these.is_one_number, these.coefficients = True, False, LARGEST_SHARE + 1
    elif function == LOG_SOFTMAX:
        these.keeps_terms, these.is_one_number, these.coefficients = False, False, LOG_SUM + 1
    elif function == LOGSUMEXP:
        these.keeps_terms, these.is_one_number, these.coefficients = False, True, RESULT + 1
    return these


# ---- from sums to coefficients ---------------------------------------------------------------------


cdef inline void prepare_softmax(
    real *tag, const scaled_sums *sums, const scaling *scale, Py_ssize_t width, coefficients *result
) noexcept nogil:
    cdef double high[MOST_LANES]
    cdef double low[MOST_LANES]
    cdef double unit, unit_tail, share_of_unit, inverse, inverse_tail, alone, half_unit, lift
    cdef double middle = 0.05, reach = 0.53
    cdef real term, tail
    cdef Py_ssize_t j
    half_unit = HALF_UNIT_32 if real is float32 else HALF_UNIT
    lift = TWO_64 if real is float32 else TWO_120
    if real is float32 and not FUSED:
        middle, reach = 0, 0.48
    for j in range(width):
        exp_double(sums.largest[j] - scale.shift[j], scale.exponent[j], &unit, &unit_tail)
        term = exp_term[real](
            <real> sums.largest[j], True, <real> scale.shift[j], <real> scale.exponent[j],
            <real> scale.lowest[j], &tail,
        )
        # A largest element that outweighs all others has a share that is known better than by its term. Below
        # 3/4 of the sum another element could have the same term.
        alone = 1.0 if unit > 0.75 * (sums.high[j] + sums.low[j]) else 0.0
        high[j], low[j] = sums.high[j], sums.low[j] + alone * (unit_tail - tail)
        add_exactly(&high[j], &low[j], alone * -term)
        add_exactly(&high[j], &low[j], alone * unit)
        renormalise(&high[j], &low[j])
        # Without a finite largest element there are no shares.
        high[j] += sums.largest[j] - sums.largest[j]
        inverse = reciprocal(high[j], low[j], &inverse_tail)
        share_of_unit = unit * inverse
        share_of_unit = share_of_unit + (
            (unit * inverse_tail + unit_tail * inverse) - residual64(unit, inverse, share_of_unit)
        )
        if real is float32:
            inverse_tail = (inverse - <real> inverse) + inverse_tail
        result.of_lane[LARGEST_TERM][j] = term if alone == 1 else INFINITY
        result.of_lane[RECIPROCAL][j] = inverse * lift
        result.of_lane[RECIPROCAL_TAIL][j] = (inverse_tail + middle * half_unit * inverse) * lift
        result.of_lane[RECIPROCAL_TIMES_TAIL][j] = reach * half_unit * (inverse * lift)
        result.of_lane[LARGEST_SHARE][j] = share_of_unit


cdef inline void prepare_logarithm(
    real *tag, slice_function function, const relative_sums *sums, Py_ssize_t width, coefficients *result
) noexcept nogil:
    """log_softmax, whose logarithm is that of a sum relative to the largest element, and logsumexp."""
    cdef double high[MOST_LANES]
    cdef double low[MOST_LANES]
    cdef double value
    cdef bint infinite
    cdef Py_ssize_t j
    for j in range(width):
        high[j] = sums.ties[j]
        low[j] = sums.low[j] * TWO_MINUS_HEADROOM
        add_exactly(&high[j], &low[j], sums.high[j] * TWO_MINUS_HEADROOM)
    if function == LOG_SOFTMAX:
        for j in range(width):
            result.of_lane[LARGEST][j] = sums.largest[j]
            result.of_lane[LOG_SUM][j] = log_positive[real](NULL, high[j], low[j], 0)
    else:
        for j in range(width):
            infinite = fabs(sums.largest[j]) == INFINITY
            value = log_positive[real](NULL, high[j], low[j], 0 if infinite else sums.largest[j])
            result.of_lane[RESULT][j] = sums.largest[j] + value if infinite else value


cdef inline void prepare(
    real *tag, slice_function function, const slice_sums *sums, const scaling *scale, Py_ssize_t width,
    coefficients *result,
) noexcept nogil:
    """From the sums of whole slices to the coefficients of their results."""
    if function == SOFTMAX:
        prepare_softmax[real](NULL, &sums.scaled, scale, width, result)
    elif function == LOG_SOFTMAX:
        prepare_logarithm[real](NULL, LOG_SOFTMAX, &sums.relative, width, result)
    elif function == LOGSUMEXP:
        prepare_logarithm[real](NULL, LOGSUMEXP, &sums.relative, width, result)


# ---- one element -----------------------------------------------------------------------------------


cdef inline real share(real kept, const real *coefficient, Py_ssize_t apart) noexcept nogil:
    """The part of the sum that a kept term is; that of a largest one that outweighs all others is known
    better.

    The product is rounded before it becomes subnormal, not twice afterwards: it is lifted, and brought down
    by a power of two.
    """
    cdef real inverse = coefficient[RECIPROCAL * apart], tail = coefficient[RECIPROCAL_TAIL * apart]
    cdef real times_tail = coefficient[RECIPROCAL_TIMES_TAIL * apart], lift, term, value
    # Loaded here, since a load in one branch alone keeps the loop scalar.
    cdef real largest_term = coefficient[LARGEST_TERM * apart], largest = coefficient[LARGEST_SHARE * apart]
    if real is float32:
        term = fabsf(kept)
        lift = <real> TWO_64
    else:
        term = fabs(kept)
        lift = TWO_120
    if FUSED:
        value = muladd[real](term, inverse, muladd[real](kept, times_tail, term * tail))
    else:
        value = term * inverse
        value = value + ((term * tail + kept * times_tail) - residual[real](term, inverse, value))
    value = value * (1 / lift)
    return largest if term >= largest_term else value


cdef inline real element(
    slice_function function, real x, const real *coefficient, Py_ssize_t apart
) noexcept nogil:
    """The result for one element or term; the coefficients of its slice stand ``apart`` from each other."""
    if function == SOFTMAX:
        return share[real](x, coefficient, apart)
    elif function == LOG_SOFTMAX:
        return (x - coefficient[LARGEST * apart]) - coefficient[LOG_SUM * apart]
    elif function == LOGSUMEXP:
        return coefficient[RESULT * apart]
