"""The terms of sums of exponentials: scaled by a power of two, with what their rounding lost."""

from libc.math cimport fabs

from fastlogit.kernels.arithmetic cimport (
    FUSED, bits32, bits64, float32, float64, from_bits32, from_bits64, muladd, muladd32, muladd64,
    real, residual64,
)
from fastlogit.kernels.formulas cimport (
    EXP_2, EXP_2_32, EXP_3, EXP_3_32, EXP_4, EXP_4_32, EXP_5, EXP_5_32, EXP_6, EXP_6_32, EXP_7, EXP_8, EXP_9,
    EXP_10, EXP_11, HEADROOM, LN2, LN2_HIGH, LN2_HIGH_32, LN2_LOW, LN2_LOW_32, LOG2_E, ROUND_AND_BIAS,
    ROUND_AND_BIAS_32, exp_parts,
)


cdef extern from *:
    """
    /* ln 2 in two parts, the first rounded to nearest: with fused multiply-add x - k LN2 is exact, since it
       is a multiple of 2^-54 (float32: 2^-25) below 0.35. Without, the product has to be exact, with a k of
       12 bits, and LN2_39 has 39. The square of k times the other part is what terms lack. */
    #define LN2_REST 0x1.abc9e3b39803fp-56
    #define LN2_39 0x1.62e42fefa4p-1
    #define LN2_BELOW_39 -0x1.8432a1b0e2634p-43
    #define LN2_32 0x1.62e43p-1f
    #define LN2_REST_32 -0x1.05c61p-29f

    /* 1 / n!: exp(r) = 1 + r + r^2 / 2 + r^3 (1 / 6 + r / 24 + ...), |r| <= 0.3467, up to r^14 to 2^-63 and
       up to r^16 to 2^-74. The tails are what the quotients of doubles lack. */
    #define INVERSE_FACTORIAL_3 (1.0 / 6)
    #define INVERSE_FACTORIAL_4 (1.0 / 24)
    #define INVERSE_FACTORIAL_5 (1.0 / 120)
    #define INVERSE_FACTORIAL_6 (1.0 / 720)
    #define INVERSE_FACTORIAL_7 (1.0 / 5040)
    #define INVERSE_FACTORIAL_8 (1.0 / 40320)
    #define INVERSE_FACTORIAL_9 (1.0 / 362880)
    #define INVERSE_FACTORIAL_10 (1.0 / 3628800)
    #define INVERSE_FACTORIAL_11 (1.0 / 39916800)
    #define INVERSE_FACTORIAL_12 (1.0 / 479001600)
    #define INVERSE_FACTORIAL_13 (1.0 / 6227020800.0)
    #define INVERSE_FACTORIAL_14 (1.0 / 87178291200.0)
    #define INVERSE_FACTORIAL_15 (1.0 / 1307674368000.0)
    #define INVERSE_FACTORIAL_16 (1.0 / 20922789888000.0)
    #define TAIL_OF_INVERSE_3 0x1.5555555555555p-57
    #define TAIL_OF_INVERSE_4 0x1.5555555555555p-59
    #define TAIL_OF_INVERSE_5 0x1.1111111111111p-63
    """
    const double LN2_REST, LN2_39, LN2_BELOW_39
    const float LN2_32, LN2_REST_32
    const double INVERSE_FACTORIAL_3, INVERSE_FACTORIAL_4, INVERSE_FACTORIAL_5, INVERSE_FACTORIAL_6
    const double INVERSE_FACTORIAL_7, INVERSE_FACTORIAL_8, INVERSE_FACTORIAL_9, INVERSE_FACTORIAL_10
    const double INVERSE_FACTORIAL_11, INVERSE_FACTORIAL_12, INVERSE_FACTORIAL_13, INVERSE_FACTORIAL_14
    const double INVERSE_FACTORIAL_15, INVERSE_FACTORIAL_16
    const double TAIL_OF_INVERSE_3, TAIL_OF_INVERSE_4, TAIL_OF_INVERSE_5


