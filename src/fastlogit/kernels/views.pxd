"""Typed memoryviews over memory that the caller holds, without the GIL: declared where they are used."""

from fastlogit.kernels.arithmetic cimport float32, float64, real


cdef extern from "views.h" nogil:
    float32[::1] contiguous32 "FASTLOGIT_CONTIGUOUS"(const void *start, Py_ssize_t n) noexcept
    float64[::1] contiguous64 "FASTLOGIT_CONTIGUOUS"(const void *start, Py_ssize_t n) noexcept
    float32[:, ::1] rows32 "FASTLOGIT_ROWS"(
        const void *start, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t row_stride, Py_ssize_t itemsize
    ) noexcept
    float64[:, ::1] rows64 "FASTLOGIT_ROWS"(
        const void *start, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t row_stride, Py_ssize_t itemsize
    ) noexcept
    float32[:, :] matrix32 "FASTLOGIT_ROWS"(
        const void *start, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t row_stride, Py_ssize_t stride
    ) noexcept
    float64[:, :] matrix64 "FASTLOGIT_ROWS"(
        const void *start, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t row_stride, Py_ssize_t stride
    ) noexcept


cdef inline real[::1] contiguous(const real *start, Py_ssize_t n) noexcept nogil:
    """n elements side by side."""
    if real is float32:
        return contiguous32(start, n)
    else:
        return contiguous64(start, n)


cdef inline real[:, ::1] contiguous_rows(
    const real *start, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t row_stride
) noexcept nogil:
    """Rows whose elements lie side by side; strides are in bytes."""
    if real is float32:
        return rows32(start, rows, columns, row_stride, sizeof(real))
    else:
        return rows64(start, rows, columns, row_stride, sizeof(real))


cdef inline real[:, :] matrix(
    const real *start, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t row_stride, Py_ssize_t column_stride
) noexcept nogil:
    if real is float32:
        return matrix32(start, rows, columns, row_stride, column_stride)
    else:
        return matrix64(start, rows, columns, row_stride, column_stride)
