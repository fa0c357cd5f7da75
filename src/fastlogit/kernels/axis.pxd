"""What a build of ``axis.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.strided cimport walk


cdef enum reduction:
    SOFTMAX
    LOG_SOFTMAX
    LOGSUMEXP


cdef struct slices:
    # Two arrays cut into slices: ``reduced`` runs along a slice, in order, ``kept`` from one to the next.
    # The pointers are those of ``kept``. Where a slice becomes one number, ``out`` has strides of 0 along
    # ``reduced``.
    walk kept
    walk reduced


ctypedef int (*reduce)(reduction which, const slices *where, int threads) noexcept nogil


cdef struct axis_kernels:
    reduce float32
    reduce float64
