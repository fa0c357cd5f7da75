"""The mathematics: one branch-free inline function per formula, for float32 and float64.

Error bounds are in units in the last place (ulp) of the exact result and hold for every input. The
constants are printed, and their approximation errors computed, by ``tools/coefficients.sollya``.
"""

from libc.math cimport INFINITY, NAN, fabs, nextafter, nextafterf, nextafterl
from libc.stdint cimport uint64_t

from fastlogit.kernels.arithmetic cimport (
    FUSED, bits32, bits64, float32, float64, from_bits32, from_bits64, longdouble, muladd, muladd32, muladd64,
    real, residual, residual64,
)


cdef extern from *:
    """
    #define TWO_52 0x1p52
    #define TWO_64 0x1p64
    #define TWO_MINUS_64 0x1p-64
    #define TWO_MINUS_96 0x1p-96
    #define HEADROOM 120.0
    #define TWO_MINUS_HEADROOM 0x1p-120
    #define TWO_MINUS_24 0x1p-24f

    /* ln 2 in two parts, the first so short that its product with any exponent is exact. */
    #define LOG2_E 0x1.71547652b82fep0
    #define LN2 0x1.62e42fefa39efp-1
    #define LN2_HIGH 0x1.62e42fefa0000p-1
    #define LN2_LOW 0x1.cf79abc9e3b3ap-40
    #define LN2_HIGH_32 0x1.62e8p-1f
    #define LN2_LOW_32 -0x1.e8082ep-16f

    /* Adding one of these rounds to an integer, which then stands in the low bits of the sum, with the
       bias of an exponent on top. */
    #define ROUND_AND_BIAS (0x1.8p52 + 1023)
    #define ROUND_AND_BIAS_32 (0x1.8p23f + 127)

    /* exp(r) = 1 + r + r^2 (EXP_2 + EXP_3 r + ...), |r| <= 0.3467: half of ln 2, and what the rounding
       of k adds. Relative error 2^-57.9 up to r^11, and 2^-28.2 up to r^6 in float32. */
    #define EXP_2 0x1.000000000000ap-1
    #define EXP_3 0x1.55555555554fep-3
    #define EXP_4 0x1.55555555506acp-5
    #define EXP_5 0x1.1111111126b2ep-7
    #define EXP_6 0x1.6c16c1847c94ap-10
    #define EXP_7 0x1.a01a012ffa329p-13
    #define EXP_8 0x1.a019994c13178p-16
    #define EXP_9 0x1.71df18b9a0df3p-19
    #define EXP_10 0x1.28ae10fc979b5p-22
    #define EXP_11 0x1.ad93720b9f81fp-26
    #define EXP_2_32 0x1.fffffap-2f
    #define EXP_3_32 0x1.555492p-3f
    #define EXP_4_32 0x1.555a26p-5f
    #define EXP_5_32 0x1.123988p-7f
    #define EXP_6_32 0x1.694cd2p-10f

    /* 2 atanh(s) = 2 s + s z (ATANH_1 + z (ATANH_2 + ...)), z = s^2, |s| <= 0.2003. Error 2^-66.3 of 2 s. */
    #define ATANH_1 0x1.5555555555555p-1
    #define ATANH_2 0x1.9999999999b02p-2
    #define ATANH_3 0x1.2492492481d95p-2
    #define ATANH_4 0x1.c71c71d167b42p-3
    #define ATANH_5 0x1.745d1651b8efbp-3
    #define ATANH_6 0x1.3b137085db604p-3
    #define ATANH_7 0x1.1126679ea2801p-3
    #define ATANH_8 0x1.dcc3a23592295p-4
    #define ATANH_9 0x1.f89d9720618efp-4
    """
    const double TWO_52, TWO_64, TWO_MINUS_64, TWO_MINUS_96, HEADROOM, TWO_MINUS_HEADROOM
    const float TWO_MINUS_24
    const double LOG2_E, LN2, LN2_HIGH, LN2_LOW
    const float LN2_HIGH_32, LN2_LOW_32
    const double ROUND_AND_BIAS
    const float ROUND_AND_BIAS_32
    const double EXP_2, EXP_3, EXP_4, EXP_5, EXP_6, EXP_7, EXP_8, EXP_9, EXP_10, EXP_11
    const float EXP_2_32, EXP_3_32, EXP_4_32, EXP_5_32, EXP_6_32
    const double ATANH_1, ATANH_2, ATANH_3, ATANH_4, ATANH_5, ATANH_6, ATANH_7, ATANH_8, ATANH_9


