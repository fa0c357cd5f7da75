"""The loss of one logit: binary cross-entropy, its first and its second derivative.

All is made of E = exp(-abs(z)): log1p(E), E / (1 + E) and 1 / (1 + E). float32 is computed in float64
arithmetic, so that its roundings do not count beside the last one, and a sum of many losses has float64
digits. float64 carries what its roundings lose up to the last.
"""

from libc.math cimport INFINITY, fabs

from fastlogit.kernels.arithmetic cimport FUSED, float32, float64, muladd64, real, residual64, residual_with_tail64
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.formulas cimport (
    LN2, LN2_HIGH, LN2_LOW, TWO_MINUS_96, atanh_for_float, atanh_tail, exp_parts,
)


cdef enum:
    # abs(z) up to which E is normal, and 2^96 E beyond.
    USUAL_LOGIT = 690
    LARGEST_LOGIT = 746  # beyond, E is less than half the smallest subnormal


cdef struct logistic:
    double log1p  # log(1 + E) = log1p + log1p_tail, in units of ``unit``
    double log1p_tail
    double lesser  # E / (1 + E), in units of ``unit``
    double larger  # 1 / (1 + E)
    double unit  # 1, or 2^-96 where E may be subnormal


cdef inline logistic logistic_parts(real *tag, double z, bint usual) noexcept nogil:
    """``usual``, a constant, says that abs(z) <= USUAL_LOGIT; float32 needs no more than is computed there.

    log1p(E) = h ln 2 - 2 atanh(s) as in `log_expit_within`, within 0.45 ulp before the last rounding. One
    division serves 1 + E and the denominator of s: what that costs in digits, the residuals give back.
    """
    cdef logistic parts
    cdef double a = fabs(z), bounded = a, h, base, power, p, p_tail, part, numerator, denominator, whole
    cdef double one, one_tail, inverse, reciprocal, s, error, leading, rest, beyond
    cdef double numerator_tail, denominator_tail
    if real is float32 or not usual:
        bounded = USUAL_LOGIT if a > USUAL_LOGIT else a
    h = 1.0 if bounded < LN2 else 0.0
    base = (h + 1) + (h + 1)
    exp_parts[float64](-bounded, 0, real is float64, &power, &p, &p_tail)
    part = power * p
    numerator = (h - power) - part
    denominator = base - numerator
    whole = 1 + power
    one = whole + part
    inverse = 1 / (one * denominator)
    reciprocal = inverse * one
    s = numerator * reciprocal
    parts.larger = inverse * denominator
    parts.unit = 1
    if real is float32:
        parts.log1p = muladd64(h, LN2, -atanh_for_float(s))
        parts.log1p_tail = 0
        parts.lesser = (power + part) * parts.larger
        return parts
    numerator_tail = ((h - power) - numerator) - part
    one_tail = ((whole - one) + part) + (power - (whole - 1))
    if not FUSED:
        numerator_tail = numerator_tail - power * p_tail
        one_tail = one_tail + power * p_tail
    denominator_tail = ((base - denominator) - numerator) - numerator_tail
    error = residual64(s, denominator, numerator) + muladd64(-s, denominator_tail, numerator_tail)
    leading = h * LN2_HIGH
    parts.log1p = leading - (s + s)
    rest = ((leading - parts.log1p) - (s + s)) + h * LN2_LOW
    rest = muladd64(-error, reciprocal + reciprocal, rest)
    parts.log1p_tail = muladd64(-s * (s * s), atanh_tail(s * s), rest)
    parts.larger = muladd64(
        parts.larger, residual_with_tail64(parts.larger, one, one_tail, 1), parts.larger
    )
    parts.lesser = muladd64(part, parts.larger, power * parts.larger)
    if not usual:
        bounded = LARGEST_LOGIT if a > LARGEST_LOGIT else a
        exp_parts[float64](-bounded, 96, True, &power, &p, &p_tail)
        beyond = muladd64(power, p, power)
        parts.log1p = beyond if a > USUAL_LOGIT else parts.log1p
        parts.log1p_tail = 0 if a > USUAL_LOGIT else parts.log1p_tail
        parts.lesser = beyond if a > USUAL_LOGIT else parts.lesser
        parts.larger = 1 if a > USUAL_LOGIT else parts.larger
        parts.unit = TWO_MINUS_96 if a > USUAL_LOGIT else 1
    return parts


