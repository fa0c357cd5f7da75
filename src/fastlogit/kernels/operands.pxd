"""Arrays that are walked together in C order, each with its own strides, which may be 0.

Axes are never reordered: what is element number i of one operand is that of all, and a sum over blocks of
elements does not depend on how they lie in memory.
"""

from libc.stdint cimport int64_t

from fastlogit.kernels.arithmetic cimport real
from fastlogit.kernels.numbers cimport (
    FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, int8, int16, int32,
    int64, number_type, take_numbers, uint8, uint16, uint32, uint64,
)
from fastlogit.kernels.panels cimport array_part, position_of, put_lane, run_from, take_lane
from fastlogit.kernels.strided cimport MAX_AXES


cdef struct operand:
    char *start  # NULL where there is none
    number_type type
    int axes
    Py_ssize_t shape[MAX_AXES]
    Py_ssize_t strides[MAX_AXES]


cdef inline void begin_operand(operand *array, char *start, number_type type) noexcept nogil:
    array.start, array.type, array.axes = start, type, 0


cdef inline void append_operand_axis(operand *array, Py_ssize_t length, Py_ssize_t stride) noexcept nogil:
    """One more axis inside the others, joined with its neighbour if they are one."""
    cdef int last = array.axes - 1
    if length == 1:
        return
    if last >= 0 and array.strides[last] == length * stride:
        array.shape[last] *= length
        array.strides[last] = stride
        return
    array.shape[array.axes], array.strides[array.axes] = length, stride
    array.axes += 1


cdef inline void end_operand(operand *array, Py_ssize_t itemsize) noexcept nogil:
    """An axis at least."""
    if array.axes == 0:
        array.shape[0], array.strides[0], array.axes = 1, itemsize, 1


cdef inline array_part all_of(const operand *array) noexcept nogil:
    cdef array_part part
    part.start = array.start
    part.shape = &array.shape[0]
    part.strides = &array.strides[0]
    part.axes = array.axes
    part.lane_stride = 0
    return part


cdef inline const real *stage_elements(
    const operand *array, Py_ssize_t start, Py_ssize_t stop, real *scratch
) noexcept nogil:
    """Elements of the type of the kernel: where they stand if they are contiguous, else copied."""
    cdef array_part part = all_of(array)
    if part.axes == 1 and part.strides[0] == sizeof(real):
        return <const real *> position_of(&part, start)
    take_lane[real](&part, start, stop, scratch)
    return scratch


cdef inline void put_elements(
    const real *scratch, const operand *array, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    cdef array_part part = all_of(array)
    put_lane[real](scratch, &part, start, stop)


cdef inline void take_elements(
    const operand *array, Py_ssize_t start, Py_ssize_t stop, double *target
) noexcept nogil:
    """Elements of any type as doubles."""
    cdef array_part part = all_of(array)
    cdef Py_ssize_t run
    while start < stop:
        run = run_from(&part, start, stop)
        take_numbers(array.type, position_of(&part, start), part.strides[part.axes - 1], target, run)
        target += run
        start += run


cdef inline int64_t label_at(const operand *array, Py_ssize_t position) noexcept nogil:
    """An integer element; -1 for one beyond 2^63."""
    cdef array_part part = all_of(array)
    cdef const char *x = position_of(&part, position)
    cdef uint64 large
    if array.type == INT8:
        return (<const int8 *> x)[0]
    elif array.type == UINT8:
        return (<const uint8 *> x)[0]
    elif array.type == INT16:
        return (<const int16 *> x)[0]
    elif array.type == UINT16:
        return (<const uint16 *> x)[0]
    elif array.type == INT32:
        return (<const int32 *> x)[0]
    elif array.type == UINT32:
        return (<const uint32 *> x)[0]
    elif array.type == INT64:
        return (<const int64 *> x)[0]
    elif array.type == UINT64:
        large = (<const uint64 *> x)[0]
        return -1 if large >> 63 else <int64_t> large
    elif array.type == FLOAT32 or array.type == FLOAT64:
        return -1
