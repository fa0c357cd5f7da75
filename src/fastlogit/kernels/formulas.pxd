"""The mathematics: one branch-free inline function per formula, for float32 and float64.

Error bounds are in units in the last place (ulp) of the exact result and hold for every input. The
constants are printed, and their approximation errors computed, by ``tools/coefficients.sollya``.
"""

from libc.math cimport INFINITY, NAN, fabs, nextafter, nextafterf, nextafterl
from libc.stdint cimport uint64_t

from fastlogit.kernels.arithmetic cimport (
    bits32, bits64, float32, float64, from_bits32, from_bits64, longdouble, muladd, muladd32, muladd64,
    real, residual, residual64,
)


cdef extern from *:
    """
    #define TWO_64 0x1p64
    #define TWO_MINUS_64 0x1p-64
    #define TWO_24 0x1p24f
    #define TWO_MINUS_24 0x1p-24f

    /* ln 2 in two parts, the first so short that its product with any exponent is exact. */
    #define LOG2_E 0x1.71547652b82fep0
    #define LN2 0x1.62e42fefa39efp-1
    #define LN2_HIGH 0x1.62e42fefa0000p-1
    #define LN2_LOW 0x1.cf79abc9e3b3ap-40
    #define LN2_HIGH_32 0x1.62e4p-1f
    #define LN2_LOW_32 0x1.7f7d1cp-20f

    /* Adding one of these rounds to an integer k, which then stands in the low bits of the sum; what
       follows 0x1.8p52 makes of those bits the biased exponent of 2^(k + 64) (float32: 2^(k + 24)). */
    #define ROUND_AND_BIAS (0x1.8p52 + 1023 + 64)
    #define ROUND_AND_BIAS_32 (0x1.8p23f + 127 + 24)

    /* r coth(r/2) = 2 + z (COTH_1 + z (COTH_2 + ...)), z = r^2, |r| <= 0.3467 (half of ln 2 and what the
       rounding of k adds). Error of exp(r): 2^-60.0 with five terms, 2^-28.7 with two in float32. */
    #define COTH_1 0x1.555555555553ep-3
    #define COTH_2 -0x1.6c16c16bebbd4p-9
    #define COTH_3 0x1.1566aaf204719p-14
    #define COTH_4 -0x1.bbd41b6f0458ap-20
    #define COTH_5 0x1.6376280f63866p-25
    #define COTH_1_32 0x1.55551ep-3f
    #define COTH_2_32 -0x1.6aa3d2p-9f

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
    const double TWO_64, TWO_MINUS_64
    const float TWO_24, TWO_MINUS_24
    const double LOG2_E, LN2, LN2_HIGH, LN2_LOW
    const float LN2_HIGH_32, LN2_LOW_32
    const double ROUND_AND_BIAS
    const float ROUND_AND_BIAS_32
    const double COTH_1, COTH_2, COTH_3, COTH_4, COTH_5
    const float COTH_1_32, COTH_2_32
    const double ATANH_1, ATANH_2, ATANH_3, ATANH_4, ATANH_5, ATANH_6, ATANH_7, ATANH_8, ATANH_9


cdef inline void exp_ratio(
    real a, real *scaled_power, real *power, real *below, real *above, real *above_tail
) noexcept nogil:
    """exp(a) = power * (above + above_tail) / below for -746 <= a <= 0 (float32: -104 <= a).

    a = k ln 2 + r and power = 2^k; then exp(r) = (A + r) / (A - r) with the even function
    A = r coth(r/2), which needs half the coefficients of exp itself. ``below`` is A - r as rounded:
    above = below + 2 r, so an error d of below changes 2 r / below, and the quotient, by at most 0.42 d,
    and only ``above`` has a tail. ``scaled_power`` is 2^(k + 64) (float32: 2^(k + 24)), which is normal
    where 2^k itself is subnormal.
    """
    cdef real biased, k, r, z, coth
    if real is float32:
        biased = muladd32(a, <float> LOG2_E, ROUND_AND_BIAS_32)
        k = biased - ROUND_AND_BIAS_32
        scaled_power[0] = from_bits32(bits32(biased) << 23)
        power[0] = scaled_power[0] * TWO_MINUS_24
        r = muladd32(k, -LN2_LOW_32, muladd32(k, -LN2_HIGH_32, a))
        z = r * r
        coth = muladd32(z, COTH_2_32, COTH_1_32)
    else:
        biased = muladd64(a, LOG2_E, ROUND_AND_BIAS)
        k = biased - ROUND_AND_BIAS
        scaled_power[0] = from_bits64(bits64(biased) << 52)
        power[0] = scaled_power[0] * TWO_MINUS_64
        r = muladd64(k, -LN2_LOW, muladd64(k, -LN2_HIGH, a))
        z = r * r
        coth = muladd64(z, COTH_5, COTH_4)
        coth = muladd64(z, coth, COTH_3)
        coth = muladd64(z, coth, COTH_2)
        coth = muladd64(z, coth, COTH_1)
    below[0] = 2 + muladd[real](z, coth, -r)
    above[0] = muladd[real](r, 2, below[0])
    above_tail[0] = muladd[real](r, 2, below[0] - above[0])


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
    """1 / (1 + exp(-x)).

    v = E / (1 + E) with E = exp(-abs(x)) = power * above / below is the result for x < 0, and 1 - v for
    x > 0, where v <= 1/2 makes the subtraction cost half an ulp and half of v's own error. The quotient
    above / (below + power * above) is corrected once by its residual, which holds the roundings of
    numerator, denominator and reciprocal; what is left are r, ``below`` and the last rounding.
    The power of two comes last, through 2^64 (2^24), so that subnormal results are rounded once more
    and not lost. Below ``-746`` (``-104``) the result is less than half the smallest subnormal.
    """
    cdef real a, scaled_power, power, below, above, above_tail
    cdef real denominator, denominator_tail, reciprocal, v, error
    a = -fabs(x)
    exp_ratio[real](a, &scaled_power, &power, &below, &above, &above_tail)
    denominator = muladd[real](power, above, below)
    denominator_tail = muladd[real](
        power, above_tail, muladd[real](power, above, below - denominator)
    )
    reciprocal = 1 / denominator
    v = above * reciprocal
    error = residual[real](v, denominator, above) + residual[real](v, denominator_tail, above_tail)
    v = muladd[real](error, reciprocal, v)
    if real is float32:
        v = 0 if a < -104 else v * scaled_power
        v = v * TWO_MINUS_24
    else:
        v = 0 if a < -746 else v * scaled_power
        v = v * TWO_MINUS_64
    return v if x < 0 else 1 - v


cdef inline real log_expit(real x) noexcept nogil:
    """log(1 / (1 + exp(-x))) = min(x, 0) - log1p(E), E = exp(-abs(x)).

    log1p(E) = h ln 2 + 2 atanh(numerator / denominator), where h = 0 for E <= 1/2, else 1, and
    numerator / denominator = (1 + E - 2^h) / (1 + E + 2^h); with E = power * above / below one division
    does. So s stays within 1/5, and for large x nothing is lost: log1p(E) is 2 s (1 + ...).
    float64 carries the roundings of the quotient and of the leading sum, all times 2^64 so that a
    subnormal result is rounded from a normal one. float32 is the same formula in float64 arithmetic
    without them.
    """
    cdef double a, scaled_power, power, below, above, above_tail
    cdef double leading, leading_tail, numerator, denominator, scaled, negative
    cdef double multiple, removed, ln2_high, ln2_low, total, rest, reciprocal, error, s, z
    cdef bint half
    a = -fabs(x)
    exp_ratio[float64](a, &scaled_power, &power, &below, &above, &above_tail)
    half = a > -LN2
    negative = x if x < 0 else -0.0
    multiple = 3.0 if half else 2.0
    scaled = power * above
    denominator = muladd64(multiple, below, scaled)
    if real is float32:
        removed = -1.0 if half else 0.0
        leading = (-LN2 if half else 0.0) + negative
        s = muladd64(removed, below, scaled) / denominator
        z = s * s
        total = leading - muladd64(s * z, atanh_tail(z), s + s)
    else:
        removed = -TWO_64 if half else 0.0
        ln2_high = -LN2_HIGH if half else 0.0
        ln2_low = -LN2_LOW if half else 0.0
        leading = ln2_high + negative
        leading_tail = (ln2_high - leading) + negative + ln2_low
        leading = leading * TWO_64
        numerator = muladd64(scaled_power, above, removed * below)
        reciprocal = 1 / denominator
        s = numerator * reciprocal
        error = (
            residual64(s, denominator, numerator)
            + residual64(
                s,
                muladd64(power, above_tail, muladd64(multiple, below, -denominator) + scaled),
                scaled_power * above_tail,
            )
        )
        z = (s * TWO_MINUS_64) * (s * TWO_MINUS_64)
        total = muladd64(s, -2, leading)
        rest = muladd64(s, -2, leading - total)
        rest = muladd64(leading_tail, TWO_64, rest)
        rest = muladd64(error * reciprocal, -2, rest)
        rest = muladd64(-s * z, atanh_tail(z), rest)
        total = (total + rest) * TWO_MINUS_64
    return <real> (negative if a < -746 else total)


cdef inline real log_odds(real x) noexcept nogil:
    """log(x / (1 - x)) for 0 < x < 1.

    With k so that x / (1 - x) / 2^k is near 1, s = (x - 2^k (1 - x)) / (x + 2^k (1 - x)) and the result is
    k ln 2 + 2 atanh(s). For k = 0 the quotient is 2 x - 1 itself, so nothing is lost around 1/2. k comes
    from the difference of the bit patterns of x and 1 - x, a piecewise linear log2 that is at most 0.09
    off on each side: abs(s) < 0.2003. x is taken times 2^64 beforehand, which makes subnormals normal.
    float64 carries the rounding of 1 - x, of the quotient and of the leading sum; float32 is the same
    formula in float64 arithmetic without them.
    """
    cdef double p, q, q_tail, scaled, power, k, part, numerator, denominator
    cdef double denominator_tail, reciprocal, error, leading, total, rest, s, z
    cdef uint64_t power_bits
    p = x
    q = 1 - p
    scaled = p * TWO_64
    # 0x3ff... is the exponent of 1.0, and half a unit of exponent rounds to the nearest.
    power_bits = (
        bits64(scaled) - bits64(q) + <uint64_t> 0x3ff8000000000000
    ) & <uint64_t> 0xfff0000000000000
    power = from_bits64(power_bits)
    # An exponent put into the low bits of 2^52 and 2^52 taken off: the conversion that AVX2 lacks.
    k = from_bits64((power_bits >> 52) | <uint64_t> 0x4330000000000000) - (4503599627370496.0 + 1023 + 64)
    part = power * q
    numerator = scaled - part
    denominator = scaled + part
    if real is float32:
        s = numerator / denominator
        z = s * s
        total = muladd64(k, LN2, muladd64(s * z, atanh_tail(z), s + s))
    else:
        q_tail = power * ((1 - q) - p)
        denominator_tail = ((part - denominator) + scaled) + q_tail
        reciprocal = 1 / denominator
        s = numerator * reciprocal
        error = residual64(s, denominator, numerator) - muladd64(s, denominator_tail, q_tail)
        z = s * s
        leading = k * LN2_HIGH
        total = muladd64(s, 2, leading)
        rest = muladd64(s, 2, leading - total)
        rest = muladd64(k, LN2_LOW, rest)
        rest = muladd64(error, reciprocal + reciprocal, rest)
        total = total + muladd64(s * z, atanh_tail(z), rest)
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
