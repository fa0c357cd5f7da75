"""The mathematics: one branch-free inline function per formula, for float32 and float64.

Error bounds are in units in the last place (ulp) of the exact result and hold for every input. The
constants are printed, and their approximation errors computed, by ``tools/coefficients.sollya``.
"""

from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, NAN, fabs, nextafter, nextafterf
from libc.stdint cimport uint64_t

from fastlogit.kernels.arithmetic cimport (
    FUSED, bits32, bits64, float32, float64, from_bits32, from_bits64, muladd, muladd32, muladd64,
    negative_part32, negative_part64, real, residual64, residual_with_tail,
)
from fastlogit.kernels.doubles cimport add_exactly


cdef extern from *:
    """
    #define TWO_52 0x1p52
    #define TWO_64 0x1p64
    #define TWO_MINUS_64 0x1p-64
    #define TWO_MINUS_110 0x1p-110
    #define TWO_MINUS_200 0x1p-200
    #define HEADROOM 120.0
    #define TWO_MINUS_HEADROOM 0x1p-120
    #define TWO_MINUS_36 0x1p-36f

    /* ln 2 in two parts, the first so short that its product with any exponent is exact. */
    #define LOG2_E 0x1.71547652b82fep0
    #define LN2 0x1.62e42fefa39efp-1
    #define LN2_HIGH 0x1.62e42fefap-1
    #define LN2_LOW 0x1.cf79abc9e3b3ap-40
    /* The two results in float32 that lie nearest to the middle between two floats, logit(0x1.13986cp-22) and
       log_expit(-0x1.d483ap-12), are less than 2^-55 of it away, and float64 arithmetic takes them for it.
       With ln 2 by so little too large or too small they, and all others, are rounded to the right side. */
    #define LN2_ABOVE 0x1.62e42fefa39fp-1
    #define LN2_LOW_BELOW 0x1.cf75abc9e3b3ap-40
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

    /* 2 atanh(s) = 2 s + s z (ATANH_1 + z (ATANH_2 + ...)), z = s^2, |s| <= 0.2003. Error of the sum relative
       to 2 s: 2^-62.6, and 2^-49.1 of the shorter one, for results in float32. */
    #define ATANH_1 0x1.555555555554fp-1
    #define ATANH_2 0x1.999999999c191p-2
    #define ATANH_3 0x1.24924921e2463p-2
    #define ATANH_4 0x1.c71c7491d4a81p-3
    #define ATANH_5 0x1.745c4a546401cp-3
    #define ATANH_6 0x1.3b35d2ed4978dp-3
    #define ATANH_7 0x1.0dca5a7cb4d49p-3
    #define ATANH_8 0x1.1b8a1dd67b125p-3
    #define ATANH_FLOAT_1 0x1.5555555549b66p-1
    #define ATANH_FLOAT_2 0x1.999999c55c53p-2
    #define ATANH_FLOAT_3 0x1.24922dbcd682fp-2
    #define ATANH_FLOAT_4 0x1.c72c309feafcp-3
    #define ATANH_FLOAT_5 0x1.72167c32e35e6p-3
    #define ATANH_FLOAT_6 0x1.63fce4a4fd21cp-3
    /* The same in float32 for |s| <= 1/3: 2^-33.0. */
    #define ATANH_1_32 0x1.555558p-1f
    #define ATANH_2_32 0x1.9996d8p-2f
    #define ATANH_3_32 0x1.25051p-2f
    #define ATANH_4_32 0x1.b72bb8p-3f
    #define ATANH_5_32 0x1.f08af8p-3f
    """
    const double TWO_52, TWO_64, TWO_MINUS_64, TWO_MINUS_110, TWO_MINUS_200, HEADROOM, TWO_MINUS_HEADROOM
    const float TWO_MINUS_36
    const double LOG2_E, LN2, LN2_HIGH, LN2_LOW, LN2_ABOVE, LN2_LOW_BELOW
    const float LN2_HIGH_32, LN2_LOW_32
    const double ROUND_AND_BIAS
    const float ROUND_AND_BIAS_32
    const double EXP_2, EXP_3, EXP_4, EXP_5, EXP_6, EXP_7, EXP_8, EXP_9, EXP_10, EXP_11
    const float EXP_2_32, EXP_3_32, EXP_4_32, EXP_5_32, EXP_6_32
    const double ATANH_1, ATANH_2, ATANH_3, ATANH_4, ATANH_5, ATANH_6, ATANH_7, ATANH_8
    const float ATANH_1_32, ATANH_2_32, ATANH_3_32, ATANH_4_32, ATANH_5_32
    const double ATANH_FLOAT_1, ATANH_FLOAT_2, ATANH_FLOAT_3, ATANH_FLOAT_4, ATANH_FLOAT_5, ATANH_FLOAT_6


