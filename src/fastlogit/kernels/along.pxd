"""The three passes along slices, one after the other, whose positions are contiguous: largest element, sum,
results.

Slices that are not are staged, chunk by chunk.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport exclusive_bytes, exclusive_doubles, float32, float64, real
from fastlogit.kernels.blocks cimport chunk, lane_of, lanes, offset_of, what_follows, worker
from fastlogit.kernels.columns cimport (
    TURNED, add_columns, lanes_for, largest_of_columns, turn,
)
from fastlogit.kernels.expsum cimport (
    BLOCK, CHUNK, QUARTER, add_four, initial_sum, keeps, kept_term, leaves_out, quarter_of, scaled_sums,
    scaling, shifts, summation,
)
from fastlogit.kernels.memory cimport LINE, prefetch, stream
from fastlogit.kernels.slice_functions cimport MOST_COEFFICIENTS, coefficients, element, traits, traits_of
from fastlogit.kernels.slices cimport slice_function
from fastlogit.kernels.staging cimport kept_terms, stage_lane, unstage_lane
from fastlogit.kernels.terms cimport exp_term
from fastlogit.kernels.views cimport contiguous


cdef extern from *:
    """
    #if defined(__AVX2__)
    #define HAS_MASKED_LOADS 1
    #else
    #define HAS_MASKED_LOADS 0
    #endif
    """
    const bint HAS_MASKED_LOADS


cdef enum:
    STREAMED = 256  # elements that are computed before they are streamed


# ---- largest elements ------------------------------------------------------------------------------


cdef inline void keep_largest(const real[::1] x, real *row) noexcept nogil:
    """At each place of ``row``, of QUARTER elements, the largest of those before and of some of x.

    NaN is passed over here; it comes back through the sum.
    """
    cdef real largest[QUARTER]
    cdef real first, second
    cdef Py_ssize_t n = x.shape[0], block, i, j
    memcpy(largest, row, QUARTER * sizeof(real))
    # The last block may have some of the elements for the second time, which does no harm.
    for block in range((n + BLOCK - 1) // BLOCK if n >= BLOCK else 0):
        i = min(block * BLOCK, n - BLOCK)
        for j in range(QUARTER):
            first = x[i + j] if x[i + j] > x[i + j + QUARTER] else x[i + j + QUARTER]
            second = x[i + j + 2 * QUARTER]
            second = second if second > x[i + j + 3 * QUARTER] else x[i + j + 3 * QUARTER]
            first = first if first > second else second
            largest[j] = first if first > largest[j] else largest[j]
    if n < BLOCK:
        for block in range((n + QUARTER - 1) // QUARTER):
            i = block * QUARTER
            for j in range(min(<Py_ssize_t> QUARTER, n - i)):
                largest[j] = x[i + j] if x[i + j] > largest[j] else largest[j]
    memcpy(row, largest, QUARTER * sizeof(real))


cdef inline void find_largest_along(
    real *tag, const chunk *part, worker *space, double *largest
) noexcept nogil:
    cdef const lanes *group = part.group
    cdef real *rows = <real *> space.rows.found
    cdef real *columns = <real *> space.found
    cdef real *row
    cdef real *x
    cdef Py_ssize_t lane_count = lanes_for(group.count), start, stop, lane, i
    for lane in range(group.count):
        row = rows + lane % TURNED * QUARTER
        for i in range(QUARTER):
            row[i] = -INFINITY
        if group.staged:
            start = part.start
            while start < part.stop:
                stop = min(start + CHUNK, part.stop)
                x = stage_lane[real](group, lane, start, stop, True, <real *> space.scratch)
                keep_largest[real](contiguous[real](x, stop - start), row)
                start = stop
        else:
            x = lane_of[real](&group.x, lane, part.start, NULL)
            keep_largest[real](contiguous[real](x, part.stop - part.start), row)
        if group.count < TURNED:
            largest_of_columns[real](row, 1)
            largest[lane] = row[0]
        elif (lane + 1) % TURNED == 0 or lane + 1 == group.count:
            turn[real](rows, columns + lane // TURNED * TURNED, lane_count)
    if group.count >= TURNED:
        largest_of_columns[real](columns, lane_count)
        for lane in range(group.count):
            largest[lane] = columns[lane]


# ---- sums ------------------------------------------------------------------------------------------


cdef inline void spread(const real *x, Py_ssize_t count, Py_ssize_t quarter, real *block) noexcept nogil:
    """The last positions as a whole block, each in its quarter; what is missing is -inf."""
    cdef Py_ssize_t i, k
    if quarter == QUARTER and HAS_MASKED_LOADS:
        # Not copied: a vector that begins in one store and ends in the next would wait for both.
        for i in range(BLOCK):
            block[i] = x[i] if i < count else -INFINITY
        return
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


cdef inline void turn_sums(worker *space, Py_ssize_t first, Py_ssize_t lane_count, real *tag) noexcept nogil:
    """The rows to columns, from the lane of the first of them on."""
    turn[float64](space.rows.high, space.high + first, lane_count)
    turn[real](<const real *> space.rows.low, <real *> space.low + first, lane_count)
    turn[real](<const real *> space.rows.found, <real *> space.found + first, lane_count)


cdef struct summed_lanes:
    # Of ``scaled_sums``, from a lane on.
    double *largest
    double *ties
    double *high
    double *low


cdef inline summed_lanes lanes_from(scaled_sums *sums, Py_ssize_t lane) noexcept nogil:
    return summed_lanes(&sums.largest[lane], &sums.ties[lane], &sums.high[lane], &sums.low[lane])


cdef inline void end_columns(
    summation mode, const double *offset, Py_ssize_t count, Py_ssize_t lane_count, exclusive_doubles high,
    exclusive_bytes memory_of_low, real *found, summed_lanes sums,
) noexcept nogil:
    """The sums of so many slices from those at each position of a quarter.

    ``high`` and ``low`` are reached by no other names; ``lane_count`` is 1, a constant, or unknown.
    """
    cdef real *low = <real *> memory_of_low
    cdef real others
    cdef Py_ssize_t i, j
    if real is float64:
        for i in range(QUARTER):
            for j in range(lane_count):
                high[i * lane_count + j] -= offset[j]
    add_columns[real](NULL, QUARTER, lane_count, high, low)
    for j in range(count):
        sums.high[j] = high[j]
        sums.low[j] = low[j]
    if leaves_out(mode):
        for j in range(count):
            others = 0
            for i in range(QUARTER):
                others += found[i * lane_count + j]
            sums.ties[j] -= others
    else:
        largest_of_columns[real](found, lane_count)
        for j in range(count):
            sums.largest[j] = found[j]


cdef inline void add_slice(
    summation mode, const chunk *part, worker *space, const scaling *scale, Py_ssize_t lane,
    scaled_sums *sums, real *tag,
) noexcept nogil:
    """The sums at each position of a quarter of one slice, to a row of ``space.rows``."""
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
    cdef double offset = offset_of(mode, part, space, lane)
    cdef bint stored = group.plan.traits.keeps_terms
    cdef Py_ssize_t n = part.stop - part.start, whole = n // BLOCK, quarter = quarter_of(group.plan.n), i
    cdef Py_ssize_t row = lane % TURNED * QUARTER
    of_lane[0], of_lane[1] = <real> scale.shift[lane], <real> scale.exponent[lane]
    of_lane[2] = <real> scale.lowest[lane]
    if group.staged:
        x = stage_lane[real](group, lane, part.start, part.stop, True, <real *> space.scratch)
        out = x
        next_x = <const char *> x
    else:
        x = lane_of[real](&group.x, lane, part.start, NULL)
        out = kept_terms[real](NULL, group, space, lane, part.start)
        next_x = what_follows[real](NULL, part) + lane * group.x.lane_stride
    begin_lane[real](mode, offset, <real> sums.largest[lane], high, low, largest, others)
    for i in range(whole):
        prefetch(next_x + i * BLOCK * sizeof(real), BLOCK * sizeof(real))
        add_block[real](x + i * BLOCK, mode, of_lane, largest, high, low, others, kept)
        if keeps(mode) and stored:
            memcpy(out + i * BLOCK, kept, BLOCK * sizeof(real))
    sums.ties[lane] = whole * BLOCK
    if n > whole * BLOCK:
        spread[real](x + whole * BLOCK, n - whole * BLOCK, quarter, padded)
        add_block[real](padded, mode, of_lane, largest, high, low, others, kept)
        if keeps(mode) and stored:
            collect[real](kept, n - whole * BLOCK, quarter, out + whole * BLOCK)
        sums.ties[lane] += BLOCK
    if keeps(mode) and stored and group.staged:
        unstage_lane[real](&group.terms, lane, part.start, part.stop, out)
    space.chunk.offset[lane] = initial_sum[real](NULL, mode, offset)
    memcpy(space.rows.high + row, high, QUARTER * sizeof(double))
    memcpy(<real *> space.rows.low + row, low, QUARTER * sizeof(real))
    if leaves_out(mode):
        memcpy(<real *> space.rows.found + row, others, QUARTER * sizeof(real))
    else:
        memcpy(<real *> space.rows.found + row, largest, QUARTER * sizeof(real))


cdef inline void add_along(
    real *tag, summation mode, const chunk *part, worker *space, const scaling *scale,
    const bint *passed_over, scaled_sums *sums,
) noexcept nogil:
    """The sums of a chunk of at most CHUNK positions of all slices but those that are passed over.

    ``mode`` is a constant. While the arithmetic goes on, what is read next comes into the cache.
    """
    cdef Py_ssize_t count = part.group.count, lane_count = lanes_for(count), lane, row
    cdef real *low = <real *> space.rows.low
    cdef real *found = <real *> space.rows.found
    for lane in range(count):
        row = lane % TURNED * QUARTER
        if passed_over == NULL or not passed_over[lane]:
            add_slice[real](mode, part, space, scale, lane, sums, NULL)
            if count < TURNED:
                end_columns[real](
                    mode, &space.chunk.offset[lane], 1, 1, space.rows.high + row, <char *> (low + row),
                    found + row, lanes_from(sums, lane),
                )
        if count >= TURNED and ((lane + 1) % TURNED == 0 or lane + 1 == count):
            turn_sums[real](space, lane // TURNED * TURNED, lane_count, NULL)
    if count >= TURNED:
        end_columns[real](
            mode, space.chunk.offset, count, lane_count, space.high, <char *> space.low,
            <real *> space.found, lanes_from(sums, 0),
        )


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
