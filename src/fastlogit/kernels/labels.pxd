"""Labels of classes, those that do not count, and the weights of those that do.

A label is looked at before anything is written, so that no other than one of a class is ever an index.
"""

from libc.stdint cimport int64_t

from fastlogit.kernels.cross_entropy cimport cross_entropies
from fastlogit.kernels.exact_sum cimport add_to_sum, exact_sum
from fastlogit.kernels.operands cimport label_at, take_elements
from fastlogit.kernels.targets cimport take_class_weights


cdef enum:
    COUNTED = 256  # labels that are compared together

cdef extern from *:
    """
    /* Below, a label is the same number as a double. */
    #define FASTLOGIT_MOST_EXACT ((int64_t)1 << 53)
    """
    const int64_t MOST_EXACT "FASTLOGIT_MOST_EXACT"


cdef inline bint has_labels(const cross_entropies *call) noexcept nogil:
    return call.labels.start != NULL


cdef inline bint is_weighted(const cross_entropies *call) noexcept nogil:
    return call.class_weights.first.start != NULL or call.sample_weight.start != NULL


cdef inline double sample_weight_of(const cross_entropies *call, Py_ssize_t number) noexcept nogil:
    cdef double weight = 1
    if call.sample_weight.start != NULL:
        take_elements(&call.sample_weight, number, number + 1, &weight)
    return weight


cdef inline double class_weight(const cross_entropies *call, int64_t label) noexcept nogil:
    cdef double weight = 1
    if call.class_weights.first.start != NULL:
        take_class_weights(call, label, label + 1, &weight)
    return weight


cdef inline Py_ssize_t add_weights(
    const cross_entropies *call, Py_ssize_t start, Py_ssize_t stop, exact_sum *weight
) noexcept nogil:
    """Of the slices that count. The first one whose label is no class, or -1."""
    cdef double labels_weight = 1
    cdef Py_ssize_t number
    cdef int64_t label
    for number in range(start, stop):
        if has_labels(call):
            label = label_at(&call.labels, number)
            if label == call.ignored:
                continue
            if label < 0 or label >= call.classes:
                return number
            labels_weight = class_weight(call, label)
        add_to_sum(weight, sample_weight_of(call, number) * labels_weight)
    return -1


cdef inline Py_ssize_t count_labels(
    const cross_entropies *call, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    """How many count; -1 where one may be no class. All are compared as doubles."""
    cdef double labels[COUNTED]
    cdef double ignored = <double> call.ignored, classes = <double> call.classes, valid, left_out
    cdef Py_ssize_t count = 0, end, i
    if call.ignored >= MOST_EXACT or call.ignored <= -MOST_EXACT:
        return -1
    while start < stop:
        end = min(start + COUNTED, stop)
        take_elements(&call.labels, start, end, labels)
        valid = left_out = 0
        for i in range(end - start):
            valid += 1.0 if labels[i] >= 0 else 0.0
            valid -= 1.0 if labels[i] >= classes else 0.0
        for i in range(end - start):
            left_out += 1.0 if labels[i] == ignored else 0.0
        if ignored >= 0 and ignored < classes:
            valid -= left_out
        if valid + left_out != end - start:
            return -1
        count += <Py_ssize_t> valid
        start = end
    return count
