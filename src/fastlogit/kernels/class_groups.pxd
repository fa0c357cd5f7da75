"""A group of slices whose cross-entropy is computed: what is known of it, step by step."""

from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from fastlogit.kernels.arithmetic cimport real
from fastlogit.kernels.blocks cimport chunk, computed_lanes, has_nan, lanes, plan
from fastlogit.kernels.cross_entropy cimport cross_entropies
from fastlogit.kernels.exact_sum cimport exact_sum
from fastlogit.kernels.expsum cimport MOST_LANES, relative_sums, scaled_sums, scaling
from fastlogit.kernels.labels cimport class_weight, has_labels, sample_weight_of
from fastlogit.kernels.operands cimport label_at
from fastlogit.kernels.panels cimport position_of
from fastlogit.kernels.slice_functions cimport coefficients
from fastlogit.kernels.targets cimport weighted_distances


cdef enum:
    NO_LABEL = -1


cdef struct segment_sums:
    scaled_sums others  # of a part of each slice, without the largest elements of the whole slice
    weighted_distances of_target[MOST_LANES]
    weighted_distances of_classes[MOST_LANES]


cdef struct group_work:
    lanes group
    Py_ssize_t first  # number of the slice in lane 0
    Py_ssize_t step  # from lane to lane
    int64_t label[MOST_LANES]
    double distance[MOST_LANES]  # of the label from the largest
    double distance_low[MOST_LANES]
    double label_weight[MOST_LANES]  # 0 for a label that is ignored
    double sample_weight[MOST_LANES]
    Py_ssize_t infinite  # slices with a logit of infinity
    Py_ssize_t certain[MOST_LANES]  # where the only infinite logit of a slice is, or -1
    double weight[MOST_LANES]  # of all classes together
    double factor[MOST_LANES]  # of the shares in the derivatives
    double loss[MOST_LANES]
    double gradient_of_label[MOST_LANES]
    scaling scale
    relative_sums relative
    coefficients answer
    exact_sum total
    segment_sums *parts  # of the segments


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


cdef inline bint has_distances(const cross_entropies *call) noexcept nogil:
    """Whether more than the distance of a label counts."""
    return not has_labels(call) or call.smoothing != 0


cdef inline bint is_silent(const group_work *work, Py_ssize_t lane) noexcept nogil:
    """Nothing of it counts, not even NaN."""
    return work.sample_weight[lane] == 0 or work.weight[lane] == 0


cdef inline void read_labels(real *tag, const cross_entropies *call, group_work *work) noexcept nogil:
    """Labels, weights and the logits of the labels, before terms take their places."""
    cdef const lanes *group = &work.group
    cdef double largest, z, part
    cdef Py_ssize_t j, number
    cdef int64_t label
    cdef const char *x
    for j in range(group.count):
        number = work.first + j * work.step
        work.sample_weight[j] = sample_weight_of(call, number)
        work.label[j] = NO_LABEL
        if not has_labels(call):
            continue
        label = label_at(&call.labels, number)
        if label == call.ignored:
            work.label_weight[j] = work.sample_weight[j] = 0
            continue
        work.label[j] = label
        work.label_weight[j] = class_weight(call, label)
        x = group.x.start + j * group.x.lane_stride + label * group.x.strides[0]
        z = (<const real *> x)[0]
        largest = work.parts[0].others.largest[j]
        work.distance[j] = largest - z
        part = largest - work.distance[j]
        work.distance_low[j] = (largest - (work.distance[j] + part)) + (part - z)


cdef inline void find_certain(real *tag, group_work *work) noexcept nogil:
    """A single infinite logit has all of the probability; two of them, or NaN beside it, leave none."""
    cdef const lanes *group = &work.group
    cdef chunk whole
    cdef Py_ssize_t n = group.plan.n, j, i, count
    whole.group, whole.start, whole.stop = group, 0, n
    work.infinite = 0
    for j in range(group.count):
        work.certain[j] = -1
        if work.parts[0].others.largest[j] != INFINITY:
            continue
        work.infinite += 1
        if has_nan[real](NULL, &whole, j):
            continue
        count = 0
        for i in range(n):
            if (<const real *> (position_of(&group.x, i) + j * group.x.lane_stride))[0] == INFINITY:
                count += 1
                work.certain[j] = i
        if count > 1:
            work.certain[j] = -1
