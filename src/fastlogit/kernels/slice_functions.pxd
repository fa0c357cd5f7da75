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
from fastlogit.kernels.slices cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_CURVATURE, CROSS_ENTROPY_GRADIENT, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX,
    slice_function,
)


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
    # and the derivatives of the cross-entropy besides
    FACTOR  # of a share
    SHARE_OF_OTHERS  # 1 - LARGEST_SHARE

    # log_softmax
    LARGEST = 0
    LOG_SUM  # relative to the largest

    # logsumexp
    RESULT = 0

    MOST_COEFFICIENTS = 7


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
    elif function == CROSS_ENTROPY:
        these.keeps_terms, these.is_one_number, these.coefficients = False, True, 0
    elif function == CROSS_ENTROPY_GRADIENT or function == CROSS_ENTROPY_CURVATURE:
        these.keeps_terms, these.is_one_number, these.coefficients = True, False, SHARE_OF_OTHERS + 1
    return these


# ---- from sums to coefficients ---------------------------------------------------------------------


cdef inline void set_shares(
    real *tag, Py_ssize_t lane, const double *high, const double *low, const double *unit, double term,
    coefficients *result,
) noexcept nogil:
    """From a sum and the exact term of the largest element, both with tails, to the shares.

    ``term`` is that element as its share is chosen by: infinite where it is one of many.
    """
    cdef double share_of_unit, inverse, inverse_tail, middle = 0.05, reach = 0.53
    cdef double half_unit = HALF_UNIT_32 if real is float32 else HALF_UNIT
    cdef double lift = TWO_64 if real is float32 else TWO_120
    if real is float32 and not FUSED:
        middle, reach = 0, 0.48
    inverse = reciprocal(high[lane], low[lane], &inverse_tail)
    share_of_unit = unit[0] * inverse
    share_of_unit = share_of_unit + (
        (unit[0] * inverse_tail + unit[1] * inverse) - residual64(unit[0], inverse, share_of_unit)
    )
    if real is float32:
        inverse_tail = (inverse - <real> inverse) + inverse_tail
    result.of_lane[LARGEST_TERM][lane] = term
    result.of_lane[RECIPROCAL][lane] = inverse * lift
    result.of_lane[RECIPROCAL_TAIL][lane] = (inverse_tail + middle * half_unit * inverse) * lift
    result.of_lane[RECIPROCAL_TIMES_TAIL][lane] = reach * half_unit * (inverse * lift)
    result.of_lane[LARGEST_SHARE][lane] = share_of_unit


cdef inline void prepare_softmax(
    real *tag, const scaled_sums *sums, const scaling *scale, Py_ssize_t width, coefficients *result
) noexcept nogil:
    cdef double high[MOST_LANES]
    cdef double low[MOST_LANES]
    cdef double unit[2]
    cdef double alone
    cdef real term, tail
    cdef Py_ssize_t j
    for j in range(width):
        exp_double(sums.largest[j] - scale.shift[j], scale.exponent[j], &unit[0], &unit[1])
        term = exp_term[real](
            <real> sums.largest[j], True, <real> scale.shift[j], <real> scale.exponent[j],
            <real> scale.lowest[j], &tail,
        )
        # A largest element that outweighs all others has a share that is known better than by its term. Below
        # 3/4 of the sum another element could have the same term.
        alone = 1.0 if unit[0] > 0.75 * (sums.high[j] + sums.low[j]) else 0.0
        high[j], low[j] = sums.high[j], sums.low[j] + alone * (unit[1] - tail)
        add_exactly(&high[j], &low[j], alone * -term)
        add_exactly(&high[j], &low[j], alone * unit[0])
        renormalise(&high[j], &low[j])
        # Without a finite largest element there are no shares.
        high[j] += sums.largest[j] - sums.largest[j]
        set_shares[real](NULL, j, high, low, unit, term if alone == 1 else INFINITY, result)


cdef inline void prepare_shares(
    real *tag, const scaled_sums *others, const scaling *scale, const double *factor, Py_ssize_t width,
    coefficients *result,
) noexcept nogil:
    """Of the derivatives of the cross-entropy, from the sums of all but the largest elements."""
    cdef double high[MOST_LANES]
    cdef double low[MOST_LANES]
    cdef double unit[2]
    cdef double whole, alone
    cdef real term, tail
    cdef Py_ssize_t j
    for j in range(width):
        exp_double(others.largest[j] - scale.shift[j], scale.exponent[j], &unit[0], &unit[1])
        term = exp_term[real](
            <real> others.largest[j], True, <real> scale.shift[j], <real> scale.exponent[j],
            <real> scale.lowest[j], &tail,
        )
        whole = others.ties[j] * unit[0]
        high[j] = others.high[j]
        low[j] = others.low[j] + (others.ties[j] * unit[1] - residual64(others.ties[j], unit[0], whole))
        add_exactly(&high[j], &low[j], whole)
        renormalise(&high[j], &low[j])
        high[j] += others.largest[j] - others.largest[j]
        alone = 1.0 if unit[0] > 0.75 * high[j] else 0.0
        set_shares[real](NULL, j, high, low, unit, term if alone == 1 else INFINITY, result)
        result.of_lane[FACTOR][j] = factor[j]
        result.of_lane[SHARE_OF_OTHERS][j] = (others.high[j] + others.low[j]) / high[j]


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
    elif (
        function == CROSS_ENTROPY or function == CROSS_ENTROPY_GRADIENT
        or function == CROSS_ENTROPY_CURVATURE
    ):
        pass  # `prepare_shares`, which needs to know the labels


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


cdef inline real curvature(real kept, const real *coefficient, Py_ssize_t apart) noexcept nogil:
    """p (1 - p) times a factor; near p = 1 the rest is known better than by the difference."""
    cdef real others = coefficient[SHARE_OF_OTHERS * apart], largest_term = coefficient[LARGEST_TERM * apart]
    cdef real p = share[real](kept, coefficient, apart), rest = 1 - p, term
    if real is float32:
        term = fabsf(kept)
    else:
        term = fabs(kept)
    rest = others if term >= largest_term else rest
    return coefficient[FACTOR * apart] * (p * rest)


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
    elif function == CROSS_ENTROPY_GRADIENT:
        return coefficient[FACTOR * apart] * share[real](x, coefficient, apart)
    elif function == CROSS_ENTROPY_CURVATURE:
        return curvature[real](x, coefficient, apart)
    elif function == CROSS_ENTROPY:
        return 0