cdef inline void term_parts(real x, real scale, real *power, real *high, real *rest) noexcept nogil:
    """exp(x) = 2^-scale * power * (1 + high + rest), within 0.32 half units of the sum (float32 without fused
    multiply-add: 0.41).

    `exp_parts` in more exact arithmetic: the polynomial takes ``high`` alone, x less k times the larger part
    of ln 2, which is exact, and the smaller part enters by exp(high + low) = exp(high) (1 + low). Horner's
    last step ends near 1/2, with one rounding. Without fused multiply-add 1/2 is added by itself, and float32
    rounds high + low.
    """
    cdef real biased, k, low, r, z, q, half, cube
    if real is float32:
        biased = muladd32(x, <float> LOG2_E, ROUND_AND_BIAS_32 + scale)
        k = biased - (ROUND_AND_BIAS_32 + scale)
        power[0] = from_bits32(bits32(biased) << 23)
        high[0] = muladd32(k, -LN2_32 if FUSED else -LN2_HIGH_32, x)
        low = k * (-LN2_REST_32 if FUSED else -LN2_LOW_32)
        r = high[0] if FUSED else high[0] + low
        z = r * r
        q = muladd32(z, muladd32(EXP_6_32, r, EXP_5_32), muladd32(EXP_4_32, r, EXP_3_32))
        if FUSED:
            q = muladd32(q, r, EXP_2_32)
            low = muladd32(low, muladd32(z, q, high[0]), low)
            rest[0] = muladd32(z, q, low)
        else:
            rest[0] = z * <float> 0.5 + (z * (q * r + (EXP_2_32 - <float> 0.5)) + low)
    else:
        biased = muladd64(x, LOG2_E, ROUND_AND_BIAS + scale)
        k = biased - (ROUND_AND_BIAS + scale)
        power[0] = from_bits64(bits64(biased) << 52)
        high[0] = muladd64(k, -LN2 if FUSED else -LN2_39, x)
        low = k * (-LN2_REST if FUSED else -LN2_BELOW_39)
        r = high[0]
        z = r * r
        q = muladd64(z, EXP_11, muladd64(EXP_10, r, EXP_9))
        q = muladd64(z, q, muladd64(EXP_8, r, EXP_7))
        q = muladd64(z, q, muladd64(EXP_6, r, EXP_5))
        q = muladd64(z, q, muladd64(EXP_4, r, EXP_3))
        if FUSED:
            q = muladd64(q, r, EXP_2)
            low = muladd64(low, muladd64(z, q, r), low)
            rest[0] = muladd64(z, q, low)
        else:
            half = z * 0.5
            cube = z * (q * r + (EXP_2 - 0.5))
            low = low * ((half + cube) + r) + low
            rest[0] = half + (cube + low)


cdef inline real exp_term(
    real x, bint shifted, real shift, real scale, real lowest, real *tail
) noexcept nogil:
    """exp(x - shift) * 2^scale, a term of a sum, and what its rounding lost. NaN for NaN, 0 for -inf.

    What `exp_range` chose for a slice: ``shift`` is a large element where that is so large that x - shift is
    exact for every x that counts, else 0. So no difference is rounded before it is exponentiated, and
    2^scale alone brings the term into range. ``shifted``, a constant, may be False where shift is 0.

    The term alone is within 1.39 half units; with its tail within 0.32. (float32 without fused multiply-add:
    1.47 and 0.41.)
    """
    cdef real difference = x - shift if shifted else x, power, high, rest, term
    difference = lowest if difference < lowest else difference
    term_parts[real](difference, scale, &power, &high, &rest)
    term = muladd[real](power, high + rest, power)
    # power - term is exact (Sterbenz), and so is power * high added to it.
    tail[0] = muladd[real](power, rest, muladd[real](power, high, power - term))
    return term


cdef inline void exp_range(real reference, real *shift, real *scale, real *lowest) noexcept nogil:
    """What `exp_term` needs for a slice with this element, if it is finite, and none much larger.

    A term counts down to 2^-1138 (float32: 2^-187) of the reference: 2^63 (2^37) terms of that size do not
    reach half the smallest subnormal. The reference is near 2^120 (2^64), so that the smallest that counts
    is still normal, and x - reference is exact by Sterbenz's lemma where abs(reference) exceeds twice that
    range. ``lowest`` is 3 to 4 below it, where the exponent of ``power`` is 0 and so are term and tail: a
    subnormal tail takes an Intel processor 65 ns, and scores of -inf are many where others are masked.
    """
    cdef real range_of_terms, headroom, bias, ln2
    if real is float32:
        range_of_terms = 130
        headroom = 64
        bias = 127
        ln2 = LN2_32
    else:
        range_of_terms = 789
        headroom = HEADROOM
        bias = 1023
        ln2 = LN2
    shift[0] = reference if fabs(reference) > 2 * range_of_terms else 0
    if real is float32:
        scale[0] = muladd32(reference - shift[0], <float> LOG2_E, ROUND_AND_BIAS_32) - ROUND_AND_BIAS_32
    else:
        scale[0] = muladd64(reference - shift[0], LOG2_E, ROUND_AND_BIAS) - ROUND_AND_BIAS
    scale[0] = headroom - scale[0]
    lowest[0] = (scale[0] + bias) * -ln2


