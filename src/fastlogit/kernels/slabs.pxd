"""The last two axes of a walk, cut into slabs, which are spread over the threads."""

from fastlogit.kernels.strided cimport walk


cdef enum:
    GATHERED_SLAB = 1024  # elements: the cost of starting one is then about 2 %
    CONTIGUOUS_SLAB = 16384  # elements: the cost of starting one is then below 0.1 %
    SHORTEST_ROW = 64  # elements of a contiguous row below which gathering several rows is faster


cdef struct slab:  # rows and columns of both arrays; strides in bytes
    char *x
    char *out
    Py_ssize_t rows
    Py_ssize_t columns
    Py_ssize_t x_row_stride
    Py_ssize_t x_column_stride
    Py_ssize_t out_row_stride
    Py_ssize_t out_column_stride


cdef struct grid:  # of the slabs that the last two axes are cut into
    Py_ssize_t slabs_across
    Py_ssize_t slabs_down
    Py_ssize_t columns  # of a slab that is not at the edge
    Py_ssize_t rows


cdef inline bint has_contiguous_rows(const slab *part, Py_ssize_t itemsize) noexcept nogil:
    return (
        part.x_column_stride == itemsize and part.out_column_stride == itemsize
        and (part.rows == 1 or part.columns >= SHORTEST_ROW)
    )


cdef inline void point_at_last_axes(const walk *path, slab *part) noexcept nogil:
    """All of the last two axes, at the first element of the others."""
    cdef int last = path.axes - 1
    part.x = path.x
    part.out = path.out
    part.rows = path.shape[last - 1]
    part.columns = path.shape[last]
    part.x_row_stride = path.x_strides[last - 1]
    part.x_column_stride = path.x_strides[last]
    part.out_row_stride = path.out_strides[last - 1]
    part.out_column_stride = path.out_strides[last]


cdef inline grid cut(const slab *whole, Py_ssize_t itemsize, int threads) noexcept nogil:
    cdef Py_ssize_t limit = GATHERED_SLAB
    cdef grid slabs
    if has_contiguous_rows(whole, itemsize):
        # One slab for each thread at least, cut where a cache line ends if it begins with one.
        limit = (whole.columns + threads - 1) // threads
        limit = min(<Py_ssize_t> CONTIGUOUS_SLAB, (limit + 63) // 64 * 64)
    slabs.columns = min(whole.columns, limit)
    slabs.rows = min(whole.rows, limit // slabs.columns)
    slabs.slabs_across = (whole.columns + slabs.columns - 1) // slabs.columns
    slabs.slabs_down = (whole.rows + slabs.rows - 1) // slabs.rows
    return slabs


cdef inline void point_at_slab(
    const walk *path, const grid *slabs, Py_ssize_t index, slab *part
) noexcept nogil:
    """Slab number ``index``, counted in C order over (leading axes, rows, columns)."""
    cdef Py_ssize_t column = (index % slabs.slabs_across) * slabs.columns, row, place
    cdef int axis
    point_at_last_axes(path, part)
    index = index // slabs.slabs_across
    row = (index % slabs.slabs_down) * slabs.rows
    index = index // slabs.slabs_down
    part.x += row * part.x_row_stride + column * part.x_column_stride
    part.out += row * part.out_row_stride + column * part.out_column_stride
    part.rows = min(slabs.rows, part.rows - row)
    part.columns = min(slabs.columns, part.columns - column)
    for axis in range(path.axes - 3, -1, -1):
        place = index % path.shape[axis]
        index = index // path.shape[axis]
        part.x += place * path.x_strides[axis]
        part.out += place * path.out_strides[axis]
