"""softmax, log_softmax and logsumexp of slices that are never in memory whole.

The sums of the parts are computed one by one, wherever the parts are; they are merged, in whatever order; and
every element is then written on its own, from the sum of its whole slice. Nothing but these sums, of four
numbers each, goes from one part to another.

Relative errors, in 2^-53, each at most as many units in the last place: a term is within 0.037 with its
tail (`exp_double`), and so is a sum of terms, whose roundings are added up, and renormalised in time. All
merges together, however many and in whatever order, add 0.002 (`merge_relative`; docs/slice-errors.rst). The
share of an element has its own 0.037 and one rounding, 0.5: softmax is within 0.6 units, and a subnormal
share, which is rounded once more, within half of that and 0.5. The logarithm of a sum is within 0.27 before
it is rounded: log_softmax, larger than that logarithm, is within 1.4, and so is logsumexp, in units of the
larger of result and largest element, which may be half of the logarithm.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, isfinite

from fastlogit.kernels.arithmetic cimport enter, environment, float32, float64, leave, real, residual64
from fastlogit.kernels.doubles cimport add_exactly, renormalise
from fastlogit.kernels.expsum cimport MOST_LANES, merge_relative, relative_sums
from fastlogit.kernels.formulas cimport HEADROOM, TWO_MINUS_HEADROOM, log_positive
from fastlogit.kernels.parts cimport part_kernels, part_sum, slice_parts
from fastlogit.kernels.slices cimport LOGSUMEXP, SOFTMAX, slice_function
from fastlogit.kernels.terms cimport exp_double


cdef enum:
    BLOCK = 64  # elements that are exponentiated side by side
    # Blocks after which a sum is renormalised: the 4096 roundings of its tail are 2^-82 of it at most.
    BLOCKS_OF_SUM = 64
    # How far below the largest element another still counts, as in `exp_range`.
    MOST_BELOW = 789


cdef struct slice_part:
    const slice_parts *of
    const char *x
    const char *mask
    char *out
    part_sum *sum
    Py_ssize_t runs  # along the last axis
    Py_ssize_t length  # of a run
    Py_ssize_t blocks  # of a run


cdef inline Py_ssize_t offset(
    const Py_ssize_t *shape, const Py_ssize_t *strides, int first, int last, Py_ssize_t index
) noexcept nogil:
    """Bytes to element ``index``, in C order over the axes first <= axis < last."""
    cdef Py_ssize_t total = 0
    cdef int axis
    for axis in range(last - 1, first - 1, -1):
        total += index % shape[axis] * strides[axis]
        index = index // shape[axis]
    return total


cdef inline void locate(const slice_parts *cut, Py_ssize_t index, slice_part *part) noexcept nogil:
    cdef const Py_ssize_t *shape = &cut.shape[0]
    cdef int axis
    part.of = cut
    part.x = cut.x + offset(shape, &cut.x_strides[0], 0, cut.kept, index)
    part.mask = NULL
    if cut.mask != NULL:
        part.mask = cut.mask + offset(shape, &cut.mask_strides[0], 0, cut.kept, index)
    part.out = cut.out + offset(shape, &cut.out_strides[0], 0, cut.kept, index)
    part.sum = <part_sum *> (cut.sums + offset(shape, &cut.sum_strides[0], 0, cut.kept, index))
    part.runs = 1
    for axis in range(cut.kept, cut.axes - 1):
        part.runs *= shape[axis]
    part.length = shape[cut.axes - 1]
    part.blocks = (part.length + BLOCK - 1) // BLOCK


cdef inline Py_ssize_t read_block(
    real *tag, const slice_part *part, Py_ssize_t run, Py_ssize_t block, double *values
) noexcept nogil:
    """The elements of a block of a run, -inf for what does not count, and how many there are."""
    cdef const slice_parts *cut = part.of
    cdef int last = cut.axes - 1
    cdef Py_ssize_t start = block * BLOCK, count = min(<Py_ssize_t> BLOCK, part.length - start), i
    cdef Py_ssize_t stride = cut.x_strides[last], mask_stride = cut.mask_strides[last]
    cdef const char *x = part.x + offset(&cut.shape[0], &cut.x_strides[0], cut.kept, last, run)
    cdef const char *mask
    x += start * stride
    for i in range(count):
        values[i] = (<const real *> (x + i * stride))[0]
    if part.mask != NULL:
        mask = part.mask + offset(&cut.shape[0], &cut.mask_strides[0], cut.kept, last, run)
        mask += start * mask_stride
        for i in range(count):
            values[i] = values[i] if (mask + i * mask_stride)[0] else -INFINITY
    for i in range(count, BLOCK):
        values[i] = -INFINITY
    return count


cdef inline void exponentiate(
    const double *values, double largest, double *terms, double *tails
) noexcept nogil:
    """exp(values - largest) * 2^HEADROOM of a block, with tails. No difference is rounded."""
    cdef double difference, rest, term, tail
    cdef Py_ssize_t i
    for i in range(BLOCK):
        difference = values[i]
        rest = 0
        add_exactly(&difference, &rest, -largest)
        rest = 0 if difference < -MOST_BELOW else rest
        difference = -MOST_BELOW if difference < -MOST_BELOW else difference
        exp_double(difference, HEADROOM, &term, &tail)
        terms[i] = term
        tails[i] = tail + rest * term


cdef void add_part(real *tag, const slice_parts *cut, Py_ssize_t index) noexcept nogil:
    """The sum of one part, relative to its largest element and without those that equal it."""
    cdef environment caller = enter()
    cdef slice_part part
    cdef double values[BLOCK]
    cdef double terms[BLOCK]
    cdef double tails[BLOCK]
    cdef double largest = -INFINITY, ties = 0, high = 0, low = 0
    cdef Py_ssize_t run, block, count, i, added = 0
    cdef bint undefined = False
    locate(cut, index, &part)
    for run in range(part.runs):
        for block in range(part.blocks):
            count = read_block[real](NULL, &part, run, block, values)
            for i in range(count):
                undefined |= values[i] != values[i]
                largest = values[i] if values[i] > largest else largest
    if undefined or not isfinite(largest):
        # Beside an infinite largest element the others come to nothing.
        ties = 1
        high = NAN if undefined else 0
    else:
        for run in range(part.runs):
            for block in range(part.blocks):
                count = read_block[real](NULL, &part, run, block, values)
                exponentiate(values, largest, terms, tails)
                for i in range(count):
                    if values[i] == largest:
                        ties += 1
                    else:
                        add_exactly(&high, &low, terms[i])
                        low += tails[i]
                added += 1
                if added % BLOCKS_OF_SUM == 0:
                    renormalise(&high, &low)
    renormalise(&high, &low)
    part.sum.largest, part.sum.ties, part.sum.high, part.sum.low = largest, ties, high, low
    leave(caller)


cdef inline double share(double term, double tail, double whole, double whole_tail) noexcept nogil:
    """(term + tail) / (whole + whole_tail); the term has a factor of 2^HEADROOM, which keeps it normal."""
    cdef double quotient = term / whole
    quotient += ((residual64(quotient, whole, term) + tail) - quotient * whole_tail) / whole
    return quotient * TWO_MINUS_HEADROOM


cdef inline double log_share(double x, double largest, double log_sum) noexcept nogil:
    """x - largest - log_sum."""
    cdef double value = x, rest = 0
    add_exactly(&value, &rest, -largest)
    if not isfinite(value):
        return value - log_sum
    add_exactly(&value, &rest, -log_sum)
    return value + rest


cdef void write_part(
    real *tag, slice_function function, const slice_parts *cut, Py_ssize_t index
) noexcept nogil:
    """The results of one part from the sum of its whole slice; of logsumexp that is one number."""
    cdef environment caller = enter()
    cdef slice_part part
    cdef double values[BLOCK]
    cdef double terms[BLOCK]
    cdef double tails[BLOCK]
    cdef double largest, high, low, logarithm, lost
    cdef Py_ssize_t run, block, count, stride, i
    cdef char *out
    locate(cut, index, &part)
    largest = part.sum.largest
    high = part.sum.ties
    low = part.sum.low * TWO_MINUS_HEADROOM
    add_exactly(&high, &low, part.sum.high * TWO_MINUS_HEADROOM)
    if function == LOGSUMEXP:
        logarithm = log_positive[float64](NULL, high, low, largest if isfinite(largest) else 0, &lost)
        if not isfinite(largest):
            logarithm = largest + logarithm
        (<real *> part.out)[0] = <real> logarithm
        leave(caller)
        return
    logarithm = log_positive[float64](NULL, high, low, 0, &lost)
    high += largest - largest  # without a finite largest element there are no shares
    stride = cut.out_strides[cut.axes - 1]
    for run in range(part.runs):
        out = part.out + offset(&cut.shape[0], &cut.out_strides[0], cut.kept, cut.axes - 1, run)
        for block in range(part.blocks):
            count = read_block[real](NULL, &part, run, block, values)
            if function == SOFTMAX:
                exponentiate(values, largest, terms, tails)
                for i in range(BLOCK):
                    values[i] = share(terms[i], tails[i], high, low)
            else:
                for i in range(BLOCK):
                    values[i] = log_share(values[i], largest, logarithm)
            for i in range(count):
                (<real *> (out + (block * BLOCK + i) * stride))[0] = <real> values[i]
    leave(caller)


cdef inline Py_ssize_t count_of(const slice_parts *cut) noexcept nogil:
    cdef Py_ssize_t count = 1
    cdef int axis
    for axis in range(cut.kept):
        count *= cut.shape[axis]
    return count


cdef void add_parts(real *tag, const slice_parts *cut, int threads) noexcept nogil:
    cdef Py_ssize_t index, count = count_of(cut)
    if threads == 1 or count == 1:
        for index in range(count):
            add_part[real](NULL, cut, index)
    else:
        for index in prange(count, schedule="static", num_threads=threads):
            add_part[real](NULL, cut, index)


cdef void write_parts(
    real *tag, slice_function function, const slice_parts *cut, int threads
) noexcept nogil:
    cdef Py_ssize_t index, count = count_of(cut)
    if threads == 1 or count == 1:
        for index in range(count):
            write_part[real](NULL, function, cut, index)
    else:
        for index in prange(count, schedule="static", num_threads=threads):
            write_part[real](NULL, function, cut, index)


cdef inline void gather(const part_sum *sums, Py_ssize_t width, relative_sums *lanes) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(width):
        lanes.largest[j], lanes.ties[j] = sums[j].largest, sums[j].ties
        lanes.high[j], lanes.low[j] = sums[j].high, sums[j].low


cdef void merge_parts(const part_sum *parts, part_sum *totals, Py_ssize_t count) noexcept nogil:
    """Add sums of further parts of the same slices."""
    cdef environment caller = enter()
    cdef relative_sums part, total
    cdef Py_ssize_t start = 0, width, j
    while start < count:
        width = min(<Py_ssize_t> MOST_LANES, count - start)
        gather(parts + start, width, &part)
        gather(totals + start, width, &total)
        merge_relative(&part, &total, width)
        for j in range(width):
            totals[start + j].largest, totals[start + j].ties = total.largest[j], total.ties[j]
            totals[start + j].high, totals[start + j].low = total.high[j], total.low[j]
        start += width
    leave(caller)


cdef void add_float32(const slice_parts *cut, int threads) noexcept nogil:
    add_parts[float32](NULL, cut, threads)


cdef void add_float64(const slice_parts *cut, int threads) noexcept nogil:
    add_parts[float64](NULL, cut, threads)


cdef void write_float32(slice_function function, const slice_parts *cut, int threads) noexcept nogil:
    write_parts[float32](NULL, function, cut, threads)


cdef void write_float64(slice_function function, const slice_parts *cut, int threads) noexcept nogil:
    write_parts[float64](NULL, function, cut, threads)


cdef part_kernels table
table.add_float32 = add_float32
table.add_float64 = add_float64
table.write_float32 = write_float32
table.write_float64 = write_float64
table.merge = merge_parts

kernels = PyCapsule_New(&table, "fastlogit.kernels.parts", NULL)
