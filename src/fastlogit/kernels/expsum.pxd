"""Sums of exponentials: how they are scaled, in which order they are added, how two of them become one.

Slices are computed side by side, each in a lane of the arrays below; none depends on its neighbours. The
order of the additions hangs on the number of positions of a slice alone, whether its elements are taken one
after the other or lanes are taken position by position: the four quarters of a block at once, block after
block with the rounding errors kept, the sums of a quarter by halving, the chunks one after the other, the
segments one after the other. No memory of an array is known here.

``tag`` names the element type where no argument does: a null pointer.
"""

from libc.math cimport copysign, copysignf
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport bits64, float32, float64, from_bits64, real, residual64
from fastlogit.kernels.doubles cimport add_by_size, add_exactly, renormalise
from fastlogit.kernels.formulas cimport HEADROOM, TWO_MINUS_HEADROOM
from fastlogit.kernels.terms cimport (
    exp_double, exp_double_double, exp_for_float, exp_range, exp_term,
)


cdef enum:
    # Of a panel, four cache lines: enough independent sums to hide the latency of an addition.
    LANES_32 = 64
    LANES_64 = 32
    MOST_LANES = 64
    LANE_BYTES = 256  # of an element for each lane, of either type
    BLOCK = 64  # positions whose quarters are added first
    QUARTER = 16
    CHUNK = 4096  # positions whose sum is scaled by one element
    # Chunks of kept terms that may begin with one offset: small ones among more lose too many digits.
    CHUNKS_OF_OFFSET = 8


cdef extern from *:
    """
    /* What sums of terms in float64 begin with: no term is larger, and none changes the exponent, so that
       a compensated addition takes four operations. 256 kept terms of a chunk meet in one sum, each less than
       2^138 (`most_above`); in a slice of one block, 4 of less than 2^121. */
    #define OFFSET_OF_KEPT 0x1.8p148
    #define OFFSET_OF_KEPT_BLOCK 0x1.8p129
    /* The same for a chunk whose largest term is known, times the power of two below that: 256 terms of less
       than twice this power are 2^9, and the offset holds a third of itself more. */
    #define OFFSET_PER_TERM 0x1.8p10
    /* Where the largest is taken off again, what the others come to has to have its digits beside the offset.
       The offset is the smallest that holds 4 m terms of less than 2^133, m the blocks of a chunk; of one
       block 4 terms of less than 2^121. */
    #define OFFSET_PER_BLOCK 0x1.8p136
    #define OFFSET_OF_BLOCK 0x1.8p125
    /* The roundings of the tail of a sum: (2^5.4 m^2 + 2^10) 2^-105 of the offset at most. Beside others that
       weigh (2^-41 m^2 + 2^-36) of the offset that is 2^-59. */
    #define TWO_MINUS_41 0x1p-41
    #define LEAST_OF_OFFSET 0x1p-36
    /* float32: each of the additions to the sum that has the largest term, m + 5 in m blocks, may lose 2^-53
       of that, and of the tails of the others 2^-49, all the same way. Beside others that weigh 2^-20 m of it
       that is 2^-26.4 at most. */
    #define TWO_MINUS_20 0x1p-20
    #define EXPONENT_BITS 0x7ff0000000000000ULL
    """
    const double OFFSET_OF_KEPT, OFFSET_OF_KEPT_BLOCK, OFFSET_PER_TERM, OFFSET_PER_BLOCK, OFFSET_OF_BLOCK
    const double TWO_MINUS_41, LEAST_OF_OFFSET, TWO_MINUS_20
    const uint64_t EXPONENT_BITS


cdef struct sum_range:
    # Of the sums over slices of one length.
    double offset  # what float64 sums begin with
    bint fitted  # instead, those of kept terms begin with what fits the largest element of the chunk
    double least  # what terms without the largest have to weigh to keep their digits beside the offset
    double least_part  # the same of float32 terms, as a part of the largest


