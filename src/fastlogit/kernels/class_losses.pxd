"""From the sums of slices to their cross-entropies."""

from libc.math cimport INFINITY, NAN, fabs

from fastlogit.kernels.arithmetic cimport float32, real
from fastlogit.kernels.class_groups cimport (
    group_work, has_distances, is_silent, segment_sums,
)
from fastlogit.kernels.cross_entropy cimport cross_entropies
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.expsum cimport MOST_LANES, relative_sums
from fastlogit.kernels.formulas cimport TWO_MINUS_HEADROOM, log_positive
from fastlogit.kernels.labels cimport has_labels
from fastlogit.kernels.pairs cimport add_pairs, multiply_pairs, pair, rounded
from fastlogit.kernels.targets cimport take_class_weights, take_probabilities


cdef extern from *:
    """
    /* Half of the smallest number, lifted by HEADROOM. */
    #define LEAST_OTHERS_32 0x1p-30
    #define LEAST_OTHERS 0x1p-955
    /* Lifted, too: a sum below is its own log1p, and what its tail loses is subnormal. */
    #define SMALL_OTHERS 0x1p-700
    """
    const double LEAST_OTHERS_32, LEAST_OTHERS, SMALL_OTHERS


# ---- all slices of a group at once -----------------------------------------------------------------


cdef inline pair lifted_others(real *tag, const relative_sums *sums, Py_ssize_t lane) noexcept nogil:
    """The sum of exp(z - largest) without the largest, times 2^HEADROOM.

    What terms of the smallest that count come to is below half of the smallest number, and is dropped.
    """
    cdef double least = LEAST_OTHERS_32 if real is float32 else LEAST_OTHERS
    cdef double high = 0 if sums.high[lane] < least else sums.high[lane]
    cdef double low = 0 if sums.high[lane] < least else sums.low[lane]
    return pair(high, low)


cdef inline pair relative_sum(pair others, double ties) noexcept nogil:
    """With the largest elements, as many as are equal."""
    cdef pair total = pair(ties, others.low * TWO_MINUS_HEADROOM)
    add_exactly(&total.high, &total.low, others.high * TWO_MINUS_HEADROOM)
    return total


cdef inline pair add_log(real *tag, pair sum, double distance, double distance_low) noexcept nogil:
    """distance + log(sum), where exp of the tail of the distance is 1 + tail to all digits that count.

    NaN where the sum is, also at an infinite distance.
    """
    cdef double tail
    cdef double total = log_positive[real](NULL, sum.high, sum.low + sum.high * distance_low, distance, &tail)
    cdef bint finite = fabs(distance) < INFINITY
    return pair(total if finite else distance + (sum.high - sum.high), tail if finite else 0)


cdef inline double take_others(pair lifted, double ties, double distance, pair *loss) noexcept nogil:
    """Where a loss is the sum of the others alone, and small, take that as it is lifted; the way down.

    So it is rounded once, after its weight.
    """
    cdef double down = TWO_MINUS_HEADROOM if lifted.high < SMALL_OTHERS else 1
    # Two conditions in one test would keep a loop scalar.
    down = down if ties == 1 else 1
    down = down if distance == 0 else 1
    loss.high = loss.high if down == 1 else lifted.high
    loss.low = loss.low if down == 1 else lifted.low
    return down


cdef inline void find_losses_of_labels(real *tag, group_work *work, Py_ssize_t width) noexcept nogil:
    cdef double total[MOST_LANES]
    cdef double total_low[MOST_LANES]
    cdef double down[MOST_LANES]
    cdef pair sum, weight
    cdef Py_ssize_t j
    for j in range(width):
        sum = relative_sum(lifted_others[real](NULL, &work.relative, j), work.relative.ties[j])
        total[j], total_low[j] = sum.high, sum.low
    for j in range(width):
        sum = add_log[real](NULL, pair(total[j], total_low[j]), work.distance[j], work.distance_low[j])
        total[j], total_low[j] = sum.high, sum.low
    for j in range(width):
        sum = pair(total[j], total_low[j])
        down[j] = take_others(
            lifted_others[real](NULL, &work.relative, j), work.relative.ties[j], work.distance[j], &sum
        )
        total[j], total_low[j] = sum.high, sum.low
    for j in range(width):
        weight = multiply_pairs(pair(work.label_weight[j], 0), pair(work.sample_weight[j], 0))
        work.loss[j] = rounded(multiply_pairs(pair(total[j], total_low[j]), weight)) * down[j]


