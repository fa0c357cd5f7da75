"""What a build of ``cross_entropy.pyx`` offers, whatever its instruction set."""

from libc.stdint cimport int64_t

from fastlogit.kernels.arithmetic cimport float32, float64
from fastlogit.kernels.operands cimport operand
from fastlogit.kernels.slices cimport slice_function, slices


cdef struct slice_operand:
    # An array with the class axis, ``first`` its first elements along that axis.
    operand first
    Py_ssize_t stride


cdef struct cross_entropies:
    # ``cut`` holds the logits, and where their terms are kept: in the gradient or, without one, in the
    # curvature. The others are numbered by the slices in C order; what is missing starts nowhere.
    slices cut
    slice_function function
    Py_ssize_t slices
    Py_ssize_t classes
    operand labels  # or else
    slice_operand probabilities
    slice_operand class_weights  # one for each class
    operand sample_weight
    operand loss
    slice_operand curvature  # beside a gradient
    int64_t ignored  # a label
    double smoothing
    double factor  # of the derivatives


cdef struct label_survey:
    Py_ssize_t first_invalid  # slice, or -1
    double weight  # of the labels that count


cdef struct cross_entropy_kernels:
    # -1 where memory is wanting; nothing is written then.
    int (*survey)(const cross_entropies *call, label_survey *result, int threads) noexcept nogil
    int (*float32)(float32 *tag, const cross_entropies *call, double *total, int threads) noexcept nogil
    int (*float64)(float64 *tag, const cross_entropies *call, double *total, int threads) noexcept nogil
