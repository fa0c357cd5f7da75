"""The three passes along slices, one after the other, whose positions are contiguous: largest element, sum,
results.

Slices that are not are staged, chunk by chunk.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport float32, real
from fastlogit.kernels.blocks cimport chunk, lane_of, lanes, offset_of, what_follows, worker
from fastlogit.kernels.expsum cimport (
    BLOCK, CHUNK, QUARTER, add_four, add_halves, initial_sum, keeps, kept_term, leaves_out, quarter_of,
    scaled_sums, scaling, shifts, summation,
)
from fastlogit.kernels.memory cimport LINE, prefetch, stream
from fastlogit.kernels.slice_functions cimport MOST_COEFFICIENTS, coefficients, element, traits, traits_of
from fastlogit.kernels.slices cimport slice_function
from fastlogit.kernels.staging cimport kept_terms, stage_lane, unstage_lane
from fastlogit.kernels.terms cimport exp_term
from fastlogit.kernels.views cimport contiguous


cdef enum:
    STREAMED = 256  # elements that are computed before they are streamed


# ---- largest elements ------------------------------------------------------------------------------


cdef inline void keep_larger(real *values, Py_ssize_t width) noexcept nogil:
    """Of two halves, each ``width`` long, which the compiler has to see."""
    cdef Py_ssize_t i
    for i in range(width):
        values[i] = values[i + width] if values[i + width] > values[i] else values[i]


cdef inline real largest_of(const real[::1] x) noexcept nogil:
    """NaN is passed over here; it comes back through the sum.

    Four blocks are compared among themselves before they meet ``largest``, which would be waited for.
    """
    cdef real largest[BLOCK]
    cdef real first, second
    cdef Py_ssize_t block, i, j
    for j in range(BLOCK):
        largest[j] = -INFINITY
    for block in range(x.shape[0] // (4 * BLOCK)):
        i = block * 4 * BLOCK
        for j in range(BLOCK):
            first = x[i + j] if x[i + j] > x[i + j + BLOCK] else x[i + j + BLOCK]
            second = x[i + j + 2 * BLOCK]
            second = second if second > x[i + j + 3 * BLOCK] else x[i + j + 3 * BLOCK]
            first = first if first > second else second
            largest[j] = first if first > largest[j] else largest[j]
    for block in range(x.shape[0] // (4 * BLOCK) * 4, x.shape[0] // BLOCK):
        i = block * BLOCK
        for j in range(BLOCK):
            largest[j] = x[i + j] if x[i + j] > largest[j] else largest[j]
    i = x.shape[0] - BLOCK
    if i >= 0:
        # Some of the last block for the second time, which does no harm.
        for j in range(BLOCK):
            largest[j] = x[i + j] if x[i + j] > largest[j] else largest[j]
    else:
        for j in range(x.shape[0]):
            largest[j] = x[j] if x[j] > largest[j] else largest[j]
    keep_larger[real](largest, 32)
    keep_larger[real](largest, 16)
    keep_larger[real](largest, 8)
    keep_larger[real](largest, 4)
    keep_larger[real](largest, 2)
    keep_larger[real](largest, 1)
    return largest[0]


cdef inline void find_largest_along(
    real *tag, const chunk *part, worker *space, double *largest
) noexcept nogil:
    cdef const lanes *group = part.group
    cdef Py_ssize_t start, stop, j
    cdef real *x
    for j in range(group.count):
        if not group.staged:
            x = lane_of[real](&group.x, j, part.start, NULL)
            largest[j] = largest_of[real](contiguous[real](x, part.stop - part.start))
            continue
        largest[j] = -INFINITY
        start = part.start
        while start < part.stop:
            stop = min(start + CHUNK, part.stop)
            x = stage_lane[real](group, j, start, stop, True, <real *> space.scratch)
            largest[j] = max(largest[j], <double> largest_of[real](contiguous[real](x, stop - start)))
            start = stop


# ---- sums ------------------------------------------------------------------------------------------


cdef inline void spread(const real *x, Py_ssize_t count, Py_ssize_t quarter, real *block) noexcept nogil:
    """The last positions as a whole block, each in its quarter; what is missing is -inf."""
    cdef Py_ssize_t i, k
    for i in range(BLOCK):
        block[i] = -INFINITY
    if quarter == QUARTER:
        memcpy(block, x, count * sizeof(real))
    else:
        for k in range(4):
            for i in range(min(quarter, count - k * quarter)):
                block[k * QUARTER + i] = x[k * quarter + i]


cdef inline void collect(const real *block, Py_ssize_t count, Py_ssize_t quarter, real *x) noexcept nogil:
    """What `spread` spread out, back in its order."""
    cdef Py_ssize_t i, k
    if quarter == QUARTER:
        memcpy(x, block, count * sizeof(real))
    else:
        for k in range(4):
            for i in range(min(quarter, count - k * quarter)):
                x[k * quarter + i] = block[k * QUARTER + i]


cdef inline void begin_lane(
    summation mode, double offset, real largest_element, double *high, real *low, real *largest, real *others
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(QUARTER):
        high[i] = initial_sum[real](NULL, mode, offset)
        low[i] = others[i] = 0
        largest[i] = largest_element if leaves_out(mode) else -INFINITY


cdef inline void add_block(
    const real *block, summation mode, const real *scale, real *largest, double *high, real *low,
    real *others, real *kept,
) noexcept nogil:
    """The four quarters of a block at once; ``scale`` is shift, exponent and lowest."""
    cdef real four[4]
    cdef real terms[4]
    cdef real tails[4]
    cdef bint shifted = shifts(mode)
    cdef Py_ssize_t i
    for i in range(QUARTER):
        four[0], four[1] = block[i], block[i + QUARTER]
        four[2], four[3] = block[i + 2 * QUARTER], block[i + 3 * QUARTER]
        terms[0] = exp_term[real](four[0], shifted, scale[0], scale[1], scale[2], &tails[0])
        terms[1] = exp_term[real](four[1], shifted, scale[0], scale[1], scale[2], &tails[1])
        terms[2] = exp_term[real](four[2], shifted, scale[0], scale[1], scale[2], &tails[2])
        terms[3] = exp_term[real](four[3], shifted, scale[0], scale[1], scale[2], &tails[3])
        add_four[real](mode, four, terms, tails, &largest[i], &high[i], &low[i], &others[i])
        if keeps(mode):
            kept[i] = kept_term[real](terms[0], tails[0])
            kept[i + QUARTER] = kept_term[real](terms[1], tails[1])
            kept[i + 2 * QUARTER] = kept_term[real](terms[2], tails[2])
            kept[i + 3 * QUARTER] = kept_term[real](terms[3], tails[3])


cdef inline void end_lane(
    summation mode, double offset, Py_ssize_t lane, double *high, real *low, real *largest, real *others,
    scaled_sums *sums,
) noexcept nogil:
    """From the sums of each position of a quarter to those of the slice, but for its ties."""
    cdef Py_ssize_t i
    for i in range(QUARTER):
        high[i] -= initial_sum[real](NULL, mode, offset)
    add_halves[real](high, low, 8)
    add_halves[real](high, low, 4)
    add_halves[real](high, low, 2)
    add_halves[real](high, low, 1)
    sums.high[lane], sums.low[lane] = high[0], low[0]
    if leaves_out(mode):
        for i in range(8):
            others[i] += others[i + 8]
        for i in range(8):
            sums.ties[lane] -= others[i]
    else:
        keep_larger[real](largest, 8)
        keep_larger[real](largest, 4)
        keep_larger[real](largest, 2)
        keep_larger[real](largest, 1)
        sums.largest[lane] = largest[0]


cdef inline void add_along(
    real *tag, summation mode, const chunk *part, worker *space, const scaling *scale,
    const bint *passed_over, scaled_sums *sums,
) noexcept nogil:
    """The sums of a chunk of at most CHUNK positions of all slices but those that are passed over.

    ``mode`` is a constant. While the arithmetic goes on, what is read next comes into the cache.
    """
    cdef const lanes *group = part.group
    cdef double high[QUARTER]
    cdef real low[QUARTER]
    cdef real largest[QUARTER]
    cdef real others[QUARTER]
    cdef real padded[BLOCK]
    cdef real kept[BLOCK]
    cdef real of_lane[3]
    cdef real *x
    cdef real *out
    cdef const char *next_x
    cdef double offset
    cdef bint stored = group.plan.traits.keeps_terms
    cdef Py_ssize_t n = part.stop - part.start, whole = n // BLOCK, quarter = quarter_of(group.plan.n), i, j
    for j in range(group.count):
        if passed_over != NULL and passed_over[j]:
            continue
        of_lane[0], of_lane[1] = <real> scale.shift[j], <real> scale.exponent[j]
        of_lane[2] = <real> scale.lowest[j]
        if group.staged:
            x = stage_lane[real](group, j, part.start, part.stop, True, <real *> space.scratch)
            out = x
            next_x = <const char *> x
        else:
            x = lane_of[real](&group.x, j, part.start, NULL)
            out = kept_terms[real](NULL, group, space, j, part.start)
            next_x = what_follows[real](NULL, part) + j * group.x.lane_stride
        offset = offset_of(mode, part, space, j)
        begin_lane[real](mode, offset, <real> sums.largest[j], high, low, largest, others)
        for i in range(whole):
            prefetch(next_x + i * BLOCK * sizeof(real), BLOCK * sizeof(real))
            add_block[real](x + i * BLOCK, mode, of_lane, largest, high, low, others, kept)
            if keeps(mode) and stored:
                memcpy(out + i * BLOCK, kept, BLOCK * sizeof(real))
        sums.ties[j] = whole * BLOCK
        if n > whole * BLOCK:
            spread[real](x + whole * BLOCK, n - whole * BLOCK, quarter, padded)
            add_block[real](padded, mode, of_lane, largest, high, low, others, kept)
            if keeps(mode) and stored:
                collect[real](kept, n - whole * BLOCK, quarter, out + whole * BLOCK)
            sums.ties[j] += BLOCK
        end_lane[real](mode, offset, j, high, low, largest, others, sums)
        if keeps(mode) and stored and group.staged:
            unstage_lane[real](&group.terms, j, part.start, part.stop, out)


# ---- results ---------------------------------------------------------------------------------------


cdef inline void write_lane(
    slice_function function, const real[::1] x, real[::1] out, const real *coefficient
) noexcept nogil:
    """The results of one slice from its elements or terms; ``out`` may be x."""
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        out[i] = element[real](function, x[i], coefficient, 1)


cdef inline void stream_lane(
    slice_function function, const real *x, real *out, Py_ssize_t count, const real *coefficient
) noexcept nogil:
    """`write_lane` past the caches. The first block ends where a line does, so that the others are lines."""
    cdef real results[STREAMED]
    cdef Py_ssize_t i = 0, end = (-<uintptr_t> out % LINE) // <Py_ssize_t> sizeof(real)
    while i < count:
        end = min(end, count - i)
        write_lane[real](
            function, contiguous[real](x + i, end), contiguous[real](results, end), coefficient
        )
        stream(<char *> (out + i), <char *> results, end * sizeof(real))
        i += end
        end = STREAMED


cdef inline void write_along(
    slice_function function, const chunk *part, worker *space, const coefficients *answer, real *tag
) noexcept nogil:
    """``function`` is a constant."""
    cdef const lanes *group = part.group
    cdef traits these = traits_of(function)
    cdef bint from_x = not these.keeps_terms
    cdef real coefficient[MOST_COEFFICIENTS]
    cdef real *x
    cdef real *out
    cdef Py_ssize_t start, stop, j, k, count = part.stop - part.start
    for j in range(group.count):
        for k in range(these.coefficients):
            coefficient[k] = <real> answer.of_lane[k][j]
        if group.staged:
            start = part.start
            while start < part.stop:
                stop = min(start + CHUNK, part.stop)
                x = stage_lane[real](group, j, start, stop, from_x, <real *> space.scratch)
                write_lane[real](
                    function, contiguous[real](x, stop - start), contiguous[real](x, stop - start),
                    coefficient,
                )
                unstage_lane[real](&group.out, j, start, stop, x)
                start = stop
            continue
        out = lane_of[real](&group.out, j, part.start, NULL)
        if from_x:
            x = lane_of[real](&group.x, j, part.start, NULL)
        else:
            x = kept_terms[real](NULL, group, space, j, part.start)
        # Terms that stand in ``out`` have brought it into the cache already.
        if group.plan.streamed and x != out:
            stream_lane[real](function, x, out, count, coefficient)
        else:
            write_lane[real](
                function, contiguous[real](x, count), contiguous[real](out, count), coefficient
            )
