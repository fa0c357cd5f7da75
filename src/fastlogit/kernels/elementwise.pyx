"""out[...] = formula(x[...]) for two strided arrays of one shape, which may be the same array.

The last two axes of the walk are cut into slabs, which are spread over the threads. A slab with contiguous
rows is computed where it stands. Any other is gathered into the first-level cache, computed and scattered,
block by block, so there is one vectorised loop per formula and element type.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.float cimport DBL_MIN
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport (
    bits32, bits64, enter, environment, float32, float64, leave, point_1d, real,
)
from fastlogit.kernels.elementwise cimport (
    CLAMPED_LOGIT, EXPIT, LOG_EXPIT, LOGIT, elementwise_kernels, formula,
)
from fastlogit.kernels.formulas cimport (
    clamp, clamp_bounds, expit, expit_bounds, log_expit, log_expit_bounds, log_expit_within, logit,
    logit_bounds, logit_within,
)
from fastlogit.kernels.rows cimport lines_of_row, prefetch_row, put_row, take_row
from fastlogit.kernels.strided cimport walk


cdef extern from *:
    """
    #if defined(__AVX512F__)
    #define VECTOR_BYTES 64
    #elif defined(__AVX__)
    #define VECTOR_BYTES 32
    #else
    #define VECTOR_BYTES 16
    #endif
    """
    const Py_ssize_t VECTOR_BYTES  # of those that the compiler makes of a loop here


cdef enum:
    WIDEST_VECTOR = 64  # bytes
    BLOCK = 1024  # elements tested together: 8 KiB of float64, a quarter of the smallest L1
    # Gathered, computed and scattered together. Rows at a stride of a power of two share few sets of the L1:
    # with 1 KiB, columns 0:8 of 64 take half as long again.
    GATHERED_BYTES = 512
    # Cache lines asked for before they are needed. L1 has room for few more requests at a time.
    LINES_AHEAD = 32
    GATHERED = 1024  # elements of a slab that is gathered: the cost of starting one is then about 2 %
    CONTIGUOUS = 16384  # elements of a contiguous slab: the cost of starting one is then below 0.1 %
    SHORTEST_ROW = 64  # elements of a contiguous row below which gathering several rows is faster


cdef bint all_between(const real[::1] x, real first, real last, bint by_magnitude) noexcept nogil:
    """Whether first <= x <= last for all elements, or first <= abs(x) <= last; both bounds are positive.

    The bits of positive numbers are in the order of the numbers, and less than those of negative ones, and
    of infinity and NaN.
    """
    cdef uint32_t mask_32, first_32, bits_32, largest_32 = 0
    cdef uint64_t mask_64, first_64, bits_64, largest_64 = 0
    cdef Py_ssize_t i
    if real is float32:
        mask_32 = 0x7fffffff if by_magnitude else 0xffffffff
        first_32 = bits32(first)
        for i in range(x.shape[0]):
            bits_32 = (bits32(x[i]) & mask_32) - first_32
            largest_32 = bits_32 if bits_32 > largest_32 else largest_32
        return largest_32 <= bits32(last) - first_32
    else:
        mask_64 = (<uint64_t> -1) >> 1 if by_magnitude else <uint64_t> -1
        first_64 = bits64(first)
        for i in range(x.shape[0]):
            bits_64 = (bits64(x[i]) & mask_64) - first_64
            largest_64 = bits_64 if bits_64 > largest_64 else largest_64
        return largest_64 <= bits64(last) - first_64


cdef void set_bounds(formula which, double eps, real *lower, real *upper) noexcept nogil:
    """Where `compute` brings an element, or tests whether all of a block are there."""
    if which == EXPIT:
        expit_bounds[real](lower, upper)
    elif which == LOG_EXPIT:
        log_expit_bounds[real](lower, upper)
    elif which == LOGIT:
        logit_bounds[real](lower, upper)
    else:
        clamp_bounds[real](eps, lower, upper)


cdef inline real evaluate(formula which, bint within, real x, real lower, real upper) noexcept nogil:
    """``which`` and ``within`` are constants, the latter: whether x needs no care for extreme values."""
    if which == EXPIT:
        return expit[real](clamp[real](x, lower, upper))
    if which == LOG_EXPIT:
        if real is float32:
            return log_expit_within[real](x, clamp[real](x, lower, upper))
        else:
            return log_expit_within[real](x, x) if within else log_expit(x, lower, upper)
    if which == CLAMPED_LOGIT:
        x = clamp[real](x, lower, upper)
    return logit_within[real](x) if within else logit[real](x)


cdef inline void evaluate_all(
    formula which, bint within, const real[::1] x, real[::1] out, real lower, real upper
) noexcept nogil:
    """Two and two vectors at once, so that one is computed while the other waits for its operands.

    Nobody else reaches ``results``, so the compiler may mix the instructions of all four; ``out`` could be x.
    Whole halves of x side by side would do as well in the caches, but not in memory: twice as many streams.
    """
    cdef char memory[4 * WIDEST_VECTOR]
    cdef real *results = <real *> memory
    cdef Py_ssize_t i, j, k, pair = 2 * VECTOR_BYTES // sizeof(real), many = x.shape[0] // (2 * pair)
    for k in range(many):
        i = k * 2 * pair
        for j in range(pair):
            results[j] = evaluate[real](which, within, x[i + j], lower, upper)
            results[pair + j] = evaluate[real](which, within, x[i + pair + j], lower, upper)
        memcpy(&out[i], results, 2 * pair * sizeof(real))
    for i in range(many * 2 * pair, x.shape[0]):
        out[i] = evaluate[real](which, within, x[i], lower, upper)


cdef void compute(
    formula which, const real[::1] x, real[::1] out, real lower, real upper
) noexcept nogil:
    """One block. What only few elements need is tested for all together; the others do not pay for it."""
    if which == EXPIT:
        evaluate_all[real](EXPIT, True, x, out, lower, upper)
    elif which == LOG_EXPIT:
        if real is float32 or all_between[real](x, 0, upper, True):
            evaluate_all[real](LOG_EXPIT, True, x, out, lower, upper)
        else:
            evaluate_all[real](LOG_EXPIT, False, x, out, lower, upper)
    elif which == LOGIT:
        if all_between[real](x, lower, upper, False):
            evaluate_all[real](LOGIT, True, x, out, lower, upper)
        else:
            evaluate_all[real](LOGIT, False, x, out, lower, upper)
    elif lower >= DBL_MIN:
        evaluate_all[real](CLAMPED_LOGIT, True, x, out, lower, upper)
    else:
        evaluate_all[real](CLAMPED_LOGIT, False, x, out, lower, upper)


cdef void compute_gathered(
    formula which, real lower, real upper,
    const char *x, Py_ssize_t x_row_stride, Py_ssize_t x_column_stride,
    char *out, Py_ssize_t out_row_stride, Py_ssize_t out_column_stride,
    Py_ssize_t rows, Py_ssize_t columns, real[::1] block,
) noexcept nogil:
    cdef char memory[GATHERED_BYTES]
    cdef real *elements = <real *> memory
    cdef Py_ssize_t most = GATHERED_BYTES // sizeof(real)
    cdef Py_ssize_t most_columns = min(columns, most), most_rows = min(rows, most // most_columns)
    cdef Py_ssize_t i, j, k, row, column, height, width, ahead
    ahead = max(1, LINES_AHEAD // (most_rows * lines_of_row(x_column_stride, most_columns))) * (
        most_rows * x_row_stride if columns == most_columns else most_columns * x_column_stride
    )
    for i in range((rows + most_rows - 1) // most_rows):
        row = i * most_rows
        height = min(most_rows, rows - row)
        for j in range((columns + most_columns - 1) // most_columns):
            column = j * most_columns
            width = min(most_columns, columns - column)
            for k in range(height):
                # Requests for all rows at once would wait for the page table; between copies they need not.
                prefetch_row(
                    x + (row + k) * x_row_stride + column * x_column_stride + ahead, x_column_stride, width
                )
                take_row[real](
                    x + (row + k) * x_row_stride + column * x_column_stride, x_column_stride,
                    elements + k * width, width,
                )
            point_1d(block, memory, height * width, sizeof(real))
            compute[real](which, block, block, lower, upper)
            for k in range(height):
                put_row[real](
                    elements + k * width,
                    out + (row + k) * out_row_stride + column * out_column_stride, out_column_stride, width,
                )


cdef void compute_slab(
    formula which, real lower, real upper,
    char *x, Py_ssize_t x_row_stride, Py_ssize_t x_column_stride,
    char *out, Py_ssize_t out_row_stride, Py_ssize_t out_column_stride,
    Py_ssize_t rows, Py_ssize_t columns, real[::1] x_row, real[::1] out_row,
) noexcept nogil:
    """The memoryviews come in empty; here they are pointed at what they are to cover."""
    cdef Py_ssize_t i, block, start, length
    cdef Py_ssize_t itemsize = sizeof(real)
    cdef environment caller = enter()
    if is_contiguous(itemsize, x_column_stride, out_column_stride, rows, columns):
        for i in range(rows):
            for block in range((columns + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                length = min(<Py_ssize_t> BLOCK, columns - start)
                point_1d(x_row, x + i * x_row_stride + start * itemsize, length, itemsize)
                point_1d(out_row, out + i * out_row_stride + start * itemsize, length, itemsize)
                compute[real](which, x_row, out_row, lower, upper)
    else:
        if rows > columns and x_column_stride != itemsize:
            rows, columns = columns, rows
            x_row_stride, x_column_stride = x_column_stride, x_row_stride
            out_row_stride, out_column_stride = out_column_stride, out_row_stride
        compute_gathered[real](
            which, lower, upper, x, x_row_stride, x_column_stride, out, out_row_stride, out_column_stride,
            rows, columns, x_row,
        )
    leave(caller)


cdef inline bint is_contiguous(
    Py_ssize_t itemsize, Py_ssize_t x_stride, Py_ssize_t out_stride, Py_ssize_t rows, Py_ssize_t columns
) noexcept nogil:
    return (
        x_stride == itemsize and out_stride == itemsize and (rows == 1 or columns >= SHORTEST_ROW)
    )


cdef void transform_array(
    formula which, const walk *path, double eps, int threads, real[::1] row_view
) noexcept nogil:
    cdef environment caller = enter()
    cdef real lower, upper
    cdef int last = path.axes - 1
    cdef Py_ssize_t columns = path.shape[last], rows = path.shape[last - 1]
    cdef Py_ssize_t limit, slab_columns, slab_rows, slabs_across, slabs_down, slabs, index
    cdef int axis
    set_bounds[real](which, eps, &lower, &upper)
    leave(caller)
    if is_contiguous(sizeof(real), path.x_strides[last], path.out_strides[last], rows, columns):
        # One slab for each thread at least, cut where a cache line ends if it begins with one.
        limit = (columns + threads - 1) // threads
        limit = min(<Py_ssize_t> CONTIGUOUS, (limit + 63) // 64 * 64)
    else:
        limit = GATHERED
    slab_columns = min(columns, limit)
    slab_rows = min(rows, limit // slab_columns)
    slabs_across = (columns + slab_columns - 1) // slab_columns
    slabs_down = (rows + slab_rows - 1) // slab_rows
    slabs = slabs_across * slabs_down
    for axis in range(last - 1):
        slabs *= path.shape[axis]
    if threads == 1 or slabs == 1:
        for index in range(slabs):
            transform_slab[real](
                which, path, lower, upper, index, slabs_across, slabs_down, slab_columns, slab_rows,
                row_view,
            )
    else:
        for index in prange(slabs, schedule="static", num_threads=threads):
            transform_slab[real](
                which, path, lower, upper, index, slabs_across, slabs_down, slab_columns, slab_rows,
                row_view,
            )


cdef void transform_slab(
    formula which, const walk *path, real lower, real upper, Py_ssize_t index,
    Py_ssize_t slabs_across, Py_ssize_t slabs_down, Py_ssize_t slab_columns, Py_ssize_t slab_rows,
    real[::1] row_view,
) noexcept nogil:
    """Slab number ``index``, counted in C order over (leading axes, rows, columns)."""
    cdef int last = path.axes - 1, axis
    cdef Py_ssize_t column = (index % slabs_across) * slab_columns, row, at
    cdef char *x = path.x
    cdef char *out = path.out
    index = index // slabs_across
    row = (index % slabs_down) * slab_rows
    index = index // slabs_down
    for axis in range(last - 2, -1, -1):
        at = index % path.shape[axis]
        index = index // path.shape[axis]
        x += at * path.x_strides[axis]
        out += at * path.out_strides[axis]
    compute_slab[real](
        which, lower, upper,
        x + row * path.x_strides[last - 1] + column * path.x_strides[last],
        path.x_strides[last - 1], path.x_strides[last],
        out + row * path.out_strides[last - 1] + column * path.out_strides[last],
        path.out_strides[last - 1], path.out_strides[last],
        min(slab_rows, path.shape[last - 1] - row), min(slab_columns, path.shape[last] - column),
        row_view, row_view,
    )


cdef float32[::1] float32_row
cdef float64[::1] float64_row


cdef void transform_float32(
    formula which, const walk *path, double eps, int threads
) noexcept nogil:
    transform_array[float32](which, path, eps, threads, float32_row)


cdef void transform_float64(
    formula which, const walk *path, double eps, int threads
) noexcept nogil:
    transform_array[float64](which, path, eps, threads, float64_row)


cdef elementwise_kernels table
table.float32 = transform_float32
table.float64 = transform_float64

kernels = PyCapsule_New(&table, "fastlogit.kernels.elementwise", NULL)
