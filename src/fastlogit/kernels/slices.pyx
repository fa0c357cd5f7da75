"""softmax, log_softmax and logsumexp of the slices of a strided array, which may be written in place.

A slice is read in chunks. The largest of the first elements of a chunk tells how to scale exponentials; then
all are added, and the largest of all is found on the way and its term taken off again, since the others count
for themselves: log_softmax of [40, 0] is -exp(-40) in its first element. What is wrong after that, because
the scale was far off or the others are too small beside the largest to have all their digits, is added once
more, without the largest. The sums of the chunks are put together, and the result is written. softmax leaves
its terms in ``out`` meanwhile, all of a slice to one scale.

Threads share out the groups of slices or, where these are few and long, the segments of a slice: the same
steps in the same order of addition.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, NAN, fabs
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastlogit.kernels.across cimport add_across, find_largest_across, write_across
from fastlogit.kernels.along cimport add_along, find_largest_along, write_along
from fastlogit.kernels.arithmetic cimport enter, environment, float32, float64, leave, real
from fastlogit.kernels.blocks cimport (
    ALONG, SCRATCH, begin_work, chunk, chunk_work, computed_lanes, first_block, has_nan, lane_of, lanes,
    locate, make_plan, plan, worker, worker_of,
)
from fastlogit.kernels.expsum cimport (
    BLOCK, CHUNK, KEPT, KEPT_SHIFTED, WITH_LARGEST, WITHOUT_LARGEST, choose_scaling, fit_offsets,
    mend_scaling, merge_relative, merge_scaled, relate, relative_sums, scaled_sums, scaling, slice_sums,
    summation, take_off_largest,
)
from fastlogit.kernels.memory cimport end_streaming
from fastlogit.kernels.scratch cimport begin_scratch
from fastlogit.kernels.slice_functions cimport RESULT, coefficients, prepare, traits
from fastlogit.kernels.slices cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_CURVATURE, CROSS_ENTROPY_GRADIENT, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX,
    SOFTMAX_OF_X, slice_function, slice_kernels, slices,
)
from fastlogit.kernels.tuning cimport tune

from fastlogit import _tuning


cdef enum:
    # Groups for each thread from which they are shared out whole: the last to finish then keeps the others
    # waiting for a quarter of the time at most.
    GROUPS_OF_THREAD = 4


# ---- passes over the positions of a chunk ----------------------------------------------------------


cdef void find_largest(real *tag, const chunk *part, worker *space, double *largest) noexcept nogil:
    """Of all positions of the chunk, which may be any part of a slice here."""
    if part.group.runs == ALONG:
        find_largest_along[real](NULL, part, space, largest)
    else:
        find_largest_across[real](NULL, part, space, largest)


cdef void write_results(
    real *tag, const chunk *part, worker *space, const coefficients *answer
) noexcept nogil:
    cdef slice_function function = part.group.plan.function
    cdef Py_ssize_t j
    if function == SOFTMAX:
        if part.group.runs == ALONG:
            write_along[real](SOFTMAX, part, space, answer, NULL)
        else:
            write_across[real](SOFTMAX, part, space, answer, NULL)
    elif function == SOFTMAX_OF_X:
        if part.group.runs == ALONG:
            write_along[real](SOFTMAX_OF_X, part, space, answer, NULL)
        else:
            write_across[real](SOFTMAX_OF_X, part, space, answer, NULL)
    elif function == LOG_SOFTMAX:
        if part.group.runs == ALONG:
            write_along[real](LOG_SOFTMAX, part, space, answer, NULL)
        else:
            write_across[real](LOG_SOFTMAX, part, space, answer, NULL)
    elif function == LOGSUMEXP:
        for j in range(part.group.count):
            lane_of[real](&part.group.out, j, 0, NULL)[0] = <real> answer.of_lane[RESULT][j]
    elif (
        function == CROSS_ENTROPY or function == CROSS_ENTROPY_GRADIENT
        or function == CROSS_ENTROPY_CURVATURE
    ):
        pass  # ``cross_entropy.pyx`` writes these


# ---- sums relative to the largest element ----------------------------------------------------------


cdef inline void add_panel(
    real *tag, summation mode, const chunk *part, worker *space, const scaling *scale, scaled_sums *sums
) noexcept nogil:
    """``mode`` is a constant."""
    add_across[real](mode, part, space, scale, sums, space.high, <char *> space.low, NULL)


cdef void add_unsettled(real *tag, const chunk *part, worker *space) noexcept nogil:
    """Add again, without their largest elements, lanes whose scale was far off or whose others are light."""
    cdef chunk_work *work = &space.chunk
    cdef scaling *scale = &work.scale
    cdef scaling *better = &work.better_scale
    cdef scaled_sums *sums = &work.sums
    cdef scaled_sums *anew = &work.better_sums
    cdef Py_ssize_t width = computed_lanes[real](NULL, part.group), j
    find_largest[real](NULL, part, space, work.largest)
    choose_scaling[real](NULL, work.largest, width, better)
    memcpy(anew.largest, work.largest, sizeof(work.largest))
    if part.group.runs == ALONG:
        add_along[real](NULL, WITHOUT_LARGEST, part, space, better, work.settled, anew)
    else:
        add_panel[real](NULL, WITHOUT_LARGEST, part, space, better, anew)
    for j in range(part.group.count):
        if not work.settled[j]:
            sums.largest[j], sums.ties[j] = anew.largest[j], anew.ties[j]
            sums.high[j], sums.low[j] = anew.high[j], anew.low[j]
            scale.shift[j], scale.exponent[j] = better.shift[j], better.exponent[j]


cdef inline void mend_infinite(real *tag, const chunk *part, relative_sums *sums) noexcept nogil:
    """Beside an infinite largest element the others come to nothing, unless one is NaN."""
    cdef Py_ssize_t j
    for j in range(part.group.count):
        if fabs(sums.largest[j]) == INFINITY:
            sums.ties[j] = 1
            sums.high[j] = NAN if has_nan[real](NULL, part, j) else 0
            sums.low[j] = 0


cdef void add_chunk(real *tag, const chunk *part, worker *space, relative_sums *relative) noexcept nogil:
    cdef chunk_work *work = &space.chunk
    cdef scaling *scale = &work.scale
    cdef scaled_sums *sums = &work.sums
    cdef chunk first = first_block(part.group, part.start, part.stop)
    cdef Py_ssize_t width = computed_lanes[real](NULL, part.group), unsettled = 0, infinite = 0, j
    find_largest[real](NULL, &first, space, work.reference)
    choose_scaling[real](NULL, work.reference, width, scale)
    if scale.shifted < width:
        if part.group.runs == ALONG:
            add_along[real](NULL, WITH_LARGEST, part, space, scale, NULL, sums)
        else:
            add_panel[real](NULL, WITH_LARGEST, part, space, scale, sums)
        take_off_largest[real](NULL, &part.group.plan.sums, scale, width, sums, work.settled)
    else:
        for j in range(width):
            work.settled[j] = False
    for j in range(part.group.count):
        unsettled += not work.settled[j]
    if unsettled:
        add_unsettled[real](NULL, part, space)
        for j in range(part.group.count):
            infinite += fabs(sums.largest[j]) == INFINITY
    relate[real](NULL, scale, sums, width, relative)
    if infinite:
        mend_infinite[real](NULL, part, relative)


# ---- sums whose terms are kept ---------------------------------------------------------------------


cdef void keep_chunk(
    real *tag, const chunk *part, worker *space, const scaling *scale, scaled_sums *sums
) noexcept nogil:
    """Terms stand in ``out`` then, or in the scratch memory if that holds all positions."""
    cdef chunk_work *work = &space.chunk
    if real is float64:
        if part.group.plan.sums.fitted:
            find_largest[real](NULL, part, space, work.largest)
            fit_offsets[real](NULL, work.largest, scale, computed_lanes[real](NULL, part.group), work.offset)
    if part.group.runs == ALONG and scale.shifted:
        add_along[real](NULL, KEPT_SHIFTED, part, space, scale, NULL, sums)
    elif part.group.runs == ALONG:
        add_along[real](NULL, KEPT, part, space, scale, NULL, sums)
    elif scale.shifted:
        add_panel[real](NULL, KEPT_SHIFTED, part, space, scale, sums)
    else:
        add_panel[real](NULL, KEPT, part, space, scale, sums)


cdef inline void guess_scaling(
    real *tag, const lanes *group, worker *space, Py_ssize_t width, scaling *scale
) noexcept nogil:
    """By the largest element of the first block."""
    cdef chunk first = first_block(group, 0, group.plan.n)
    find_largest[real](NULL, &first, space, space.chunk.reference)
    choose_scaling[real](NULL, space.chunk.reference, width, scale)


cdef inline bint can_guess(real *tag, const lanes *group, const scaling *scale) noexcept nogil:
    """Whether a wrong scale can be mended afterwards: where the terms do not take the place of ``x``."""
    return scale.shifted == 0 and (
        not group.plan.traits.keeps_terms
        or group.x.start != group.out.start
        or (group.runs == ALONG and not group.staged and group.plan.n * <Py_ssize_t> sizeof(real) <= SCRATCH)
    )


cdef bint scale_terms(real *tag, const lanes *group, worker *space, scaling *scale) noexcept nogil:
    """The one scale of the kept terms of each slice, and whether that is a guess."""
    cdef Py_ssize_t width = computed_lanes[real](NULL, group)
    cdef chunk whole
    guess_scaling[real](NULL, group, space, width, scale)
    if group.plan.n <= BLOCK:
        return False  # the first block is the slice
    if can_guess[real](NULL, group, scale):
        return True
    whole.group, whole.start, whole.stop = group, 0, group.plan.n
    find_largest[real](NULL, &whole, space, space.chunk.largest)
    mend_scaling[real](NULL, space.chunk.largest, width, scale)
    return False


# ---- sums of slices --------------------------------------------------------------------------------


cdef void merge_sums(
    const plan *planned, const slice_sums *part, slice_sums *total, Py_ssize_t width
) noexcept nogil:
    """By itself, so that its vectors are not on the stack beside those of a chunk."""
    if planned.traits.has_one_scale:
        merge_scaled(&part.scaled, &total.scaled, width)
    else:
        merge_relative(&part.relative, &total.relative, width)


cdef void add_segments(
    real *tag, const lanes *group, worker *space, Py_ssize_t first, Py_ssize_t stop, const scaling *scale,
    slice_sums *total,
) noexcept nogil:
    """The sums of some segments, chunk by chunk. ``scale`` is that of terms that are kept."""
    cdef const plan *planned = group.plan
    cdef slice_sums *segment_sums = total
    cdef slice_sums *sums
    cdef chunk part
    cdef Py_ssize_t segment, end, width = computed_lanes[real](NULL, group)
    part.group = group
    for segment in range(first, stop):
        sums = segment_sums
        part.start = segment * planned.segment
        end = min(part.start + planned.segment, planned.n)
        while part.start < end:
            part.stop = min(part.start + CHUNK, end)
            if planned.traits.has_one_scale:
                keep_chunk[real](NULL, &part, space, scale, &sums.scaled)
            else:
                add_chunk[real](NULL, &part, space, &sums.relative)
            if sums != segment_sums:
                merge_sums(planned, sums, segment_sums, width)
            sums = &space.next_chunk
            part.start = part.stop
        if segment_sums != total:
            merge_sums(planned, segment_sums, total, width)
        segment_sums = &space.next_segment


# ---- whole groups ----------------------------------------------------------------------------------


cdef void compute_groups(
    real *tag, const plan *planned, worker *space, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """The groups of one thread, whose streamed results are waited for at the end only."""
    cdef environment caller = enter()
    cdef lanes group
    cdef chunk whole
    cdef scaling *scale = &space.scale
    cdef slice_sums *total = &space.total
    cdef coefficients *answer = &space.answer
    cdef Py_ssize_t index
    cdef bint guessed = False
    whole.group, whole.start, whole.stop = &group, 0, planned.n
    for index in range(first, stop):
        locate(planned, index, &group)
        space.gathered = -1
        if planned.traits.has_one_scale:
            guessed = scale_terms[real](NULL, &group, space, scale)
        add_segments[real](NULL, &group, space, 0, planned.segments, scale, total)
        if guessed and mend_scaling[real](NULL, total.scaled.largest, group.count, scale):
            space.gathered = -1
            add_segments[real](NULL, &group, space, 0, planned.segments, scale, total)
        prepare[real](NULL, planned.function, total, scale, computed_lanes[real](NULL, &group), answer)
        write_results[real](NULL, &whole, space, answer)
    end_streaming()
    leave(caller)


# ---- one group by all threads ----------------------------------------------------------------------


cdef enum step:
    FIND_LARGEST
    ADD
    WRITE


cdef struct shared_group:
    lanes group
    scaling scale
    slice_sums *parts  # of the segments
    coefficients answer


cdef void compute_segment(
    real *tag, step todo, shared_group *shared, worker *space, Py_ssize_t segment
) noexcept nogil:
    cdef environment caller = enter()
    cdef const plan *planned = shared.group.plan
    cdef chunk part
    part.group = &shared.group
    part.start = segment * planned.segment
    part.stop = min(part.start + planned.segment, planned.n)
    if todo == FIND_LARGEST:
        find_largest[real](NULL, &part, space, shared.parts[segment].scaled.largest)
    elif todo == ADD:
        add_segments[real](
            NULL, &shared.group, space, segment, segment + 1, &shared.scale, &shared.parts[segment]
        )
    elif todo == WRITE:
        write_results[real](NULL, &part, space, &shared.answer)
        end_streaming()
    leave(caller)


cdef Py_ssize_t mend_shared(real *tag, shared_group *shared, worker *space) noexcept nogil:
    """`mend_scaling` by the largest elements of all segments."""
    cdef environment caller = enter()
    cdef double *largest = space.chunk.largest
    cdef Py_ssize_t segment, j, mended, width = computed_lanes[real](NULL, &shared.group)
    for j in range(width):
        largest[j] = shared.parts[0].scaled.largest[j]
        for segment in range(1, shared.group.plan.segments):
            largest[j] = max(largest[j], shared.parts[segment].scaled.largest[j])
    mended = mend_scaling[real](NULL, largest, width, &shared.scale)
    leave(caller)
    return mended


cdef void guess_shared(real *tag, shared_group *shared, worker *space) noexcept nogil:
    cdef environment caller = enter()
    guess_scaling[real](
        NULL, &shared.group, space, computed_lanes[real](NULL, &shared.group), &shared.scale
    )
    leave(caller)


cdef void prepare_shared(real *tag, shared_group *shared) noexcept nogil:
    cdef environment caller = enter()
    cdef const plan *planned = shared.group.plan
    cdef Py_ssize_t segment, width = computed_lanes[real](NULL, &shared.group)
    for segment in range(1, planned.segments):
        merge_sums(planned, &shared.parts[segment], &shared.parts[0], width)
    prepare[real](NULL, planned.function, &shared.parts[0], &shared.scale, width, &shared.answer)
    leave(caller)


cdef void compute_in_turn(
    real *tag, step todo, shared_group *shared, worker *workers, int threads
) noexcept nogil:
    """One step of all segments."""
    cdef Py_ssize_t segment
    for segment in prange(shared.group.plan.segments, schedule="static", num_threads=threads):
        compute_segment[real](NULL, todo, shared, worker_of(workers, threadid()), segment)


cdef void compute_together(real *tag, shared_group *shared, worker *workers, int threads) noexcept nogil:
    cdef const traits *these = &shared.group.plan.traits
    cdef worker *first = worker_of(workers, 0)
    cdef bint guessed = False
    if these.has_one_scale:
        guess_shared[real](NULL, shared, first)
        guessed = can_guess[real](NULL, &shared.group, &shared.scale)
        if not guessed:
            compute_in_turn[real](NULL, FIND_LARGEST, shared, workers, threads)
            mend_shared[real](NULL, shared, first)
    compute_in_turn[real](NULL, ADD, shared, workers, threads)
    if guessed and mend_shared[real](NULL, shared, first):
        compute_in_turn[real](NULL, ADD, shared, workers, threads)
    prepare_shared[real](NULL, shared)
    if these.is_one_number:
        compute_segment[real](NULL, WRITE, shared, first, 0)
    else:
        compute_in_turn[real](NULL, WRITE, shared, workers, threads)


# ---- all groups ------------------------------------------------------------------------------------


cdef int share_segments(real *tag, const plan *planned, worker *workers, int threads) noexcept nogil:
    cdef shared_group *shared = <shared_group *> malloc(sizeof(shared_group))
    cdef Py_ssize_t index
    if shared == NULL:
        return -1
    shared.parts = <slice_sums *> malloc(planned.segments * sizeof(slice_sums))
    if shared.parts == NULL:
        free(shared)
        return -1
    for index in range(planned.groups):
        locate(planned, index, &shared.group)
        compute_together[real](NULL, shared, workers, threads)
    free(shared.parts)
    free(shared)
    return 0


cdef void share_groups(real *tag, const plan *planned, worker *workers, int threads) noexcept nogil:
    cdef Py_ssize_t index
    for index in prange(threads, schedule="static", num_threads=threads):
        compute_groups[real](
            NULL, planned, worker_of(workers, index),
            index * planned.groups // threads, (index + 1) * planned.groups // threads,
        )


cdef int compute(real *tag, slice_function function, const slices *cut, int threads) noexcept nogil:
    cdef plan planned
    cdef worker *workers
    cdef bint by_segments
    make_plan(function, cut, sizeof(real), &planned)
    by_segments = threads > 1 and planned.segments > 1 and planned.groups < GROUPS_OF_THREAD * threads
    if not by_segments:
        threads = <int> max(<Py_ssize_t> 1, min(<Py_ssize_t> threads, planned.groups))
    workers = begin_work(threads)
    if workers == NULL:
        return -1
    if by_segments:
        return share_segments[real](NULL, &planned, workers, threads)
    if threads == 1:
        compute_groups[real](NULL, &planned, worker_of(workers, 0), 0, planned.groups)
    else:
        share_groups[real](NULL, &planned, workers, threads)
    return 0


tune(_tuning.SIZES)
if begin_scratch():
    raise MemoryError("no memory of its own for each thread: the system has no key left (pthread_key_create)")

cdef slice_kernels table
table.float32 = compute[float32]
table.float64 = compute[float64]

kernels = PyCapsule_New(&table, "fastlogit.kernels.slices", NULL)
