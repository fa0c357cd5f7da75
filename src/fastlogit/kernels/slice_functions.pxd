"""What tells the functions of slices apart: all that a new one adds to the engine.

Of each function: its traits, how the sum of a slice becomes the coefficients of its result, and the rule that
makes a result of one element. Cython turns each of these chains of comparisons into a C switch, and
``-Werror=switch-enum`` refuses one that forgets a function.
"""

from libc.math cimport INFINITY, fabs, fabsf
from libc.stdint cimport uint64_t

from fastlogit.kernels.arithmetic cimport (
    FUSED, bits64, float32, float64, from_bits64, muladd, real, residual, residual64,
)
from fastlogit.kernels.doubles cimport add_exactly, quotient, reciprocal, renormalise
from fastlogit.kernels.expsum cimport MOST_LANES, kept_term, relative_sums, scaled_sums, scaling, slice_sums
from fastlogit.kernels.formulas cimport TWO_64, TWO_MINUS_HEADROOM, log_positive
from fastlogit.kernels.terms cimport exp_double, exp_for_float, exp_term
from fastlogit.kernels.slices cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_CURVATURE, CROSS_ENTROPY_GRADIENT, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX,
    SOFTMAX_OF_X, slice_function,
)


cdef extern from *:
    """
    #define TWO_120 0x1p120
    #define ABOVE_HALF (0.5 + 0x1p-20)
    #define LOWEST_WAY_DOWN 0x1p-800
    #define LOWEST_WAY_DOWN_32 0x1p-60
    #define EXPONENT_BITS 0x7ff0000000000000ULL
    /* A term with its tail is term (1 + c sign), the sign that of the tail, at most 1.061 half units away.
       With (0.05 +- 0.53) half units positive tails are 0.481 off and negative ones 0.48, less than half:
       equal elements, 2^k of them, have exactly 2^-k each. float32 without fused multiply-add has no room
       for that. */
    #define HALF_UNIT 0x1p-53
    #define HALF_UNIT_32 0x1p-24
    """
    const double TWO_120, ABOVE_HALF, LOWEST_WAY_DOWN, LOWEST_WAY_DOWN_32
    const uint64_t EXPONENT_BITS
    const double HALF_UNIT, HALF_UNIT_32


# The coefficients of a result; which there are, its function says.
cdef enum:
    # softmax
    LARGEST_TERM = 0  # infinite where the largest element is one of many
    RECIPROCAL  # of the sum, lifted
    RECIPROCAL_TAIL
    RECIPROCAL_TIMES_TAIL  # of a term
    LARGEST_SHARE
    # and what `exp_term` needs, where terms are computed once more
    SHIFT
    EXPONENT
    LOWEST
    # and the derivatives of the cross-entropy besides, whose shares have a factor: what is lifted has its
    # digits, and the power of two comes with the way down
    DOWN = LARGEST_SHARE + 1  # from what is lifted
    DOWN_TO_SHARE  # without the factor
    SHARE_OF_OTHERS  # of all but the largest element, without the factor

    # log_softmax
    LARGEST = 0
    LOG_SUM  # relative to the largest
    LOG_SUM_TAIL

    # logsumexp
    RESULT = 0

    MOST_COEFFICIENTS = 8


cdef struct coefficients:
    double of_lane[MOST_COEFFICIENTS][MOST_LANES]


# ---- traits ----------------------------------------------------------------------------------------


cdef struct traits:
    bint has_one_scale  # that of all terms of a slice; else each chunk has its own
    bint keeps_terms  # results are made of the terms, which are kept in ``out``; else of ``x``
    bint is_one_number  # a slice becomes one number, its only coefficient
    bint folds  # whether a row of a panel may have several positions of few lanes
    int coefficients


cdef inline traits traits_of(slice_function function) noexcept nogil:
    cdef traits these
    these.has_one_scale, these.keeps_terms, these.is_one_number = False, False, False
    these.folds, these.coefficients = True, 0
    if function == SOFTMAX:
        these.has_one_scale, these.keeps_terms, these.coefficients = True, True, LARGEST_SHARE + 1
    elif function == SOFTMAX_OF_X:
        these.has_one_scale, these.coefficients = True, LOWEST + 1
    elif function == LOG_SOFTMAX:
        these.coefficients = LOG_SUM_TAIL + 1
    elif function == LOGSUMEXP:
        these.is_one_number, these.coefficients = True, RESULT + 1
    elif function == CROSS_ENTROPY:
        these.is_one_number, these.folds = True, False
    elif function == CROSS_ENTROPY_GRADIENT or function == CROSS_ENTROPY_CURVATURE:
        these.has_one_scale, these.keeps_terms, these.coefficients = True, True, SHARE_OF_OTHERS + 1
        these.folds = False
    return these


