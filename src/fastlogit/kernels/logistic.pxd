"""The loss of one logit: binary cross-entropy, its first and its second derivative.

All is made of E = exp(-abs(z)): log1p(E), E / (1 + E) and 1 / (1 + E). They carry what their roundings lose
up to the last. float32 is computed in float32 where E is far from subnormal, and with weights the rest of the
way in float64; what is added up in float64 are the losses as rounded to float32.
"""

from libc.math cimport INFINITY, fabs, fabsf

from fastlogit.kernels.arithmetic cimport (
    FUSED, float32, float64, muladd32, muladd64, real, residual32, residual64, residual_with_tail32,
    residual_with_tail64,
)
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.formulas cimport (
    ATANH_1_32, ATANH_2_32, ATANH_3_32, ATANH_4_32, ATANH_5_32, LN2, LN2_HIGH,
    LN2_LOW, atanh_tail, exp_parts,
)


cdef extern from *:
    """
    #define TWO_MINUS_500 0x1p-500
    """
    const double TWO_MINUS_500

cdef enum:
    USUAL_LOGIT = 690  # abs(z) up to which E is normal
    # In float32 E is above 2^-93 up to here, so that the tails of its quotients are normal, too.
    USUAL_LOGIT_32 = 64
    # Up to here 2^500 E is normal, 1522 ln 2 = 1054.97. Beyond E counts as 0: it takes weights of more than
    # 2^447 to make the smallest subnormal of it.
    LARGEST_LOGIT = 1054


cdef struct logistic:
    double log1p  # log(1 + E) = log1p + log1p_tail, in units of ``unit``
    double log1p_tail
    double lesser  # E / (1 + E), in units of ``unit``
    double larger  # 1 / (1 + E)
    double unit  # 1, or 2^-500 where E may be subnormal


cdef struct logistic32:
    float log1p
    float lesser
    float larger


cdef inline logistic32 logistic_parts32(float z) noexcept nogil:
    """In float32 arithmetic, for abs(z) <= USUAL_LOGIT_32. log1p(E) = 2 atanh(E / (2 + E)), whose terms are
    all positive, is within 1.31 half units of itself, E / (1 + E) within 2.54, of all inputs: sums and
    quotients keep what their rounding loses.
    """
    cdef logistic32 parts
    cdef float power, p, p_tail, E, E_tail, one, one_tail, denominator, denominator_tail, inverse, reciprocal
    cdef float s, s_tail, square, q, unit = 1
    exp_parts[float32](-fabsf(z), 0, True, &power, &p, &p_tail)
    E = muladd32(power, p, power)
    E_tail = muladd32(power, p, power - E) + power * p_tail
    # A literal 1 would be a double.
    one = unit + E
    one_tail = ((unit - one) + E) + E_tail
    denominator = one + unit
    denominator_tail = ((unit - denominator) + one) + one_tail
    inverse = unit / (one * denominator)
    reciprocal = inverse * one
    s = E * reciprocal
    s_tail = (residual32(s, denominator, E) + muladd32(-s, denominator_tail, E_tail)) * reciprocal
    square = s * s
    q = muladd32(square, ATANH_5_32, ATANH_4_32)
    q = muladd32(square, q, ATANH_3_32)
    q = muladd32(square, q, ATANH_2_32)
    q = muladd32(square, q, ATANH_1_32)
    parts.log1p = (s + s) + muladd32(s * square, q, s_tail + s_tail)
    parts.larger = inverse * denominator
    parts.larger = muladd32(
        parts.larger, residual_with_tail32(parts.larger, one, one_tail, unit), parts.larger
    )
    parts.lesser = muladd32(E_tail, parts.larger, E * parts.larger)
    return parts


