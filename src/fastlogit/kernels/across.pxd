"""The three passes across slices side by side, the lanes of a panel [position, lane]: as in along.pxd.

A panel is taken where it stands if lanes are contiguous and as many as it is wide. Others are staged, block
by block.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport exclusive_bytes, exclusive_doubles, float32, float64, real
from fastlogit.kernels.blocks cimport SCRATCH, chunk, lanes, offset_of, what_follows, worker
from fastlogit.kernels.columns cimport (
    add_columns, keep_larger_rows, largest_of_lanes, repeat_lanes, sums_of_lanes,
)
from fastlogit.kernels.expsum cimport (
    BLOCK, LANE_BYTES, QUARTER, add_four, initial_sum, keeps, kept_term, lanes_of, leaves_out, quarter_of,
    scaled_sums, scaling, shifts, summation,
)
from fastlogit.kernels.memory cimport prefetch, stream
from fastlogit.kernels.panels cimport put_run
from fastlogit.kernels.slice_functions cimport MOST_COEFFICIENTS, coefficients, element, traits, traits_of
from fastlogit.kernels.slices cimport slice_function
from fastlogit.kernels.staging cimport stage_panel, unstage_panel
from fastlogit.kernels.terms cimport exp_term
from fastlogit.kernels.views cimport contiguous_rows


cdef enum:
    MOST_AHEAD = 1024  # positions of a panel that stay in the second-level cache until the next are done


# ---- positions side by side, as in columns.pxd -----------------------------------------------------


cdef inline Py_ssize_t rows_of_block(Py_ssize_t positions, Py_ssize_t fold) noexcept nogil:
    """Blocks of rows with several positions are whole, the last one staged and filled up with -inf."""
    return positions if fold == 1 else BLOCK // fold


cdef inline void spread_lanes(const double *of_lane, Py_ssize_t fold, real *columns) noexcept nogil:
    """A number of each lane to all of its columns."""
    cdef Py_ssize_t j, width = lanes_of[real](NULL), lane_count
    if fold == 1:
        for j in range(width):
            columns[j] = <real> of_lane[j]
    else:
        lane_count = width // fold
        for j in range(width):
            columns[j] = <real> of_lane[j % lane_count]


# ---- largest elements ------------------------------------------------------------------------------


cdef inline void find_largest_across(
    real *tag, const chunk *part, worker *space, double *largest
) noexcept nogil:
    cdef const lanes *group = part.group
    cdef char memory[LANE_BYTES]
    cdef real *values = <real *> memory
    cdef real *x
    cdef Py_ssize_t fold = group.plan.fold, start = part.start, stop, j, width = lanes_of[real](NULL)
    for j in range(width):
        values[j] = -INFINITY
    if not group.staged:
        stop = part.stop if fold == 1 else part.stop - (part.stop - part.start) % BLOCK
        x = <real *> (group.x.start + start * group.x.strides[0])
        keep_larger_rows[real](
            contiguous_rows[real](x, (stop - start) // fold, width, fold * group.x.strides[0]), values
        )
        start = stop
    while start < part.stop:
        stop = min(start + BLOCK, part.stop)
        x = stage_panel[real](group, start, stop, True, space, NULL)
        keep_larger_rows[real](
            contiguous_rows[real](x, rows_of_block(stop - start, fold), width, width * sizeof(real)), values
        )
        start = stop
    if fold > 1:
        largest_of_lanes[real](values, width // fold)
        repeat_lanes[real](values, width // fold, width)
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
    cdef Py_ssize_t n = group.plan.n, fold = group.plan.fold, itemsize = sizeof(real)
    cdef upcoming rows
    rows.start = what_follows[real](NULL, part)
    rows.stride = 0
    rows.size = 0
    if not group.staged:
        rows.stride = fold * group.x.strides[0]
        rows.size = lanes_of[real](NULL) * itemsize
        if part.stop - part.start > MOST_AHEAD:
            rows.start = group.x.start + (part.start + BLOCK) * group.x.strides[0]
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
    const double *offset, Py_ssize_t used, Py_ssize_t fold, exclusive_doubles high, real *low,
    scaled_sums *sums,
) noexcept nogil:
    """From the sums of each position of a quarter, in ``used`` rows, to those of the slices."""
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL), lane_count = width // fold
    if real is float64:
        for i in range(used):
            for j in range(width):
                high[i * width + j] -= offset[j]
    add_columns[real](NULL, used * fold, lane_count, high, low)
    for j in range(width):
        sums.high[j] = high[j]
        sums.low[j] = low[j]
    if fold > 1:
        repeat_lanes[float64](sums.high, lane_count, width)
        repeat_lanes[float64](sums.low, lane_count, width)


cdef inline void add_across(
    summation mode, const chunk *part, worker *space, const scaling *scale, scaled_sums *sums,
    exclusive_doubles high, exclusive_bytes memory_of_low, real *tag,
) noexcept nogil:
    """The sums of a chunk of at most CHUNK positions of all slices.

    ``mode`` is a constant; ``high`` and ``low``, those of ``space``, are reached by no other names.
    """
    cdef const lanes *group = part.group
    # Small stacks have no room for float64 arrays of as many elements as float32 ones need.
    cdef char memory_of_shift[LANE_BYTES]
    cdef char memory_of_exponent[LANE_BYTES]
    cdef char memory_of_lowest[LANE_BYTES]
    cdef char memory_of_largest[LANE_BYTES]
    cdef char memory_of_others[LANE_BYTES]
    cdef char memory_of_absent[LANE_BYTES]
    cdef char memory_of_kept[4 * LANE_BYTES]
    cdef real *shift = <real *> memory_of_shift
    cdef real *exponent = <real *> memory_of_exponent
    cdef real *lowest = <real *> memory_of_lowest
    cdef real *largest = <real *> memory_of_largest
    cdef real *others = <real *> memory_of_others
    cdef real *absent = <real *> memory_of_absent
    cdef real *kept = <real *> memory_of_kept
    cdef real *low = <real *> memory_of_low
    cdef double *offset = space.chunk.offset
    cdef real four[4]
    cdef real terms[4]
    cdef real tails[4]
    cdef bint shifted = shifts(mode), stored = group.plan.traits.keeps_terms
    cdef real[:, ::1] panel
    cdef real[:, ::1] out
    cdef real *x
    cdef const real *row0
    cdef const real *row1
    cdef const real *row2
    cdef const real *row3
    cdef upcoming following = rows_that_follow[real](NULL, part)
    cdef bint whole  # whether a block is read, and its terms are written, where it stands
    cdef Py_ssize_t n = group.plan.n, fold = group.plan.fold, quarter = quarter_of(n) // fold
    # Where rows are folded, every block is whole.
    cdef Py_ssize_t used = used_sums(n, part.stop - part.start) if fold == 1 else quarter
    cdef Py_ssize_t start = part.start, count, rows, i, j, k, width = lanes_of[real](NULL)
    cdef Py_ssize_t row_bytes = width * sizeof(real), positions = 0
    for j in range(width):
        offset[j] = initial_sum[real](NULL, mode, offset_of(mode, part, space, j))
    if fold > 1:
        repeat_lanes[float64](offset, width // fold, width)
    begin_lanes[real](offset, used, high, low)
    # In memory of its own the compiler sees that no store into the panel can change them.
    spread_lanes[real](scale.shift, fold, shift)
    spread_lanes[real](scale.exponent, fold, exponent)
    spread_lanes[real](scale.lowest, fold, lowest)
    if leaves_out(mode):
        spread_lanes[real](sums.largest, fold, largest)
    for j in range(width):
        if not leaves_out(mode):
            largest[j] = -INFINITY
        others[j] = 0
        absent[j] = -INFINITY
    while start < part.stop:
        count = min(<Py_ssize_t> BLOCK, part.stop - start)
        rows = rows_of_block(count, fold)
        whole = not group.staged and (fold == 1 or count == BLOCK)
        if whole:
            x = <real *> (group.x.start + start * group.x.strides[0])
            panel = contiguous_rows[real](x, rows, width, fold * group.x.strides[0])
            x = <real *> (group.terms.start + start * group.terms.strides[0])
            out = contiguous_rows[real](x, rows, width, fold * group.terms.strides[0])
        else:
            x = stage_panel[real](group, start, start + count, True, space, NULL)
            panel = contiguous_rows[real](x, rows, width, row_bytes)
            out = panel
        positions += 4 * min(quarter, rows) * fold
        for i in range(min(quarter, rows)):
            for k in range(4):
                prefetch(
                    following.start + ((start - part.start) // fold + i + k * quarter) * following.stride,
                    following.size,
                )
            row0 = &panel[i, 0]
            row1 = &panel[i + quarter, 0] if i + quarter < rows else absent
            row2 = &panel[i + 2 * quarter, 0] if i + 2 * quarter < rows else absent
            row3 = &panel[i + 3 * quarter, 0] if i + 3 * quarter < rows else absent
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
            if keeps(mode) and stored:
                for k in range(4):
                    if i + k * quarter < rows:
                        memcpy(&out[i + k * quarter, 0], &kept[k * width], width * sizeof(real))
        if keeps(mode) and stored and not whole and n > BLOCK:
            unstage_panel[real](&out[0, 0], &group.terms, group, start, start + count)
            space.gathered = -1
        start += count
    if fold > 1:
        sums_of_lanes[real](others, width // fold)
        repeat_lanes[real](others, width // fold, width)
        largest_of_lanes[real](largest, width // fold)
        repeat_lanes[real](largest, width // fold, width)
    for j in range(width):
        if leaves_out(mode):
            sums.ties[j] = positions - others[j]
        else:
            sums.largest[j] = largest[j]
    end_lanes[real](offset, used, fold, high, low, sums)


# ---- results ---------------------------------------------------------------------------------------


cdef inline void write_rows(
    slice_function function, const real[:, ::1] panel, real[:, ::1] out, const real *coefficient,
    bint streamed,
) noexcept nogil:
    """The results of all lanes from their elements or terms; ``out`` may be the panel.

    ``function`` and ``streamed`` are constants, and the coefficients local to the caller, whom the compiler
    sees: then it keeps them in registers.
    """
    cdef char memory[LANE_BYTES]
    cdef real *results = <real *> memory
    cdef const real *row
    cdef real *out_row
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    for i in range(panel.shape[0]):
        row = &panel[i, 0]
        out_row = results if streamed else &out[i, 0]
        for j in range(width):
            out_row[j] = element[real](function, row[j], &coefficient[j], width)
        if streamed:
            stream(<char *> &out[i, 0], <char *> results, width * sizeof(real))


cdef inline bint is_one_piece(const lanes *group, Py_ssize_t itemsize) noexcept nogil:
    """Whether the lanes of ``out`` are one block of positions long and follow one another without a gap."""
    return (
        group.out.axes == 1
        and group.plan.fold == 1
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
            panel, <char *> transposed, group.out.lane_stride, sizeof(real), group.count, stop - start,
            lanes_of[real](NULL),
        )
        stream(group.out.start, <char *> transposed, group.count * group.out.lane_stride)
    else:
        unstage_panel[real](panel, &group.out, group, start, stop)
    space.gathered = -1


cdef inline void write_across(
    slice_function function, const chunk *part, worker *space, const coefficients *answer, real *tag
) noexcept nogil:
    """``function`` is a constant."""
    cdef const lanes *group = part.group
    cdef traits these = traits_of(function)
    cdef bint from_x = not these.keeps_terms
    cdef char memory[MOST_COEFFICIENTS * LANE_BYTES]
    cdef real *coefficient = <real *> memory
    cdef real[:, ::1] panel
    cdef real[:, ::1] out
    cdef real *x
    cdef Py_ssize_t fold = group.plan.fold, start = part.start, stop = part.stop, k, rows
    cdef Py_ssize_t width = lanes_of[real](NULL), row_bytes = width * sizeof(real)
    for k in range(these.coefficients):
        spread_lanes[real](answer.of_lane[k], fold, &coefficient[k * width])
    if not group.staged:
        if fold > 1:
            stop -= (stop - start) % BLOCK
        rows = (stop - start) // fold
        x = <real *> (group.out.start + start * group.out.strides[0])
        out = contiguous_rows[real](x, rows, width, fold * group.out.strides[0])
        if not from_x:
            x = <real *> (group.terms.start + start * group.terms.strides[0])
            panel = contiguous_rows[real](x, rows, width, fold * group.terms.strides[0])
            write_rows[real](function, panel, out, coefficient, False)
        else:
            x = <real *> (group.x.start + start * group.x.strides[0])
            panel = contiguous_rows[real](x, rows, width, fold * group.x.strides[0])
            if group.plan.streamed:
                write_rows[real](function, panel, out, coefficient, True)
            else:
                write_rows[real](function, panel, out, coefficient, False)
        start = stop
    while start < part.stop:
        stop = min(start + BLOCK, part.stop)
        rows = rows_of_block(stop - start, fold)
        x = stage_panel[real](group, start, stop, from_x, space, NULL)
        panel = contiguous_rows[real](x, rows, width, row_bytes)
        if group.rereads_terms:
            x = <real *> (space.scratch + SCRATCH // 2)
            out = contiguous_rows[real](x, rows, width, row_bytes)
            write_rows[real](function, panel, out, coefficient, False)
            unstage_panel[real](x, &group.out, group, start, stop)
        else:
            write_rows[real](function, panel, panel, coefficient, False)
            put_panel[real](x, group, start, stop, space)
        start = stop
