"""out[...] = function(x[...]) for two strided arrays of one shape, which may be the same array.

A slab (``slabs.pxd``) with contiguous rows is computed where it stands. Any other is gathered into the
first-level cache, computed and scattered, block by block, so there is one vectorised loop per function and
element type.

What a function is made of stands in one table, at the end.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.float cimport DBL_MIN
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport (
    bits32, bits64, enter, environment, float32, float64, leave, pin, real,
)
from fastlogit.kernels.clamp cimport clamp_bounds
from fastlogit.kernels.elementwise cimport elementwise_kernel, elementwise_kernels, function_pointer
from fastlogit.kernels.formulas cimport (
    clamp, clamp_number, expit, expit_bounds, log_expit, log_expit_bounds, log_expit_within, logit,
    logit_bounds, logit_within,
)
from fastlogit.kernels.memory cimport prefetch_far
from fastlogit.kernels.rows cimport lines_of_row, prefetch_row, put_row, take_row
from fastlogit.kernels.slabs cimport (
    cut, grid, has_contiguous_rows, point_at_last_axes, point_at_slab, slab,
)
from fastlogit.kernels.strided cimport walk
from fastlogit.kernels.tuning cimport tune, tuning
from fastlogit.kernels.views cimport contiguous

from fastlogit import _tuning


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
    ROW_BLOCK = 4096  # bytes of a contiguous row at once: with those of ``out`` a quarter of the smallest L1
    # Gathered, computed and scattered together. Rows at a stride of a power of two share few sets of the L1:
    # with 1 KiB, columns 0:8 of 64 take half as long again.
    GATHERED_BYTES = 512
    # Cache lines asked for before they are needed. L1 has room for few more requests at a time.
    LINES_AHEAD = 32


# Of one element, which is brought between the bounds if the formula needs that. ``usual``, a constant where
# this is inlined, says that no element of the block needs what only few do.
ctypedef real (*formula)(real x, bint usual, real lower, real upper) noexcept nogil
# Of a few hundred elements side by side.
ctypedef void (*block_of_function)(
    const real *x, real *out, Py_ssize_t n, real lower, real upper
) noexcept nogil


cdef struct job:  # one call
    function_pointer block
    double lower
    double upper


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


cdef inline void evaluate(
    formula of_element, bint usual, const real[::1] x, real[::1] out, real lower, real upper
) noexcept nogil:
    """Two and two vectors at once, so that one is computed while the other waits for its operands.

    Nobody else reaches ``results``, so the compiler may mix the instructions of all four; ``out`` could be x.
    Whole halves of x side by side would do as well in the caches, but not in memory: twice as many streams.
    ``of_element`` is a constant where this is inlined, and so is inlined too.
    """
    cdef char memory[4 * WIDEST_VECTOR]
    cdef real *results = <real *> memory
    cdef Py_ssize_t i, j, k, pair = 2 * VECTOR_BYTES // sizeof(real), many = x.shape[0] // (2 * pair)
    cdef Py_ssize_t ahead = tuning.ahead
    for k in range(many):
        i = k * 2 * pair
        prefetch_far(<const char *> &x[i] + ahead, 2 * pair * sizeof(real))
        for j in range(pair):
            results[j] = of_element(x[i + j], usual, lower, upper)
            results[pair + j] = of_element(x[i + pair + j], usual, lower, upper)
        memcpy(&out[i], results, 2 * pair * sizeof(real))
    for i in range(many * 2 * pair, x.shape[0]):
        out[i] = of_element(x[i], usual, lower, upper)


cdef inline void evaluate_block(
    formula of_element, bint usual, const real *x, real *out, Py_ssize_t n, real lower, real upper
) noexcept nogil:
    """What only few elements need is tested for a block of them; the others do not pay for it."""
    if usual:
        evaluate[real](of_element, True, contiguous[real](x, n), contiguous[real](out, n), lower, upper)
    else:
        evaluate[real](of_element, False, contiguous[real](x, n), contiguous[real](out, n), lower, upper)


cdef inline real expit_of(real x, bint usual, real lower, real upper) noexcept nogil:
    return expit[real](clamp[real](x, lower, upper))


cdef void expit_of_block(const real *x, real *out, Py_ssize_t n, real lower, real upper) noexcept nogil:
    evaluate_block[real](expit_of[real], False, x, out, n, lower, upper)


cdef inline bint has_normal_exp(const real *x, Py_ssize_t n, real upper) noexcept nogil:
    """float32 computes in float64, whose exp is normal anyway, and has one formula for all."""
    return real is float64 and all_between[real](contiguous[real](x, n), 0, upper, True)


cdef inline real log_expit_of(real x, bint usual, real lower, real upper) noexcept nogil:
    if real is float32:
        return log_expit_within[real](x, clamp_number[real](x, lower, upper))
    else:
        return log_expit_within[real](x, x) if usual else log_expit(x, upper)


cdef void log_expit_of_block(const real *x, real *out, Py_ssize_t n, real lower, real upper) noexcept nogil:
    evaluate_block[real](log_expit_of[real], has_normal_exp[real](x, n, upper), x, out, n, lower, upper)


cdef inline real softplus_of(real x, bint usual, real lower, real upper) noexcept nogil:
    return -log_expit_of[real](-x, usual, lower, upper)


cdef void softplus_of_block(const real *x, real *out, Py_ssize_t n, real lower, real upper) noexcept nogil:
    evaluate_block[real](softplus_of[real], has_normal_exp[real](x, n, upper), x, out, n, lower, upper)


cdef inline real logit_of(real x, bint usual, real lower, real upper) noexcept nogil:
    return logit_within[real](x) if usual else logit[real](x)


cdef void logit_of_block(const real *x, real *out, Py_ssize_t n, real lower, real upper) noexcept nogil:
    cdef bint usual = all_between[real](contiguous[real](x, n), lower, upper, False)
    evaluate_block[real](logit_of[real], usual, x, out, n, lower, upper)


cdef inline real clamped_logit_of(real x, bint usual, real lower, real upper) noexcept nogil:
    return logit_of[real](clamp[real](x, lower, upper), usual, lower, upper)


cdef void clamped_logit_of_block(
    const real *x, real *out, Py_ssize_t n, real lower, real upper
) noexcept nogil:
    evaluate_block[real](clamped_logit_of[real], lower >= DBL_MIN, x, out, n, lower, upper)


cdef inline void compute(const job *task, const real *x, real *out, Py_ssize_t n) noexcept nogil:
    (<block_of_function> task.block)(x, out, n, <real> task.lower, <real> task.upper)


cdef void compute_rows(real *tag, const job *task, const slab *part) noexcept nogil:
    cdef Py_ssize_t row, i, start, most = ROW_BLOCK // sizeof(real)
    cdef const real *x
    cdef real *out
    for row in range(part.rows):
        x = <const real *> (part.x + row * part.x_row_stride)
        out = <real *> (part.out + row * part.out_row_stride)
        for i in range((part.columns + most - 1) // most):
            start = i * most
            compute[real](task, x + start, out + start, min(most, part.columns - start))


cdef void compute_gathered(real *tag, const job *task, const slab *part) noexcept nogil:
    cdef char memory[GATHERED_BYTES]
    cdef real *elements = <real *> memory
    cdef Py_ssize_t most = GATHERED_BYTES // sizeof(real), most_columns = min(part.columns, most)
    cdef Py_ssize_t most_rows = min(part.rows, most // most_columns)
    cdef Py_ssize_t i, j, k, row, column, height, width, ahead
    cdef const char *x
    ahead = max(1, LINES_AHEAD // (most_rows * lines_of_row(part.x_column_stride, most_columns))) * (
        most_rows * part.x_row_stride if part.columns == most_columns else most_columns * part.x_column_stride
    )
    for i in range((part.rows + most_rows - 1) // most_rows):
        row = i * most_rows
        height = min(most_rows, part.rows - row)
        for j in range((part.columns + most_columns - 1) // most_columns):
            column = j * most_columns
            width = min(most_columns, part.columns - column)
            for k in range(height):
                x = part.x + (row + k) * part.x_row_stride + column * part.x_column_stride
                # Requests for all rows at once would wait for the page table; between copies they need not.
                prefetch_row(x + ahead, part.x_column_stride, width)
                take_row[real](x, part.x_column_stride, elements + k * width, width)
            compute[real](task, elements, elements, height * width)
            for k in range(height):
                put_row[real](
                    elements + k * width,
                    part.out + (row + k) * part.out_row_stride + column * part.out_column_stride,
                    part.out_column_stride, width,
                )


cdef void compute_slab(
    real *tag, const job *task, const walk *path, const grid *slabs, Py_ssize_t index
) noexcept nogil:
    cdef environment caller = enter()
    cdef slab part
    point_at_slab(path, slabs, index, &part)
    if has_contiguous_rows(&part, sizeof(real)):
        compute_rows[real](NULL, task, &part)
    else:
        if part.rows > part.columns and part.x_column_stride != sizeof(real):
            part.rows, part.columns = part.columns, part.rows
            part.x_row_stride, part.x_column_stride = part.x_column_stride, part.x_row_stride
            part.out_row_stride, part.out_column_stride = part.out_column_stride, part.out_row_stride
        compute_gathered[real](NULL, task, &part)
    leave(caller)


cdef inline job make_job(real *tag, const elementwise_kernel *kernel, double eps) noexcept nogil:
    cdef environment caller = enter()
    cdef real lower = <real> kernel.lower, upper = <real> kernel.upper
    cdef job task
    if kernel.clamped:
        pin(&eps)
        clamp_bounds[real](eps, &lower, &upper)
    # A job has them as doubles: the caller may have switched off the subnormal numbers that these are.
    task = job(kernel.block, lower, upper)
    pin(&task)
    leave(caller)
    return task


cdef void transform_array(
    real *tag, const elementwise_kernel *kernel, const walk *path, double eps, int threads
) noexcept nogil:
    cdef job task = make_job[real](NULL, kernel, eps)
    cdef slab whole
    cdef grid slabs
    cdef Py_ssize_t count, index
    cdef int axis
    point_at_last_axes(path, &whole)
    slabs = cut(&whole, sizeof(real), threads)
    count = slabs.slabs_across * slabs.slabs_down
    for axis in range(path.axes - 2):
        count *= path.shape[axis]
    if threads == 1 or count == 1:
        for index in range(count):
            compute_slab[real](NULL, &task, path, &slabs, index)
    else:
        for index in prange(count, schedule="static", num_threads=threads):
            compute_slab[real](NULL, &task, path, &slabs, index)


cdef void transform_float32(
    const elementwise_kernel *kernel, const walk *path, double eps, int threads
) noexcept nogil:
    transform_array[float32](NULL, kernel, path, eps, threads)


cdef void transform_float64(
    const elementwise_kernel *kernel, const walk *path, double eps, int threads
) noexcept nogil:
    transform_array[float64](NULL, kernel, path, eps, threads)


# The table


cdef elementwise_kernels logits, clamped_logits, expits, log_expits, softpluses


cdef void set_kernel(
    elementwise_kernels *row, block_of_function block, real lower, real upper, Py_ssize_t smallest_parallel
) noexcept:
    cdef elementwise_kernel *kernel = &row.float32 if real is float32 else &row.float64
    kernel.transform = transform_float32 if real is float32 else transform_float64
    kernel.block = <function_pointer> block
    kernel.lower = lower
    kernel.upper = upper
    kernel.smallest_parallel = smallest_parallel


cdef void set_kernels(real *tag) noexcept:
    """Elements from which two threads win, and half as many again: see ``benchmarks/thresholds.py``."""
    cdef bint small = real is float32
    cdef real lower, upper
    logit_bounds[real](&lower, &upper)
    set_kernel[real](&logits, logit_of_block[real], lower, upper, 6144 if small else 4608)
    set_kernel[real](&clamped_logits, clamped_logit_of_block[real], lower, upper, 6144 if small else 4608)
    expit_bounds[real](&lower, &upper)
    set_kernel[real](&expits, expit_of_block[real], lower, upper, 12288 if small else 5120)
    log_expit_bounds[real](&lower, &upper)
    set_kernel[real](&log_expits, log_expit_of_block[real], lower, upper, 4096 if small else 2560)
    set_kernel[real](&softpluses, softplus_of_block[real], lower, upper, 4096 if small else 2560)


cdef object capsule(elementwise_kernels *row):
    if row.float32.block == NULL or row.float64.block == NULL:
        raise ImportError("kernels/elementwise.pyx: a function has no kernel; add it to set_kernels")
    return PyCapsule_New(row, "fastlogit.kernels.elementwise", NULL)


tune(_tuning.SIZES)
set_kernels[float32](NULL)
set_kernels[float64](NULL)
clamped_logits.float32.clamped = clamped_logits.float64.clamped = True

kernels = {
    "logit": capsule(&logits),
    "clamped_logit": capsule(&clamped_logits),
    "expit": capsule(&expits),
    "log_expit": capsule(&log_expits),
    "softplus": capsule(&softpluses),
}
