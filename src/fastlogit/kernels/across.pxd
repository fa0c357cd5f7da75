"""The three passes across slices side by side, the lanes of a panel [position, lane]: as in along.pxd.

A panel is taken where it stands if lanes are contiguous and as many as it is wide. Others are staged, block
by block.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport exclusive_bytes, exclusive_doubles, float32, float64, real
from fastlogit.kernels.blocks cimport SCRATCH, chunk, lanes, offset_of, what_follows, worker
from fastlogit.kernels.expsum cimport (
    BLOCK, MOST_LANES, QUARTER, add_four, add_halves, initial_sum, keeps, kept_term, leaves_out,
    lanes_of, quarter_of, scaled_sums, scaling, shifts, summation,
)
from fastlogit.kernels.memory cimport prefetch, stream
from fastlogit.kernels.panels cimport put_run, scatter
from fastlogit.kernels.slice_functions cimport MOST_COEFFICIENTS, coefficients, element, traits, traits_of
from fastlogit.kernels.slices cimport slice_function
from fastlogit.kernels.staging cimport stage_panel
from fastlogit.kernels.terms cimport exp_term
from fastlogit.kernels.views cimport contiguous_rows


cdef enum:
    MOST_AHEAD = 1024  # positions of a panel that stay in the second-level cache until the next are done


# ---- largest elements ------------------------------------------------------------------------------


cdef inline void keep_larger_rows(const real[:, ::1] panel, real *largest) noexcept nogil:
    cdef const real *row
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    for i in range(panel.shape[0]):
        row = &panel[i, 0]
        for j in range(width):
            largest[j] = row[j] if row[j] > largest[j] else largest[j]


cdef inline void find_largest_across(
    real *tag, const chunk *part, worker *space, double *largest
) noexcept nogil:
    cdef const lanes *group = part.group
    cdef real values[MOST_LANES]
    cdef real *x
    cdef Py_ssize_t start, stop, j, width = lanes_of[real](NULL)
    for j in range(width):
        values[j] = -INFINITY
    if not group.staged:
        x = <real *> (group.x.start + part.start * group.x.strides[0])
        keep_larger_rows[real](
            contiguous_rows[real](x, part.stop - part.start, width, group.x.strides[0]), values
        )
    else:
        start = part.start
        while start < part.stop:
            stop = min(start + BLOCK, part.stop)
            x = stage_panel[real](group, start, stop, True, space, NULL)
            keep_larger_rows[real](
                contiguous_rows[real](x, stop - start, width, width * sizeof(real)), values
            )
            start = stop
    for j in range(width):
        largest[j] = values[j]


# ---- sums ------------------------------------------------------------------------------------------


cdef struct upcoming:
    # What is read next: the row that belongs to row i of a chunk begins at start + i * stride.
    const char *start
    Py_ssize_t stride
    Py_ssize_t size  # bytes of a row


cdef inline upcoming rows_that_follow(real *tag, const chunk *part) noexcept nogil:
    cdef const lanes *group = part.group
    cdef Py_ssize_t n = group.plan.n, itemsize = sizeof(real)
    cdef upcoming rows
    rows.start = what_follows[real](NULL, part)
    rows.stride = 0
    rows.size = 0
    if not group.staged:
        rows.stride = group.x.strides[0]
        rows.size = lanes_of[real](NULL) * itemsize
        if part.stop - part.start > MOST_AHEAD:
            rows.start = group.x.start + (part.start + BLOCK) * rows.stride
    elif n <= BLOCK and group.x.lane_stride == n * itemsize:
        rows.stride = group.count * n * itemsize // (4 * quarter_of(n))
        rows.size = rows.stride
    return rows


cdef inline Py_ssize_t used_sums(Py_ssize_t n, Py_ssize_t count) noexcept nogil:
    """Positions of a quarter that ``count`` positions of slices of n reach, as a power of two."""
    cdef Py_ssize_t needed = min(quarter_of(n), count), used = QUARTER
    while used >= 2 * needed:
        used //= 2
    return used


cdef inline void begin_lanes(
    const double *offset, Py_ssize_t used, exclusive_doubles high, real *low
) noexcept nogil:
    cdef Py_ssize_t i, width = lanes_of[real](NULL)
    for i in range(used):
        memcpy(&high[i * width], offset, width * sizeof(double))
    for i in range(used * width):
        low[i] = 0


cdef inline void end_lanes(
    const double *offset, Py_ssize_t used, exclusive_doubles high, real *low, scaled_sums *sums
) noexcept nogil:
    """From the sums of each position of a quarter to those of the slices."""
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    if real is float64:
        for i in range(used):
            for j in range(width):
                high[i * width + j] -= offset[j]
    if used > 8:
        add_halves[real](high, low, 8 * width)
    if used > 4:
        add_halves[real](high, low, 4 * width)
    if used > 2:
        add_halves[real](high, low, 2 * width)
    if used > 1:
        add_halves[real](high, low, width)
    for j in range(width):
        sums.high[j] = high[j]
        sums.low[j] = low[j]


cdef inline void add_across(
    summation mode, const chunk *part, worker *space, const scaling *scale, scaled_sums *sums,
    exclusive_doubles high, exclusive_bytes memory_of_low, real *tag,
) noexcept nogil:
    """The sums of a chunk of at most CHUNK positions of all slices.

    ``mode`` is a constant; ``high`` and ``low``, those of ``space``, are reached by no other names.
    """
    cdef const lanes *group = part.group
    cdef real shift[MOST_LANES]
    cdef real exponent[MOST_LANES]
    cdef real lowest[MOST_LANES]
    cdef real largest[MOST_LANES]
    cdef real others[MOST_LANES]
    cdef real absent[MOST_LANES]
    cdef real kept[4 * MOST_LANES]
    cdef real *low = <real *> memory_of_low
    cdef double *offset = space.chunk.offset
    cdef real four[4]
    cdef real terms[4]
    cdef real tails[4]
    cdef bint shifted = shifts(mode)
    cdef real[:, ::1] panel
    cdef real[:, ::1] out
    cdef real *x
    cdef const real *row0
    cdef const real *row1
    cdef const real *row2
    cdef const real *row3
    cdef upcoming following = rows_that_follow[real](NULL, part)
    cdef Py_ssize_t n = group.plan.n, quarter = quarter_of(n), used = used_sums(n, part.stop - part.start)
    cdef Py_ssize_t start = part.start, count, i, j, k, width = lanes_of[real](NULL), positions = 0
    for j in range(width):
        offset[j] = initial_sum[real](NULL, mode, offset_of(mode, part, space, j))
    begin_lanes[real](offset, used, high, low)
    # In memory of its own the compiler sees that no store into the panel can change them.
    for j in range(width):
        shift[j], exponent[j] = <real> scale.shift[j], <real> scale.exponent[j]
        lowest[j] = <real> scale.lowest[j]
        largest[j] = <real> sums.largest[j] if leaves_out(mode) else -INFINITY
        others[j] = 0
        absent[j] = -INFINITY
    while start < part.stop:
        count = min(<Py_ssize_t> BLOCK, part.stop - start)
        if group.staged:
            x = stage_panel[real](group, start, start + count, True, space, NULL)
            panel = contiguous_rows[real](x, count, width, width * sizeof(real))
            out = panel
        else:
            x = <real *> (group.x.start + start * group.x.strides[0])
            panel = contiguous_rows[real](x, count, width, group.x.strides[0])
            x = <real *> (group.terms.start + start * group.terms.strides[0])
            out = contiguous_rows[real](x, count, width, group.terms.strides[0])
        positions += 4 * min(quarter, count)
        for i in range(min(quarter, count)):
            for k in range(4):
                prefetch(
                    following.start + (start - part.start + i + k * quarter) * following.stride,
                    following.size,
                )
            row0 = &panel[i, 0]
            row1 = &panel[i + quarter, 0] if i + quarter < count else absent
            row2 = &panel[i + 2 * quarter, 0] if i + 2 * quarter < count else absent
            row3 = &panel[i + 3 * quarter, 0] if i + 3 * quarter < count else absent
            for j in range(width):
                four[0], four[1], four[2], four[3] = row0[j], row1[j], row2[j], row3[j]
                terms[0] = exp_term[real](four[0], shifted, shift[j], exponent[j], lowest[j], &tails[0])
                terms[1] = exp_term[real](four[1], shifted, shift[j], exponent[j], lowest[j], &tails[1])
                terms[2] = exp_term[real](four[2], shifted, shift[j], exponent[j], lowest[j], &tails[2])
                terms[3] = exp_term[real](four[3], shifted, shift[j], exponent[j], lowest[j], &tails[3])
                if keeps(mode):
                    kept[j] = kept_term[real](terms[0], tails[0])
                    kept[width + j] = kept_term[real](terms[1], tails[1])
                    kept[2 * width + j] = kept_term[real](terms[2], tails[2])
                    kept[3 * width + j] = kept_term[real](terms[3], tails[3])
                add_four[real](
                    mode, four, terms, tails, &largest[j], &high[i * width + j], &low[i * width + j],
                    &others[j],
                )
            if keeps(mode):
                for k in range(4):
                    if i + k * quarter < count:
                        memcpy(&out[i + k * quarter, 0], &kept[k * width], width * sizeof(real))
        if keeps(mode) and group.staged and n > BLOCK:
            scatter[real](&out[0, 0], &group.terms, group.count, start, start + count)
            space.gathered = -1
        start += count
    for j in range(width):
        if leaves_out(mode):
            sums.ties[j] = positions - others[j]
        else:
            sums.largest[j] = largest[j]
    end_lanes[real](offset, used, high, low, sums)


# ---- results ---------------------------------------------------------------------------------------


cdef inline void write_rows(
    slice_function function, const real[:, ::1] panel, real[:, ::1] out, const real *coefficient,
    bint streamed,
) noexcept nogil:
    """The results of all lanes from their elements or terms; ``out`` may be the panel.

    ``function`` and ``streamed`` are constants, and the coefficients local to the caller, whom the compiler
    sees: then it keeps them in registers.
    """
    cdef real results[MOST_LANES]
    cdef const real *row
    cdef real *out_row
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    for i in range(panel.shape[0]):
        row = &panel[i, 0]
        out_row = &results[0] if streamed else &out[i, 0]
        for j in range(width):
            out_row[j] = element[real](function, row[j], &coefficient[j], MOST_LANES)
        if streamed:
            stream(<char *> &out[i, 0], <char *> results, width * sizeof(real))


cdef inline bint is_one_piece(const lanes *group, Py_ssize_t itemsize) noexcept nogil:
    """Whether the lanes of ``out`` are one block of positions long and follow one another without a gap."""
    return (
        group.out.axes == 1
        and group.plan.n <= BLOCK
        and group.out.strides[0] == itemsize
        and group.out.lane_stride == group.plan.n * itemsize
    )


cdef inline void put_panel(
    const real *panel, const lanes *group, Py_ssize_t start, Py_ssize_t stop, worker *space
) noexcept nogil:
    """The results of a staged block to where they belong."""
    cdef real *transposed
    if group.plan.streamed and is_one_piece(group, sizeof(real)):
        # Half of the scratch memory is enough for the panel, the other half for its transpose.
        transposed = <real *> (space.scratch + SCRATCH // 2)
        put_run[real](
            panel, <char *> transposed, group.out.lane_stride, sizeof(real), group.count, stop - start
        )
        stream(group.out.start, <char *> transposed, group.count * group.out.lane_stride)
    else:
        scatter[real](panel, &group.out, group.count, start, stop)
    space.gathered = -1


cdef inline void write_across(
    slice_function function, const chunk *part, worker *space, const coefficients *answer, real *tag
) noexcept nogil:
    """``function`` is a constant."""
    cdef const lanes *group = part.group
    cdef traits these = traits_of(function)
    cdef bint from_x = not these.keeps_terms
    cdef real coefficient[MOST_COEFFICIENTS * MOST_LANES]
    cdef real[:, ::1] panel
    cdef real[:, ::1] out
    cdef real *x
    cdef Py_ssize_t start = part.start, stop, j, k, width = lanes_of[real](NULL)
    for k in range(these.coefficients):
        for j in range(width):
            coefficient[k * MOST_LANES + j] = <real> answer.of_lane[k][j]
    if not group.staged:
        x = <real *> (group.out.start + start * group.out.strides[0])
        out = contiguous_rows[real](x, part.stop - start, width, group.out.strides[0])
        if not from_x:
            x = <real *> (group.terms.start + start * group.terms.strides[0])
            panel = contiguous_rows[real](x, part.stop - start, width, group.terms.strides[0])
            write_rows[real](function, panel, out, coefficient, False)
            return
        x = <real *> (group.x.start + start * group.x.strides[0])
        panel = contiguous_rows[real](x, part.stop - start, width, group.x.strides[0])
        if group.plan.streamed:
            write_rows[real](function, panel, out, coefficient, True)
        else:
            write_rows[real](function, panel, out, coefficient, False)
        return
    while start < part.stop:
        stop = min(start + BLOCK, part.stop)
        x = stage_panel[real](group, start, stop, from_x, space, NULL)
        panel = contiguous_rows[real](x, stop - start, width, width * sizeof(real))
        if group.rereads_terms:
            x = <real *> (space.scratch + SCRATCH // 2)
            out = contiguous_rows[real](x, stop - start, width, width * sizeof(real))
            write_rows[real](function, panel, out, coefficient, False)
            scatter[real](x, &group.out, group.count, start, stop)
        else:
            write_rows[real](function, panel, panel, coefficient, False)
            put_panel[real](x, group, start, stop, space)
        start = stop
