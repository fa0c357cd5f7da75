"""log(abs(sum)) and sign of the sum of weight * exp(x) over the slices of strided arrays.

One element after the other: weights of both signs may cancel to the last digit, and what counts is that none
is lost. The threads share out the slices.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.math cimport INFINITY, fabs, frexp, isfinite

from fastlogit.kernels.arithmetic cimport enter, environment, float32, float64, leave, real, residual64
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.formulas cimport (
    HEADROOM, LN2, TWO_64, TWO_MINUS_64, TWO_MINUS_HEADROOM, exp_parts, log_positive,
)
from fastlogit.kernels.weighted cimport weighted_kernels, weighted_slices


cdef enum:
    # How far below the largest term another still counts: 2^-1009 of it. Less than that is lost in the tail
    # of the sum, and the power of two, times 2^HEADROOM, stays a normal number.
    MOST_BELOW = 700


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


cdef struct weighted_slice:
    const weighted_slices *of
    const char *x
    const char *weights
    const char *mask


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


cdef void compute_weighted(real *tag, const weighted_slices *cut, Py_ssize_t index) noexcept nogil:
    """log(abs(sum)) and sign of the sum of weight * exp(x) over slice number ``index``.

    Elements of weight 0 do not count, whatever they are. The exponents of extreme weights go into those
    of exp, so that no product leaves the range. One by one in sums of two doubles: the sign can hang
    on the last digit, so every difference, product and addition keeps its rounding error, and 1 and
    exp(x) - 1 are added apart.
    """
    cdef environment caller = enter()
    cdef const Py_ssize_t *shape = &cut.shape[0]
    cdef char *out = cut.out + offset(shape, &cut.out_strides[0], 0, cut.kept, index)
    cdef char *sign = cut.sign + offset(shape, &cut.sign_strides[0], 0, cut.kept, index)
    cdef weighted_slice slice
    cdef Py_ssize_t n = 1, position
    cdef double largest = -INFINITY, reference = -INFINITY, infinite = 0, high = 0, low = 0
    cdef double value, weight, difference, rest, power, p, p_tail, result = -INFINITY
    cdef int axis, exponent, reference_exponent = 0
    slice.of = cut
    slice.x = cut.x + offset(shape, &cut.x_strides[0], 0, cut.kept, index)
    slice.weights = cut.weights + offset(shape, &cut.weights_strides[0], 0, cut.kept, index)
    slice.mask = cut.mask + offset(shape, &cut.mask_strides[0], 0, cut.kept, index)
    for axis in range(cut.kept, cut.axes):
        n *= shape[axis]
    for position in range(n):
        read_pair[real](NULL, &slice, position, &value, &weight)
        exponent = take_exponent(&weight)
        if weight != 0 and value + exponent * LN2 > largest:
            largest = value + exponent * LN2
            reference = value
            reference_exponent = exponent
    for position in range(n):
        read_pair[real](NULL, &slice, position, &value, &weight)
        exponent = take_exponent(&weight)
        if weight == 0:
            continue
        if not isfinite(value):
            infinite += weight * (0.0 if value < 0 else value)
        elif not isfinite(weight):
            infinite += weight
        elif value + exponent * LN2 >= largest - MOST_BELOW:
            # weight * exp(value - reference) = weight * power * (1 + p + p_tail) * exp(rest)
            difference = value
            rest = 0
            add_exactly(&difference, &rest, -reference)
            exp_parts[float64](
                difference, HEADROOM + exponent - reference_exponent, False, &power, &p, &p_tail
            )
            weight = weight * power
            add_exactly(&high, &low, weight)
            add_exactly(&high, &low, weight * p)
            low += weight * (p_tail + rest * (1 + p)) - residual64(weight, p, weight * p)
    if infinite != 0:
        high = infinite
        result = infinite * infinite
    else:
        value = high + low
        low = (low - (value - high)) * TWO_MINUS_HEADROOM
        high = value * TWO_MINUS_HEADROOM
        if high != 0:
            low = low if high > 0 else -low
            result = log_positive[float64](NULL, fabs(high), low, reference) + reference_exponent * LN2
    (<real *> out)[0] = <real> result
    (<real *> sign)[0] = <real> (1 if high > 0 else -1 if high < 0 else high)
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