cdef inline void exp_parts(
    real x, real scale, bint careful, real *power, real *p, real *p_tail
) noexcept nogil:
    """exp(x) = 2^-scale * power * (1 + p + p_tail), where power is a power of two and abs(p) < 0.42.

    x = k ln 2 + r and p + p_tail = exp(r) - 1. ``scale``, an integer constant, keeps power = 2^(k + scale)
    normal where 2^k is not; -1022 <= k + scale <= 1023 (float32: -126 to 127) is the caller's to see to.
    A caller that leaves p_tail out does not pay for it: then the roundings of r and p remain, 2^-55
    each. ``careful``, a constant, leaves that of p alone, 2^-55 or in float32 2^-26, for two operations.
    """
    cdef real biased, k, high, low, r, z, z2, q
    if real is float32:
        biased = muladd32(x, <float> LOG2_E, ROUND_AND_BIAS_32 + scale)
        k = biased - (ROUND_AND_BIAS_32 + scale)
        power[0] = from_bits32(bits32(biased) << 23)
        high = muladd32(k, -LN2_HIGH_32, x)
        low = k * -LN2_LOW_32
        r = high + low if careful else muladd32(k, -LN2_LOW_32, high)
        z = r * r
        q = muladd32(
            z,
            muladd32(z, EXP_6_32, muladd32(EXP_5_32, r, EXP_4_32)),
            muladd32(EXP_3_32, r, EXP_2_32),
        )
        p[0] = high + muladd32(z, q, low) if careful else muladd32(z, q, r)
        p_tail[0] = muladd32(z, q, low) - (p[0] - high)
    else:
        biased = muladd64(x, LOG2_E, ROUND_AND_BIAS + scale)
        k = biased - (ROUND_AND_BIAS + scale)
        power[0] = from_bits64(bits64(biased) << 52)
        high = muladd64(k, -LN2_HIGH, x)
        low = k * -LN2_LOW
        r = high + low if careful else muladd64(k, -LN2_LOW, high)
        z = r * r
        z2 = z * z
        q = muladd64(
            z2,
            muladd64(
                z2,
                muladd64(EXP_11, r, EXP_10),
                muladd64(z, muladd64(EXP_9, r, EXP_8), muladd64(EXP_7, r, EXP_6)),
            ),
            muladd64(z, muladd64(EXP_5, r, EXP_4), muladd64(EXP_3, r, EXP_2)),
        )
        p[0] = high + muladd64(z, q, low) if careful else muladd64(z, q, r)
        p_tail[0] = muladd64(z, q, r - p[0]) + muladd64(k, -LN2_LOW, high - r)


cdef inline double atanh_tail(double z) noexcept nogil:
    """(2 atanh(s) - 2 s) / (s z) for z = s^2, |s| <= 0.2003."""
    cdef double p = muladd64(z, ATANH_9, ATANH_8)
    p = muladd64(z, p, ATANH_7)
    p = muladd64(z, p, ATANH_6)
    p = muladd64(z, p, ATANH_5)
    p = muladd64(z, p, ATANH_4)
    p = muladd64(z, p, ATANH_3)
    p = muladd64(z, p, ATANH_2)
    return muladd64(z, p, ATANH_1)


