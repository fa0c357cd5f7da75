"""Exponentials and their sums in fixed point: integers of several limbs of 64 bits, the least one first.

For sums that cancel: each exponential has 180 bits, and what is added to a sum is added exactly. Integers
give the same bits on every processor, with and without fused multiply-add.
"""

from libc.math cimport ceil, ldexp
from libc.stdint cimport uint64_t
from libc.string cimport memset

from fastlogit.kernels.arithmetic cimport bits64, multiply_integers
from fastlogit.kernels.formulas cimport LOG2_E


cdef enum:
    FRACTION = 3  # limbs of a number in [0, 1)
    FRACTION_BITS = 192
    HALVINGS = 8  # of the argument of an exponential, made good by as many squarings
    TAYLOR_TERMS = 17  # (ln 2 / 2^8)^17 / 18! < 2^-196 of the argument
    # An argument is at least -2200, and -2200 / ln 2 > -3174: the least power of two of an exponential.
    LOWEST_ARGUMENT = -2200
    MOST_HALVED = 3175
    # A sum goes from the last bit of the least product, 2^-1074 * 2^-MOST_HALVED * 2^-FRACTION_BITS, up to
    # 2^62 products of less than 2^1024 * 2. Two more limbs, so that its first three are always there.
    BELOW = 128
    LOWEST_BIT = -(1074 + MOST_HALVED + FRACTION_BITS + BELOW)
    SUM = 89  # limbs


cdef extern from *:
    """
    /* The 256 bits of ln 2 after the point, cut off. */
    static const uint64_t LN2_FRACTION[4] = {
        0x8a0d175b8baafa2bULL, 0x40f343267298b62dULL, 0xc9e3b39803f2f6afULL, 0xb17217f7d1cf79abULL,
    };
    /* 1 / n!, the 192 bits after the point, cut off. */
    static const uint64_t INVERSE_FACTORIALS[18][3] = {
        { 0 },
        { 0 },
        { 0x0000000000000000ULL, 0x0000000000000000ULL, 0x8000000000000000ULL },
        { 0xaaaaaaaaaaaaaaaaULL, 0xaaaaaaaaaaaaaaaaULL, 0x2aaaaaaaaaaaaaaaULL },
        { 0xaaaaaaaaaaaaaaaaULL, 0xaaaaaaaaaaaaaaaaULL, 0x0aaaaaaaaaaaaaaaULL },
        { 0x2222222222222222ULL, 0x2222222222222222ULL, 0x0222222222222222ULL },
        { 0x5b05b05b05b05b05ULL, 0x05b05b05b05b05b0ULL, 0x005b05b05b05b05bULL },
        { 0x0d00d00d00d00d00ULL, 0x00d00d00d00d00d0ULL, 0x000d00d00d00d00dULL },
        { 0x01a01a01a01a01a0ULL, 0xa01a01a01a01a01aULL, 0x0001a01a01a01a01ULL },
        { 0xe3bc74aad8e671f5ULL, 0x671f5583911ca002ULL, 0x00002e3bc74aad8eULL },
        { 0xe392d8777c170b65ULL, 0xd71cbbc05b4fa999ULL, 0x0000049f93edde27ULL },
        { 0x71c7880adcbc46daULL, 0x138e3f9d1f92e0dfULL, 0x0000006b99159fd5ULL },
        { 0xf425f600e7ba5b3cULL, 0x6c4bdaa26d4c3d67ULL, 0x00000008f76c77fcULL },
        { 0xd7b4269d9babdfa2ULL, 0x43684be51c198e91ULL, 0x00000000b092309dULL },
        { 0xfd1f2754668c46d4ULL, 0x603e4e905d6f8a2eULL, 0x000000000c9cba54ULL },
        { 0x774657f48f5eaf63ULL, 0x399dc0f88ec32b58ULL, 0x0000000000d73f9fULL },
        { 0x8774657f48f5eaf6ULL, 0xf399dc0f88ec32b5ULL, 0x00000000000d73f9ULL },
        { 0xcbbb8d7ff53ba468ULL, 0x3b81856a53593028ULL, 0x000000000000ca96ULL },
    };
    #define TWO_MINUS_20 0x1p-20
    #define MANTISSA 0xfffffffffffffULL
    #define LEADING_BIT 0x10000000000000ULL
    """
    const uint64_t LN2_FRACTION[4]
    const uint64_t INVERSE_FACTORIALS[18][3]
    const double TWO_MINUS_20
    const uint64_t MANTISSA, LEADING_BIT