# ---- one slice, whose targets are more than a label ------------------------------------------------


cdef inline double loss_of_targets(
    real *tag, const cross_entropies *call, const group_work *work, Py_ssize_t lane
) noexcept nogil:
    """sum q (log_sum + distance), q the targets with smoothing and weights."""
    cdef const segment_sums *sums = work.parts
    cdef pair loss, of_classes, kept, spread, log_sum
    cdef pair others = lifted_others[real](NULL, &work.relative, lane)
    cdef pair total = relative_sum(others, work.relative.ties[lane])
    cdef double distance, down = 1
    log_sum = add_log[real](NULL, total, 0, 0)
    if has_labels(call):
        distance = work.distance[lane]
        loss = add_log[real](NULL, total, distance, work.distance_low[lane])
    else:
        distance = rounded(sums.of_target[lane].distance)
        loss = log_sum
    if call.smoothing == 0:
        down = take_others(others, work.relative.ties[lane], distance, &loss)
    if has_labels(call):
        loss = multiply_pairs(loss, pair(work.label_weight[lane], 0))
    else:
        loss = multiply_pairs(sums.of_target[lane].weight, loss)
        loss = add_pairs(sums.of_target[lane].distance, loss)
    if call.smoothing != 0:
        kept = pair(1 - call.smoothing, 0)
        kept.low = (1 - kept.high) - call.smoothing
        spread = pair(call.smoothing / call.classes, 0)
        spread.low = -(spread.high * call.classes - call.smoothing) / call.classes
        of_classes = add_pairs(
            sums.of_classes[lane].distance, multiply_pairs(sums.of_classes[lane].weight, log_sum)
        )
        loss = add_pairs(multiply_pairs(kept, loss), multiply_pairs(spread, of_classes))
    return rounded(multiply_pairs(loss, pair(work.sample_weight[lane], 0))) * down


cdef inline double target_of(
    const cross_entropies *call, const group_work *work, Py_ssize_t lane, Py_ssize_t position
) noexcept nogil:
    """What a class is to have, with all weights."""
    # All types of numbers are read below; gcc thinks of values that are none of them, and warns.
    cdef double weight = 1, target = 1
    take_class_weights(call, position, position + 1, &weight)
    if has_labels(call):
        target = 1 if position == work.label[lane] else 0
    else:
        take_probabilities(call, work.first + lane * work.step, position, position + 1, &target)
    target = (1 - call.smoothing) * target + call.smoothing / call.classes
    return work.sample_weight[lane] * (weight * target)


cdef inline double loss_of_certainty(
    const cross_entropies *call, const group_work *work, Py_ssize_t lane
) noexcept nogil:
    """All classes but one are infinitely far away."""
    cdef double target, loss = 0
    cdef Py_ssize_t position
    for position in range(call.classes):
        target = target_of(call, work, lane, position)
        if position != work.certain[lane] and target != 0:
            loss += target * INFINITY
    return loss


# ---- all that there is -----------------------------------------------------------------------------


cdef inline void find_weights(const cross_entropies *call, group_work *work) noexcept nogil:
    cdef const segment_sums *sums = work.parts
    cdef Py_ssize_t j
    for j in range(work.group.count):
        work.weight[j] = work.label_weight[j] if has_labels(call) else rounded(sums.of_target[j].weight)
    if call.smoothing != 0:
        for j in range(work.group.count):
            work.weight[j] = (1 - call.smoothing) * work.weight[j] + (
                call.smoothing / call.classes * rounded(sums.of_classes[j].weight)
            )
    for j in range(work.group.count):
        work.factor[j] = work.weight[j] * work.sample_weight[j] * call.factor


cdef inline void find_losses(
    real *tag, const cross_entropies *call, group_work *work, Py_ssize_t width
) noexcept nogil:
    """From the sums of the slices, which stand with the first segment."""
    cdef Py_ssize_t j
    find_weights(call, work)
    if has_distances(call):
        for j in range(work.group.count):
            work.loss[j] = loss_of_targets[real](NULL, call, work, j)
            if is_silent(work, j):
                work.loss[j] = 0
    else:
        find_losses_of_labels[real](NULL, work, width)
    if work.infinite:
        for j in range(work.group.count):
            if work.parts.others.largest[j] == INFINITY and not is_silent(work, j):
                work.loss[j] = NAN if work.certain[j] < 0 else loss_of_certainty(call, work, j)