cdef inline sum_range range_of_sums(bint has_one_scale, Py_ssize_t n) noexcept nogil:
    cdef sum_range these
    cdef double blocks = 1
    these.fitted = has_one_scale and n > CHUNKS_OF_OFFSET * CHUNK
    if has_one_scale:
        these.offset = OFFSET_OF_KEPT_BLOCK if n <= BLOCK else OFFSET_OF_KEPT
    else:
        while blocks * BLOCK < min(n, <Py_ssize_t> CHUNK):
            blocks *= 2
        these.offset = OFFSET_OF_BLOCK if n <= BLOCK else OFFSET_PER_BLOCK * blocks
    these.least = (TWO_MINUS_41 * (blocks * blocks) + LEAST_OF_OFFSET) * these.offset
    these.least_part = TWO_MINUS_20 * blocks
    return these


cdef enum summation:
    WITH_LARGEST  # to be taken off when it is known
    WITHOUT_LARGEST  # which is known; so the others count for themselves, however small
    KEPT  # with the largest, and each term is kept
    KEPT_SHIFTED  # also where `exp_range` shifts
    KEPT_WITHOUT_LARGEST  # without the largest, which is known, and each term is kept


cdef struct scaling:
    # How the terms of each lane are scaled: what `exp_range` chose for the reference, an element.
    double reference[MOST_LANES]
    double shift[MOST_LANES]
    double exponent[MOST_LANES]
    double lowest[MOST_LANES]
    Py_ssize_t shifted  # lanes whose shift is not 0


cdef struct scaled_sums:
    # Of terms as `exp_term` scales them: high + low.
    double largest[MOST_LANES]  # element
    double ties[MOST_LANES]  # elements equal to the largest, which the sum leaves out
    double high[MOST_LANES]
    double low[MOST_LANES]


cdef struct relative_sums:
    # exp(largest) * (ties + 2^-HEADROOM * (high + low))
    double largest[MOST_LANES]
    double ties[MOST_LANES]
    double high[MOST_LANES]
    double low[MOST_LANES]


cdef union slice_sums:
    scaled_sums scaled  # of a function that keeps its terms
    relative_sums relative  # of any other


cdef inline Py_ssize_t lanes_of(real *tag) noexcept nogil:
    """Of a panel."""
    return LANES_32 if real is float32 else LANES_64


# ---- one lane --------------------------------------------------------------------------------------


cdef inline bint keeps(summation mode) noexcept nogil:
    return True if mode == KEPT else True if mode == KEPT_SHIFTED else mode == KEPT_WITHOUT_LARGEST


cdef inline bint leaves_out(summation mode) noexcept nogil:
    """Whether the sum is without the largest element."""
    return True if mode == WITHOUT_LARGEST else mode == KEPT_WITHOUT_LARGEST


cdef inline bint shifts(summation mode) noexcept nogil:
    """Whether terms may have a shift. Only KEPT and WITH_LARGEST know that there is none."""
    return True if leaves_out(mode) else mode == KEPT_SHIFTED


cdef inline double initial_sum(real *tag, summation mode, double offset) noexcept nogil:
    if real is float32:
        return 0
    else:
        return 0 if leaves_out(mode) else offset


cdef inline double most_above(real *tag, bint has_one_scale) noexcept nogil:
    """How far the largest element may exceed the reference, whose term is near 2^120 (float32: 2^64).

    exp(8) < 2^12 and exp(12) < 2^18 are what the offsets of float64 sums hold; in float32 exp(20) < 2^29
    keeps the terms in the range of the type, and their sum is float64.
    """
    if real is float32:
        return 20
    else:
        return 12 if has_one_scale else 8


cdef inline real kept_term(real term, real tail) noexcept nogil:
    """A term as softmax keeps it: its sign is that of its tail, one more bit of the sum of both."""
    if real is float32:
        return copysignf(term, tail)
    else:
        return copysign(term, tail)