# ---- integers --------------------------------------------------------------------------------------


cdef inline void add_limb(uint64_t *limb, uint64_t *carry, uint64_t term) noexcept nogil:
    """limb += term, what overflows counted in ``carry``."""
    limb[0] += term
    carry[0] += limb[0] < term


cdef inline void add_limbs(uint64_t *total, const uint64_t *term, int count) noexcept nogil:
    """total += term, both of so many limbs."""
    cdef uint64_t carry = 0, limb
    cdef int i
    for i in range(count):
        limb = carry
        carry = 0
        add_limb(&limb, &carry, term[i])
        add_limb(&limb, &carry, total[i])
        total[i] = limb


cdef inline void subtract_limbs(uint64_t *total, const uint64_t *term, int count) noexcept nogil:
    cdef uint64_t borrow = 0, before, limb
    cdef int i
    for i in range(count):
        before = total[i]
        limb = before - term[i]
        total[i] = limb - borrow
        borrow = (before < term[i]) + (limb < borrow)


cdef inline void shift_up(const uint64_t *limbs, int count, int bits, uint64_t *shifted) noexcept nogil:
    """limbs * 2^bits, in one limb more; 0 <= bits < 64."""
    cdef uint64_t carry = 0
    cdef int i
    for i in range(count):
        shifted[i] = limbs[i] << bits | carry
        # In two steps, since a shift of 64 is none.
        carry = limbs[i] >> (63 - bits) >> 1
    shifted[count] = carry


cdef inline void multiply_by_limb(
    const uint64_t *limbs, int count, uint64_t factor, uint64_t *product
) noexcept nogil:
    """In one limb more."""
    cdef uint64_t carry = 0, high, limb
    cdef int i
    for i in range(count):
        limb = multiply_integers(limbs[i], factor, &high)
        product[i] = carry
        carry = high
        add_limb(&product[i], &carry, limb)
    product[count] = carry


# ---- exponentials ----------------------------------------------------------------------------------


cdef inline void multiply_fractions(const uint64_t *a, const uint64_t *b, uint64_t *product) noexcept nogil:
    """a * b, less by no more than 6 units of the last bit: half products below it are left out."""
    cdef uint64_t high02, high11, high20, high12, high21, high22, low12, low21, low22, limb = 0, carry = 0
    multiply_integers(a[0], b[2], &high02)
    multiply_integers(a[1], b[1], &high11)
    multiply_integers(a[2], b[0], &high20)
    low12 = multiply_integers(a[1], b[2], &high12)
    low21 = multiply_integers(a[2], b[1], &high21)
    low22 = multiply_integers(a[2], b[2], &high22)
    add_limb(&limb, &carry, high02)
    add_limb(&limb, &carry, high11)
    add_limb(&limb, &carry, high20)
    add_limb(&limb, &carry, low12)
    add_limb(&limb, &carry, low21)
    product[0] = limb
    limb = carry
    carry = 0
    add_limb(&limb, &carry, high12)
    add_limb(&limb, &carry, high21)
    add_limb(&limb, &carry, low22)
    product[1] = limb
    product[2] = high22 + carry


