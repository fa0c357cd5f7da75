"""What the shares of a slice do not say of its derivatives: its targets, and where it has no shares."""

from libc.math cimport INFINITY

from fastlogit.kernels.arithmetic cimport real, residual64
from fastlogit.kernels.class_groups cimport group_work, has_distances, is_silent
from fastlogit.kernels.class_losses cimport target_of
from fastlogit.kernels.cross_entropy cimport cross_entropies
from fastlogit.kernels.formulas cimport TWO_MINUS_HEADROOM
from fastlogit.kernels.labels cimport has_labels
from fastlogit.kernels.expsum cimport MOST_LANES
from fastlogit.kernels.operands cimport all_of
from fastlogit.kernels.pairs cimport pair
from fastlogit.kernels.panels cimport array_part, position_of, put_lane, take_lane
from fastlogit.kernels.slice_functions cimport LARGEST_SHARE, LARGEST_TERM, SHARE_OF_OTHERS
from fastlogit.kernels.slices cimport CROSS_ENTROPY_GRADIENT
from fastlogit.kernels.targets cimport BLOCK_OF_TARGETS, take_class_weights, take_probabilities

from fastlogit.kernels.terms cimport exp_double


cdef enum:
    LARGEST_DISTANCE = 700  # the exponential of more cannot be seen beside 1


cdef inline real *element_of(
    const array_part *part, Py_ssize_t lane, Py_ssize_t position, real *tag
) noexcept nogil:
    return <real *> (part.start + lane * part.lane_stride + position * part.strides[0])


cdef inline array_part curvature_part(
    const cross_entropies *call, const group_work *work
) noexcept nogil:
    """Of the group, in the array of the curvature beside a gradient."""
    cdef array_part first = all_of(&call.curvature.first), part = work.group.out
    part.start = position_of(&first, work.first)
    part.strides = &call.curvature.stride
    part.lane_stride = 0
    if work.group.count > 1:
        part.lane_stride = position_of(&first, work.first + work.step) - part.start
    return part


cdef inline void find_gradients_of_labels(group_work *work, Py_ssize_t width) noexcept nogil:
    """p - 1 times the factor: for the only largest logit less what the others have, else p is at most 1/2."""
    cdef double rest[MOST_LANES]
    cdef double bounded, term, tail, total
    cdef Py_ssize_t j
    for j in range(width):
        bounded = LARGEST_DISTANCE if work.distance[j] > LARGEST_DISTANCE else work.distance[j]
        exp_double(-bounded, 0, &term, &tail)
        total = work.relative.ties[j] + (work.relative.high[j] + work.relative.low[j]) * TWO_MINUS_HEADROOM
        rest[j] = 1 - term / total
    for j in range(width):
        total = work.answer.of_lane[SHARE_OF_OTHERS][j]
        # The share of the others is that of the other largest ones too only where there are none.
        total = total if work.relative.ties[j] == 1 else rest[j]
        rest[j] = total if work.distance[j] == 0 else rest[j]
    for j in range(width):
        work.gradient_of_label[j] = -work.factor[j] * rest[j]


cdef inline void subtract_targets(
    real *tag, const cross_entropies *call, const group_work *work, Py_ssize_t lane
) noexcept nogil:
    """From Q p to Q p - q = (Q - q) p - q (1 - p), q a target with its weights and Q their sum.

    The second form loses nothing where p is near 1. Q - q is taken apart into that of the targets and that of
    label smoothing, so that it keeps its digits where nearly all of Q is q.
    """
    cdef real gradient[BLOCK_OF_TARGETS]
    cdef double target[BLOCK_OF_TARGETS]
    cdef double weight[BLOCK_OF_TARGETS]
    cdef double scale = work.sample_weight[lane] * call.factor, spread = call.smoothing / call.classes
    cdef double kept = 1 - call.smoothing, whole = work.weight[lane], factor = work.factor[lane]
    cdef double q, others, rest
    cdef double most = INFINITY, rest_of_most = work.answer.of_lane[SHARE_OF_OTHERS][lane]
    cdef pair of_target = work.parts.of_target[lane].weight, of_classes = work.parts.of_classes[lane].weight
    cdef Py_ssize_t start = 0, stop, i
    cdef array_part out = work.group.out
    if has_labels(call):
        of_target = pair(work.label_weight[lane], 0)
    if work.answer.of_lane[LARGEST_TERM][lane] < INFINITY:
        most = <real> work.answer.of_lane[LARGEST_SHARE][lane]
    out.start += lane * out.lane_stride
    while start < call.classes:
        stop = min(start + BLOCK_OF_TARGETS, call.classes)
        take_lane[real](&out, start, stop, gradient)
        take_class_weights(call, start, stop, weight)
        if has_labels(call):
            for i in range(stop - start):
                target[i] = 1 if start + i == work.label[lane] else 0
        else:
            take_probabilities(call, work.first + lane * work.step, start, stop, target)
        for i in range(stop - start):
            q = target[i] * weight[i]
            others = (of_target.high - q) + (of_target.low + residual64(target[i], weight[i], q))
            others = kept * others + spread * ((of_classes.high - weight[i]) + of_classes.low)
            q = kept * q + spread * weight[i]
            rest = 1 - gradient[i] / factor
            rest = rest_of_most if gradient[i] >= most else rest
            gradient[i] = <real> (gradient[i] * (others / whole) - scale * (q * rest))
        put_lane[real](gradient, &out, start, stop)
        start = stop


cdef inline void fill_lane(
    real *tag, const array_part *part, Py_ssize_t lane, Py_ssize_t count, double value
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        element_of[real](part, lane, i, NULL)[0] = <real> value


cdef inline void write_certainty(
    real *tag, const cross_entropies *call, const group_work *work, Py_ssize_t lane
) noexcept nogil:
    """The gradient where one class has all of the probability."""
    cdef double share
    cdef Py_ssize_t i
    for i in range(call.classes):
        share = work.factor[lane] if i == work.certain[lane] else 0
        element_of[real](&work.group.out, lane, i, NULL)[0] = <real> (
            share - target_of(call, work, lane, i) * call.factor
        )


cdef inline void mend_derivatives(
    real *tag, const cross_entropies *call, const group_work *work, Py_ssize_t lane
) noexcept nogil:
    cdef bint has_gradient = call.function == CROSS_ENTROPY_GRADIENT, silent = is_silent(work, lane)
    cdef bint certain = work.infinite > 0 and work.certain[lane] >= 0
    cdef array_part curvature
    if silent or certain:
        if call.curvature.first.start != NULL:
            curvature = curvature_part(call, work)
            fill_lane[real](NULL, &curvature, lane, call.classes, 0)
        fill_lane[real](NULL, &work.group.out, lane, call.classes, 0)
    if has_gradient and not silent:
        if certain:
            write_certainty[real](NULL, call, work, lane)
        elif has_distances(call):
            subtract_targets[real](NULL, call, work, lane)
        else:
            element_of[real](&work.group.out, lane, work.label[lane], NULL)[0] = <real> (
                work.gradient_of_label[lane]
            )