# ---- from sums to coefficients ---------------------------------------------------------------------


cdef inline void exp_of_largest(real *tag, double difference, double exponent, double *unit) noexcept nogil:
    """The exact term of an element of ``difference`` from the shift, and its tail; of float32 one double."""
    if real is float32:
        unit[0], unit[1] = exp_for_float(difference, exponent), 0
    else:
        exp_double(difference, exponent, &unit[0], &unit[1])


cdef inline void set_shares(
    real *tag, Py_ssize_t lane, const double *whole, const double *unit, double term, double factor,
    coefficients *result,
) noexcept nogil:
    """From a sum and the exact term of the largest element, both with tails, to the shares times a factor.

    ``term`` is that element as its share is chosen by: infinite where it is one of many. The coefficients of
    lifted shares have the digits of the factor; `set_way_down` has its power of two.
    """
    cdef double share_of_unit, inverse, inverse_tail, middle = 0.05, reach = 0.53
    cdef double half_unit = HALF_UNIT_32 if real is float32 else HALF_UNIT
    cdef double lift = TWO_64 if real is float32 else TWO_120
    if real is float32 and not FUSED:
        middle, reach = 0, 0.48
    if real is float32:
        inverse = factor / whole[0]
        inverse_tail = inverse - <real> inverse
        share_of_unit = unit[0] * inverse
    else:
        inverse = reciprocal(whole[0], whole[1], &inverse_tail)
        if factor != 1:
            inverse_tail = inverse_tail * factor - residual64(inverse, factor, inverse * factor)
            inverse *= factor
        share_of_unit = unit[0] * inverse
        share_of_unit = share_of_unit + (
            (unit[0] * inverse_tail + unit[1] * inverse) - residual64(unit[0], inverse, share_of_unit)
        )
    result.of_lane[LARGEST_TERM][lane] = term
    result.of_lane[RECIPROCAL][lane] = inverse * lift
    result.of_lane[RECIPROCAL_TAIL][lane] = (inverse_tail + middle * half_unit * inverse) * lift
    result.of_lane[RECIPROCAL_TIMES_TAIL][lane] = reach * half_unit * (inverse * lift)
    result.of_lane[LARGEST_SHARE][lane] = share_of_unit


cdef inline double set_way_down(
    real *tag, Py_ssize_t lane, double factor, coefficients *result
) noexcept nogil:
    """The digits of a factor, whose power of two goes into the way down from what is lifted.

    There is no place for the smallest powers beside that of the lift: the digits keep the rest.
    """
    cdef double lift = TWO_64 if real is float32 else TWO_120, digits, power, inverse
    cdef double lowest = LOWEST_WAY_DOWN_32 if real is float32 else LOWEST_WAY_DOWN
    power = from_bits64(bits64(factor) & EXPONENT_BITS)
    power = lowest if power < lowest else power
    digits = factor / power
    inverse = 1 / digits
    result.of_lane[DOWN][lane] = (1 / lift) * power
    result.of_lane[DOWN_TO_SHARE][lane] = (1 / lift) * (0 if factor == 0 else inverse)
    return digits