cdef inline void add_double(uint64_t *total, double value) noexcept nogil:
    """To a number with one limb before the point, in two's complement; bits behind its last are cut off."""
    cdef uint64_t bits = bits64(value), mantissa = bits & MANTISSA | LEADING_BIT
    cdef uint64_t term[5]
    cdef int exponent = <int> (bits >> 52 & 0x7ff), position = exponent - 1075 + FRACTION_BITS
    if position <= -53:
        return
    if position < 0:
        mantissa = mantissa >> -position
        position = 0
    memset(term, 0, sizeof(term))
    shift_up(&mantissa, 1, position % 64, &term[position // 64])
    if bits >> 63:
        subtract_limbs(total, term, FRACTION + 1)
    else:
        add_limbs(total, term, FRACTION + 1)


cdef inline int reduce_argument(double x, double rest, uint64_t *r) noexcept nogil:
    """k, and the fraction r = x + rest + k ln 2 with 0 <= r < ln 2, for LOWEST_ARGUMENT <= x <= 0."""
    cdef uint64_t product[5]
    # Never too large, so that r may be negative, but not ln 2 or more.
    cdef int k = <int> ceil(-x * LOG2_E - TWO_MINUS_20), i
    multiply_by_limb(LN2_FRACTION, 4, k, product)
    for i in range(FRACTION + 1):
        r[i] = product[i + 1]
    add_double(r, x)
    add_double(r, rest)
    if r[FRACTION] >> 63:
        add_limbs(r, &LN2_FRACTION[1], FRACTION)
        return k + 1
    return k


cdef inline int exp_fraction(double x, double rest, uint64_t *f) noexcept nogil:
    """k and the fraction f, where exp(x + rest) = 2^-k (1 + f), for LOWEST_ARGUMENT <= x <= 0 and a rest that
    is no more than the rounding of x.

    1 + f is within 2^-180 of itself: Taylor's series of r / 2^HALVINGS is within 8 units of the last bit, and
    each squaring doubles the relative error and adds 6.
    """
    cdef uint64_t r[FRACTION + 1]
    cdef uint64_t square[FRACTION]
    cdef int k = reduce_argument(x, rest, r), i, n
    for i in range(FRACTION - 1):
        r[i] = r[i] >> HALVINGS | r[i + 1] << (64 - HALVINGS)
    r[FRACTION - 1] = r[FRACTION - 1] >> HALVINGS
    for i in range(FRACTION):
        f[i] = INVERSE_FACTORIALS[TAYLOR_TERMS][i]
    for n in range(TAYLOR_TERMS - 1, 1, -1):
        multiply_fractions(f, r, f)
        add_limbs(f, INVERSE_FACTORIALS[n], FRACTION)
    multiply_fractions(f, r, f)
    multiply_fractions(f, r, f)
    add_limbs(f, r, FRACTION)
    for _ in range(HALVINGS):
        # (1 + f)^2 - 1
        multiply_fractions(f, f, square)
        add_limbs(square, f, FRACTION)
        add_limbs(f, square, FRACTION)
    return k


# ---- sums ------------------------------------------------------------------------------------------


cdef struct signed_sum:
    uint64_t positive[SUM]
    uint64_t negative[SUM]


cdef inline void add_product(signed_sum *total, double factor, int k, const uint64_t *f) noexcept nogil:
    """total += factor * 2^-k (1 + f), exactly."""
    cdef uint64_t bits = bits64(factor), mantissa = bits & MANTISSA, carry = 0, limb
    cdef uint64_t product[FRACTION + 2]
    cdef uint64_t term[FRACTION + 3]
    cdef uint64_t *side = &total.negative[0] if bits >> 63 else &total.positive[0]
    cdef int exponent = <int> (bits >> 52 & 0x7ff), position, i
    if exponent > 0:
        mantissa = mantissa | LEADING_BIT
        exponent -= 1
    multiply_by_limb(f, FRACTION, mantissa, product)
    add_limb(&product[FRACTION], &carry, mantissa)
    # The last bit of the product is that of ``factor``, 2^(exponent - 1074), times that of f and 2^-k.
    position = exponent + MOST_HALVED - k + BELOW
    shift_up(product, FRACTION + 1, position % 64, term)
    side += position // 64
    carry = 0
    for i in range(FRACTION + 2):
        limb = carry
        carry = 0
        add_limb(&limb, &carry, term[i])
        add_limb(&limb, &carry, side[i])
        side[i] = limb
    i = FRACTION + 2
    while carry:
        side[i] += 1
        carry = side[i] == 0
        i += 1


cdef inline int value_of(signed_sum *total, double *high, double *low, int *exponent) noexcept nogil:
    """The sign, and (high + low) 2^exponent for the size, 1 <= high < 2; overwrites the sum.

    What high and low leave out is 2^-105 of it.
    """
    cdef uint64_t *larger = &total.positive[0]
    cdef uint64_t *smaller = &total.negative[0]
    cdef uint64_t shifted[4]
    cdef int i = SUM - 1, bits = 0
    while i >= 0 and larger[i] == smaller[i]:
        i -= 1
    if i < 0:
        return 0
    if larger[i] < smaller[i]:
        larger = &total.negative[0]
        smaller = &total.positive[0]
    subtract_limbs(larger, smaller, i + 1)
    while larger[i] == 0:
        i -= 1
    while larger[i] << bits >> 63 == 0:
        bits += 1
    shift_up(&larger[i - 2], 3, bits, shifted)
    high[0] = ldexp(<double> (shifted[2] >> 11), -52)
    low[0] = ldexp(<double> (shifted[2] & 0x7ff), -63) + ldexp(<double> shifted[1], -127)
    exponent[0] = LOWEST_BIT + 64 * i + 63 - bits
    return 1 if larger == &total.positive[0] else -1