cdef inline double add_in_order(double *high, double term, double tail) noexcept nogil:
    """high += term, where that is the smaller; what is lost, with the tail of the term."""
    cdef double total = high[0] + term, lost = (term - (total - high[0])) + tail
    high[0] = total
    return lost


cdef inline void add_four(
    summation mode, const real *elements, const real *terms, const real *tails, real *largest, double *high,
    real *low, real *others,
) noexcept nogil:
    """Add four terms to a sum and find the largest of the elements, or leave that out and count the others.

    ``low`` receives the tails of the terms and, in float64, the rounding errors; float32 adds in float64,
    where there are none to speak of.
    """
    cdef real first, second
    cdef real term0 = terms[0], term1 = terms[1], term2 = terms[2], term3 = terms[3]
    cdef real tail0 = tails[0], tail1 = tails[1], tail2 = tails[2], tail3 = tails[3]
    if leaves_out(mode):
        others[0] = others[0] + 1 if elements[0] != largest[0] else others[0]
        others[0] = others[0] + 1 if elements[1] != largest[0] else others[0]
        others[0] = others[0] + 1 if elements[2] != largest[0] else others[0]
        others[0] = others[0] + 1 if elements[3] != largest[0] else others[0]
        term0 = term0 if elements[0] != largest[0] else 0
        term1 = term1 if elements[1] != largest[0] else 0
        term2 = term2 if elements[2] != largest[0] else 0
        term3 = term3 if elements[3] != largest[0] else 0
        tail0 = tail0 if elements[0] != largest[0] else 0
        tail1 = tail1 if elements[1] != largest[0] else 0
        tail2 = tail2 if elements[2] != largest[0] else 0
        tail3 = tail3 if elements[3] != largest[0] else 0
    else:
        first = elements[0] if elements[0] > elements[1] else elements[1]
        second = elements[2] if elements[2] > elements[3] else elements[3]
        first = first if first > second else second
        largest[0] = first if first > largest[0] else largest[0]
    if real is float32:
        high[0] += (<double> term0 + <double> term1) + (<double> term2 + <double> term3)
        low[0] += (tail0 + tail1) + (tail2 + tail3)
    elif leaves_out(mode):
        add_by_size(high, low, term0)
        add_by_size(high, low, term1)
        add_by_size(high, low, term2)
        add_by_size(high, low, term3)
        low[0] += (tail0 + tail1) + (tail2 + tail3)
    else:
        tail0 = add_in_order(high, term0, tail0)
        tail1 = add_in_order(high, term1, tail1)
        tail2 = add_in_order(high, term2, tail2)
        tail3 = add_in_order(high, term3, tail3)
        low[0] += (tail0 + tail1) + (tail2 + tail3)


cdef inline void add_halves(double *high, real *low, Py_ssize_t width) noexcept nogil:
    """The upper half of 2 width sums to the lower one. The compiler has to see the width."""
    cdef Py_ssize_t i
    for i in range(width):
        low[i] += low[i + width]
        if real is float32:
            high[i] += high[i + width]
        else:
            add_exactly(&high[i], &low[i], high[i + width])


