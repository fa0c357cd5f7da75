"""Slices side by side, and the copying of some of their positions to and from a panel: [position, lane]."""

from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport float32, float64, point_2d, real
from fastlogit.kernels.strided cimport walk


cdef extern from "transpose.h" nogil:
    # (source, its stride in bytes, target, its stride)
    const Py_ssize_t TILE_BYTES "FASTLOGIT_TILE_BYTES"
    void transpose_tile32 "fastlogit_transpose_tile32"(const char *, Py_ssize_t, char *, Py_ssize_t) noexcept
    void transpose_tile64 "fastlogit_transpose_tile64"(const char *, Py_ssize_t, char *, Py_ssize_t) noexcept


cdef enum:
    # of a panel: four cache lines
    LANES_32 = 64
    LANES_64 = 32
    MOST_LANES = 64


cdef enum arrangement:
    ALONG  # lanes contiguous in themselves, taken one after the other
    ACROSS  # contiguous from lane to lane, and as many as a panel is wide
    GATHERED


cdef struct lanes:
    # Where lane 0 begins, and how far apart the lanes are.
    char *x
    char *out
    Py_ssize_t count
    Py_ssize_t x_stride
    Py_ssize_t out_stride
    arrangement arranged
    bint streamed  # whether the result is written past the caches


cdef inline Py_ssize_t lanes_of(real *tag) noexcept nogil:
    return LANES_32 if real is float32 else LANES_64


cdef inline char *position_of(
    const walk *reduced, const Py_ssize_t *strides, char *base, Py_ssize_t position
) noexcept nogil:
    cdef int axis
    for axis in range(reduced.axes - 1, 0, -1):
        base += (position % reduced.shape[axis]) * strides[axis]
        position = position // reduced.shape[axis]
    return base + position * strides[0]


cdef inline void transpose(
    real *tag, const char *source, Py_ssize_t source_stride, char *target, Py_ssize_t target_stride,
    Py_ssize_t rows, Py_ssize_t columns,
) noexcept nogil:
    """target[j, i] = source[i, j] by tiles; the last ones overlap those before. Rows are contiguous."""
    cdef Py_ssize_t i, j, row, column, width = TILE_BYTES // sizeof(real), itemsize = sizeof(real)
    for i in range((rows + width - 1) // width):
        row = min(i * width, rows - width)
        for j in range((columns + width - 1) // width):
            column = min(j * width, columns - width)
            if real is float32:
                transpose_tile32(
                    source + row * source_stride + column * itemsize, source_stride,
                    target + column * target_stride + row * itemsize, target_stride,
                )
            else:
                transpose_tile64(
                    source + row * source_stride + column * itemsize, source_stride,
                    target + column * target_stride + row * itemsize, target_stride,
                )


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


cdef inline void copy_run(
    char *base, Py_ssize_t lane_stride, Py_ssize_t stride, Py_ssize_t count, Py_ssize_t run, bint into_panel,
    char *panel, real[:, :] lane_view, real[:, :] panel_view,
) noexcept nogil:
    """Positions at one stride: ``base`` to the rows of ``panel``, or back."""
    cdef Py_ssize_t i, itemsize = sizeof(real), row_bytes = lanes_of[real](NULL) * itemsize
    if lane_stride == itemsize:
        for i in range(run):
            if into_panel:
                memcpy(panel + i * row_bytes, base + i * stride, count * itemsize)
            else:
                memcpy(base + i * stride, panel + i * row_bytes, count * itemsize)
    elif stride == itemsize and min(run, count) * itemsize >= TILE_BYTES:
        if into_panel:
            transpose[real](NULL, base, lane_stride, panel, row_bytes, count, run)
        else:
            transpose[real](NULL, panel, row_bytes, base, lane_stride, run, count)
    else:
        point_2d(lane_view, base, count, run, lane_stride, stride)
        point_2d(panel_view, panel, run, count, row_bytes, itemsize)
        if into_panel:
            copy_transposed[real](lane_view, panel_view)
        else:
            copy_transposed[real](panel_view, lane_view)


cdef inline void copy_lanes(
    const walk *reduced, const Py_ssize_t *strides, char *base, Py_ssize_t lane_stride, Py_ssize_t count,
    Py_ssize_t start, Py_ssize_t stop, bint into_panel, char *panel,
    real[:, :] lane_view, real[:, :] panel_view,
) noexcept nogil:
    cdef int last = reduced.axes - 1
    cdef Py_ssize_t run
    while start < stop:
        run = min(stop - start, reduced.shape[last] - start % reduced.shape[last])
        copy_run[real](
            position_of(reduced, strides, base, start), lane_stride, strides[last], count, run, into_panel,
            panel, lane_view, panel_view,
        )
        panel += run * lanes_of[real](NULL) * sizeof(real)
        start += run


cdef inline void gather(
    const walk *reduced, const lanes *group, bint from_x, Py_ssize_t start, Py_ssize_t stop, char *panel,
    real[:, :] lane_view, real[:, :] panel_view,
) noexcept nogil:
    """Positions ``start`` ... of every lane of ``x`` or ``out``; lanes that no slice fills become 0."""
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    copy_lanes[real](
        reduced, &reduced.x_strides[0] if from_x else &reduced.out_strides[0],
        group.x if from_x else group.out, group.x_stride if from_x else group.out_stride, group.count,
        start, stop, True, panel, lane_view, panel_view,
    )
    if group.count < width:
        point_2d(panel_view, panel, stop - start, width, width * sizeof(real), sizeof(real))
        for i in range(stop - start):
            for j in range(group.count, width):
                panel_view[i, j] = 0


cdef inline void scatter(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, char *panel,
    real[:, :] lane_view, real[:, :] panel_view,
) noexcept nogil:
    """The panel back to positions ``start`` ... of every lane of ``out``."""
    copy_lanes[real](
        reduced, &reduced.out_strides[0], group.out, group.out_stride, group.count,
        start, stop, False, panel, lane_view, panel_view,
    )