cdef inline double exp_for_float(double x, double scale) noexcept nogil:
    """exp(x) * 2^scale, for sums whose results are float32: within 2^-51 of itself."""
    cdef double power, p, p_tail
    exp_parts[float64](x, scale, False, &power, &p, &p_tail)
    return muladd64(power, p, power)


cdef inline void reduce_argument(
    double x, double scale, double *power, double *r, double *r_tail
) noexcept nogil:
    """exp(x) * 2^scale = power * exp(r + r_tail), where power is one of two."""
    cdef double biased = muladd64(x, LOG2_E, ROUND_AND_BIAS + scale), k = biased - (ROUND_AND_BIAS + scale)
    cdef double upper = muladd64(k, -LN2_HIGH, x), lower = k * -LN2_LOW
    power[0] = from_bits64(bits64(biased) << 52)
    r[0] = upper + lower
    r_tail[0] = (upper - r[0]) + lower


cdef inline void exp_double(double x, double scale, double *high, double *low) noexcept nogil:
    """exp(x) * 2^scale as a sum of two doubles, within 0.037 half units of the first.

    The reduced argument and its square keep their tails; Taylor's series up to r^14.
    """
    cdef double power, r, r_tail, z, z_tail, q, half, cube, rest, p, tail, one
    reduce_argument(x, scale, &power, &r, &r_tail)
    z = r * r
    z_tail = -residual64(r, r, z)
    q = muladd64(
        z, muladd64(INVERSE_FACTORIAL_14, r, INVERSE_FACTORIAL_13),
        muladd64(INVERSE_FACTORIAL_12, r, INVERSE_FACTORIAL_11),
    )
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_10, r, INVERSE_FACTORIAL_9))
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_8, r, INVERSE_FACTORIAL_7))
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_6, r, INVERSE_FACTORIAL_5))
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_4, r, INVERSE_FACTORIAL_3))
    half = 0.5 * z
    cube = z * (r * q)
    rest = half + cube
    p = r + rest
    one = 1 + p
    tail = ((r - p) + rest) + (((half - rest) + cube) + muladd64(0.5, z_tail, muladd64(r_tail, p, r_tail)))
    high[0] = power * one
    low[0] = power * (((1 - one) + p) + tail)


cdef inline void horner_step(
    double r, double r_tail, double coefficient, double coefficient_tail, double *high, double *low
) noexcept nogil:
    """high + low becomes coefficient + (r + r_tail) (high + low), the product being the smaller one."""
    cdef double product = r * high[0], total = coefficient + product
    cdef double lost = muladd64(r, low[0], r_tail * high[0]) - residual64(r, high[0], product)
    low[0] = ((coefficient - total) + product) + (lost + coefficient_tail)
    high[0] = total


cdef inline void exp_double_double(double x, double scale, double *high, double *low) noexcept nogil:
    """exp(x) * 2^scale as a sum of two doubles, within 0.00001 half units of the first.

    Taylor's series up to r^16, of which two doubles have the first six coefficients and the sum. For sums
    that are multiplied by one exponential after another.
    """
    cdef double power, r, r_tail, z, q, tail = 0
    reduce_argument(x, scale, &power, &r, &r_tail)
    z = r * r
    q = muladd64(r, INVERSE_FACTORIAL_16, INVERSE_FACTORIAL_15)
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_14, r, INVERSE_FACTORIAL_13))
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_12, r, INVERSE_FACTORIAL_11))
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_10, r, INVERSE_FACTORIAL_9))
    q = muladd64(z, q, muladd64(INVERSE_FACTORIAL_8, r, INVERSE_FACTORIAL_7))
    q = muladd64(q, r, INVERSE_FACTORIAL_6)
    horner_step(r, r_tail, INVERSE_FACTORIAL_5, TAIL_OF_INVERSE_5, &q, &tail)
    horner_step(r, r_tail, INVERSE_FACTORIAL_4, TAIL_OF_INVERSE_4, &q, &tail)
    horner_step(r, r_tail, INVERSE_FACTORIAL_3, TAIL_OF_INVERSE_3, &q, &tail)
    horner_step(r, r_tail, 0.5, 0, &q, &tail)
    horner_step(r, r_tail, 1, 0, &q, &tail)
    horner_step(r, r_tail, 1, 0, &q, &tail)
    high[0] = power * q
    low[0] = power * tail