cdef inline void halve(real *tag, double *high, real *low, Py_ssize_t width) noexcept nogil:
    """`add_halves` of one of the widths that panels have: 8, 4, 2 or 1 positions of their lanes."""
    if width == 8 * MOST_LANES:
        add_halves[real](high, low, 8 * MOST_LANES)
    elif width == 4 * MOST_LANES:
        add_halves[real](high, low, 4 * MOST_LANES)
    elif width == 2 * MOST_LANES:
        add_halves[real](high, low, 2 * MOST_LANES)
    elif width == MOST_LANES:
        add_halves[real](high, low, MOST_LANES)
    elif width == MOST_LANES // 2:
        add_halves[real](high, low, MOST_LANES // 2)
    elif width == MOST_LANES // 4:
        add_halves[real](high, low, MOST_LANES // 4)
    elif width == MOST_LANES // 8:
        add_halves[real](high, low, MOST_LANES // 8)
    elif width == MOST_LANES // 16:
        add_halves[real](high, low, MOST_LANES // 16)
    elif width == MOST_LANES // 32:
        add_halves[real](high, low, MOST_LANES // 32)
    else:
        add_halves[real](high, low, 1)


cdef inline Py_ssize_t quarter_of(Py_ssize_t n) noexcept nogil:
    """How far apart the four terms are that are added first.

    Positions that are missing from the quarters of the last block count as -inf.
    """
    return (n + 3) // 4 if n < BLOCK else QUARTER


# ---- lanes -----------------------------------------------------------------------------------------


cdef inline void choose_scaling(
    real *tag, const double *reference, Py_ssize_t width, scaling *scale
) noexcept nogil:
    cdef real shift, exponent, lowest
    cdef Py_ssize_t j
    for j in range(width):
        exp_range[real](<real> reference[j], &shift, &exponent, &lowest)
        scale.reference[j] = reference[j]
        scale.shift[j], scale.exponent[j], scale.lowest[j] = shift, exponent, lowest
    scale.shifted = 0
    for j in range(width):
        scale.shifted += scale.shift[j] != 0


cdef inline Py_ssize_t mend_scaling(
    real *tag, const double *largest, Py_ssize_t width, scaling *scale
) noexcept nogil:
    """Scale by the largest elements where the references will not do; for how many lanes."""
    cdef double reference[MOST_LANES]
    cdef Py_ssize_t count = 0, j
    for j in range(width):
        reference[j] = scale.reference[j]
        if scale.shift[j] != 0 or not largest[j] - reference[j] <= most_above[real](NULL, True):
            reference[j] = largest[j]
            count += 1
    choose_scaling[real](NULL, reference, width, scale)
    return count


cdef inline void fit_offsets(
    real *tag, const double *largest, const scaling *scale, Py_ssize_t width, double *offsets
) noexcept nogil:
    """What sums of kept terms begin with in a chunk with these largest elements."""
    cdef real term, tail
    cdef Py_ssize_t j
    for j in range(width):
        term = exp_term[real](
            <real> largest[j], True, <real> scale.shift[j], <real> scale.exponent[j], <real> scale.lowest[j],
            &tail,
        )
        offsets[j] = from_bits64(bits64(term) & EXPONENT_BITS) * OFFSET_PER_TERM


cdef inline void take_off_largest(
    real *tag, const sum_range *begun, const scaling *scale, Py_ssize_t width, scaled_sums *sums,
    bint *settled,
) noexcept nogil:
    """Leave the largest element out of the sum of all; settled is where what remains has all its digits.

    That needs a scale that fits, and others that together weigh enough: beside the largest, or in float64
    beside what the sums began with, since its rounding errors are not added exactly. NaN never settles.
    """
    cdef double enough[MOST_LANES]
    cdef double shift, distance
    cdef real term, tail
    cdef Py_ssize_t j
    for j in range(width):
        term = exp_term[real](
            <real> sums.largest[j], False, 0, <real> scale.exponent[j], <real> scale.lowest[j], &tail
        )
        sums.ties[j] = 1
        sums.low[j] -= tail
        if real is float32:
            sums.high[j] -= term
            enough[j] = sums.high[j] - begun.least_part * term
        else:
            add_exactly(&sums.high[j], &sums.low[j], -term)
            renormalise(&sums.high[j], &sums.low[j])
            enough[j] = sums.high[j] - begun.least
    for j in range(width):
        # Read whatever the others say: a loop that reads only at times is not vectorised by SSE.
        shift, distance = scale.shift[j], sums.largest[j] - scale.reference[j]
        settled[j] = enough[j] >= 0 and shift == 0 and distance <= most_above[real](NULL, False)


cdef inline void relate(
    real *tag, const scaling *scale, const scaled_sums *scaled, Py_ssize_t width, relative_sums *relative
) noexcept nogil:
    """The sums without their largest elements, relative to these; of float32 terms in one double."""
    cdef double quotient[MOST_LANES]
    cdef double rest[MOST_LANES]
    cdef double unit, unit_tail, high, low
    cdef Py_ssize_t j
    for j in range(width):
        if real is float32:
            unit = exp_for_float(scaled.largest[j] - scale.shift[j], scale.exponent[j] - HEADROOM)
            quotient[j] = (scaled.high[j] + scaled.low[j]) / unit
            rest[j] = 0
        else:
            exp_double(scaled.largest[j] - scale.shift[j], scale.exponent[j] - HEADROOM, &unit, &unit_tail)
            high, low = scaled.high[j], scaled.low[j]
            renormalise(&high, &low)
            quotient[j] = high / unit
            rest[j] = (residual64(quotient[j], unit, high) - quotient[j] * unit_tail + low) / unit
    memcpy(relative.largest, scaled.largest, width * sizeof(double))
    memcpy(relative.ties, scaled.ties, width * sizeof(double))
    memcpy(relative.high, quotient, width * sizeof(double))
    memcpy(relative.low, rest, width * sizeof(double))


cdef inline void merge_scaled(const scaled_sums *part, scaled_sums *total, Py_ssize_t width) noexcept nogil:
    """Add the sums of more positions of the same lanes, scaled alike."""
    cdef Py_ssize_t j
    for j in range(width):
        total.largest[j] = max(total.largest[j], part.largest[j])
        total.low[j] += part.low[j]
        add_exactly(&total.high[j], &total.low[j], part.high[j])
        renormalise(&total.high[j], &total.low[j])


cdef inline void merge_relative(
    const relative_sums *part, relative_sums *total, Py_ssize_t width
) noexcept nogil:
    """Add the sums of more positions of the same lanes, each relative to a largest element of its own."""
    cdef Py_ssize_t j
    cdef bint part_leads, equal
    cdef double larger, smaller, ties, lesser_ties, high, lesser_high, low, lesser_low
    cdef double difference, rest, factor, factor_tail, term, tail, whole
    for j in range(width):
        part_leads = part.largest[j] > total.largest[j]
        equal = part.largest[j] == total.largest[j]
        larger = part.largest[j] if part_leads else total.largest[j]
        smaller = total.largest[j] if part_leads else part.largest[j]
        ties = part.ties[j] if part_leads else total.ties[j]
        lesser_ties = total.ties[j] if part_leads else part.ties[j]
        high = part.high[j] if part_leads else total.high[j]
        lesser_high = total.high[j] if part_leads else part.high[j]
        low = part.low[j] if part_leads else total.low[j]
        lesser_low = total.low[j] if part_leads else part.low[j]
        # exp(smaller - larger). At 2^-1138 of the sum a part no longer counts (`exp_range`), and the power
        # of two times 2^HEADROOM is still a normal number.
        difference = smaller
        rest = 0
        add_exactly(&difference, &rest, -larger)
        rest = rest if difference > -789 else 0
        difference = difference if difference > -789 else -789
        exp_double_double(difference, HEADROOM, &factor, &factor_tail)
        factor_tail = factor_tail + factor * rest
        # times the whole sum of the lesser
        whole = lesser_ties
        tail = lesser_low * TWO_MINUS_HEADROOM
        add_exactly(&whole, &tail, lesser_high * TWO_MINUS_HEADROOM)
        term = factor * whole
        tail = (factor * tail + factor_tail * whole) - residual64(factor, whole, term)
        term = lesser_high if equal else term
        tail = lesser_low if equal else tail
        total.largest[j] = larger
        total.ties[j] = ties + (lesser_ties if equal else 0)
        low = low + tail
        add_exactly(&high, &low, term)
        renormalise(&high, &low)
        total.high[j] = high
        total.low[j] = low
