"""Where slices lie, and in which groups, chunks and directions they are computed.

Where the positions of a slice are contiguous and many, one slice is taken along itself; otherwise as many
slices as fill four cache lines lie side by side, the lanes of a panel. What cannot be taken where it stands
is staged: copied to memory of the thread and back.
"""

from libc.stdint cimport uintptr_t

from fastlogit.kernels.arithmetic cimport real
from fastlogit.kernels.columns cimport TURNED
from fastlogit.kernels.expsum cimport (
    BLOCK, CHUNK, LANE_BYTES, LANES_32, LANES_64, MOST_LANES, QUARTER, keeps, lanes_of, range_of_sums,
    scaled_sums, scaling, slice_sums, sum_range, summation,
)
from fastlogit.kernels.memory cimport LINE
from fastlogit.kernels.panels cimport array_part, position_of
from fastlogit.kernels.scratch cimport scratch_of_thread
from fastlogit.kernels.slice_functions cimport coefficients, traits, traits_of
from fastlogit.kernels.slices cimport SOFTMAX, SOFTMAX_OF_X, slice_function, slices
from fastlogit.kernels.strided cimport size, walk
from fastlogit.kernels.tuning cimport tuning


cdef enum:
    # Bytes of the staged block of a panel, of a staged chunk of a slice, or of the terms of slices that are
    # normalised together: a first-level cache of 32 KiB keeps them.
    SCRATCH = 32768
    STREAMED_GROUP = 8192  # bytes of slices whose results are streamed together: that much waits in line
    # Segments of a slice are shared out to threads. They, too, fix the order of the additions: at least four
    # chunks, so that merging costs little; at most so many, so that their sums are few.
    SHORTEST_SEGMENT = 16384
    MOST_SEGMENTS = 64


cdef enum direction:
    ALONG  # one slice after the other
    ACROSS  # a panel of them, position by position


cdef struct plan:
    # Of a call.
    slice_function function
    traits traits
    const slices *slices
    Py_ssize_t itemsize
    Py_ssize_t n  # positions of a slice
    sum_range sums
    Py_ssize_t segment
    Py_ssize_t segments
    direction runs
    bint staged
    bint streamed  # whether results are written past the caches
    int lane_axis  # of ``kept``
    Py_ssize_t width  # lanes of a group
    Py_ssize_t fold  # positions side by side in a row of a panel, where its lanes are few
    Py_ssize_t groups_along_axis
    Py_ssize_t groups


cdef struct lanes:
    # A group of slices.
    const plan *plan
    array_part x
    array_part out
    array_part terms  # where they are kept until the results are written
    array_part mask
    Py_ssize_t count
    direction runs
    bint staged
    bint rereads_terms  # whether the terms are needed once more after the results are written


cdef struct chunk:
    # Some positions of all lanes of a group.
    const lanes *group
    Py_ssize_t start
    Py_ssize_t stop


cdef struct chunk_work:
    # What the sums of a chunk are made of.
    double reference[MOST_LANES]
    double largest[MOST_LANES]
    double offset[MOST_LANES]  # what float64 sums begin with, given if `sum_range` says `fitted`
    scaling scale
    scaling better_scale
    scaled_sums sums
    scaled_sums better_sums
    bint settled[MOST_LANES]


cdef struct turned_sums:
    # Of TURNED slices, a row each, what there is at each position of a quarter.
    double high[TURNED * QUARTER]
    double low[TURNED * QUARTER]  # in float64 or float32, as the next one
    double found[TURNED * QUARTER]  # the largest element, or how many are not the largest


cdef struct worker:
    # Memory of one thread, more than its stack may have. The first three begin where lines do.
    char scratch[SCRATCH]
    double high[QUARTER * LANES_32]  # sums of one position of a quarter in each lane
    double low[QUARTER * LANES_64]  # the same in float64 or float32
    # Of slices that are taken ALONG, whose sums are turned into columns; of these here is what was found.
    char found[QUARTER * LANE_BYTES]
    turned_sums rows
    Py_ssize_t gathered  # the position from which the scratch memory holds a block of a panel, -1 for none
    # Of the group under way.
    scaling scale  # of kept terms
    slice_sums total
    slice_sums next_segment
    slice_sums next_chunk
    coefficients answer
    chunk_work chunk


cdef inline size_t bytes_of_worker() noexcept nogil:
    """Whole lines, so that no two threads write to the same one."""
    return (sizeof(worker) + LINE - 1) // LINE * LINE


cdef inline worker *begin_work(int threads) noexcept nogil:
    """The first of so many workers, or NULL where memory is wanting.

    One thread asks for all, before any of them writes a result.
    """
    return <worker *> scratch_of_thread(threads * bytes_of_worker())


cdef inline worker *worker_of(worker *first, Py_ssize_t thread) noexcept nogil:
    cdef worker *space = <worker *> (<char *> first + thread * bytes_of_worker())
    space.gathered = -1
    return space


