"""What a build of ``axis.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.strided cimport MAX_AXES, walk


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


cdef struct weighted_slices:
    # Slices of ``x`` and ``weights`` and one element each of ``out`` and ``sign``, in the axes of the
    # arrays as they are: first those that are kept, then those that are reduced.
    int kept
    int axes
    Py_ssize_t shape[MAX_AXES]
    Py_ssize_t x_strides[MAX_AXES]
    Py_ssize_t weights_strides[MAX_AXES]
    Py_ssize_t out_strides[MAX_AXES]
    Py_ssize_t sign_strides[MAX_AXES]
    char *x
    char *weights
    char *out
    char *sign


ctypedef void (*weigh)(const weighted_slices *where, int threads) noexcept nogil


cdef struct axis_kernels:
    reduce float32
    reduce float64
    weigh weighted_float32
    weigh weighted_float64
