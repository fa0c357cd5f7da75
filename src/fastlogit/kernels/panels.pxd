"""Positions of slices copied to where a loop can take them, and back: side by side in a panel, or one slice.

A panel is [position, lane]. What a mask leaves out arrives as -inf: it does not count, and its result is that
of -inf.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport float32, real
from fastlogit.kernels.rows cimport prefetch_row, put_row, take_row
from fastlogit.kernels.strided cimport walk
from fastlogit.kernels.views cimport matrix


cdef extern from "transpose.h" nogil:
    # (source, its stride in bytes, target, its stride)
    const Py_ssize_t TILE_BYTES "FASTLOGIT_TILE_BYTES"
    void transpose_tile32 "fastlogit_transpose_tile32"(const char *, Py_ssize_t, char *, Py_ssize_t) noexcept
    void transpose_tile64 "fastlogit_transpose_tile64"(const char *, Py_ssize_t, char *, Py_ssize_t) noexcept
    # (source, its columns, its rows, target, its columns)
    const Py_ssize_t MOST_FEW "FASTLOGIT_MOST_FEW"
    void take_few_columns32 "fastlogit_take_few_columns32"(
        const char *, Py_ssize_t, Py_ssize_t, float *, Py_ssize_t
    ) noexcept
    void take_few_columns64 "fastlogit_take_few_columns64"(
        const char *, Py_ssize_t, Py_ssize_t, double *, Py_ssize_t
    ) noexcept
    # (source, its columns, target, its columns, its rows)
    void put_few_columns32 "fastlogit_put_few_columns32"(
        const float *, Py_ssize_t, char *, Py_ssize_t, Py_ssize_t
    ) noexcept
    void put_few_columns64 "fastlogit_put_few_columns64"(
        const double *, Py_ssize_t, char *, Py_ssize_t, Py_ssize_t
    ) noexcept


cdef enum:
    PIECE = 64  # elements copied at a time, while those four pieces ahead are asked for


cdef struct array_part:
    # The positions of a slice in one array, and how far the same positions of the next slices are from them.
    char *start
    const Py_ssize_t *shape
    const Py_ssize_t *strides
    int axes
    Py_ssize_t lane_stride


cdef inline char *position_of(const array_part *part, Py_ssize_t position) noexcept nogil:
    """Of lane 0."""
    cdef char *address = part.start
    cdef int axis
    for axis in range(part.axes - 1, 0, -1):
        address += (position % part.shape[axis]) * part.strides[axis]
        position = position // part.shape[axis]
    return address + position * part.strides[0]


cdef inline Py_ssize_t run_from(const array_part *part, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """How many positions from ``start`` on lie at one stride, that of the last axis."""
    return min(stop - start, part.shape[part.axes - 1] - start % part.shape[part.axes - 1])


# ---- one slice -------------------------------------------------------------------------------------


cdef inline void take_lane(
    const array_part *part, Py_ssize_t start, Py_ssize_t stop, real *target
) noexcept nogil:
    """Positions start ... stop of lane 0, side by side."""
    cdef Py_ssize_t stride = part.strides[part.axes - 1], run, piece, i
    cdef const char *source
    while start < stop:
        run = run_from(part, start, stop)
        source = position_of(part, start)
        i = 0
        while i < run:
            piece = min(<Py_ssize_t> PIECE, run - i)
            prefetch_row(source + (i + 4 * PIECE) * stride, stride, piece)
            take_row[real](source + i * stride, stride, target + i, piece)
            i += piece
        target += run
        start += run


cdef inline void put_lane(
    const real *source, const array_part *part, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    cdef Py_ssize_t run
    while start < stop:
        run = run_from(part, start, stop)
        put_row[real](source, position_of(part, start), part.strides[part.axes - 1], run)
        source += run
        start += run


cdef inline void mask_lane(
    const array_part *mask, Py_ssize_t start, Py_ssize_t stop, real *lane
) noexcept nogil:
    cdef Py_ssize_t stride = mask.strides[mask.axes - 1], run, i
    cdef const char *byte
    while start < stop:
        run = run_from(mask, start, stop)
        byte = position_of(mask, start)
        for i in range(run):
            lane[i] = lane[i] if byte[i * stride] else -INFINITY
        lane += run
        start += run


# ---- a panel ---------------------------------------------------------------------------------------


cdef inline void transpose(
    const real *source, Py_ssize_t source_stride, real *target, Py_ssize_t target_stride,
    Py_ssize_t rows, Py_ssize_t columns,
) noexcept nogil:
    """target[j, i] = source[i, j] by tiles; the last ones overlap those before. Rows are contiguous."""
    cdef Py_ssize_t i, j, row, column, width = TILE_BYTES // sizeof(real)
    cdef const char *source_tile
    cdef char *target_tile
    for i in range((rows + width - 1) // width):
        row = min(i * width, rows - width)
        for j in range((columns + width - 1) // width):
            column = min(j * width, columns - width)
            source_tile = <const char *> (source + column) + row * source_stride
            target_tile = <char *> (target + row) + column * target_stride
            if real is float32:
                transpose_tile32(source_tile, source_stride, target_tile, target_stride)
            else:
                transpose_tile64(source_tile, source_stride, target_tile, target_stride)


cdef inline void copy_transposed(real[:, :] source, real[:, :] target) noexcept nogil:
    """target[j, i] = source[i, j], the longer axis innermost."""
    cdef Py_ssize_t i, j
    if source.shape[1] >= source.shape[0]:
        for i in range(source.shape[0]):
            for j in range(source.shape[1]):
                target[j, i] = source[i, j]
    else:
        for j in range(source.shape[1]):
            for i in range(source.shape[0]):
                target[j, i] = source[i, j]


cdef inline void take_run(
    char *source, Py_ssize_t lane_stride, Py_ssize_t stride, Py_ssize_t count, Py_ssize_t run, real *panel,
    Py_ssize_t width,
) noexcept nogil:
    """``run`` positions, one stride apart, of ``count`` lanes to a panel that is ``width`` lanes wide."""
    cdef Py_ssize_t i, itemsize = sizeof(real), row_bytes = width * itemsize
    if lane_stride == itemsize:
        for i in range(run):
            memcpy(panel + i * width, source + i * stride, count * itemsize)
    elif stride == itemsize and min(run, count) * itemsize >= TILE_BYTES:
        transpose[real](<const real *> source, lane_stride, panel, row_bytes, count, run)
    elif 2 <= run <= MOST_FEW and stride == itemsize and lane_stride == run * itemsize:
        if real is float32:
            take_few_columns32(source, run, count, panel, width)
        else:
            take_few_columns64(source, run, count, panel, width)
    else:
        copy_transposed[real](
            matrix[real](<real *> source, count, run, lane_stride, stride),
            matrix[real](panel, run, count, row_bytes, itemsize),
        )


cdef inline void put_run(
    const real *panel, char *target, Py_ssize_t lane_stride, Py_ssize_t stride, Py_ssize_t count,
    Py_ssize_t run, Py_ssize_t width,
) noexcept nogil:
    """A panel that is ``width`` lanes wide to ``run`` positions, one stride apart, of ``count`` lanes."""
    cdef Py_ssize_t i, itemsize = sizeof(real), row_bytes = width * itemsize
    if lane_stride == itemsize:
        for i in range(run):
            memcpy(target + i * stride, panel + i * width, count * itemsize)
    elif stride == itemsize and min(run, count) * itemsize >= TILE_BYTES:
        transpose[real](panel, row_bytes, <real *> target, lane_stride, run, count)
    elif 2 <= run <= MOST_FEW and stride == itemsize and lane_stride == run * itemsize:
        if real is float32:
            put_few_columns32(panel, width, target, run, count)
        else:
            put_few_columns64(panel, width, target, run, count)
    else:
        copy_transposed[real](
            matrix[real](panel, run, count, row_bytes, itemsize),
            matrix[real](<real *> target, count, run, lane_stride, stride),
        )


cdef inline void gather(
    const array_part *part, Py_ssize_t count, Py_ssize_t start, Py_ssize_t stop, real *panel, Py_ssize_t width
) noexcept nogil:
    """Positions start ... stop of ``count`` lanes; lanes of the panel that no slice fills become 0."""
    cdef Py_ssize_t run, i, j
    while start < stop:
        run = run_from(part, start, stop)
        take_run[real](
            position_of(part, start), part.lane_stride, part.strides[part.axes - 1], count, run, panel,
            width,
        )
        for i in range(run if count < width else 0):
            for j in range(count, width):
                panel[i * width + j] = 0
        panel += run * width
        start += run


cdef inline void scatter(
    const real *panel, const array_part *part, Py_ssize_t count, Py_ssize_t start, Py_ssize_t stop,
    Py_ssize_t width,
) noexcept nogil:
    """The panel back to positions start ... stop of ``count`` lanes."""
    cdef Py_ssize_t run
    while start < stop:
        run = run_from(part, start, stop)
        put_run[real](
            panel, position_of(part, start), part.lane_stride, part.strides[part.axes - 1], count, run, width
        )
        panel += run * width
        start += run


cdef inline void mask_panel(
    const array_part *mask, Py_ssize_t count, Py_ssize_t start, Py_ssize_t stop, real *panel, Py_ssize_t width
) noexcept nogil:
    cdef const char *row
    cdef Py_ssize_t position, j, stride = mask.lane_stride
    for position in range(start, stop):
        row = position_of(mask, position)
        for j in range(count):
            panel[j] = panel[j] if row[j * stride] else -INFINITY
        panel += width
