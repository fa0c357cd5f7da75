"""Targets and weights of any number type, taken as doubles or as labels where a loop can use them."""

from fastlogit.kernels.arithmetic cimport float32, float64


cdef extern from "numbers.h" nogil:
    ctypedef signed char int8 "fastlogit_int8"
    ctypedef unsigned char uint8 "fastlogit_uint8"
    ctypedef short int16 "fastlogit_int16"
    ctypedef unsigned short uint16 "fastlogit_uint16"
    ctypedef int int32 "fastlogit_int32"
    ctypedef unsigned int uint32 "fastlogit_uint32"
    ctypedef long long int64 "fastlogit_int64"
    ctypedef unsigned long long uint64 "fastlogit_uint64"


ctypedef fused number:
    float32
    float64
    int8
    uint8
    int16
    uint16
    int32
    uint32
    int64
    uint64


cdef enum number_type:
    FLOAT32
    FLOAT64
    INT8
    UINT8  # and bool
    INT16
    UINT16
    INT32
    UINT32
    INT64
    UINT64


cdef inline void convert_row(
    number *tag, const char *x, Py_ssize_t stride, double *row, Py_ssize_t elements
) noexcept nogil:
    cdef Py_ssize_t i
    if stride == sizeof(number):
        for i in range(elements):
            row[i] = <double> (<const number *> x)[i]
    else:
        for i in range(elements):
            row[i] = <double> (<const number *> (x + i * stride))[0]


cdef inline void take_numbers(
    number_type type, const char *x, Py_ssize_t stride, double *row, Py_ssize_t elements
) noexcept nogil:
    """Elements one stride apart as doubles: integers beyond 2^53 are rounded."""
    if type == FLOAT32:
        convert_row[float32](NULL, x, stride, row, elements)
    elif type == FLOAT64:
        convert_row[float64](NULL, x, stride, row, elements)
    elif type == INT8:
        convert_row[int8](NULL, x, stride, row, elements)
    elif type == UINT8:
        convert_row[uint8](NULL, x, stride, row, elements)
    elif type == INT16:
        convert_row[int16](NULL, x, stride, row, elements)
    elif type == UINT16:
        convert_row[uint16](NULL, x, stride, row, elements)
    elif type == INT32:
        convert_row[int32](NULL, x, stride, row, elements)
    elif type == UINT32:
        convert_row[uint32](NULL, x, stride, row, elements)
    elif type == INT64:
        convert_row[int64](NULL, x, stride, row, elements)
    elif type == UINT64:
        convert_row[uint64](NULL, x, stride, row, elements)
