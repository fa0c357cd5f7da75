"""What a slice is compared with: its label or the probabilities of its classes, and their distances from the
largest logit.

The loss is sum q_k (log_sum + largest - z_k): with a label, or label smoothing, or probabilities as q. The
sums of q_k (largest - z_k) and of q_k are taken here, to twice the precision of float64.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from fastlogit.kernels.arithmetic cimport float32, real, residual64
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.numbers cimport take_numbers
from fastlogit.kernels.operands cimport all_of
from fastlogit.kernels.cross_entropy cimport cross_entropies, slice_operand
from fastlogit.kernels.pairs cimport add_pairs, pair
from fastlogit.kernels.panels cimport array_part, position_of, take_lane


cdef enum:
    DISTANCES = 8  # independent sums, enough to fill a vector
    BLOCK_OF_TARGETS = 64  # positions


cdef struct weighted_distances:
    pair distance
    pair weight


cdef inline weighted_distances merge_distances(weighted_distances a, weighted_distances b) noexcept nogil:
    a.distance = add_pairs(a.distance, b.distance)
    a.weight = add_pairs(a.weight, b.weight)
    return a


cdef struct distance_sums:
    double high[DISTANCES]
    double low[DISTANCES]
    double weight[DISTANCES]
    double weight_low[DISTANCES]


cdef inline void add_rows_of_targets(
    const real *x, const double *target, const double *weight, Py_ssize_t rows, double largest,
    distance_sums *sums,
) noexcept nogil:
    """Rows of DISTANCES positions. A target of 0 does not count, not even at an infinite distance."""
    cdef double high[DISTANCES]
    cdef double low[DISTANCES]
    cdef double total[DISTANCES]
    cdef double total_low[DISTANCES]
    cdef double q, q_low, distance, distance_low, part, product, product_low
    cdef Py_ssize_t i, j
    for j in range(DISTANCES):
        high[j], low[j] = sums.high[j], sums.low[j]
        total[j], total_low[j] = sums.weight[j], sums.weight_low[j]
    for i in range(rows):
        for j in range(DISTANCES):
            q = target[i * DISTANCES + j] * weight[i * DISTANCES + j]
            distance = largest - x[i * DISTANCES + j]
            q_low = -residual64(target[i * DISTANCES + j], weight[i * DISTANCES + j], q)
            if real is float32:
                distance_low = 0
            else:
                part = largest - distance
                distance_low = (largest - (distance + part)) + (part - x[i * DISTANCES + j])
            product = q * distance
            product_low = (q * distance_low + q_low * distance) - residual64(q, distance, product)
            product_low = product_low if product < INFINITY else 0
            product = 0 if q == 0 else product
            product_low = 0 if q == 0 else product_low
            add_exactly(&high[j], &low[j], product)
            low[j] += product_low
            add_exactly(&total[j], &total_low[j], q)
            total_low[j] += q_low
    for j in range(DISTANCES):
        sums.high[j], sums.low[j] = high[j], low[j]
        sums.weight[j], sums.weight_low[j] = total[j], total_low[j]


cdef inline weighted_distances distances_of(const distance_sums *sums) noexcept nogil:
    cdef weighted_distances total
    cdef pair distance
    cdef Py_ssize_t j
    total.distance = total.weight = pair(0, 0)
    for j in range(DISTANCES):
        # A sum that became infinite has a tail that is no number.
        distance = pair(sums.high[j], sums.low[j] if sums.high[j] < INFINITY else 0)
        total.distance = add_pairs(total.distance, distance)
        total.weight = add_pairs(total.weight, pair(sums.weight[j], sums.weight_low[j]))
    return total


cdef inline void take_along(
    const slice_operand *elements, Py_ssize_t number, Py_ssize_t start, Py_ssize_t stop, double *result
) noexcept nogil:
    cdef array_part first = all_of(&elements.first)
    cdef Py_ssize_t i
    if first.start == NULL:
        for i in range(stop - start):
            result[i] = 1
        return
    take_numbers(
        elements.first.type, position_of(&first, number) + start * elements.stride, elements.stride, result,
        stop - start,
    )


cdef inline void take_class_weights(
    const cross_entropies *call, Py_ssize_t start, Py_ssize_t stop, double *weight
) noexcept nogil:
    """1 for all where there are none."""
    take_along(&call.class_weights, 0, start, stop, weight)


cdef inline void take_probabilities(
    const cross_entropies *call, Py_ssize_t number, Py_ssize_t start, Py_ssize_t stop, double *target
) noexcept nogil:
    """Of slice ``number``; 1 for all where the targets are labels."""
    take_along(&call.probabilities, number, start, stop, target)


cdef inline void begin_distances(distance_sums *sums) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(DISTANCES):
        sums.high[j] = sums.low[j] = sums.weight[j] = sums.weight_low[j] = 0


cdef inline void add_distances(
    real *tag, const cross_entropies *call, const array_part *x, Py_ssize_t number, Py_ssize_t start,
    Py_ssize_t stop, double largest, weighted_distances *result,
) noexcept nogil:
    """Of some positions of slice ``number``: first for its probabilities, then for all classes alike."""
    cdef real logits[BLOCK_OF_TARGETS]
    cdef double target[BLOCK_OF_TARGETS]
    cdef double weight[BLOCK_OF_TARGETS]
    cdef double one[BLOCK_OF_TARGETS]
    cdef distance_sums of_target, of_classes
    cdef Py_ssize_t end, rows, i
    begin_distances(&of_target)
    begin_distances(&of_classes)
    for i in range(BLOCK_OF_TARGETS):
        one[i] = 1
    while start < stop:
        end = min(start + BLOCK_OF_TARGETS, stop)
        take_lane[real](x, start, end, logits)
        take_class_weights(call, start, end, weight)
        take_probabilities(call, number, start, end, target)
        rows = (end - start + DISTANCES - 1) // DISTANCES
        for i in range(end - start, rows * DISTANCES):
            logits[i], target[i], weight[i] = <real> largest, 0, 0
        if call.probabilities.first.start != NULL:
            add_rows_of_targets[real](logits, target, weight, rows, largest, &of_target)
        if call.smoothing != 0:
            add_rows_of_targets[real](logits, one, weight, rows, largest, &of_classes)
        start = end
    memset(result, 0, 2 * sizeof(weighted_distances))
    if call.probabilities.first.start != NULL:
        result[0] = distances_of(&of_target)
    if call.smoothing != 0:
        result[1] = distances_of(&of_classes)
