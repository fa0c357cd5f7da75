"""Binary cross-entropy of arrays of logits, with its derivatives, in one pass over memory.

The elements are taken in C order, block by block, in the first-level cache, so that a result may take the
place of the logits. Losses are added in float64: in each lane of a block with the rounding errors kept, the
lanes by halves, the blocks of a chunk and the chunks one after the other. That order hangs on the number of
elements alone. The threads share out the chunks.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.math cimport INFINITY, fabs, fabsf
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport bits32, bits64, enter, environment, float32, float64, leave, real
from fastlogit.kernels.binary_loss cimport binary_loss_kernels, binary_losses
from fastlogit.kernels.doubles cimport add_exactly
from fastlogit.kernels.logistic cimport (
    USUAL_LOGIT, USUAL_LOGIT_32, loss_and_derivatives, loss_of_label, loss_of_target,
)
from fastlogit.kernels.operands cimport operand, put_elements, stage_elements, take_elements
from fastlogit.kernels.views cimport contiguous


cdef enum:
    BLOCK = 256  # elements: seven arrays of doubles fill half of the smallest first-level cache
    LANES = 16  # independent sums of a block, enough to hide the latency of an addition
    CHUNK = 16384  # elements that a thread takes at once: a page of doubles for every 8 million


cdef struct sum_of_losses:
    double high
    double low


cdef struct worker:  # memory of one thread
    double target[BLOCK]
    double weight[BLOCK]
    double positive_weight[BLOCK]
    # Of elements of the type of the kernel.
    double logits[BLOCK]
    double loss[BLOCK]
    double gradient[BLOCK]
    double curvature[BLOCK]
    double high[LANES]
    double low[LANES]


# ---- one block -------------------------------------------------------------------------------------


cdef inline real times(real derivative, double factor) noexcept nogil:
    return derivative * <real> factor


cdef inline void evaluate(
    const real[::1] x, bint usual, bint plain, bint curved, worker *space, double factor
) noexcept nogil:
    """``usual``, ``plain`` and ``curved`` are constants. The length is a multiple of LANES.

    Nobody else reaches the local arrays, so the compiler need not ask whether they overlap the others.
    """
    cdef const double *target = space.target
    cdef const double *weight = space.weight
    cdef const double *positive_weight = space.positive_weight
    cdef real loss[LANES]
    cdef real gradient[LANES]
    cdef real curvature[LANES]
    cdef double high[LANES]
    cdef double low[LANES]
    cdef loss_and_derivatives result
    cdef Py_ssize_t row, i, j
    memcpy(high, space.high, sizeof(high))
    memcpy(low, space.low, sizeof(low))
    for row in range(x.shape[0] // LANES):
        i = row * LANES
        for j in range(LANES):
            if plain:
                result = loss_of_label[real](NULL, x[i + j], usual, target[i + j])
            else:
                result = loss_of_target[real](
                    NULL, x[i + j], usual, target[i + j], weight[i + j], positive_weight[i + j]
                )
            loss[j] = <real> result.loss
            gradient[j] = times[real](result.gradient, factor)
            if curved:
                curvature[j] = times[real](result.curvature, factor)
            if real is float32:
                high[j] += loss[j]
            else:
                add_exactly(&high[j], &low[j], result.loss)
        memcpy(<real *> space.loss + i, loss, sizeof(loss))
        memcpy(<real *> space.gradient + i, gradient, sizeof(gradient))
        if curved:
            memcpy(<real *> space.curvature + i, curvature, sizeof(curvature))
    memcpy(space.high, high, sizeof(high))
    memcpy(space.low, low, sizeof(low))


# Positive numbers are in the order of their bits, and NaN is above them. So a sign bit in the difference of
# two of them tells which is larger, and one disjunction collects it for a whole block.


cdef inline bint is_usual(const real[::1] x) noexcept nogil:
    """Whether no logit is beyond what is usual; NaN is."""
    cdef uint64_t most = bits64(USUAL_LOGIT), beyond = 0
    cdef uint32_t most32 = bits32(USUAL_LOGIT_32), beyond32 = 0
    cdef Py_ssize_t i
    if real is float32:
        for i in range(x.shape[0]):
            beyond32 |= most32 - bits32(fabsf(x[i]))
        return beyond32 >> 31 == 0
    else:
        for i in range(x.shape[0]):
            beyond |= most - bits64(fabs(x[i]))
        return beyond >> 63 == 0


cdef inline bint are_within_one(const double[::1] target) noexcept nogil:
    """Whether 0 <= target <= 1."""
    cdef uint64_t one = bits64(1.0), bits, beyond = 0
    cdef Py_ssize_t i
    for i in range(target.shape[0]):
        # -0 becomes 0.
        bits = bits64(target[i] + 0)
        beyond |= bits | (one - bits)
    return beyond >> 63 == 0


cdef inline bint are_zero_or_one(const double[::1] target) noexcept nogil:
    cdef uint64_t others = 0
    cdef Py_ssize_t i
    for i in range(target.shape[0]):
        others |= bits64(target[i] * (1 - target[i]))
    return others << 1 == 0


cdef inline void pad(double *numbers, Py_ssize_t start, Py_ssize_t stop, double value) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(start, stop):
        numbers[i] = value


cdef inline const real *pad_logits(
    const real *x, Py_ssize_t start, Py_ssize_t stop, real *scratch
) noexcept nogil:
    """-inf: with a label of 0 that costs nothing."""
    cdef Py_ssize_t i
    if start == stop:
        return x
    if x != scratch:
        memcpy(scratch, x, start * sizeof(real))
    for i in range(start, stop):
        scratch[i] = -INFINITY
    return scratch


cdef inline void evaluate_block(
    const real *x, Py_ssize_t count, bint plain, worker *space, const binary_losses *call
) noexcept nogil:
    """``plain`` is a constant, and the other two are made constants."""
    cdef bint usual = is_usual[real](contiguous[real](x, count))
    if call.curvature.start != NULL:
        if usual:
            evaluate[real](contiguous[real](x, count), True, plain, True, space, call.factor)
        else:
            evaluate[real](contiguous[real](x, count), False, plain, True, space, call.factor)
    else:
        if usual:
            evaluate[real](contiguous[real](x, count), True, plain, False, space, call.factor)
        else:
            evaluate[real](contiguous[real](x, count), False, plain, False, space, call.factor)


cdef void compute_block(
    real *tag, const binary_losses *call, worker *space, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    cdef Py_ssize_t count = stop - start, padded = (count + LANES - 1) // LANES * LANES
    cdef bint weighted = call.weight.start != NULL or call.positive_weight.start != NULL
    cdef const real *x = stage_elements[real](&call.logits, start, stop, <real *> space.logits)
    x = pad_logits[real](x, count, padded, <real *> space.logits)
    take_elements(&call.target, start, stop, space.target)
    pad(space.target, count, padded, 0)
    if call.weight.start != NULL:
        take_elements(&call.weight, start, stop, space.weight)
    if call.positive_weight.start != NULL:
        take_elements(&call.positive_weight, start, stop, space.positive_weight)
    if weighted:
        pad(space.weight, count if call.weight.start != NULL else 0, padded, 1)
        pad(space.positive_weight, count if call.positive_weight.start != NULL else 0, padded, 1)
    if not weighted and are_zero_or_one(contiguous[float64](<const float64 *> space.target, padded)):
        evaluate_block[real](x, padded, True, space, call)
    else:
        if not weighted:
            pad(space.weight, 0, padded, 1)
            pad(space.positive_weight, 0, padded, 1)
        evaluate_block[real](x, padded, False, space, call)
    if call.loss.start != NULL:
        put_elements[real](<const real *> space.loss, &call.loss, start, stop)
    if call.gradient.start != NULL:
        put_elements[real](<const real *> space.gradient, &call.gradient, start, stop)
    if call.curvature.start != NULL:
        put_elements[real](<const real *> space.curvature, &call.curvature, start, stop)


# ---- all blocks ------------------------------------------------------------------------------------


cdef inline void add_sum(sum_of_losses *total, double high, double low) noexcept nogil:
    total.low += low
    add_exactly(&total.high, &total.low, high)


cdef void compute_chunk(
    real *tag, const binary_losses *call, worker *space, Py_ssize_t index, sum_of_losses *total
) noexcept nogil:
    cdef environment caller = enter()
    cdef Py_ssize_t start = index * CHUNK, end = min(start + CHUNK, call.size), stop, j
    pad(space.high, 0, LANES, 0)
    pad(space.low, 0, LANES, 0)
    while start < end:
        stop = min(start + BLOCK, end)
        compute_block[real](NULL, call, space, start, stop)
        start = stop
    total.high = total.low = 0
    for j in range(LANES):
        add_sum(total, space.high[j], space.low[j])
    leave(caller)


cdef void compute_chunks(
    real *tag, const binary_losses *call, worker *space, Py_ssize_t first, Py_ssize_t stop,
    sum_of_losses *sums,
) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(first, stop):
        compute_chunk[real](NULL, call, space, index, &sums[index])


cdef int compute(real *tag, const binary_losses *call, double *total, int threads) noexcept nogil:
    cdef environment caller
    cdef Py_ssize_t chunks = (call.size + CHUNK - 1) // CHUNK, index
    cdef sum_of_losses *sums
    cdef worker *workers
    cdef sum_of_losses whole
    cdef int thread
    threads = <int> max(<Py_ssize_t> 1, min(<Py_ssize_t> threads, chunks))
    sums = <sum_of_losses *> malloc(chunks * sizeof(sum_of_losses) + threads * sizeof(worker))
    if sums == NULL:
        return -1
    workers = <worker *> (sums + chunks)
    if threads == 1:
        compute_chunks[real](NULL, call, workers, 0, chunks, sums)
    else:
        for thread in prange(threads, schedule="static", num_threads=threads):
            compute_chunks[real](
                NULL, call, &workers[thread], thread * chunks // threads, (thread + 1) * chunks // threads,
                sums,
            )
    caller = enter()
    whole.high = whole.low = 0
    for index in range(chunks):
        add_sum(&whole, sums[index].high, sums[index].low)
    total[0] = whole.high + whole.low if fabs(whole.high) < INFINITY else whole.high
    leave(caller)
    free(sums)
    return 0


# ---- targets ---------------------------------------------------------------------------------------


cdef bint all_within_one(const operand *target, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    cdef double numbers[BLOCK]
    cdef Py_ssize_t end
    while start < stop:
        end = min(start + BLOCK, stop)
        take_elements(target, start, end, numbers)
        if not are_within_one(contiguous[float64](<const float64 *> numbers, end - start)):
            return False
        start = end
    return True


cdef Py_ssize_t first_invalid_of(const operand *target, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t chunks = (size + CHUNK - 1) // CHUNK, index, invalid = 0
    cdef double number
    if threads == 1:
        for index in range(chunks):
            invalid += not all_within_one(target, index * CHUNK, min((index + 1) * CHUNK, size))
    else:
        for index in prange(chunks, schedule="static", num_threads=threads):
            invalid += not all_within_one(target, index * CHUNK, min((index + 1) * CHUNK, size))
    if not invalid:
        return -1
    for index in range(size):
        take_elements(target, index, index + 1, &number)
        if not (number >= 0 and number <= 1):
            return index
    return -1


cdef binary_loss_kernels table
table.first_invalid = first_invalid_of
table.float32 = compute[float32]
table.float64 = compute[float64]

kernels = PyCapsule_New(&table, "fastlogit.kernels.binary_loss", NULL)