# ---- the plan of a call ----------------------------------------------------------------------------


cdef inline void plan_segments(plan *planned) noexcept nogil:
    planned.segment = max(<Py_ssize_t> SHORTEST_SEGMENT, (planned.n + MOST_SEGMENTS - 1) // MOST_SEGMENTS)
    planned.segment = (planned.segment + CHUNK - 1) // CHUNK * CHUNK
    planned.segments = (planned.n + planned.segment - 1) // planned.segment


cdef inline int axis_of_lanes(const walk *kept, Py_ssize_t least) noexcept nogil:
    """The last axis, or the longest if that has less than so many slices."""
    cdef int longest = kept.axes - 1, axis
    if kept.shape[longest] < least:
        for axis in range(kept.axes):
            if kept.shape[axis] > kept.shape[longest]:
                longest = axis
    return longest


cdef inline Py_ssize_t folded_width(const plan *planned) noexcept nogil:
    """Lanes of a panel, fewer than usual where so few slices lie side by side that they would not fill half.

    A row then has several positions, at most those of a quarter.
    """
    cdef Py_ssize_t width = planned.width // QUARTER
    if planned.n < BLOCK or not planned.traits.folds:
        return planned.width
    while width < min(planned.slices.kept.shape[planned.lane_axis], planned.width):
        width *= 2
    return width


cdef inline void choose_direction(plan *planned) noexcept nogil:
    cdef const walk *kept = &planned.slices.kept
    cdef const walk *reduced = &planned.slices.reduced
    cdef bint reads_only = planned.traits.is_one_number, in_place_along, in_place_across
    cdef Py_ssize_t itemsize = planned.itemsize, row
    planned.streamed = (
        not reads_only and kept.x != kept.out and size(kept) * planned.n * itemsize >= tuning.streamed
    )
    in_place_along = (
        reduced.axes == 1
        and kept.mask == NULL
        and reduced.x_strides[0] == itemsize
        and (reads_only or reduced.out_strides[0] == itemsize)
    )
    in_place_across = (
        reduced.axes == 1
        and kept.mask == NULL
        and kept.x_strides[planned.lane_axis] == itemsize
        and (reads_only or kept.out_strides[planned.lane_axis] == itemsize)
    )
    if in_place_along and (planned.n >= BLOCK or size(kept) == 1):
        planned.runs = ALONG
        planned.staged = False
        planned.width = (STREAMED_GROUP if planned.streamed else SCRATCH) // (planned.n * itemsize)
    elif planned.n >= BLOCK and kept.shape[planned.lane_axis] <= planned.width // 8:
        # Most lanes of a panel would be empty: this way 10^6 x 3 along axis 0 takes a tenth of the time. With
        # a quarter of the lanes filled it takes twice as long, or as long.
        planned.runs = ALONG
        planned.staged = True
        planned.width = 1
    else:
        planned.runs = ACROSS
        planned.fold = planned.width
        planned.width = folded_width(planned)
        planned.fold //= planned.width
        row = planned.width * itemsize
        if planned.fold > 1:
            in_place_across = (
                in_place_across
                and kept.shape[planned.lane_axis] == planned.width
                and reduced.x_strides[0] == row
                and (reads_only or reduced.out_strides[0] == row)
            )
        planned.staged = not in_place_across
        if not planned.staged:
            planned.streamed = (
                planned.streamed
                and <uintptr_t> kept.out % LINE == 0
                and reduced.out_strides[0] * planned.fold % LINE == 0
            )


cdef inline void choose_terms(plan *planned) noexcept nogil:
    """What no cache keeps is computed once more: an exponential takes less time than two ways to memory.

    Terms of what is staged are copied twice more, so that less of them is kept.
    """
    cdef Py_ssize_t slices_at_once = 1 if planned.runs == ALONG else planned.width
    cdef Py_ssize_t kept = tuning.kept // 16 if planned.staged else tuning.kept
    if planned.function == SOFTMAX and slices_at_once * planned.n * planned.itemsize > kept:
        planned.function = SOFTMAX_OF_X
        planned.traits = traits_of(SOFTMAX_OF_X)


cdef inline void make_plan(
    slice_function function, const slices *cut, Py_ssize_t itemsize, plan *planned
) noexcept nogil:
    cdef Py_ssize_t panel = LANES_32 if itemsize == 4 else LANES_64
    planned.function = function
    planned.traits = traits_of(function)
    planned.slices = cut
    planned.itemsize = itemsize
    planned.n = size(&cut.reduced)
    planned.sums = range_of_sums(planned.traits.has_one_scale, planned.n)
    planned.width = panel
    planned.fold = 1
    # A short slice needs half of a panel; a long one can fold it.
    planned.lane_axis = axis_of_lanes(&cut.kept, panel // 2 if planned.n < BLOCK else panel // 8 + 1)
    plan_segments(planned)
    choose_direction(planned)
    planned.width = max(<Py_ssize_t> 1, min(panel, planned.width))
    choose_terms(planned)
    count_groups(planned)


cdef inline void count_groups(plan *planned) noexcept nogil:
    cdef const slices *cut = planned.slices
    planned.groups_along_axis = (cut.kept.shape[planned.lane_axis] + planned.width - 1) // planned.width
    planned.groups = size(&cut.kept) // cut.kept.shape[planned.lane_axis] * planned.groups_along_axis


cdef inline void stage_everything(plan *planned) noexcept nogil:
    """For one more array, which does not lie as the others do."""
    planned.staged = True
    if planned.runs == ALONG:
        planned.width = 1
        count_groups(planned)


# ---- one group -------------------------------------------------------------------------------------


cdef inline array_part part_of(
    const walk *reduced, const Py_ssize_t *strides, char *start, Py_ssize_t lane_stride
) noexcept nogil:
    cdef array_part part
    part.start = start
    part.shape = &reduced.shape[0]
    part.strides = strides
    part.axes = reduced.axes
    part.lane_stride = lane_stride
    return part


cdef inline void locate(const plan *planned, Py_ssize_t index, lanes *group) noexcept nogil:
    """Group number ``index``, counted in C order with the groups of the lane axis innermost."""
    cdef const walk *kept = &planned.slices.kept
    cdef const walk *reduced = &planned.slices.reduced
    cdef int lane_axis = planned.lane_axis, axis
    cdef Py_ssize_t lane = (index % planned.groups_along_axis) * planned.width, at
    cdef char *x = kept.x + lane * kept.x_strides[lane_axis]
    cdef char *out = kept.out + lane * kept.out_strides[lane_axis]
    cdef char *mask = kept.mask + lane * kept.mask_strides[lane_axis]
    index = index // planned.groups_along_axis
    for axis in range(kept.axes - 1, -1, -1):
        if axis != lane_axis:
            at = index % kept.shape[axis]
            index = index // kept.shape[axis]
            x += at * kept.x_strides[axis]
            out += at * kept.out_strides[axis]
            mask += at * kept.mask_strides[axis]
    group.plan = planned
    group.x = part_of(reduced, &reduced.x_strides[0], x, kept.x_strides[lane_axis])
    group.out = part_of(reduced, &reduced.out_strides[0], out, kept.out_strides[lane_axis])
    group.terms = group.out
    group.rereads_terms = False
    group.mask = part_of(reduced, &reduced.mask_strides[0], mask, kept.mask_strides[lane_axis])
    group.count = min(planned.width, kept.shape[lane_axis] - lane)
    group.runs = planned.runs
    group.staged = planned.staged or (group.runs == ACROSS and group.count < planned.width)


cdef inline double offset_of(
    summation mode, const chunk *part, const worker *space, Py_ssize_t lane
) noexcept nogil:
    """What a float64 sum of the chunk begins with. ``mode`` is a constant."""
    if keeps(mode) and part.group.plan.sums.fitted:
        return space.chunk.offset[lane]
    return part.group.plan.sums.offset


cdef inline chunk first_block(const lanes *group, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """The positions whose largest element tells how to scale the terms of a chunk."""
    cdef chunk part
    part.group = group
    part.start = start
    part.stop = min(start + BLOCK, stop)
    return part


cdef inline Py_ssize_t panel_lanes(real *tag, const lanes *group) noexcept nogil:
    return lanes_of[real](NULL) // group.plan.fold


cdef inline Py_ssize_t computed_lanes(real *tag, const lanes *group) noexcept nogil:
    """ALONG only those there are; otherwise all columns of a panel, filled or not."""
    return group.count if group.runs == ALONG else lanes_of[real](NULL)


cdef inline const char *what_follows(real *tag, const chunk *part) noexcept nogil:
    """The rest of the slices, or else the next slices: what is read after a chunk."""
    cdef const lanes *group = part.group
    if part.stop < group.plan.n:
        return group.x.start + part.stop * group.x.strides[0]
    if group.runs == ALONG:
        return group.x.start + group.count * group.x.lane_stride
    return group.x.start + panel_lanes[real](NULL, group) * group.x.lane_stride


cdef inline real *lane_of(
    const array_part *part, Py_ssize_t lane, Py_ssize_t position, real *tag
) noexcept nogil:
    """A position of a slice whose positions are contiguous."""
    return <real *> (part.start + lane * part.lane_stride) + position


cdef inline bint has_nan(real *tag, const chunk *part, Py_ssize_t lane) noexcept nogil:
    """Whether an element that counts is NaN."""
    cdef const lanes *group = part.group
    cdef bint masked = group.plan.slices.kept.mask != NULL
    cdef Py_ssize_t position
    cdef real value
    for position in range(part.start, part.stop):
        if masked and not (position_of(&group.mask, position) + lane * group.mask.lane_stride)[0]:
            continue
        value = (<const real *> (position_of(&group.x, position) + lane * group.x.lane_stride))[0]
        if value != value:
            return True
    return False
