"""Cross-entropy of slices of logits, with its derivatives: a client of the sums of ``expsum.pxd``.

The largest element of a slice is found first. The others are added without it, so that a small loss has all
its digits, and where derivatives are asked for, each term is kept in the place of its derivative. A slice is
read once from memory where it fits into the caches.

Groups of slices are shared out to threads or, where slices are few and long, their segments. The losses are
added without rounding, so the order does not matter.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from fastlogit.kernels.across cimport add_across, find_largest_across, write_across
from fastlogit.kernels.along cimport add_along, find_largest_along, write_along
from fastlogit.kernels.arithmetic cimport (
    enter, environment, float32, float64, leave, real, residual64,
)
from fastlogit.kernels.blocks cimport (
    ALONG, begin_work, chunk, computed_lanes, has_nan, lanes, locate, make_plan, plan, stage_everything,
    worker, worker_of,
)
from fastlogit.kernels.cross_entropy cimport (
    cross_entropies, cross_entropy_kernels, label_survey, slice_operand,
)
from fastlogit.kernels.doubles cimport add_exactly, add_pairs, multiply_pairs, pair, rounded
from fastlogit.kernels.exact_sum cimport (
    add_to_sum, begin_sum, exact_sum, merge_sums, rounded_sum,
)
from fastlogit.kernels.expsum cimport (
    CHUNK, KEPT_WITHOUT_LARGEST, MOST_LANES, WITHOUT_LARGEST, choose_scaling, merge_scaled, relate,
    relative_sums, scaled_sums, scaling,
)
from fastlogit.kernels.formulas cimport TWO_MINUS_HEADROOM, log_positive
from fastlogit.kernels.operands cimport all_of, put_elements, label_at, take_elements
from fastlogit.kernels.panels cimport array_part, position_of, put_lane, take_lane
from fastlogit.kernels.scratch cimport begin_scratch
from fastlogit.kernels.slice_functions cimport (
    LARGEST_SHARE, LARGEST_TERM, SHARE_OF_OTHERS, coefficients, prepare_shares,
)
from fastlogit.kernels.slices cimport CROSS_ENTROPY, CROSS_ENTROPY_CURVATURE, CROSS_ENTROPY_GRADIENT
from fastlogit.kernels.targets cimport (
    BLOCK_OF_TARGETS, add_distances, merge_distances, take_class_weights, take_probabilities,
    weighted_distances,
)


cdef extern from *:
    """
    /* Half of the smallest number, lifted by HEADROOM. */
    #define LEAST_OTHERS_32 0x1p-30
    #define LEAST_OTHERS 0x1p-955
    """
    const double LEAST_OTHERS_32, LEAST_OTHERS

cdef enum:
    GROUPS_OF_THREAD = 4  # as for the functions of slices
    SURVEYED = 4096  # slices whose labels are looked at together
    NO_LABEL = -1


cdef struct segment_sums:
    scaled_sums others  # of a part of each slice, without the largest elements of the whole slice
    weighted_distances of_target[MOST_LANES]
    weighted_distances of_classes[MOST_LANES]


cdef struct group_work:
    # A group of slices and all that is known of it.
    lanes group
    Py_ssize_t first  # number of the slice in lane 0
    Py_ssize_t step  # from lane to lane
    int64_t label[MOST_LANES]
    double distance[MOST_LANES]  # of the label from the largest
    double distance_low[MOST_LANES]
    double label_weight[MOST_LANES]
    double sample_weight[MOST_LANES]
    bint silent[MOST_LANES]  # has no weight
    Py_ssize_t infinite[MOST_LANES]  # where the one infinite logit is, or -1
    double weight[MOST_LANES]  # of all classes together
    double factor[MOST_LANES]
    double loss[MOST_LANES]
    scaling scale
    relative_sums relative
    coefficients answer
    exact_sum total
    segment_sums *parts  # of the segments


cdef enum step:
    FIND_LARGEST
    ADD
    WRITE


# ---- labels ----------------------------------------------------------------------------------------


cdef inline bint has_labels(const cross_entropies *call) noexcept nogil:
    return call.labels.start != NULL


cdef inline double class_weight(const cross_entropies *call, int64_t label) noexcept nogil:
    cdef double weight
    take_class_weights(call, label, label + 1, &weight)
    return weight


cdef Py_ssize_t survey_part(
    const cross_entropies *call, Py_ssize_t start, Py_ssize_t stop, exact_sum *weight
) noexcept nogil:
    """Add the weights of the slices that count. The first label that is no class, or -1."""
    cdef double sample_weight = 1
    cdef Py_ssize_t number
    cdef int64_t label = NO_LABEL
    for number in range(start, stop):
        if has_labels(call):
            label = label_at(&call.labels, number)
            if label == call.ignored:
                continue
            if label < 0 or label >= call.classes:
                return number
        if call.sample_weight.start != NULL:
            take_elements(&call.sample_weight, number, number + 1, &sample_weight)
        if has_labels(call):
            sample_weight = sample_weight * class_weight(call, label) if call.class_weights.first.start != NULL else (
                sample_weight
            )
        add_to_sum(weight, sample_weight)
        sample_weight = 1
    return -1


cdef bint survey_count(
    const cross_entropies *call, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t *count
) noexcept nogil:
    """The labels that count, where none has a weight; whether all of them are classes."""
    cdef double labels[256]
    cdef double ignored = <double> call.ignored, classes = <double> call.classes, valid, left_out
    cdef Py_ssize_t end, i
    while start < stop:
        end = min(start + 256, stop)
        take_elements(&call.labels, start, end, labels)
        valid = left_out = 0
        for i in range(end - start):
            valid += 1.0 if labels[i] >= 0 else 0.0
            valid -= 1.0 if labels[i] >= classes else 0.0
        for i in range(end - start):
            left_out += 1.0 if labels[i] == ignored else 0.0
        if left_out and ignored >= 0 and ignored < classes:
            valid -= left_out
        count[0] += <Py_ssize_t> valid
        if valid + left_out != end - start:
            return False
        start = end
    return True


cdef int survey(const cross_entropies *call, label_survey *result, int threads) noexcept nogil:
    cdef environment caller = enter()
    cdef Py_ssize_t parts = (call.slices + SURVEYED - 1) // SURVEYED, part, stop, number
    cdef bint weighted = call.class_weights.first.start != NULL or call.sample_weight.start != NULL
    cdef Py_ssize_t count = 0
    cdef exact_sum weight
    begin_sum(&weight)
    result.first_invalid = -1
    if has_labels(call) and not weighted:
        for part in range(parts):
            stop = min((part + 1) * SURVEYED, call.slices)
            if not survey_count(call, part * SURVEYED, stop, &count):
                result.first_invalid = survey_part(call, part * SURVEYED, stop, &weight)
                if result.first_invalid >= 0:
                    break
        result.weight = <double> count
    elif has_labels(call) or call.sample_weight.start != NULL:
        result.first_invalid = survey_part(call, 0, call.slices, &weight)
        result.weight = rounded_sum(&weight)
    else:
        result.weight = <double> call.slices
    leave(caller)
    return 0


cdef void read_targets(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    """Labels, weights and the logits of the labels, before terms take their places."""
    cdef const lanes *group = &work.group
    cdef double largest, z, part
    cdef Py_ssize_t j, number
    cdef int64_t label
    cdef const char *x
    for j in range(group.count):
        number = work.first + j * work.step
        work.sample_weight[j] = work.label_weight[j] = 1
        work.label[j] = NO_LABEL
        if call.sample_weight.start != NULL:
            take_elements(&call.sample_weight, number, number + 1, &work.sample_weight[j])
        work.silent[j] = work.sample_weight[j] == 0
        work.distance[j] = work.distance_low[j] = 0
        if not has_labels(call):
            continue
        label = label_at(&call.labels, number)
        if label == call.ignored:
            work.silent[j] = True
            continue
        work.label[j] = label
        work.label_weight[j] = class_weight(call, label)
        work.silent[j] = work.silent[j] or (work.label_weight[j] == 0 and call.smoothing == 0)
        x = group.x.start + j * group.x.lane_stride + label * group.x.strides[0]
        z = (<const real *> x)[0]
        largest = work.parts[0].others.largest[j]
        work.distance[j] = largest - z
        part = largest - work.distance[j]
        work.distance_low[j] = (largest - (work.distance[j] + part)) + (part - z)


cdef void find_infinite(real *tag, group_work *work) noexcept nogil:
    """A single infinite logit has all of the probability; two of them, or NaN beside it, leave none."""
    cdef const lanes *group = &work.group
    cdef chunk whole
    cdef Py_ssize_t n = group.plan.n, j, i, count
    whole.group, whole.start, whole.stop = group, 0, n
    for j in range(group.count):
        work.infinite[j] = -1
        if work.parts[0].others.largest[j] != INFINITY or has_nan[real](NULL, &whole, j):
            continue
        count = 0
        for i in range(n):
            if (<const real *> (position_of(&group.x, i) + j * group.x.lane_stride))[0] == INFINITY:
                count += 1
                work.infinite[j] = i
        if count > 1:
            work.infinite[j] = -1


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
    if not has_labels(call) or call.smoothing != 0:
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


cdef inline array_part curvature_part(const cross_entropies *call, const group_work *work) noexcept nogil:
    """The curvature of the group in its own array."""
    cdef array_part first = all_of(&call.curvature.first), part = work.group.out
    part.start = position_of(&first, work.first)
    part.strides = &call.curvature.stride
    part.lane_stride = 0
    if work.group.count > 1:
        part.lane_stride = position_of(&first, work.first + work.step) - part.start
    return part


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


# ---- from the sums to the losses -------------------------------------------------------------------


cdef inline pair log_sum_of(real *tag, const relative_sums *sums, Py_ssize_t lane, pair offset) noexcept nogil:
    """offset + log(sum of exp(z - largest)).

    Elements out of reach of a term, infinite ones among them, have the smallest one instead of none. What
    they come to is below half of the smallest number, and is dropped.
    """
    cdef double high = sums.ties[lane], low = 0, least = LEAST_OTHERS_32 if real is float32 else LEAST_OTHERS
    if not sums.high[lane] < least:
        low = sums.low[lane] * TWO_MINUS_HEADROOM
        add_exactly(&high, &low, sums.high[lane] * TWO_MINUS_HEADROOM)
    if not fabs(offset.high) < INFINITY:
        return pair(offset.high, 0)
    # exp(tail) is 1 + tail to all digits that count.
    return pair(log_positive[real](NULL, high, low + high * offset.low, offset.high), 0)


cdef inline pair multiple_of(pair distance, pair weight, pair log_sum) noexcept nogil:
    """distance + weight log_sum"""
    return add_pairs(distance, multiply_pairs(weight, log_sum))


cdef double loss_of(
    real *tag, const cross_entropies *call, const group_work *work, Py_ssize_t j
) noexcept nogil:
    cdef const segment_sums *sums = work.parts
    cdef pair loss, log_sum, kept, spread, part
    loss = pair(0, 0)
    if has_labels(call):
        part = log_sum_of[real](NULL, &work.relative, j, pair(work.distance[j], work.distance_low[j]))
        part = multiply_pairs(part, pair(work.label_weight[j], 0))
    if not has_labels(call) or call.smoothing != 0:
        log_sum = log_sum_of[real](NULL, &work.relative, j, pair(0, 0))
    if not has_labels(call):
        part = multiple_of(sums.of_target[j].distance, sums.of_target[j].weight, log_sum)
    if call.smoothing == 0:
        loss = part
    else:
        kept = pair(1 - call.smoothing, 0)
        kept.low = (1 - kept.high) - call.smoothing
        spread = pair(call.smoothing / call.classes, 0)
        spread.low = -(spread.high * call.classes - call.smoothing) / call.classes
        loss = add_pairs(
            multiply_pairs(kept, part),
            multiply_pairs(
                spread, multiple_of(sums.of_classes[j].distance, sums.of_classes[j].weight, log_sum)
            ),
        )
    loss = multiply_pairs(loss, pair(work.sample_weight[j], 0))
    return rounded(loss)


cdef double infinite_loss(const cross_entropies *call, const group_work *work, Py_ssize_t j) noexcept nogil:
    """All classes but one are infinitely far away."""
    cdef double target, weight, loss = 0
    cdef Py_ssize_t i
    for i in range(call.classes):
        if i == work.infinite[j]:
            continue
        if target_of(call, work, j, i) * work.sample_weight[j] != 0:
            loss += target_of(call, work, j, i) * work.sample_weight[j] * INFINITY
    return loss


cdef double target_of(
    const cross_entropies *call, const group_work *work, Py_ssize_t j, Py_ssize_t position
) noexcept nogil:
    """What a class is to have, with its weight."""
    cdef double weight, target
    take_class_weights(call, position, position + 1, &weight)
    if has_labels(call):
        target = 1 if position == work.label[j] else 0
    else:
        take_probabilities(call, work.first + j * work.step, position, position + 1, &target)
    return weight * ((1 - call.smoothing) * target + call.smoothing / call.classes)


cdef void begin_group(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    """From the largest elements of the segments to those of the slices, and all that hangs on them."""
    cdef environment caller = enter()
    cdef Py_ssize_t segments = work.group.plan.segments, segment, j
    cdef Py_ssize_t width = computed_lanes[real](NULL, &work.group)
    cdef double *largest = work.parts[0].others.largest
    cdef Py_ssize_t infinite = 0
    for segment in range(1, segments):
        for j in range(width):
            largest[j] = max(largest[j], work.parts[segment].others.largest[j])
    for segment in range(1, segments):
        for j in range(width):
            work.parts[segment].others.largest[j] = largest[j]
    choose_scaling[real](NULL, largest, width, &work.scale)
    read_targets[real](NULL, call, work)
    for j in range(work.group.count):
        work.infinite[j] = -1
        infinite += largest[j] == INFINITY
    if infinite:
        find_infinite[real](NULL, work)
    leave(caller)


cdef void finish_sums(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    cdef environment caller = enter()
    cdef segment_sums *sums = work.parts
    cdef Py_ssize_t segment, j, width = computed_lanes[real](NULL, &work.group)
    for segment in range(1, work.group.plan.segments):
        add_others(&work.parts[segment].others, &sums.others, width)
        if not has_labels(call) or call.smoothing != 0:
            for j in range(work.group.count):
                sums.of_target[j] = merge_distances(sums.of_target[j], work.parts[segment].of_target[j])
                sums.of_classes[j] = merge_distances(sums.of_classes[j], work.parts[segment].of_classes[j])
    relate[real](NULL, &work.scale, &sums.others, width, &work.relative)
    for j in range(width):
        work.factor[j] = 0
    for j in range(work.group.count):
        work.weight[j] = work.label_weight[j] if has_labels(call) else rounded(sums.of_target[j].weight)
        if call.smoothing != 0:
            work.weight[j] = (1 - call.smoothing) * work.weight[j] + (
                call.smoothing / call.classes * rounded(sums.of_classes[j].weight)
            )
        work.factor[j] = work.weight[j] * work.sample_weight[j] * call.factor
        if work.silent[j]:
            work.loss[j] = 0
        elif work.infinite[j] >= 0:
            work.loss[j] = infinite_loss(call, work, j)
        elif fabs(sums.others.largest[j]) == INFINITY:
            work.loss[j] = NAN
        else:
            work.loss[j] = loss_of[real](NULL, call, work, j)
    if call.function != CROSS_ENTROPY:
        prepare_shares[real](NULL, &sums.others, &work.scale, work.factor, width, &work.answer)
    leave(caller)


# ---- derivatives that the shares alone do not give -------------------------------------------------


cdef inline real *element_of(const array_part *part, Py_ssize_t lane, Py_ssize_t position, real *tag) noexcept nogil:
    return <real *> (part.start + lane * part.lane_stride + position * part.strides[0])


cdef void mend_label(real *tag, const cross_entropies *call, group_work *work, Py_ssize_t j) noexcept nogil:
    """The share of the label less 1, which is the share of all others, to all its digits."""
    cdef real *gradient = element_of[real](&work.group.out, j, work.label[j], NULL)
    cdef const relative_sums *sums = &work.relative
    cdef double rest
    if work.distance[j] == 0 and sums.ties[j] == 1:
        rest = work.answer.of_lane[SHARE_OF_OTHERS][j]
        gradient[0] = <real> (-work.factor[j] * rest)
    else:
        gradient[0] = <real> (<double> gradient[0] - work.factor[j])


cdef void subtract_targets(
    real *tag, const cross_entropies *call, group_work *work, Py_ssize_t j
) noexcept nogil:
    """From Q p to Q p - q = (Q - q) p - q (1 - p), q a target with its weights and Q their sum.

    The second form loses nothing where p is near 1. Q - q is taken apart into that of the targets and that of
    label smoothing, so that it keeps its digits where nearly all of Q is q.
    """
    cdef real gradient[BLOCK_OF_TARGETS]
    cdef double target[BLOCK_OF_TARGETS]
    cdef double weight[BLOCK_OF_TARGETS]
    cdef double scale = work.sample_weight[j] * call.factor, spread = call.smoothing / call.classes
    cdef double kept = 1 - call.smoothing, whole = work.weight[j], q, others, rest
    cdef double most = INFINITY, rest_of_most = work.answer.of_lane[SHARE_OF_OTHERS][j]
    cdef pair of_target = work.parts.of_target[j].weight, of_classes = work.parts.of_classes[j].weight
    cdef Py_ssize_t start = 0, stop, i
    cdef array_part out = work.group.out
    if has_labels(call):
        of_target = pair(work.label_weight[j], 0)
    if work.answer.of_lane[LARGEST_TERM][j] < INFINITY:
        most = <real> work.answer.of_lane[LARGEST_SHARE][j]
    out.start += j * out.lane_stride
    while start < call.classes:
        stop = min(start + BLOCK_OF_TARGETS, call.classes)
        take_lane[real](&out, start, stop, gradient)
        take_class_weights(call, start, stop, weight)
        if has_labels(call):
            for i in range(stop - start):
                target[i] = 1 if start + i == work.label[j] else 0
        else:
            take_probabilities(call, work.first + j * work.step, start, stop, target)
        for i in range(stop - start):
            q = target[i] * weight[i]
            others = (of_target.high - q) + (of_target.low + residual64(target[i], weight[i], q))
            others = kept * others + spread * ((of_classes.high - weight[i]) + of_classes.low)
            q = kept * q + spread * weight[i]
            rest = rest_of_most if gradient[i] >= most else 1 - gradient[i] / work.factor[j]
            gradient[i] = <real> (gradient[i] * (others / whole) - scale * (q * rest))
        put_lane[real](gradient, &out, start, stop)
        start = stop


cdef void fill_lane(
    real *tag, const array_part *part, Py_ssize_t lane, Py_ssize_t count, double value
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        element_of[real](part, lane, i, NULL)[0] = <real> value


cdef void mend_lane(real *tag, const cross_entropies *call, group_work *work, Py_ssize_t j) noexcept nogil:
    cdef bint has_gradient = call.function == CROSS_ENTROPY_GRADIENT
    cdef array_part curvature = work.group.out
    cdef double share
    cdef Py_ssize_t i
    if call.curvature.first.start != NULL:
        curvature = curvature_part(call, work)
    if work.silent[j] or work.infinite[j] >= 0 or work.weight[j] == 0:
        if not has_gradient or call.curvature.first.start != NULL:
            fill_lane[real](NULL, &curvature, j, call.classes, 0)
        if has_gradient:
            fill_lane[real](NULL, &work.group.out, j, call.classes, 0)
        if has_gradient and work.infinite[j] >= 0 and not work.silent[j]:
            for i in range(call.classes):
                share = work.factor[j] if i == work.infinite[j] else 0
                element_of[real](&work.group.out, j, i, NULL)[0] = <real> (
                    share - target_of(call, work, j, i) * work.sample_weight[j] * call.factor
                )
    elif has_gradient and has_labels(call) and call.smoothing == 0:
        mend_label[real](NULL, call, work, j)
    elif has_gradient:
        subtract_targets[real](NULL, call, work, j)


cdef void end_group(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    cdef environment caller = enter()
    cdef Py_ssize_t j, number
    cdef real loss
    for j in range(work.group.count):
        number = work.first + j * work.step
        add_to_sum(&work.total, work.loss[j])
        if call.loss.start != NULL:
            loss = <real> work.loss[j]
            put_elements[real](&loss, &call.loss, number, number + 1)
        if call.function != CROSS_ENTROPY:
            mend_lane[real](NULL, call, work, j)
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


cdef inline void number_slices(const plan *planned, Py_ssize_t index, group_work *work) noexcept nogil:
    """Slices are counted in C order of the kept axes, which are never reordered."""
    cdef Py_ssize_t lane = index % planned.groups_along_axis * planned.width, inner = 1, at
    cdef int axis
    index = index // planned.groups_along_axis
    work.first = 0
    for axis in range(planned.slices.kept.axes - 1, -1, -1):
        if axis == planned.lane_axis:
            work.step = inner
            at = lane
        else:
            at = index % planned.slices.kept.shape[axis]
            index = index // planned.slices.kept.shape[axis]
        work.first += at * inner
        inner *= planned.slices.kept.shape[axis]


cdef void compute_groups(
    real *tag, const cross_entropies *call, const plan *planned, group_work *work, worker *workers,
    Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """``work.parts`` says where the segments have their sums; a thread alone takes them in turn."""
    cdef Py_ssize_t index
    for index in range(first, stop):
        compute_group[real](NULL, call, planned, work, workers, index, 1)


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


cdef inline group_work *work_of(char *memory, const plan *planned, Py_ssize_t thread) noexcept nogil:
    """The memory of a thread: a group, followed by the sums of its segments."""
    cdef size_t size = sizeof(group_work) + planned.segments * sizeof(segment_sums)
    cdef group_work *work = <group_work *> (memory + thread * size)
    work.parts = <segment_sums *> (work + 1)
    return work


cdef int compute(real *tag, const cross_entropies *call, double *total, int threads) noexcept nogil:
    cdef plan planned
    cdef worker *workers
    cdef char *memory
    cdef bint by_segments
    cdef exact_sum whole
    cdef Py_ssize_t index
    cdef int works
    make_plan(call.function, &call.cut, sizeof(real), &planned)
    planned.streamed = False
    if call.curvature.first.start != NULL:
        stage_everything(&planned)
    by_segments = threads > 1 and planned.segments > 1 and planned.groups < GROUPS_OF_THREAD * threads
    if not by_segments:
        threads = <int> max(<Py_ssize_t> 1, min(<Py_ssize_t> threads, planned.groups))
    works = 1 if by_segments else threads
    workers = begin_work(threads)
    memory = <char *> malloc(works * (sizeof(group_work) + planned.segments * sizeof(segment_sums)))
    if workers == NULL or memory == NULL:
        free(memory)
        return -1
    for index in range(works):
        begin_sum(&work_of(memory, &planned, index).total)
    if by_segments:
        for index in range(planned.groups):
            compute_group[real](
                NULL, call, &planned, work_of(memory, &planned, 0), workers, index, threads
            )
    elif threads == 1:
        compute_groups[real](
            NULL, call, &planned, work_of(memory, &planned, 0), worker_of(workers, 0), 0, planned.groups
        )
    else:
        for index in prange(threads, schedule="static", num_threads=threads):
            compute_groups[real](
                NULL, call, &planned, work_of(memory, &planned, index), worker_of(workers, index),
                index * planned.groups // threads, (index + 1) * planned.groups // threads,
            )
    begin_sum(&whole)
    for index in range(works):
        merge_sums(&work_of(memory, &planned, index).total, &whole)
    total[0] = rounded_sum(&whole)
    free(memory)
    return 0


if begin_scratch():
    raise MemoryError("no memory of its own for each thread: the system has no key left (pthread_key_create)")

cdef cross_entropy_kernels table
table.survey = survey
table.float32 = compute[float32]
table.float64 = compute[float64]

kernels = PyCapsule_New(&table, "fastlogit.kernels.cross_entropy", NULL)