cdef inline void exp_parts(
    real x, real scale, bint careful, real *power, real *p, real *p_tail
) noexcept nogil:
    """exp(x) = 2^-scale * power * (1 + p + p_tail), where power is a power of two and abs(p) < 0.42.

    x = k ln 2 + r and p + p_tail = exp(r) - 1. ``scale``, an integer constant, keeps power = 2^(k + scale)
    normal where 2^k is not; -1022 <= k + scale <= 1023 (float32: -126 to 127) is the caller's to see to.
    A caller that leaves p_tail out does not pay for it: then the roundings of r and p remain, 2^-55 each,
    in float32 2^-26. ``careful``, a constant, leaves that of p alone, for two operations.
    """
    cdef real biased, k, high, low, r, z, q, rest
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
        q = muladd64(z, muladd64(EXP_11, r, EXP_10), muladd64(EXP_9, r, EXP_8))
        q = muladd64(z, q, muladd64(EXP_7, r, EXP_6))
        q = muladd64(z, q, muladd64(EXP_5, r, EXP_4))
        q = muladd64(z, q, muladd64(EXP_3, r, EXP_2))
        if careful:
            rest = muladd64(z, q, low)
            p[0] = high + rest
            # Where high is the smaller one, the sum is so small that its rounding is far below 2^-53.
            p_tail[0] = rest - (p[0] - high)
        else:
            p[0] = muladd64(z, q, r)
            p_tail[0] = muladd64(z, q, r - p[0]) + muladd64(k, -LN2_LOW, high - r)


cdef inline double atanh_tail(double z) noexcept nogil:
    """(2 atanh(s) - 2 s) / (s z) for z = s^2, |s| <= 0.2003."""
    cdef double p = muladd64(z, ATANH_8, ATANH_7)
    p = muladd64(z, p, ATANH_6)
    p = muladd64(z, p, ATANH_5)
    p = muladd64(z, p, ATANH_4)
    p = muladd64(z, p, ATANH_3)
    p = muladd64(z, p, ATANH_2)
    return muladd64(z, p, ATANH_1)


cdef inline double atanh_for_float(double s) noexcept nogil:
    """2 atanh(s) for |s| <= 0.2003, to the precision that results in float32 need."""
    cdef double z = s * s, p = muladd64(z, ATANH_FLOAT_6, ATANH_FLOAT_5)
    p = muladd64(z, p, ATANH_FLOAT_4)
    p = muladd64(z, p, ATANH_FLOAT_3)
    p = muladd64(z, p, ATANH_FLOAT_2)
    p = muladd64(z, p, ATANH_FLOAT_1)
    return s * muladd64(z, p, 2)


cdef inline real clamp(real x, real lower, real upper) noexcept nogil:
    """x brought into [lower, upper]; NaN stays NaN.

    With bounds that the compiler does not know this is two instructions; of constants it makes branches.
    """
    x = lower if x < lower else x
    return upper if x > upper else x


cdef inline real clamp_number(real x, real lower, real upper) noexcept nogil:
    """x brought into [lower, upper], also NaN, for a formula that gets NaN another way.

    Where two NaN meet that were one, a compiler may have left the negation of one of them to a later
    instruction, which does not reach a NaN; and which of the two is handed on is the compiler's choice, too.
    """
    x = x if x > lower else lower
    return x if x < upper else upper


cdef inline void expit_bounds(real *lower, real *upper) noexcept nogil:
    """Below, expit(x) is 0; above, it has long been 1.

    With these bounds 2^k and its product with 2^-36 (float32) or 2^-110 are normal numbers. The result is 0
    from -104 (-746) on, but an Intel processor takes 65 ns to round what is next to the smallest
    subnormal; at the lower bound the product is 2^-161 (2^-1090), whose 0 costs nothing.
    """
    if real is float32:
        lower[0] = -112
        upper[0] = 40
    else:
        lower[0] = -756
        upper[0] = 500


