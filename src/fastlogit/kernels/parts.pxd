"""What a build of ``parts.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.slices cimport slice_function
from fastlogit.kernels.strided cimport MAX_AXES


cdef struct part_sum:
    # exp(largest) * (ties + 2^-HEADROOM * (high + low)), as ``relative_sums`` of ``expsum.pxd``
    double largest
    double ties
    double high
    double low


cdef struct slice_parts:
    # A part of each of some slices, and one sum for each. The axes are first those that are kept, then
    # those along the slices. Where there is a mask, an element counts if its byte there is not 0.
    int kept
    int axes
    Py_ssize_t shape[MAX_AXES]
    Py_ssize_t x_strides[MAX_AXES]
    Py_ssize_t mask_strides[MAX_AXES]
    Py_ssize_t out_strides[MAX_AXES]
    Py_ssize_t sum_strides[MAX_AXES]
    char *x
    char *mask  # NULL where there is none
    char *out
    char *sums


cdef struct part_kernels:
    # The sums of the parts; results from the sums of the whole slices; ``parts`` added to ``totals``.
    void (*add_float32)(const slice_parts *cut, int threads) noexcept nogil
    void (*add_float64)(const slice_parts *cut, int threads) noexcept nogil
    void (*write_float32)(slice_function function, const slice_parts *cut, int threads) noexcept nogil
    void (*write_float64)(slice_function function, const slice_parts *cut, int threads) noexcept nogil
    void (*merge)(const part_sum *parts, part_sum *totals, Py_ssize_t count) noexcept nogil