cdef inline real expit(real x) noexcept nogil:
    """1 / (1 + exp(-x)). Largest error seen: 0.89 ulp (float32), 0.98 ulp (float64).

    v = 1 / (1 + exp(abs(x))) is the result for x < 0, and 1 - v for x > 0, where v <= 1/2 makes the
    subtraction cost half an ulp and half of v's own error. With exp(abs(x)) = power * (1 + p) the
    denominator is 1 + power + power * p; its two roundings go into ``tail``, and one Newton step takes
    them and the rounding of the reciprocal off. What is left is the error of p and the last rounding;
    without fused multiply-add p is rounded more often, and its tail goes along.
    All is computed times 2^-96 (float32: 2^-24), so that neither exp nor a product that the residual
    splits overflows, and a subnormal result is rounded from a normal one. Above 746 (104) v is less than
    half the smallest subnormal.
    """
    cdef real a = fabs(x), power, p, p_tail, one, whole, denominator, tail, v, farthest
    if real is float32:
        one = TWO_MINUS_24
        farthest = 104
        exp_parts[float32](a, -24, True, &power, &p, &p_tail)
    else:
        one = TWO_MINUS_96
        farthest = 746
        exp_parts[float64](a, -96, False, &power, &p, &p_tail)
    whole = power + one
    denominator = muladd[real](power, p, whole)
    tail = muladd[real](power, p, whole - denominator) + (one - (whole - power))
    if not FUSED:
        tail = tail + power * p_tail
    v = 1 / denominator
    v = muladd[real](v, residual[real](v, tail, residual[real](v, denominator, 1)), v)
    v = v * one
    v = 0 if a > farthest else v
    return v if x < 0 else 1 - v


cdef inline real log_expit(real x) noexcept nogil:
    """log(1 / (1 + exp(-x))) = min(x, 0) - log1p(E), E = exp(-abs(x)). Largest error seen: 0.50, 0.79 ulp.

    log1p(E) = h ln 2 + 2 atanh(s), s = (1 + E - 2^h) / (1 + E + 2^h), where h = 0 for E < 1/2, else 1: so s
    stays within 1/5, and for large x nothing is lost, since then log1p(E) is 2 s (1 + ...).
    float64 carries the roundings of E, of the quotient and of the leading sum, and computes all times
    2^64, so that a subnormal result is rounded from a normal one. float32 is the same formula in float64
    arithmetic without them. Below -746 the result is x, above it is 0.
    """
    cdef double a, power, p, p_tail, negative, h, leading, numerator, denominator, s, z, total
    cdef double exp_a, scaled, exp_p, exp_p_tail, tail, reciprocal, error, rest, farthest
    a = -fabs(x)
    negative = x if x < 0 else -0.0
    h = 1.0 if a > -LN2 else 0.0
    if real is float32:
        farthest = -104
        exp_parts[float64](a, 0, False, &power, &p, &p_tail)
        exp_a = muladd64(power, p, power)
        s = (exp_a - h) / (exp_a + (2 + h))
        z = s * s
        leading = muladd64(h, -LN2, negative)
        total = leading - muladd64(s * z, atanh_tail(z), s + s)
    else:
        farthest = -746
        exp_parts[float64](a, 64, False, &scaled, &p, &p_tail)
        power = scaled * TWO_MINUS_64
        exp_p = 1 + p
        exp_p_tail = (p - (exp_p - 1)) + p_tail
        numerator = muladd64(scaled, exp_p, h * -TWO_64)
        denominator = muladd64(power, exp_p, 2 + h)
        tail = muladd64(power, exp_p_tail, muladd64(power, exp_p, (2 + h) - denominator))
        reciprocal = 1 / denominator
        s = numerator * reciprocal
        error = residual64(s, denominator, numerator) + residual64(s, tail, scaled * exp_p_tail)
        z = (s * TWO_MINUS_64) * (s * TWO_MINUS_64)
        leading = muladd64(h, -LN2_HIGH, negative)
        tail = muladd64(h, -LN2_LOW, muladd64(h, -LN2_HIGH, -leading) + negative)
        leading = leading * TWO_64
        total = muladd64(s, -2, leading)
        rest = muladd64(s, -2, leading - total)
        rest = muladd64(tail, TWO_64, rest)
        rest = muladd64(error * reciprocal, -2, rest)
        rest = muladd64(-s * z, atanh_tail(z), rest)
        total = (total + rest) * TWO_MINUS_64
    return <real> (negative if a < farthest else total)