cdef struct loss_and_derivatives:
    double loss
    double gradient
    double curvature


cdef inline loss_and_derivatives loss_of_label(
    real *tag, double z, bint usual, double label
) noexcept nogil:
    """softplus(t) and its derivatives, t = -z where the label is 1 and z where it is 0."""
    cdef loss_and_derivatives result
    cdef logistic parts = logistic_parts[real](NULL, z, usual)
    cdef double t = -z if label == 1 else z, near = parts.log1p, near_tail = parts.log1p_tail, high, tail
    cdef double lesser = parts.lesser * parts.unit, wrong, outer
    if real is float32:
        result.loss = near if t <= 0 else t + near
    else:
        outer = parts.unit if t <= 0 else 1
        near = near if t <= 0 else near * parts.unit
        high = 0 if t <= 0 else t
        tail = 0
        add_exactly(&high, &tail, near)
        tail = tail + near_tail
        # The tail of an infinite number is none.
        tail = tail if high < INFINITY else 0
        result.loss = (high + tail) * outer
    wrong = lesser if t <= 0 else parts.larger
    result.gradient = -wrong if label == 1 else wrong
    result.curvature = lesser * parts.larger
    return result


cdef inline loss_and_derivatives loss_of_target(
    real *tag, double z, bint usual, double target, double weight, double positive_weight
) noexcept nogil:
    """w (a softplus(-z) + b softplus(z)), a = positive_weight target, b = 1 - target, and its derivatives.

    That is w (c abs(z) + (a + b) log1p(E)), c the weight of the side that z is not on: nothing cancels, and
    c = 0 leaves the digits of log1p(E). A label without weights gets the bits of `loss_of_label`. float64
    carries the roundings of all sums and products and is within 1 ulp; but where abs(z) > USUAL_LOGIT and
    c abs(z) is subnormal. A weight of 0 silences even NaN. The derivatives are w (b p - a (1 - p)) and
    w (a + b) p (1 - p), without such care.
    """
    cdef loss_and_derivatives result
    cdef logistic parts = logistic_parts[real](NULL, z, usual)
    cdef double distance = fabs(z), a = positive_weight * target, b = 1 - target, both = a, c, high, tail
    cdef double a_tail, b_tail, both_tail = 0, c_tail, far, far_tail, near, near_tail, inner, outer, product
    cdef double lesser = parts.lesser * parts.unit, p, q, silent
    add_exactly(&both, &both_tail, b)
    c = b if z > 0 else a
    far = c * distance
    far = 0 if c == 0 else far
    near = both * parts.log1p
    if real is float32:
        result.loss = weight * (far + near)
    else:
        a_tail = -residual64(positive_weight, target, a)
        b_tail = (1 - b) - target
        both_tail = both_tail + (a_tail + b_tail)
        c_tail = b_tail if z > 0 else a_tail
        far_tail = muladd64(c_tail, distance, -residual64(c, distance, far))
        far_tail = 0 if c == 0 else far_tail
        near_tail = both * parts.log1p_tail + both_tail * parts.log1p - residual64(both, parts.log1p, near)
        inner = 1 if far == 0 else parts.unit
        outer = parts.unit if far == 0 else 1
        near = near * inner
        high = far
        tail = 0
        add_exactly(&high, &tail, near)
        tail = muladd64(near_tail, inner, tail + far_tail)
        product = weight * high
        tail = muladd64(weight, tail, -residual64(weight, high, product))
        tail = tail if fabs(product) < INFINITY else 0
        result.loss = (product + tail) * outer
    p = parts.larger if z > 0 else lesser
    q = lesser if z > 0 else parts.larger
    result.gradient = weight * (b * p - a * q)
    result.curvature = weight * (both * (lesser * parts.larger))
    # Two conditions in one test would keep the loop scalar.
    silent = 1 if weight == 0 else 0
    silent = 1 if both == 0 else silent
    result.loss = 0 if silent == 1 else result.loss
    result.gradient = 0 if silent == 1 else result.gradient
    result.curvature = 0 if silent == 1 else result.curvature
    return result