cdef inline logistic logistic_parts(real *tag, double z, bint usual) noexcept nogil:
    """``usual``, a constant, says that abs(z) <= USUAL_LOGIT, in float32 USUAL_LOGIT_32.

    float64: log1p(E) = h ln 2 - 2 atanh(s) as in `log_expit_within`, within 0.45 ulp before the last
    rounding. One division serves 1 + E and the denominator of s: what that costs in digits, the residuals
    give back. float32: `logistic_parts32`, and beyond E itself, which is 0 from USUAL_LOGIT on.
    """
    cdef logistic32 parts32
    cdef logistic parts
    cdef double a = fabs(z), bounded = a, near_zero = z
    cdef double h, base, power, p, p_tail, part, numerator, denominator, whole
    cdef double one, one_tail, inverse, reciprocal, s, error, leading, rest, beyond
    cdef double numerator_tail, denominator_tail
    if not usual:
        # Far from the subnormal numbers, which are slow, where the result is taken from ``beyond``.
        bounded = 1 if a > USUAL_LOGIT else a
        near_zero = 1 if a > USUAL_LOGIT_32 else z
    parts.unit = 1
    if real is float32:
        parts32 = logistic_parts32(<float> near_zero)
        parts.log1p, parts.lesser, parts.larger = parts32.log1p, parts32.lesser, parts32.larger
        parts.log1p_tail = 0
        if not usual:
            exp_parts[float64](-bounded, 0, False, &power, &p, &p_tail)
            beyond = 0 if a > USUAL_LOGIT else muladd64(power, p, power)
            parts.log1p = beyond if a > USUAL_LOGIT_32 else parts.log1p
            parts.lesser = beyond if a > USUAL_LOGIT_32 else parts.lesser
            parts.larger = 1 if a > USUAL_LOGIT_32 else parts.larger
        return parts
    h = 1.0 if bounded < LN2 else 0.0
    base = (h + 1) + (h + 1)
    exp_parts[float64](-bounded, 0, True, &power, &p, &p_tail)
    part = power * p
    numerator = (h - power) - part
    denominator = base - numerator
    whole = 1 + power
    one = whole + part
    inverse = 1 / (one * denominator)
    reciprocal = inverse * one
    s = numerator * reciprocal
    parts.larger = inverse * denominator
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
        exp_parts[float64](-bounded, 500, True, &power, &p, &p_tail)
        beyond = 0 if a > LARGEST_LOGIT else muladd64(power, p, power)
        parts.log1p = beyond if a > USUAL_LOGIT else parts.log1p
        parts.log1p_tail = 0 if a > USUAL_LOGIT else parts.log1p_tail
        parts.lesser = beyond if a > USUAL_LOGIT else parts.lesser
        parts.larger = 1 if a > USUAL_LOGIT else parts.larger
        parts.unit = TWO_MINUS_500 if a > USUAL_LOGIT else 1
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
    cdef float z32, t32, label32, wrong32, larger32, one32 = 1, zero32 = 0
    if real is float32 and usual:
        # Selected in float32, whose vectors are twice as long.
        z32 = <float> z
        label32 = <float> label
        t32 = -z32 if label32 == one32 else z32
        larger32 = <float> parts.larger
        wrong32 = <float> parts.lesser if t32 <= zero32 else larger32
        result.gradient = -wrong32 if label32 == one32 else wrong32
        result.curvature = <float> parts.lesser * larger32
        t32 = t32 if t32 > zero32 else zero32
        result.loss = t32 + <float> near
        return result
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
    c = 0 leaves the digits of log1p(E), and those of E to the gradient. A label without weights gets the bits
    of `loss_of_label`. float64 carries the roundings of all sums and products and is within 1 ulp; but where
    abs(z) > USUAL_LOGIT and c abs(z) is subnormal. A weight of 0 silences even NaN. The derivatives are
    w (b p - a (1 - p)) and w (a + b) p (1 - p), without such care.
    """
    cdef loss_and_derivatives result
    cdef logistic parts = logistic_parts[real](NULL, z, usual)
    cdef double distance = fabs(z), a = positive_weight * target, b = 1 - target, both = a, c, high, tail
    cdef double a_tail, b_tail, both_tail = 0, c_tail, far, far_tail, near, near_tail, inner, outer, product
    cdef double lesser, p, q, silent
    add_exactly(&both, &both_tail, b)
    c = b if z > 0 else a
    far = c * distance
    far = 0 if c == 0 else far
    near = both * parts.log1p
    inner = 1 if far == 0 else parts.unit
    outer = parts.unit if far == 0 else 1
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
        near = near * inner
        high = far
        tail = 0
        add_exactly(&high, &tail, near)
        tail = muladd64(near_tail, inner, tail + far_tail)
        product = weight * high
        tail = muladd64(weight, tail, -residual64(weight, high, product))
        tail = tail if fabs(product) < INFINITY else 0
        result.loss = (product + tail) * outer
    lesser = parts.lesser * inner
    p = parts.larger if z > 0 else lesser
    q = lesser if z > 0 else parts.larger
    result.gradient = (weight * (b * p - a * q)) * outer
    result.curvature = (weight * (both * (parts.lesser * parts.larger))) * parts.unit
    # Two conditions in one test would keep the loop scalar.
    silent = 1 if weight == 0 else 0
    silent = 1 if both == 0 else silent
    result.loss = 0 if silent == 1 else result.loss
    result.gradient = 0 if silent == 1 else result.gradient
    result.curvature = 0 if silent == 1 else result.curvature
    return result
