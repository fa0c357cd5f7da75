"""A row of elements, equally far apart: asked for ahead of time, and copied to contiguous memory and back."""

from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport float32, float64, real
from fastlogit.kernels.memory cimport LINE, prefetch_line


cdef extern from "rows.h" nogil:
    void take_every_second32 "fastlogit_take_every_second32"(const char *, float *, Py_ssize_t) noexcept
    void take_every_second64 "fastlogit_take_every_second64"(const char *, double *, Py_ssize_t) noexcept
    void put_every_second32 "fastlogit_put_every_second32"(const float *, char *, Py_ssize_t) noexcept
    void put_every_second64 "fastlogit_put_every_second64"(const double *, char *, Py_ssize_t) noexcept


cdef inline Py_ssize_t lines_of_row(Py_ssize_t stride, Py_ssize_t elements) noexcept nogil:
    """How many cache lines a row touches, if it begins where a line does."""
    stride = max(stride, -stride)
    return (elements - 1) * stride // LINE + 1 if stride < LINE else elements


cdef inline void prefetch_row(const char *x, Py_ssize_t stride, Py_ssize_t elements) noexcept nogil:
    cdef Py_ssize_t i
    if stride < 0:
        x += (elements - 1) * stride
        stride = -stride
    for i in range(lines_of_row(stride, elements)):
        prefetch_line(x + i * max(stride, LINE))
    prefetch_line(x + (elements - 1) * stride)


cdef inline void take_row(const char *x, Py_ssize_t stride, real *row, Py_ssize_t elements) noexcept nogil:
    cdef Py_ssize_t i
    if stride == sizeof(real):
        memcpy(row, x, elements * sizeof(real))
    elif stride == 2 * sizeof(real):
        if real is float32:
            take_every_second32(x, <float *> row, elements)
        else:
            take_every_second64(x, <double *> row, elements)
    else:
        for i in range(elements):
            row[i] = (<const real *> (x + i * stride))[0]


cdef inline void put_row(const real *row, char *out, Py_ssize_t stride, Py_ssize_t elements) noexcept nogil:
    cdef Py_ssize_t i
    if stride == sizeof(real):
        memcpy(out, row, elements * sizeof(real))
    elif stride == 2 * sizeof(real):
        if real is float32:
            put_every_second32(<const float *> row, out, elements)
        else:
            put_every_second64(<const double *> row, out, elements)
    else:
        for i in range(elements):
            (<real *> (out + i * stride))[0] = row[i]