cdef inline void prepare_softmax(
    real *tag, const scaled_sums *sums, const scaling *scale, Py_ssize_t width, coefficients *result
) noexcept nogil:
    cdef double unit[2]
    cdef double whole[2]
    cdef double alone
    cdef real term, tail
    cdef Py_ssize_t j
    for j in range(width):
        exp_of_largest[real](NULL, sums.largest[j] - scale.shift[j], scale.exponent[j], unit)
        term = exp_term[real](
            <real> sums.largest[j], True, <real> scale.shift[j], <real> scale.exponent[j],
            <real> scale.lowest[j], &tail,
        )
        # A largest element that outweighs all others has a share that is known better than by its term. Below
        # 3/4 of the sum another element could have the same term.
        alone = 1.0 if unit[0] > 0.75 * (sums.high[j] + sums.low[j]) else 0.0
        if real is float32:
            whole[0] = sums.high[j] + sums.low[j]
            whole[0] += alone * (unit[0] - (<double> term + <double> tail))
        else:
            whole[0], whole[1] = sums.high[j], sums.low[j] + alone * (unit[1] - tail)
            add_exactly(&whole[0], &whole[1], alone * -term)
            add_exactly(&whole[0], &whole[1], alone * unit[0])
            renormalise(&whole[0], &whole[1])
        # Without a finite largest element there are no shares.
        whole[0] += sums.largest[j] - sums.largest[j]
        set_shares[real](NULL, j, whole, unit, term if alone == 1 else INFINITY, 1, result)
        result.of_lane[SHIFT][j], result.of_lane[EXPONENT][j] = scale.shift[j], scale.exponent[j]
        result.of_lane[LOWEST][j] = scale.lowest[j]


cdef inline void prepare_shares(
    real *tag, const scaled_sums *others, const scaling *scale, const double *factor, Py_ssize_t width,
    coefficients *result,
) noexcept nogil:
    """Of the derivatives of the cross-entropy, from the sums of all but the largest elements."""
    cdef double unit[2]
    cdef double whole[2]
    cdef double part, of_largest, alone, digits
    cdef real term, tail
    cdef Py_ssize_t j
    for j in range(width):
        exp_of_largest[real](NULL, others.largest[j] - scale.shift[j], scale.exponent[j], unit)
        term = exp_term[real](
            <real> others.largest[j], True, <real> scale.shift[j], <real> scale.exponent[j],
            <real> scale.lowest[j], &tail,
        )
        of_largest = others.ties[j] * unit[0]
        if real is float32:
            part = others.high[j] + others.low[j]
            whole[0] = part + of_largest
            part /= whole[0]
        else:
            whole[0] = others.high[j]
            whole[1] = others.low[j] + (
                others.ties[j] * unit[1] - residual64(others.ties[j], unit[0], of_largest)
            )
            add_exactly(&whole[0], &whole[1], of_largest)
            renormalise(&whole[0], &whole[1])
            part = quotient(others.high[j], others.low[j], whole[0], whole[1])
        result.of_lane[SHARE_OF_OTHERS][j] = part
        whole[0] += others.largest[j] - others.largest[j]
        # More than half of the sum, so that no other element has the same term.
        alone = 1.0 if unit[0] > ABOVE_HALF * whole[0] else 0.0
        digits = set_way_down[real](NULL, j, factor[j], result)
        set_shares[real](NULL, j, whole, unit, term if alone == 1 else INFINITY, digits, result)
        result.of_lane[LARGEST_SHARE][j] *= 1 if factor[j] == digits else factor[j] / digits


cdef inline void prepare_logarithm(
    real *tag, slice_function function, const relative_sums *sums, Py_ssize_t width, coefficients *result
) noexcept nogil:
    """log_softmax, whose logarithm is that of a sum relative to the largest element, and logsumexp."""
    cdef double high[MOST_LANES]
    cdef double low[MOST_LANES]
    cdef double value, tail, part
    cdef bint infinite
    cdef Py_ssize_t j
    for j in range(width):
        if real is float32:
            part = (sums.high[j] + sums.low[j]) * TWO_MINUS_HEADROOM
            high[j] = sums.ties[j] + part
            # What small others lose beside the largest; beside large ones nothing counts.
            low[j] = part - (high[j] - sums.ties[j])
        else:
            high[j] = sums.ties[j]
            low[j] = sums.low[j] * TWO_MINUS_HEADROOM
            add_exactly(&high[j], &low[j], sums.high[j] * TWO_MINUS_HEADROOM)
    if function == LOG_SOFTMAX:
        for j in range(width):
            result.of_lane[LARGEST][j] = sums.largest[j]
            value = log_positive[real](NULL, high[j], low[j], 0, &tail)
            result.of_lane[LOG_SUM][j] = value
            result.of_lane[LOG_SUM_TAIL][j] = tail if real is float64 else value - <real> value
    else:
        for j in range(width):
            infinite = fabs(sums.largest[j]) == INFINITY
            value = log_positive[real](NULL, high[j], low[j], 0 if infinite else sums.largest[j], &tail)
            result.of_lane[RESULT][j] = sums.largest[j] + value if infinite else value


