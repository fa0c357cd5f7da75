"""What a build of ``slices.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.arithmetic cimport float32, float64
from fastlogit.kernels.strided cimport walk


cdef enum slice_function:
    SOFTMAX
    SOFTMAX_OF_X  # whose terms are computed once more for the results, and kept nowhere
    LOG_SOFTMAX
    LOGSUMEXP
    CROSS_ENTROPY  # without derivatives
    CROSS_ENTROPY_GRADIENT
    CROSS_ENTROPY_CURVATURE


cdef struct slices:
    # Two arrays cut into slices: ``reduced`` runs along a slice, in order, ``kept`` from one to the next.
    # The pointers are those of ``kept``. Where a slice becomes one number, ``out`` has strides of 0 along
    # ``reduced``. Where there is a mask, an element counts if its byte there is not 0.
    walk kept
    walk reduced


cdef struct slice_kernels:
    # The first argument names the element type, a null pointer. -1 where memory is wanting; nothing is
    # written then.
    int (*float32)(float32 *tag, slice_function function, const slices *cut, int threads) noexcept nogil
    int (*float64)(float64 *tag, slice_function function, const slices *cut, int threads) noexcept nogil
