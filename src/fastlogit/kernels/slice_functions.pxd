"""What tells the functions of slices apart: all that a new one adds to the engine.

Of each function: its traits, how the sum of a slice becomes the coefficients of its result, and the rule that
makes a result of one element. Cython turns each of these chains of comparisons into a C switch, and
``-Werror=switch-enum`` refuses one that forgets a function.
"""

from libc.math cimport INFINITY, fabs

from fastlogit.kernels.arithmetic cimport (
    FUSED, float32, float64, muladd, real, residual, residual64,
)
from fastlogit.kernels.doubles cimport add_exactly, reciprocal, renormalise
from fastlogit.kernels.expsum cimport MOST_LANES, relative_sums, scaled_sums, scaling, slice_sums
from fastlogit.kernels.formulas cimport TWO_64, TWO_MINUS_HEADROOM, exp_double, exp_term, log_positive
from fastlogit.kernels.slices cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, slice_function


cdef extern from *:
    """
    #define TWO_120 0x1p120
    """
    const double TWO_120


# The coefficients of a result; which there are, its function says.
cdef enum:
    # softmax
    LARGEST_TERM = 0  # infinite where the largest element is one of many
    RECIPROCAL  # of the sum
    RECIPROCAL_TAIL
    LARGEST_SHARE

    # log_softmax
    LARGEST = 0
    LOG_SUM  # relative to the largest

    # logsumexp
    RESULT = 0

    MOST_COEFFICIENTS = 4


cdef struct coefficients:
    double of_lane[MOST_COEFFICIENTS][MOST_LANES]


# ---- traits ----------------------------------------------------------------------------------------


cdef struct traits:
    bint keeps_terms  # results are made of the terms, kept in ``out`` meanwhile and scaled alike; else of ``x``
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
    cdef double term, unit, unit_tail, share_of_unit, inverse, inverse_tail, apart
    cdef Py_ssize_t j
    for j in range(width):
        exp_double(sums.largest[j] - scale.shift[j], scale.exponent[j], &unit, &unit_tail)
        term = exp_term[real](
            <real> sums.largest[j], True, <real> scale.shift[j], <real> scale.exponent[j],
            <real> scale.lowest[j], True,
        )
        # A largest element that outweighs all others is in the sum with the rounding of its term, and its share
        # is known better than by that. Below 3/4 of the sum another element could have the same term.
        apart = 1.0 if unit > 0.75 * (sums.high[j] + sums.low[j]) else 0.0
        high[j], low[j] = sums.high[j], sums.low[j] + apart * unit_tail
        add_exactly(&high[j], &low[j], apart * -term)
        add_exactly(&high[j], &low[j], apart * unit)
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
        result.of_lane[LARGEST_TERM][j] = term if apart == 1 else INFINITY
        result.of_lane[RECIPROCAL][j] = inverse
        result.of_lane[RECIPROCAL_TAIL][j] = inverse_tail
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


cdef inline real share(
    real term, real largest_term, real inverse, real inverse_tail, real largest_share
) noexcept nogil:
    """The part of the sum that a term is; that of the largest, often all of it, is known exactly.

    Without fused multiply-add the product is rounded before it becomes subnormal, not twice afterwards.
    """
    cdef real value, lift
    if FUSED:
        value = muladd[real](term, inverse, term * inverse_tail)
    else:
        lift = <real> (TWO_64 if real is float32 else TWO_120)
        inverse = inverse * lift
        value = term * inverse
        value = value + (term * (inverse_tail * lift) - residual[real](term, inverse, value))
        value = value * (1 / lift)
    return largest_share if term >= largest_term else value


cdef inline real element(
    slice_function function, real x, const real *coefficient, Py_ssize_t apart
) noexcept nogil:
    """The result for one element or term; the coefficients of its slice stand ``apart`` from each other."""
    if function == SOFTMAX:
        return share[real](
            x, coefficient[LARGEST_TERM * apart], coefficient[RECIPROCAL * apart],
            coefficient[RECIPROCAL_TAIL * apart], coefficient[LARGEST_SHARE * apart],
        )
    elif function == LOG_SOFTMAX:
        return (x - coefficient[LARGEST * apart]) - coefficient[LOG_SUM * apart]
    elif function == LOGSUMEXP:
        return coefficient[RESULT * apart]