cdef inline void prepare(
    real *tag, slice_function function, const slice_sums *sums, const scaling *scale, Py_ssize_t width,
    coefficients *result,
) noexcept nogil:
    """From the sums of whole slices to the coefficients of their results."""
    if function == SOFTMAX or function == SOFTMAX_OF_X:
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


cdef inline real lift_of(real *tag) noexcept nogil:
    if real is float32:
        return <real> TWO_64
    else:
        return TWO_120


cdef inline real size_of(real term) noexcept nogil:
    """Of a kept term, whose sign is that of its tail."""
    if real is float32:
        return fabsf(term)
    else:
        return fabs(term)


cdef inline real lifted_share(real kept, const real *coefficient, Py_ssize_t apart) noexcept nogil:
    """The part of the sum that a kept term is, lifted so that no digit is lost where it will be subnormal."""
    cdef real inverse = coefficient[RECIPROCAL * apart], tail = coefficient[RECIPROCAL_TAIL * apart]
    cdef real times_tail = coefficient[RECIPROCAL_TIMES_TAIL * apart], term = size_of[real](kept), value
    if FUSED:
        return muladd[real](term, inverse, muladd[real](kept, times_tail, term * tail))
    value = term * inverse
    return value + ((term * tail + kept * times_tail) - residual[real](term, inverse, value))


cdef inline real share(real kept, real down, const real *coefficient, Py_ssize_t apart) noexcept nogil:
    """The part of the sum that a kept term is; that of a largest one that outweighs all others is known
    better.

    The product is rounded before it becomes subnormal, not twice afterwards: it is lifted, and brought
    ``down`` by a power of two.
    """
    # Loaded here, since a load in one branch alone keeps the loop scalar.
    cdef real largest_term = coefficient[LARGEST_TERM * apart], largest = coefficient[LARGEST_SHARE * apart]
    cdef real value = lifted_share[real](kept, coefficient, apart) * down
    return largest if size_of[real](kept) >= largest_term else value


cdef inline real share_of_x(real x, const real *coefficient, Py_ssize_t apart) noexcept nogil:
    """`share` of the term of an element."""
    cdef real tail, term = exp_term[real](
        x, True, coefficient[SHIFT * apart], coefficient[EXPONENT * apart], coefficient[LOWEST * apart], &tail
    )
    return share[real](kept_term[real](term, tail), 1 / lift_of[real](NULL), coefficient, apart)


cdef inline real curvature(real kept, const real *coefficient, Py_ssize_t apart) noexcept nogil:
    """p (1 - p) times a factor; near p = 1 the rest is known better than by the difference."""
    cdef real others = coefficient[SHARE_OF_OTHERS * apart], largest_term = coefficient[LARGEST_TERM * apart]
    cdef real down_to_share = coefficient[DOWN_TO_SHARE * apart]
    cdef real rest = 1 - lifted_share[real](kept, coefficient, apart) * down_to_share
    rest = others if size_of[real](kept) >= largest_term else rest
    return share[real](kept, coefficient[DOWN * apart], coefficient, apart) * rest


cdef inline real element(
    slice_function function, real x, const real *coefficient, Py_ssize_t apart
) noexcept nogil:
    """The result for one element or term; the coefficients of its slice stand ``apart`` from each other."""
    if function == SOFTMAX:
        return share[real](x, 1 / lift_of[real](NULL), coefficient, apart)
    elif function == SOFTMAX_OF_X:
        return share_of_x[real](x, coefficient, apart)
    elif function == LOG_SOFTMAX:
        # Where the tail counts, the difference is the smaller number.
        x = (x - coefficient[LARGEST * apart]) - coefficient[LOG_SUM_TAIL * apart]
        return x - coefficient[LOG_SUM * apart]
    elif function == LOGSUMEXP:
        return coefficient[RESULT * apart]
    elif function == CROSS_ENTROPY_GRADIENT:
        return share[real](x, coefficient[DOWN * apart], coefficient, apart)
    elif function == CROSS_ENTROPY_CURVATURE:
        return curvature[real](x, coefficient, apart)
    elif function == CROSS_ENTROPY:
        return 0