cdef inline double nearest_power(double x, double y, double *power) noexcept nogil:
    """k, and 2^k near x / y, for positive normal x and y.

    The difference of two bit patterns is a piecewise linear log2 of the quotient, at most 0.09 off:
    abs(log2(x / y) - k) < 0.59.
    """
    # 0x3ff... is the exponent of 1.0, and half a unit of exponent rounds to the nearest.
    cdef uint64_t power_bits = (
        bits64(x) - bits64(y) + <uint64_t> 0x3ff8000000000000
    ) & <uint64_t> 0xfff0000000000000
    power[0] = from_bits64(power_bits)
    # An exponent put into the low bits of 2^52 and 2^52 taken off: the conversion that AVX2 lacks.
    return from_bits64((power_bits >> 52) | <uint64_t> 0x4330000000000000) - (TWO_52 + 1023)


cdef inline double log_of_quotient(
    double k, double numerator, double numerator_tail, double denominator, double denominator_tail
) noexcept nogil:
    """k ln 2 + 2 atanh(s), s = numerator / denominator, abs(s) < 0.2003, the roundings carried along."""
    cdef double reciprocal = 1 / denominator, s = numerator * reciprocal, error, leading, total, rest, z
    error = residual64(s, denominator, numerator) + residual64(s, denominator_tail, numerator_tail)
    z = s * s
    leading = k * LN2_HIGH
    total = muladd64(s, 2, leading)
    rest = muladd64(s, 2, leading - total)
    rest = muladd64(k, LN2_LOW, rest)
    rest = muladd64(error, reciprocal + reciprocal, rest)
    return total + muladd64(s * z, atanh_tail(z), rest)


cdef inline double log_positive(real *tag, double high, double low) noexcept nogil:
    """log(high + low) for a positive normal ``high`` and a small ``low``, also near 1: exact to 0.6 ulp.

    To the precision of float32 the roundings are not carried along: 2^-48.
    """
    cdef double power, k, numerator, denominator, s, z
    k = nearest_power(high, 1.0, &power)
    # Next to 1 the difference from it is all that counts, however small beside ``high``.
    numerator = (high - power) + low
    denominator = high + power
    if real is float32:
        s = numerator / denominator
        z = s * s
        return muladd64(k, LN2, muladd64(s * z, atanh_tail(z), s + s))
    else:
        return log_of_quotient(
            k, numerator, low - (numerator - (high - power)), denominator, ((power - denominator) + high) + low
        )


cdef inline real log_odds(real x) noexcept nogil:
    """log(x / (1 - x)) for 0 < x < 1. Largest error seen: 0.50 ulp (float32), 0.60 ulp (float64).

    With 2^k near x / (1 - x), s = (x - 2^k (1 - x)) / (x + 2^k (1 - x)) and the result is
    k ln 2 + 2 atanh(s). For k = 0 the quotient is 2 x - 1 itself, so nothing is lost around 1/2.
    x is taken times 2^64 beforehand, which makes subnormals normal. float64 carries the rounding of
    1 - x, of the quotient and of the leading sum; float32 is the same formula in float64 arithmetic
    without them.
    """
    cdef double p = x, q = 1 - p, q_tail, scaled = p * TWO_64, power, k, part, denominator, s, z, total
    k = nearest_power(scaled, q, &power) - 64
    part = power * q
    denominator = scaled + part
    if real is float32:
        s = (scaled - part) / denominator
        z = s * s
        total = muladd64(k, LN2, muladd64(s * z, atanh_tail(z), s + s))
    else:
        q_tail = power * ((1 - q) - p)
        total = log_of_quotient(
            k, scaled - part, -q_tail, denominator, ((part - denominator) + scaled) + q_tail
        )
    return <real> total


