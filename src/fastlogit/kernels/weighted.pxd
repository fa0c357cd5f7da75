"""What a build of ``weighted.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.strided cimport MAX_AXES


cdef struct weighted_slices:
    # Slices of ``x`` and ``weights`` and one element each of ``out`` and ``sign``, in the axes of the
    # arrays as they are: first those that are kept, then those that are reduced. Where there is a mask, an
    # element counts if its byte there is not 0.
    int kept
    int axes
    Py_ssize_t shape[MAX_AXES]
    Py_ssize_t x_strides[MAX_AXES]
    Py_ssize_t weights_strides[MAX_AXES]
    Py_ssize_t mask_strides[MAX_AXES]
    Py_ssize_t out_strides[MAX_AXES]
    Py_ssize_t sign_strides[MAX_AXES]
    char *x
    char *weights
    char *mask  # NULL where there is none
    char *out
    char *sign


ctypedef void (*weigh)(const weighted_slices *cut, int threads) noexcept nogil


cdef struct weighted_kernels:
    weigh float32
    weigh float64
