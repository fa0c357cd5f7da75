"""Cross-entropy of slices of logits, with its derivatives: a client of the sums of ``expsum.pxd``.

The largest element of a slice is found first. The others are added without it, so that a small loss has all
its digits, and where derivatives are asked for, each term is kept in the place of its derivative. A slice is
read once from memory where it fits into the caches.

Groups of slices are shared out to threads or, where slices are few and long, their segments. The losses are
added without rounding, so the order does not matter.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange, threadid
from libc.stdlib cimport calloc, free

from fastlogit.kernels.across cimport add_across, find_largest_across, write_across
from fastlogit.kernels.along cimport add_along, find_largest_along, write_along
from fastlogit.kernels.arithmetic cimport enter, environment, float32, float64, leave, real
from fastlogit.kernels.blocks cimport (
    ALONG, begin_work, chunk, computed_lanes, lanes, locate, make_plan, plan, stage_everything, worker,
    worker_of,
)
from fastlogit.kernels.class_gradients cimport (
    curvature_part, find_gradients_of_labels, mend_derivatives,
)
from fastlogit.kernels.class_groups cimport (
    find_certain, group_work, has_distances, number_slices, read_labels, segment_sums,
)
from fastlogit.kernels.class_losses cimport find_losses
from fastlogit.kernels.cross_entropy cimport cross_entropies, cross_entropy_kernels, label_survey
from fastlogit.kernels.exact_sum cimport add_to_sum, begin_sum, exact_sum, merge_sums, rounded_sum
from fastlogit.kernels.expsum cimport (
    CHUNK, KEPT_WITHOUT_LARGEST, WITHOUT_LARGEST, choose_scaling, merge_scaled, relate, scaled_sums, scaling,
)
from fastlogit.kernels.labels cimport add_weights, count_labels, has_labels, is_weighted
from fastlogit.kernels.memory cimport end_streaming
from fastlogit.kernels.operands cimport put_elements
from fastlogit.kernels.panels cimport array_part
from fastlogit.kernels.scratch cimport begin_scratch
from fastlogit.kernels.slice_functions cimport coefficients, prepare_shares
from fastlogit.kernels.slices cimport CROSS_ENTROPY, CROSS_ENTROPY_CURVATURE, CROSS_ENTROPY_GRADIENT
from fastlogit.kernels.targets cimport add_distances, merge_distances, weighted_distances
from fastlogit.kernels.tuning cimport tune

from fastlogit import _tuning


cdef enum:
    GROUPS_OF_THREAD = 4  # as for the functions of slices
    SURVEYED = 16384  # slices whose labels a thread looks at
    SMALLEST_STREAMED_SLICE = 1024  # bytes: the gradient of the label is written into what was streamed


cdef enum step:
    FIND_LARGEST
    ADD
    WRITE


# ---- labels and weights ----------------------------------------------------------------------------


cdef Py_ssize_t survey_part(
    const cross_entropies *call, Py_ssize_t part, exact_sum *weight
) noexcept nogil:
    """Add the weights of the slices that count. The first one whose label is no class, or -1."""
    cdef environment caller = enter()
    cdef Py_ssize_t start = part * SURVEYED, stop = min(start + SURVEYED, call.slices), count = -1
    cdef Py_ssize_t invalid = -1
    if not is_weighted(call):
        count = count_labels(call, start, stop)
    if count < 0:
        invalid = add_weights(call, start, stop, weight)
    else:
        add_to_sum(weight, <double> count)
    leave(caller)
    return invalid


cdef int survey(const cross_entropies *call, label_survey *result, int threads) noexcept nogil:
    cdef environment caller
    cdef Py_ssize_t parts = (call.slices + SURVEYED - 1) // SURVEYED, part, invalid = 0
    cdef exact_sum *weights
    cdef exact_sum weight
    result.first_invalid = -1
    result.weight = <double> call.slices
    if not has_labels(call) and call.sample_weight.start == NULL:
        return 0
    weights = <exact_sum *> calloc(threads, sizeof(exact_sum))
    if weights == NULL:
        return -1
    if threads == 1:
        for part in range(parts):
            invalid += survey_part(call, part, weights) >= 0
    else:
        for part in prange(parts, schedule="static", num_threads=threads):
            invalid += survey_part(call, part, &weights[threadid()]) >= 0
    begin_sum(&weight)
    part = 0
    while invalid and result.first_invalid < 0:
        result.first_invalid = survey_part(call, part, &weight)
        part += 1
    begin_sum(&weight)
    caller = enter()
    for part in range(threads):
        merge_sums(&weights[part], &weight)
    result.weight = rounded_sum(&weight)
    leave(caller)
    free(weights)
    return 0


# ---- steps of a segment ----------------------------------------------------------------------------


cdef void find_largest(real *tag, const chunk *part, worker *space, double *largest) noexcept nogil:
    if part.group.runs == ALONG:
        find_largest_along[real](NULL, part, space, largest)
    else:
        find_largest_across[real](NULL, part, space, largest)


cdef void add_chunk(
    real *tag, const chunk *part, worker *space, const scaling *scale, scaled_sums *sums
) noexcept nogil:
    """``sums`` knows the largest elements."""
    cdef bint kept = part.group.plan.traits.keeps_terms
    if part.group.runs == ALONG and kept:
        add_along[real](NULL, KEPT_WITHOUT_LARGEST, part, space, scale, NULL, sums)
    elif part.group.runs == ALONG:
        add_along[real](NULL, WITHOUT_LARGEST, part, space, scale, NULL, sums)
    elif kept:
        add_across[real](
            KEPT_WITHOUT_LARGEST, part, space, scale, sums, space.high, <char *> space.low, NULL
        )
    else:
        add_across[real](WITHOUT_LARGEST, part, space, scale, sums, space.high, <char *> space.low, NULL)


cdef void add_segment(
    real *tag, const cross_entropies *call, group_work *work, worker *space, Py_ssize_t segment
) noexcept nogil:
    cdef const lanes *group = &work.group
    cdef segment_sums *sums = &work.parts[segment]
    cdef scaled_sums *chunk_sums = &sums.others
    cdef weighted_distances distances[2]
    cdef array_part x
    cdef chunk part
    cdef Py_ssize_t start = segment * group.plan.segment, end, j, width = computed_lanes[real](NULL, group)
    part.group = group
    end = min(start + group.plan.segment, group.plan.n)
    if has_distances(call):
        for j in range(group.count):
            x = group.x
            x.start += j * x.lane_stride
            add_distances[real](
                NULL, call, &x, work.first + j * work.step, start, end, sums.others.largest[j], distances
            )
            sums.of_target[j], sums.of_classes[j] = distances[0], distances[1]
    part.start = start
    while part.start < end:
        part.stop = min(part.start + CHUNK, end)
        if part.start > start:
            chunk_sums = &space.next_chunk.scaled
            for j in range(width):
                chunk_sums.largest[j] = sums.others.largest[j]
        add_chunk[real](NULL, &part, space, &work.scale, chunk_sums)
        if part.start > start:
            add_others(chunk_sums, &sums.others, width)
        part.start = part.stop


cdef inline void add_others(const scaled_sums *part, scaled_sums *total, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t j
    merge_scaled(part, total, width)
    for j in range(width):
        total.ties[j] += part.ties[j]


cdef void write_derivative(
    real *tag, const chunk *part, worker *space, const coefficients *answer, bint first
) noexcept nogil:
    """``first`` says whether it is the gradient."""
    if part.group.runs == ALONG and first:
        write_along[real](CROSS_ENTROPY_GRADIENT, part, space, answer, NULL)
    elif part.group.runs == ALONG:
        write_along[real](CROSS_ENTROPY_CURVATURE, part, space, answer, NULL)
    elif first:
        write_across[real](CROSS_ENTROPY_GRADIENT, part, space, answer, NULL)
    else:
        write_across[real](CROSS_ENTROPY_CURVATURE, part, space, answer, NULL)


cdef void write_segment(
    real *tag, const cross_entropies *call, group_work *work, worker *space, Py_ssize_t segment
) noexcept nogil:
    cdef lanes group = work.group
    cdef chunk part
    part.start = segment * group.plan.segment
    part.stop = min(part.start + group.plan.segment, group.plan.n)
    part.group = &group
    if call.curvature.first.start != NULL:
        group.out = curvature_part(call, work)
        group.rereads_terms = True
        write_derivative[real](NULL, &part, space, &work.answer, False)
        group.out = work.group.out
        group.rereads_terms = False
    write_derivative[real](
        NULL, &part, space, &work.answer, call.function == CROSS_ENTROPY_GRADIENT
    )
    if group.plan.segments > 1:
        end_streaming()


# ---- steps between all segments of a group ---------------------------------------------------------


cdef void begin_group(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    """From the largest elements of the segments to those of the slices, and all that hangs on them."""
    cdef environment caller = enter()
    cdef Py_ssize_t segment, j, width = computed_lanes[real](NULL, &work.group)
    cdef double *largest = work.parts[0].others.largest
    for segment in range(1, work.group.plan.segments):
        for j in range(width):
            largest[j] = max(largest[j], work.parts[segment].others.largest[j])
    for segment in range(1, work.group.plan.segments):
        for j in range(width):
            work.parts[segment].others.largest[j] = largest[j]
    choose_scaling[real](NULL, largest, width, &work.scale)
    read_labels[real](NULL, call, work)
    find_certain[real](NULL, work)
    leave(caller)


cdef void merge_segments(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    cdef segment_sums *sums = work.parts
    cdef segment_sums *part
    cdef Py_ssize_t segment, j, width = computed_lanes[real](NULL, &work.group)
    for segment in range(1, work.group.plan.segments):
        part = &work.parts[segment]
        add_others(&part.others, &sums.others, width)
        if has_distances(call):
            for j in range(work.group.count):
                sums.of_target[j] = merge_distances(sums.of_target[j], part.of_target[j])
                sums.of_classes[j] = merge_distances(sums.of_classes[j], part.of_classes[j])


cdef void finish_sums(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    cdef environment caller = enter()
    cdef Py_ssize_t width = computed_lanes[real](NULL, &work.group)
    merge_segments[real](NULL, call, work)
    relate[real](NULL, &work.scale, &work.parts.others, width, &work.relative)
    find_losses[real](NULL, call, work, width)
    if call.function != CROSS_ENTROPY:
        prepare_shares[real](NULL, &work.parts.others, &work.scale, work.factor, width, &work.answer)
    if call.function == CROSS_ENTROPY_GRADIENT and not has_distances(call):
        find_gradients_of_labels(work, width)
    leave(caller)


cdef void end_group(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    cdef environment caller = enter()
    cdef Py_ssize_t j, number
    cdef real loss
    for j in range(work.group.count):
        add_to_sum(&work.total, work.loss[j])
    if call.loss.start != NULL:
        for j in range(work.group.count):
            number = work.first + j * work.step
            loss = <real> work.loss[j]
            put_elements[real](&loss, &call.loss, number, number + 1)
    if call.function != CROSS_ENTROPY:
        for j in range(work.group.count):
            mend_derivatives[real](NULL, call, work, j)
    leave(caller)


# ---- groups and threads ----------------------------------------------------------------------------


cdef void compute_segment(
    real *tag, const cross_entropies *call, step todo, group_work *work, worker *space, Py_ssize_t segment
) noexcept nogil:
    cdef environment caller = enter()
    cdef chunk part
    part.group = &work.group
    part.start = segment * work.group.plan.segment
    part.stop = min(part.start + work.group.plan.segment, work.group.plan.n)
    if todo == FIND_LARGEST:
        find_largest[real](NULL, &part, space, work.parts[segment].others.largest)
    elif todo == ADD:
        add_segment[real](NULL, call, work, space, segment)
    elif todo == WRITE:
        write_segment[real](NULL, call, work, space, segment)
    leave(caller)


cdef void compute_segments(
    real *tag, const cross_entropies *call, step todo, group_work *work, worker *workers, int threads
) noexcept nogil:
    cdef Py_ssize_t segment
    if threads == 1:
        for segment in range(work.group.plan.segments):
            compute_segment[real](NULL, call, todo, work, workers, segment)
    else:
        for segment in prange(work.group.plan.segments, schedule="static", num_threads=threads):
            compute_segment[real](NULL, call, todo, work, worker_of(workers, threadid()), segment)


cdef void compute_groups(
    real *tag, const cross_entropies *call, const plan *planned, group_work *work, worker *workers,
    Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """``work.parts`` says where the segments have their sums; a thread alone takes them in turn."""
    cdef Py_ssize_t index
    for index in range(first, stop):
        compute_group[real](NULL, call, planned, work, workers, index, 1)
    end_streaming()


cdef void compute_group(
    real *tag, const cross_entropies *call, const plan *planned, group_work *work, worker *workers,
    Py_ssize_t index, int threads,
) noexcept nogil:
    locate(planned, index, &work.group)
    number_slices(planned, index, work)
    workers.gathered = -1
    compute_segments[real](NULL, call, FIND_LARGEST, work, workers, threads)
    begin_group[real](NULL, call, work)
    compute_segments[real](NULL, call, ADD, work, workers, threads)
    finish_sums[real](NULL, call, work)
    if call.function != CROSS_ENTROPY:
        compute_segments[real](NULL, call, WRITE, work, workers, threads)
    end_group[real](NULL, call, work)


# ---- all groups ------------------------------------------------------------------------------------


cdef inline size_t size_of_work(const plan *planned) noexcept nogil:
    """A group, followed by the sums of its segments."""
    return sizeof(group_work) + planned.segments * sizeof(segment_sums)


cdef inline group_work *work_of(char *memory, const plan *planned, Py_ssize_t thread) noexcept nogil:
    cdef group_work *work = <group_work *> (memory + thread * size_of_work(planned))
    work.parts = <segment_sums *> (work + 1)
    return work


cdef void plan_call(real *tag, const cross_entropies *call, plan *planned) noexcept nogil:
    make_plan(call.function, &call.cut, sizeof(real), planned)
    if call.curvature.first.start != NULL:
        stage_everything(planned)
    # Where targets are subtracted, the shares are read again.
    planned.streamed = (
        planned.streamed and not has_distances(call) and call.curvature.first.start == NULL
        and planned.n * <Py_ssize_t> sizeof(real) >= SMALLEST_STREAMED_SLICE
    )


cdef void share_groups(
    real *tag, const cross_entropies *call, const plan *planned, char *memory, worker *workers, int threads
) noexcept nogil:
    cdef Py_ssize_t index
    if threads == 1:
        compute_groups[real](NULL, call, planned, work_of(memory, planned, 0), workers, 0, planned.groups)
    else:
        for index in prange(threads, schedule="static", num_threads=threads):
            compute_groups[real](
                NULL, call, planned, work_of(memory, planned, index), worker_of(workers, index),
                index * planned.groups // threads, (index + 1) * planned.groups // threads,
            )


cdef int compute(real *tag, const cross_entropies *call, double *total, int threads) noexcept nogil:
    cdef plan planned
    cdef worker *workers
    cdef char *memory
    cdef bint by_segments
    cdef exact_sum whole
    cdef Py_ssize_t index
    cdef int works
    plan_call[real](NULL, call, &planned)
    by_segments = threads > 1 and planned.segments > 1 and planned.groups < GROUPS_OF_THREAD * threads
    if not by_segments:
        threads = <int> max(<Py_ssize_t> 1, min(<Py_ssize_t> threads, planned.groups))
    works = 1 if by_segments else threads
    workers = begin_work(threads)
    memory = <char *> calloc(works, size_of_work(&planned))
    if workers == NULL or memory == NULL:
        free(memory)
        return -1
    if by_segments:
        for index in range(planned.groups):
            compute_group[real](NULL, call, &planned, work_of(memory, &planned, 0), workers, index, threads)
    else:
        share_groups[real](NULL, call, &planned, memory, workers, threads)
    begin_sum(&whole)
    for index in range(works):
        merge_sums(&work_of(memory, &planned, index).total, &whole)
    total[0] = rounded_sum(&whole)
    free(memory)
    return 0


tune(_tuning.SIZES)
if begin_scratch():
    raise MemoryError("no memory of its own for each thread: the system has no key left (pthread_key_create)")

cdef cross_entropy_kernels table
table.survey = survey
table.float32 = compute[float32]
table.float64 = compute[float64]

kernels = PyCapsule_New(&table, "fastlogit.kernels.cross_entropy", NULL)