cdef inline real expit(real x) noexcept nogil:
    """1 / (1 + exp(-x)) within `expit_bounds`.

    Largest error: 0.966 ulp of all float32, at -0x1.217326p+2; in float64, with fused multiply-add, less than
    0.98 ulp (``tools/proofs``).

    With exp(-x) = power * (1 + p) the denominator is 1 + power + power * p. Its two roundings go into
    ``tail``: 1 - (whole - power) is what the first one lost, also where 1 < power, since power is a power of
    two; only below 2^-53 (float32: 2^-24) it is not, and the result 1. One Newton step takes them and the
    rounding of the reciprocal off. What is left is the error of p and the last rounding, which in float64
    would exceed 1 ulp together if the rounding of r were not kept; without fused multiply-add p is rounded
    more often, and its tail goes along.
    All is computed times 2^-110 (float32: 2^-36), so that exp does not
    overflow. The step starts from the result as it is rounded, which may be subnormal, so what it adds is
    rounded once. Without fused multiply-add the product would be rounded first, and a subnormal result is
    rounded from a normal one: choosing between the two made that loop half as long again.
    """
    cdef real one, power, p, p_tail, whole, part, denominator, tail, v, nearest
    if real is float32:
        one = TWO_MINUS_36
        exp_parts[float32](-x, -36, False, &power, &p, &p_tail)
    else:
        one = TWO_MINUS_110
        exp_parts[float64](-x, -110, True, &power, &p, &p_tail)
    whole = power + one
    part = power * p
    denominator = whole + part
    tail = ((whole - denominator) + part) + (one - (whole - power))
    if not FUSED:
        tail = tail + power * p_tail
    v = 1 / denominator
    if FUSED:
        nearest = v * one
        return muladd[real](v, residual_with_tail[real](nearest, denominator, tail, one), nearest)
    return muladd[real](v, residual_with_tail[real](v, denominator, tail, 1), v) * one


cdef inline void log_expit_bounds(real *lower, real *upper) noexcept nogil:
    """Where `log_expit_within` has a normal exp; see there."""
    if real is float32:
        lower[0] = -104
        upper[0] = 104
    else:
        lower[0] = -690
        upper[0] = 690


cdef inline real log_expit_within(real x, real bounded) noexcept nogil:
    """log(1 / (1 + exp(-x))) = min(x, 0) - log1p(E), E = exp(-abs(x)), for x within `log_expit_bounds`.

    log1p(E) = h ln 2 - 2 atanh(s), s = (2^h - 1 - E) / (2^h + 1 + E), where h = 0 for E < 1/2, else 1: so s
    stays within 1/5, and for large x nothing is lost, since then log1p(E) is -2 s (1 + ...).
    float64 carries the roundings of the quotient, of the leading sum and of p; what remains are the
    polynomial and the last rounding: less than 0.883 ulp (``tools/proofs``). Between the bounds neither
    E nor, without fused multiply-add, a product that the residual splits leaves the normal range.
    float32 is the same formula in float64 arithmetic without these tails, and correctly rounded for every
    input. There ``bounded`` is x between the bounds, which x itself may leave: log1p(E) is then less than
    any float. It is a number where x is NaN, which then comes from min(x, 0) alone, with its sign.
    """
    cdef double h, below, power, p, p_tail, part, numerator, numerator_tail, base, denominator, leading
    h = 1.0 if fabs(bounded) < LN2 else 0.0
    base = (h + 1) + (h + 1)
    exp_parts[float64](-fabs(bounded), 0, real is float64, &power, &p, &p_tail)
    part = power * p
    numerator = (h - power) - part
    if real is float32:
        below = negative_part32(x)
        return <real> muladd64(h, -LN2_ABOVE, below + atanh_for_float(numerator / (base - numerator)))
    else:
        below = negative_part64(x)
        numerator_tail = muladd64(-power, p_tail, ((h - power) - numerator) - part)
        denominator = base - numerator
        leading = h * -LN2_HIGH + below
        return log_of_quotient(
            True,
            leading,
            muladd64(h, -LN2_LOW, below - (leading - h * -LN2_HIGH)),
            numerator,
            numerator_tail,
            denominator,
            ((base - denominator) - numerator) - numerator_tail,
        )


cdef inline double log_expit(double x, double upper) noexcept nogil:
    """log(1 / (1 + exp(-x))) for every x, with the upper one of the `log_expit_bounds`.

    Beyond them it is x or -exp(-x). exp is taken times 2^200, so that a subnormal result is rounded
    from a normal one; beyond 746 it is 0. What p and the sum lost goes along. 756 and, for the other formula,
    1 instead of x keep clear of subnormal numbers that nobody asked for (`expit_bounds`).
    """
    cdef double a = fabs(x), bounded = x if a <= upper else 1, power, p, p_tail, within, beyond
    a = 756 if a > 756 else a
    exp_parts[float64](-a, 200, True, &power, &p, &p_tail)
    beyond = muladd64(power, p, power)
    beyond = beyond + muladd64(power, p_tail, muladd64(power, p, power - beyond))
    beyond = -beyond * TWO_MINUS_200 if x > 0 else x
    within = log_expit_within[float64](bounded, bounded)
    return within if x == bounded else beyond


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


