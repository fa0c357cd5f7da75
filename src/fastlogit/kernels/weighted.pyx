"""log(abs(sum)) and sign of the sum of weight * exp(x) over the slices of strided arrays.

One element after the other. Weights of both signs may cancel: first all are added in sums of two doubles, and
where these have lost more digits than they can spare, once more in fixed point. The threads share out the
slices.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.math cimport INFINITY, fabs, frexp, isfinite, ldexp
from libc.stdint cimport uint64_t
from libc.string cimport memset

from fastlogit.kernels.arithmetic cimport enter, environment, float32, float64, leave, real, residual64
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.fixed_point cimport (
    FRACTION, LOWEST_ARGUMENT, add_product, exp_fraction, signed_sum, value_of,
)
from fastlogit.kernels.formulas cimport (
    HEADROOM, LN2, LN2_HIGH, LN2_LOW, TWO_64, TWO_MINUS_64, TWO_MINUS_HEADROOM, log_positive,
)
from fastlogit.kernels.terms cimport exp_double
from fastlogit.kernels.weighted cimport weighted_kernels, weighted_slices


cdef enum:
    # How far below the largest term another still counts: 2^-1009 of it. Less than that is lost in the tail
    # of the sum, and the power of two, times 2^HEADROOM, stays a normal number.
    MOST_BELOW = 700
    # What terms may weigh in units of their sum, so that two doubles have its digits: a term is known to
    # 0.04 half units, 0.16 units of a result between 1/8 and 1/4.
    MOST_CANCELLED = 4
    # Exponents that a double takes: others are added as logarithms.
    MOST_EXPONENT = 900


cdef inline Py_ssize_t offset(
    const Py_ssize_t *shape, const Py_ssize_t *strides, int first, int last, Py_ssize_t index
) noexcept nogil:
    """Bytes to element ``index``, in C order over the axes first <= axis < last."""
    cdef Py_ssize_t total = 0
    cdef int axis
    for axis in range(last - 1, first, -1):
        total += index % shape[axis] * strides[axis]
        index = index // shape[axis]
    return total + index * strides[first] if first < last else 0


cdef struct weighted_slice:
    const weighted_slices *of
    const char *x
    const char *weights
    const char *mask
    Py_ssize_t n


cdef struct scaled_sum:
    # exp(reference) * 2^exponent * (high + low)
    double reference
    int exponent
    double high
    double low


cdef inline void read_pair(
    real *tag, const weighted_slice *slice, Py_ssize_t position, double *value, double *weight
) noexcept nogil:
    """An element and its weight, 0 where the mask leaves it out."""
    cdef const weighted_slices *cut = slice.of
    cdef const Py_ssize_t *shape = &cut.shape[0]
    value[0] = (<const real *> (
        slice.x + offset(shape, &cut.x_strides[0], cut.kept, cut.axes, position)
    ))[0]
    weight[0] = (<const real *> (
        slice.weights + offset(shape, &cut.weights_strides[0], cut.kept, cut.axes, position)
    ))[0]
    if cut.mask != NULL and not (
        slice.mask + offset(shape, &cut.mask_strides[0], cut.kept, cut.axes, position)
    )[0]:
        weight[0] = 0


cdef inline int take_exponent(double *weight) noexcept nogil:
    """Bring an extreme weight into [1/2, 1) and return the power of two that was taken off."""
    cdef int exponent = 0
    if isfinite(weight[0]) and not TWO_MINUS_64 < fabs(weight[0]) < TWO_64:
        weight[0] = frexp(weight[0], &exponent)
    return exponent


cdef inline double add_in_doubles(
    real *tag, const weighted_slice *slice, scaled_sum *sum, bint *settled
) noexcept nogil:
    """Add all that is finite and return the sum of what is not, 0 if all is.

    The sum is settled if two doubles have its digits. The exponents of extreme weights go into
    those of exp, so that no product leaves the range. Every difference, product and addition keeps its
    rounding error.
    """
    cdef Py_ssize_t position
    cdef double largest = -INFINITY, infinite = 0, high = 0, low = 0, absolute = 0
    cdef double value, weight, difference, rest, term, tail, product
    cdef int exponent
    sum.reference = -INFINITY
    sum.exponent = 0
    for position in range(slice.n):
        read_pair[real](NULL, slice, position, &value, &weight)
        exponent = take_exponent(&weight)
        if weight != 0 and value + exponent * LN2 > largest:
            largest = value + exponent * LN2
            sum.reference = value
            sum.exponent = exponent
    for position in range(slice.n):
        read_pair[real](NULL, slice, position, &value, &weight)
        exponent = take_exponent(&weight)
        if weight == 0:
            continue
        if not isfinite(value):
            infinite += weight * (0.0 if value < 0 else value)
        elif not isfinite(weight):
            infinite += weight
        elif value + exponent * LN2 >= largest - MOST_BELOW:
            # weight * exp(difference) * exp(rest)
            difference = value
            rest = 0
            add_exactly(&difference, &rest, -sum.reference)
            exp_double(difference, HEADROOM + exponent - sum.exponent, &term, &tail)
            product = weight * term
            add_exactly(&high, &low, product)
            absolute += fabs(product)
            low += weight * (tail + rest * term) - residual64(weight, term, product)
    value = high + low
    sum.low = (low - (value - high)) * TWO_MINUS_HEADROOM
    sum.high = value * TWO_MINUS_HEADROOM
    settled[0] = absolute <= MOST_CANCELLED * fabs(value)
    return infinite


cdef inline void add_in_fixed_point(real *tag, const weighted_slice *slice, scaled_sum *sum) noexcept nogil:
    """Add what is finite, each exponential within 2^-180 and without an error of addition.

    Elements that are more than 2200 below the largest, whose weights are 2^2098 of its weight at most, come
    to 2^-1075 of its term. They count, in another pass, once all others have cancelled, as opposite weights
    of equal elements do.
    """
    cdef double value, weight, difference, rest, above, reference = INFINITY
    cdef uint64_t fraction[FRACTION]
    cdef signed_sum total
    cdef Py_ssize_t position
    cdef int halvings, sign = 0
    sum.high = sum.low = sum.exponent = 0
    while sign == 0:
        above = reference
        reference = -INFINITY
        for position in range(slice.n):
            read_pair[real](NULL, slice, position, &value, &weight)
            if weight != 0 and value > reference and value - above < LOWEST_ARGUMENT:
                reference = value
        if reference == -INFINITY:
            return
        memset(&total, 0, sizeof(total))
        for position in range(slice.n):
            read_pair[real](NULL, slice, position, &value, &weight)
            difference = value
            rest = 0
            add_exactly(&difference, &rest, -reference)
            if weight != 0 and LOWEST_ARGUMENT <= difference <= 0:
                halvings = exp_fraction(difference, rest, fraction)
                add_product(&total, weight, halvings, fraction)
        sign = value_of(&total, &sum.high, &sum.low, &sum.exponent)
    if fabs(<double> sum.exponent) <= MOST_EXPONENT:
        sum.high = ldexp(sum.high, sum.exponent)
        sum.low = ldexp(sum.low, sum.exponent)
        sum.exponent = 0
    sum.reference = reference
    sum.high *= sign
    sum.low *= sign


cdef inline double log_of_size(const scaled_sum *sum) noexcept nogil:
    """log(abs(sum)); -inf of 0."""
    cdef double leading = sum.reference, rest = 0, low = sum.low if sum.high > 0 else -sum.low, lost
    if sum.high == 0:
        return -INFINITY
    add_exactly(&leading, &rest, sum.exponent * LN2_HIGH)
    return log_positive[float64](NULL, fabs(sum.high), low, leading, &lost) + (rest + sum.exponent * LN2_LOW)


cdef void compute_weighted(real *tag, const weighted_slices *cut, Py_ssize_t index) noexcept nogil:
    """log(abs(sum)) and sign of the sum of weight * exp(x) over slice number ``index``.

    Elements of weight 0 do not count, whatever they are.
    """
    cdef environment caller = enter()
    cdef const Py_ssize_t *shape = &cut.shape[0]
    cdef char *out = cut.out + offset(shape, &cut.out_strides[0], 0, cut.kept, index)
    cdef char *sign = cut.sign + offset(shape, &cut.sign_strides[0], 0, cut.kept, index)
    cdef weighted_slice slice
    cdef scaled_sum sum
    cdef double infinite, result
    cdef bint settled
    cdef int axis
    slice.of = cut
    slice.x = cut.x + offset(shape, &cut.x_strides[0], 0, cut.kept, index)
    slice.weights = cut.weights + offset(shape, &cut.weights_strides[0], 0, cut.kept, index)
    slice.mask = cut.mask + offset(shape, &cut.mask_strides[0], 0, cut.kept, index)
    slice.n = 1
    for axis in range(cut.kept, cut.axes):
        slice.n *= shape[axis]
    infinite = add_in_doubles[real](NULL, &slice, &sum, &settled)
    if infinite != 0:
        sum.high = infinite
        result = infinite * infinite
    else:
        if not settled:
            add_in_fixed_point[real](NULL, &slice, &sum)
        result = log_of_size(&sum)
    (<real *> out)[0] = <real> result
    (<real *> sign)[0] = <real> (1 if sum.high > 0 else -1 if sum.high < 0 else sum.high)
    leave(caller)


cdef void weigh_slices(real *tag, const weighted_slices *cut, int threads) noexcept nogil:
    cdef Py_ssize_t index, count = 1
    cdef int axis
    for axis in range(cut.kept):
        count *= cut.shape[axis]
    if threads == 1 or count == 1:
        for index in range(count):
            compute_weighted[real](NULL, cut, index)
    else:
        for index in prange(count, schedule="static", num_threads=threads):
            compute_weighted[real](NULL, cut, index)


cdef void weigh_float32(const weighted_slices *cut, int threads) noexcept nogil:
    weigh_slices[float32](NULL, cut, threads)


cdef void weigh_float64(const weighted_slices *cut, int threads) noexcept nogil:
    weigh_slices[float64](NULL, cut, threads)


cdef weighted_kernels table
table.float32 = weigh_float32
table.float64 = weigh_float64

kernels = PyCapsule_New(&table, "fastlogit.kernels.weighted", NULL)