cdef inline real logit(real x) noexcept nogil:
    """log(x / (1 - x)): -inf at 0, inf at 1, NaN outside."""
    cdef real edge = -INFINITY if x == 0 else INFINITY if x == 1 else NAN
    return log_odds(x) if 0 < x and x < 1 else edge


cdef inline real clamped_logit(real x, real lower, real upper) noexcept nogil:
    """logit of x brought into [lower, upper]; NaN stays NaN."""
    x = lower if x < lower else x
    x = upper if x > upper else x
    return logit(x)


ctypedef fused any_real:
    float32
    float64
    longdouble


cdef inline void clamp_bounds(double eps, any_real *lower, any_real *upper) noexcept nogil:
    """eps and 1 - eps in the arithmetic of the type, neither of them 0 or 1 unless eps is 0."""
    cdef any_real smallest, largest
    lower[0] = <any_real> eps
    upper[0] = 1 - lower[0]
    if eps > 0:
        if any_real is float32:
            smallest = nextafterf(0, 1)
            largest = nextafterf(1, 0)
        elif any_real is float64:
            smallest = nextafter(0, 1)
            largest = nextafter(1, 0)
        else:
            smallest = nextafterl(0, 1)
            largest = nextafterl(1, 0)
        lower[0] = max(lower[0], smallest)
        upper[0] = min(upper[0], largest)


cdef inline void exp_term(
    real x, real shift, real scale, real lowest, bint careful, real *power, real *p
) noexcept nogil:
    """exp(x - shift) * 2^scale = power * (1 + p): a term of a sum. NaN for NaN.

    What `exp_range` chose for a slice: ``shift`` is the largest element where that is so large that x - shift
    is exact for every x that counts, else 0. So no difference is rounded before it is exponentiated,
    and 2^scale alone brings the term into range. What is left is the error of p, 2^-54 (float32: 2^-25).
    """
    cdef real difference = x - shift, p_tail
    difference = lowest if difference < lowest else difference
    exp_parts[real](difference, scale, careful, power, p, &p_tail)


cdef inline void exp_range(real largest, real *shift, real *scale, real *lowest) noexcept nogil:
    """What `exp_term` needs for a slice with this largest element, if it is finite.

    A term counts down to 2^-1138 (float32: 2^-213) of the largest: 2^63 terms of that size do not reach
    half the smallest subnormal. The largest is near 2^120 (2^90), so that the smallest that counts is still
    normal, and x - largest is exact by Sterbenz's lemma where abs(largest) exceeds twice that range.
    """
    cdef real range_of_terms, headroom
    if real is float32:
        range_of_terms = 148
        headroom = 90
    else:
        range_of_terms = 789
        headroom = HEADROOM
    shift[0] = largest if fabs(largest) > 2 * range_of_terms else 0
    if real is float32:
        scale[0] = muladd32(largest - shift[0], <float> LOG2_E, ROUND_AND_BIAS_32) - ROUND_AND_BIAS_32
    else:
        scale[0] = muladd64(largest - shift[0], LOG2_E, ROUND_AND_BIAS) - ROUND_AND_BIAS
    scale[0] = headroom - scale[0]
    lowest[0] = (largest - shift[0]) - range_of_terms


cdef inline void exp_double(double x, double scale, double *high, double *low) noexcept nogil:
    """exp(x) * 2^scale as a sum of two doubles."""
    cdef double power, p, p_tail
    exp_parts[float64](x, scale, False, &power, &p, &p_tail)
    high[0] = muladd64(power, p, power)
    low[0] = muladd64(power, p, power - high[0]) + power * p_tail