cdef inline double log_of_quotient_parts(
    bint leads, double leading, double leading_tail, double numerator, double numerator_tail,
    double denominator, double denominator_tail, double *rest,
) noexcept nogil:
    """leading + 2 atanh(s), s = numerator / denominator, abs(s) < 0.2003, as a sum with a small ``rest``.

    ``leads``, a constant, says that ``leading`` is 0 or larger than 2 s: then the rounding of their sum takes
    two operations, else five.
    """
    cdef double reciprocal = 1 / denominator, s = numerator * reciprocal, error, total, part, lost, z
    error = residual64(s, denominator, numerator) + muladd64(-s, denominator_tail, numerator_tail)
    z = s * s
    total = leading + (s + s)
    if leads:
        lost = ((leading - total) + (s + s)) + leading_tail
    else:
        part = total - leading
        lost = ((leading - (total - part)) + ((s + s) - part)) + leading_tail
    lost = muladd64(error, reciprocal + reciprocal, lost)
    rest[0] = muladd64(s * z, atanh_tail(z), lost)
    return total


cdef inline double log_of_quotient(
    bint leads, double leading, double leading_tail, double numerator, double numerator_tail,
    double denominator, double denominator_tail,
) noexcept nogil:
    """leading + 2 atanh(s), the roundings carried along."""
    cdef double total, rest
    total = log_of_quotient_parts(
        leads, leading, leading_tail, numerator, numerator_tail, denominator, denominator_tail, &rest,
    )
    return total + rest


cdef inline double log_positive(
    real *tag, double high, double low, double offset, double *tail
) noexcept nogil:
    """offset + log(high + low) for a positive normal ``high`` and a small ``low``, also near 1.

    The logarithm is within 0.28 ulp of itself before it is added to the offset and rounded; ``tail`` receives
    what the rounding loses, unless the sum cancels.

    To the precision of float32 the roundings are not carried along: 2^-48.
    """
    cdef double power, k, numerator, denominator, s, leading, leading_tail, total, rest, result
    k = nearest_power(high, 1.0, &power)
    # Next to 1 the difference from it is all that counts, however small beside ``high``.
    numerator = (high - power) + low
    denominator = high + power
    if real is float32:
        s = numerator / denominator
        tail[0] = 0
        return offset + muladd64(k, LN2, muladd64(s * (s * s), atanh_tail(s * s), s + s))
    else:
        leading = offset
        leading_tail = k * LN2_LOW
        add_exactly(&leading, &leading_tail, k * LN2_HIGH)
        total = log_of_quotient_parts(
            False, leading, leading_tail, numerator, low - (numerator - (high - power)), denominator,
            ((power - denominator) + high) + low, &rest,
        )
        result = total + rest
        tail[0] = rest - (result - total)
        return result


cdef inline real log_odds(real x, double lifted, double lift) noexcept nogil:
    """log(x / (1 - x)) for 0 < x < 1. Largest error seen: 0.613 ulp (float64), at 0x1.aa101878d7e95p-2.

    With 2^k near x / (1 - x), s = (x - 2^k (1 - x)) / (x + 2^k (1 - x)) and the result is
    k ln 2 + 2 atanh(s). For k = 0 the quotient is 2 x - 1 itself, so nothing is lost around 1/2.
    ``lifted`` is a normal number, x times 2^lift: x itself, if that is normal, as it always is in float32.
    float64 carries the rounding of 1 - x, of the quotient and of the leading sum; float32 is the same
    formula in float64 arithmetic without them, and correctly rounded for every input.
    """
    cdef double p = x, q = 1 - p, q_tail, power, k, part, numerator, denominator
    k = nearest_power(lifted, q, &power) - lift
    part = power * q
    numerator = lifted - part
    denominator = lifted + part
    if real is float32:
        return <real> muladd64(
            k, LN2_HIGH, muladd64(k, LN2_LOW_BELOW, atanh_for_float(numerator / denominator))
        )
    else:
        q_tail = power * ((1 - q) - p)
        return log_of_quotient(
            True,
            k * LN2_HIGH,
            k * LN2_LOW,
            numerator,
            -q_tail,
            denominator,
            ((part - denominator) + lifted) + q_tail,
        )


cdef inline void logit_bounds(real *lower, real *upper) noexcept nogil:
    """The first and the last number between 0 and 1 for which `logit_within` is right."""
    if real is float32:
        lower[0] = nextafterf(0, 1)
        upper[0] = nextafterf(1, 0)
    else:
        lower[0] = DBL_MIN
        upper[0] = nextafter(1, 0)


cdef inline real logit_within(real x) noexcept nogil:
    """log(x / (1 - x)) for x within `logit_bounds`, and NaN for NaN."""
    return log_odds[real](x, x, 0)


cdef inline real logit(real x) noexcept nogil:
    """log(x / (1 - x)): -inf at 0, inf at 1, NaN outside."""
    cdef real edge = -INFINITY if x == 0 else INFINITY if x == 1 else NAN, result
    cdef double subnormal
    if real is float32:
        result = logit_within[real](x)
    else:
        subnormal = 1.0 if x < DBL_MIN else 0.0
        result = log_odds[real](x, x * muladd64(subnormal, TWO_64 - 1, 1), subnormal * 64)
    return result if 0 < x and x < 1 else edge
