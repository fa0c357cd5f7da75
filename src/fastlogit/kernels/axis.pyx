"""softmax, log_softmax and logsumexp of the slices of a strided array, which may be written in place.

A slice is read three times: for its largest element, for the sum of the exponentials of the others, and
to write the result. Each reading goes through blocks of 128 positions. Where the positions of a slice are
contiguous and many, one slice is vectorised along itself; otherwise as many slices as fill two cache lines
lie side by side, the lanes of a panel. Both add up in one order, which the number of positions alone
fixes: a block by halving (i and i + 64, i and i + 32, ...), the blocks of a segment one after the other
with the rounding errors kept, and so the segments. Threads share out the slices or, where these are few
and long, the segments.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.math cimport INFINITY, fabs, frexp, isfinite
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport (
    FUSED, enter, environment, float32, float64, leave, muladd64, point_1d, point_2d, real, residual64,
)
from fastlogit.kernels.axis cimport (
    LOGSUMEXP, SOFTMAX, axis_kernels, reduction, slices, weighted_slices,
)
from fastlogit.kernels.formulas cimport (
    HEADROOM, LN2, TWO_64, TWO_MINUS_64, TWO_MINUS_HEADROOM, exp_double, exp_parts, exp_range, exp_term,
    log_positive,
)
from fastlogit.kernels.strided cimport size, walk


cdef enum:
    BLOCK = 128
    HALF = 64
    LANES_32 = 32  # two cache lines of float32
    LANES_64 = 16  # and of float64
    SHORTEST_ALONG = 48  # positions from which a contiguous slice is vectorised along itself
    SHORTEST_SEGMENT = 16384
    MOST_SEGMENTS = 64


cdef struct lanes:
    # Slices side by side: where lane 0 begins, and how far apart the lanes are.
    char *x
    char *out
    Py_ssize_t count
    Py_ssize_t x_stride
    Py_ssize_t out_stride
    bint along  # one contiguous lane, vectorised along itself


cdef struct sums:
    # Of some positions of each lane, in the units that exp_range chose.
    double largest[LANES_32]
    double ties[LANES_32]  # elements equal to the largest, which the sum leaves out
    double high[LANES_32]
    double low[LANES_32]


cdef struct answers:
    # What the sums of whole slices come to, lane by lane.
    double largest[LANES_32]  # element; for softmax its term
    double normaliser[LANES_32]  # log of the sum; for softmax 1 / sum
    double rest[LANES_32]  # of 1 / sum
    double greatest[LANES_32]  # softmax of the largest


cdef inline Py_ssize_t width_of(real *tag) noexcept nogil:
    return LANES_32 if real is float32 else LANES_64


# ---- one block -------------------------------------------------------------------------------------


cdef void largest_along(const real[::1] x, real *largest) noexcept nogil:
    """NaN is passed over here; it comes back through the sum."""
    cdef real found[HALF]
    cdef Py_ssize_t i, j
    for j in range(HALF):
        found[j] = largest[0]
    for i in range(x.shape[0] // HALF):
        for j in range(HALF):
            found[j] = x[i * HALF + j] if x[i * HALF + j] > found[j] else found[j]
    for i in range(x.shape[0] // HALF * HALF, x.shape[0]):
        found[0] = x[i] if x[i] > found[0] else found[0]
    for j in range(HALF):
        largest[0] = found[j] if found[j] > largest[0] else largest[0]


cdef void largest_across(const real[:, ::1] panel, Py_ssize_t count, real *largest) noexcept nogil:
    cdef real found[LANES_32]
    cdef const real *row
    cdef Py_ssize_t i, j, width = width_of[real](NULL)
    for j in range(width):
        found[j] = largest[j]
    for i in range(count):
        row = &panel[i, 0]
        for j in range(width):
            found[j] = row[j] if row[j] > found[j] else found[j]
    for j in range(width):
        largest[j] = found[j]


cdef inline void add_exactly(double *high, double *low, double term) noexcept nogil:
    """high += term, with the rounding error of the addition (Knuth's two-sum) added to ``low``."""
    cdef double total = high[0] + term
    cdef double part = total - high[0]
    low[0] += (high[0] - (total - part)) + (term - part)
    high[0] = total


cdef inline void add_term(
    real *tag, double *high, double *low, double term_high, double term_low
) noexcept nogil:
    """float64 keeps the rounding errors; float32 adds in float64, where there are none to speak of."""
    if real is float32:
        high[0] += term_high
    else:
        add_exactly(high, low, term_high)
        low[0] += term_low


cdef inline void add_halves(real *tag, double *high, double *low, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(width):
        add_term[real](NULL, &high[i], &low[i], high[i + width], low[i + width])


cdef void sum_along(
    const real[::1] x, real[::1] out, bint keep, real largest, double shift, double scale,
    double smallest, double *ties, double *high, double *low,
) noexcept nogil:
    """Add the block to the sums; ``keep`` the terms themselves in ``out``, which may be ``x``."""
    cdef double terms[BLOCK]
    cdef double tails[BLOCK]
    cdef bint equal[BLOCK]
    cdef Py_ssize_t i, n = x.shape[0], count = 0
    for i in range(n):
        equal[i] = x[i] == largest
    for i in range(n):
        count += equal[i]
    for i in range(n):
        exp_term[real](x[i], shift, scale, smallest, &terms[i], &tails[i])
    if keep:
        for i in range(n):
            out[i] = <real> terms[i]
    if count:
        for i in range(n):
            terms[i] = 0 if equal[i] else terms[i]
            tails[i] = 0 if equal[i] else tails[i]
    for i in range(n, BLOCK):
        terms[i] = tails[i] = 0
    add_halves[real](NULL, terms, tails, 64)
    add_halves[real](NULL, terms, tails, 32)
    add_halves[real](NULL, terms, tails, 16)
    add_halves[real](NULL, terms, tails, 8)
    add_halves[real](NULL, terms, tails, 4)
    add_halves[real](NULL, terms, tails, 2)
    add_halves[real](NULL, terms, tails, 1)
    ties[0] += count
    add_exactly(high, low, terms[0])
    low[0] += tails[0]


cdef void sum_across(
    real[:, ::1] panel, Py_ssize_t count, const real *largest, const double *shift,
    const double *scale, const double *smallest, double *ties, double *high, double *low,
) noexcept nogil:
    """The same for every lane of the panel, which the terms replace."""
    cdef double terms[HALF * LANES_32]
    cdef double tails[HALF * LANES_32]
    cdef real lane_largest[LANES_32]
    cdef double lane_shift[LANES_32]
    cdef double lane_scale[LANES_32]
    cdef double lane_smallest[LANES_32]
    cdef double equal[LANES_32]
    cdef Py_ssize_t i, j, half, width = width_of[real](NULL)
    cdef double term, tail
    cdef real *row
    cdef double *row_terms
    cdef double *row_tails
    # In memory of its own the compiler sees that no store into the panel can change them.
    for j in range(width):
        lane_largest[j], lane_shift[j] = largest[j], shift[j]
        lane_scale[j], lane_smallest[j] = scale[j], smallest[j]
        equal[j] = 0
    half = HALF
    while half > 1 and count <= half:
        half //= 2
    for i in range(half * width):
        terms[i] = tails[i] = 0
    for i in range(count):
        row = &panel[i, 0]
        row_terms = &terms[(i % half) * width]
        row_tails = &tails[(i % half) * width]
        for j in range(width):
            exp_term[real](row[j], lane_shift[j], lane_scale[j], lane_smallest[j], &term, &tail)
            equal[j] += 1 if row[j] == lane_largest[j] else 0
            add_term[real](
                NULL, &row_terms[j], &row_tails[j],
                0 if row[j] == lane_largest[j] else term,
                0 if row[j] == lane_largest[j] else tail,
            )
            row[j] = <real> term
    while half > 1:
        half //= 2
        add_halves[real](NULL, terms, tails, half * width)
    for j in range(width):
        ties[j] += equal[j]
        add_exactly(&high[j], &low[j], terms[j])
        low[j] += tails[j]


cdef inline real share(
    real term, real largest_term, double normaliser, double rest, real greatest
) noexcept nogil:
    """The part of the sum that a term is; that of the largest, often all of it, is known exactly."""
    cdef real value
    if real is float32:
        value = <real> (term * normaliser)
    elif FUSED:
        value = muladd64(term, normaliser, term * rest)
    else:
        value = term * normaliser
        value = value + (term * rest - residual64(term, normaliser, value))
    return greatest if term >= largest_term else value


cdef void write_along(
    reduction which, const real[::1] x, real[::1] out, const answers *found
) noexcept nogil:
    cdef Py_ssize_t i
    cdef double normaliser = found.normaliser[0], rest = found.rest[0]
    cdef real largest = <real> found.largest[0], greatest = <real> found.greatest[0]
    cdef real log_sum = <real> normaliser
    if which == SOFTMAX:
        for i in range(x.shape[0]):
            out[i] = share[real](x[i], largest, normaliser, rest, greatest)
    else:
        for i in range(x.shape[0]):
            out[i] = (x[i] - largest) - log_sum


cdef void write_across(
    reduction which, real[:, ::1] panel, Py_ssize_t count, const answers *found
) noexcept nogil:
    cdef double normaliser[LANES_32]
    cdef double rest[LANES_32]
    cdef real largest[LANES_32]
    cdef real greatest[LANES_32]
    cdef real log_sum[LANES_32]
    cdef real *row
    cdef Py_ssize_t i, j, width = width_of[real](NULL)
    for j in range(width):
        normaliser[j], rest[j] = found.normaliser[j], found.rest[j]
        largest[j], greatest[j] = <real> found.largest[j], <real> found.greatest[j]
        log_sum[j] = <real> normaliser[j]
    for i in range(count):
        row = &panel[i, 0]
        if which == SOFTMAX:
            for j in range(width):
                row[j] = share[real](row[j], largest[j], normaliser[j], rest[j], greatest[j])
        else:
            for j in range(width):
                row[j] = (row[j] - largest[j]) - log_sum[j]


# ---- one group of lanes ----------------------------------------------------------------------------


cdef void copy_block(
    const walk *reduced, const lanes *group, bint from_x, bint into_panel,
    Py_ssize_t start, Py_ssize_t count, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """Copy positions ``start`` ... of every lane between ``x`` or ``out`` and the panel."""
    cdef int last = reduced.axes - 1, axis
    cdef const Py_ssize_t *strides = &reduced.x_strides[0] if from_x else &reduced.out_strides[0]
    cdef Py_ssize_t lane_stride = group.x_stride if from_x else group.out_stride
    cdef Py_ssize_t done = 0, run, position, i, j
    cdef char *base
    cdef char *lane
    while done < count:
        base = group.x if from_x else group.out
        position = start + done
        run = min(count - done, reduced.shape[last] - position % reduced.shape[last])
        for axis in range(last, -1, -1):
            base += (position % reduced.shape[axis]) * strides[axis]
            position = position // reduced.shape[axis]
        if lane_stride == sizeof(real):
            for i in range(run):
                lane = base + i * strides[last]
                if into_panel:
                    memcpy(&panel[done + i, 0], lane, group.count * sizeof(real))
                else:
                    memcpy(lane, &panel[done + i, 0], group.count * sizeof(real))
        elif run >= group.count:
            point_2d(array, base, group.count, run, lane_stride, strides[last])
            if into_panel:
                for j in range(group.count):
                    for i in range(run):
                        panel[done + i, j] = array[j, i]
            else:
                for j in range(group.count):
                    for i in range(run):
                        array[j, i] = panel[done + i, j]
        else:
            point_2d(array, base, run, group.count, strides[last], lane_stride)
            if into_panel:
                for i in range(run):
                    for j in range(group.count):
                        panel[done + i, j] = array[i, j]
            else:
                for i in range(run):
                    for j in range(group.count):
                        array[i, j] = panel[done + i, j]
        done += run


cdef void find_largest(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, sums *found,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    cdef float64 memory[BLOCK * LANES_64]
    cdef real largest[LANES_32]
    cdef Py_ssize_t j, count, width = width_of[real](NULL), itemsize = sizeof(real)
    for j in range(width):
        largest[j] = -INFINITY
    if group.along:
        point_1d(row, group.x + start * itemsize, stop - start, itemsize)
        largest_along[real](row, largest)
    else:
        point_2d(panel, memory, BLOCK, width, width * itemsize, itemsize)
        clear_unused[real](panel, group.count)
        while start < stop:
            count = min(<Py_ssize_t> BLOCK, stop - start)
            copy_block[real](reduced, group, True, True, start, count, panel, array)
            largest_across[real](panel, count, largest)
            start += count
    for j in range(group.count):
        found.largest[j] = largest[j]


cdef inline void clear_unused(real[:, ::1] panel, Py_ssize_t lanes_used) noexcept nogil:
    """Lanes that no slice fills are computed too; with zeros they raise no question."""
    cdef Py_ssize_t i, j
    if lanes_used < panel.shape[1]:
        for i in range(panel.shape[0]):
            for j in range(lanes_used, panel.shape[1]):
                panel[i, j] = 0


cdef void add_terms(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, bint keep, sums *found,
    real[::1] row, real[::1] out_row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """Sums of positions start ... stop for the largest elements in ``found``; ``keep`` puts terms in out."""
    cdef float64 memory[BLOCK * LANES_64]
    cdef real largest[LANES_32]
    cdef double shift[LANES_32]
    cdef double scale[LANES_32]
    cdef double smallest[LANES_32]
    cdef double ties[LANES_32]
    cdef double high[LANES_32]
    cdef double low[LANES_32]
    cdef Py_ssize_t j, count, width = width_of[real](NULL), itemsize = sizeof(real)
    width = 1 if group.along else width
    for j in range(width):
        largest[j] = <real> found.largest[j] if j < group.count else 0
        exp_range[real](largest[j], &shift[j], &scale[j], &smallest[j])
        ties[j] = high[j] = low[j] = 0
    if not group.along:
        point_2d(panel, memory, BLOCK, width, width * itemsize, itemsize)
        clear_unused[real](panel, group.count)
    while start < stop:
        count = min(<Py_ssize_t> BLOCK, stop - start)
        if group.along:
            point_1d(row, group.x + start * itemsize, count, itemsize)
            point_1d(out_row, group.out + start * itemsize, count, itemsize)
            sum_along[real](
                row, out_row, keep, largest[0], shift[0], scale[0], smallest[0],
                ties, high, low,
            )
        else:
            copy_block[real](reduced, group, True, True, start, count, panel, array)
            sum_across[real](
                panel, count, largest, shift, scale, smallest, ties, high, low
            )
            if keep:
                copy_block[real](reduced, group, False, False, start, count, panel, array)
        start += count
    for j in range(group.count):
        found.ties[j], found.high[j], found.low[j] = ties[j], high[j], low[j]


cdef void write_result(
    reduction which, const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop,
    const answers *found, real[::1] row, real[::1] out_row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """log_softmax is written from ``x``, softmax from the terms that stand in ``out``."""
    cdef float64 memory[BLOCK * LANES_64]
    cdef Py_ssize_t count, width = width_of[real](NULL), itemsize = sizeof(real)
    cdef bint from_x = which != SOFTMAX
    if group.along:
        point_1d(
            row, (group.x if from_x else group.out) + start * itemsize, stop - start, itemsize
        )
        point_1d(out_row, group.out + start * itemsize, stop - start, itemsize)
        write_along[real](which, row, out_row, found)
        return
    point_2d(panel, memory, BLOCK, width, width * itemsize, itemsize)
    clear_unused[real](panel, group.count)
    while start < stop:
        count = min(<Py_ssize_t> BLOCK, stop - start)
        copy_block[real](reduced, group, from_x, True, start, count, panel, array)
        write_across[real](which, panel, count, found)
        copy_block[real](reduced, group, False, False, start, count, panel, array)
        start += count


cdef void merge(const sums *part, sums *total, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(count):
        total.ties[j] += part.ties[j]
        add_exactly(&total.high[j], &total.low[j], part.high[j])
        total.low[j] += part.low[j]


cdef inline void relative_sum(
    real *tag, double largest, double ties, double *high, double *low, double *unit, double *unit_tail
) noexcept nogil:
    """Turn high + low into the sum in units of exp(largest), each of the ``ties`` counted as 1."""
    cdef double shift, scale, smallest, quotient, remainder
    exp_range[real](<real> largest, &shift, &scale, &smallest)
    exp_double(largest - shift, scale, unit, unit_tail)
    quotient = high[0] / unit[0]
    remainder = (
        residual64(quotient, unit[0], high[0]) - quotient * unit_tail[0] + low[0]
    ) / unit[0]
    high[0] = ties
    low[0] = remainder
    add_exactly(high, low, quotient)


cdef inline double reciprocal(double high, double low, double *tail) noexcept nogil:
    """1 / (high + low), with a tail to twice the precision."""
    cdef double value = 1 / high
    tail[0] = value * (residual64(value, high, 1) - value * low)
    return value


cdef void finish(
    real *tag, reduction which, const lanes *group, const sums *total, answers *found
) noexcept nogil:
    """From the sums of whole slices to what `write_result` needs, or to the logsumexp itself."""
    cdef Py_ssize_t j, width = 1 if group.along else width_of[real](NULL)
    cdef double largest[LANES_32]
    cdef double ties[LANES_32]
    cdef double high[LANES_32]
    cdef double low[LANES_32]
    cdef double unit, unit_tail, term, tail, shift, scale, smallest
    for j in range(width):
        if j < group.count:
            largest[j], ties[j], high[j], low[j] = (
                total.largest[j], total.ties[j], total.high[j], total.low[j]
            )
        else:
            largest[j], ties[j], high[j], low[j] = 0, 1, 0, 0
    if which == SOFTMAX:
        for j in range(width):
            relative_sum[real](NULL, largest[j], ties[j], &high[j], &low[j], &unit, &unit_tail)
            exp_range[real](<real> largest[j], &shift, &scale, &smallest)
            exp_term[real](<real> largest[j], shift, scale, smallest, &found.largest[j], &tail)
            found.greatest[j] = reciprocal(high[j], low[j], &tail) + tail
            term = unit * high[j]
            found.normaliser[j] = reciprocal(
                term, unit * low[j] + unit_tail * high[j] - residual64(unit, high[j], term), &found.rest[j]
            )
            # Without a finite largest element there are no shares.
            found.greatest[j] = found.greatest[j] + (largest[j] - largest[j])
            found.normaliser[j] = found.normaliser[j] + (largest[j] - largest[j])
    else:
        for j in range(width):
            tail = high[j] * 0
            relative_sum[real](NULL, largest[j], ties[j], &high[j], &low[j], &unit, &unit_tail)
            found.largest[j] = largest[j]
            # Beside an infinite largest element: NaN if there was one, else nothing to add.
            found.normaliser[j] = (
                log_positive(high[j], low[j]) if fabs(largest[j]) < INFINITY else tail
            )
    if which == LOGSUMEXP:
        for j in range(group.count):
            (<real *> (group.out + j * group.out_stride))[0] = <real> (largest[j] + found.normaliser[j])


# ---- all groups ------------------------------------------------------------------------------------


cdef struct plan:
    Py_ssize_t n
    Py_ssize_t segment
    Py_ssize_t segments
    int lane_axis  # of ``kept``
    Py_ssize_t width
    Py_ssize_t groups_along_axis
    Py_ssize_t groups
    bint along


cdef void locate(const slices *where, const plan *planned, Py_ssize_t index, lanes *group) noexcept nogil:
    """Group number ``index``, counted in C order with the groups of the lane axis innermost."""
    cdef const walk *kept = &where.kept
    cdef Py_ssize_t lane = (index % planned.groups_along_axis) * planned.width, at
    cdef int axis
    index = index // planned.groups_along_axis
    group.x = kept.x + lane * kept.x_strides[planned.lane_axis]
    group.out = kept.out + lane * kept.out_strides[planned.lane_axis]
    group.count = min(planned.width, kept.shape[planned.lane_axis] - lane)
    group.x_stride = kept.x_strides[planned.lane_axis]
    group.out_stride = kept.out_strides[planned.lane_axis]
    group.along = planned.along
    for axis in range(kept.axes - 1, -1, -1):
        if axis != planned.lane_axis:
            at = index % kept.shape[axis]
            index = index // kept.shape[axis]
            group.x += at * kept.x_strides[axis]
            group.out += at * kept.out_strides[axis]


cdef void make_plan(const slices *where, Py_ssize_t itemsize, bint reads_only, plan *planned) noexcept nogil:
    cdef const walk *kept = &where.kept
    cdef const walk *reduced = &where.reduced
    cdef int last = reduced.axes - 1, axis
    planned.n = size(reduced)
    planned.segment = max(<Py_ssize_t> SHORTEST_SEGMENT, (planned.n + MOST_SEGMENTS - 1) // MOST_SEGMENTS)
    planned.segment = (planned.segment + BLOCK - 1) // BLOCK * BLOCK
    planned.segments = (planned.n + planned.segment - 1) // planned.segment
    planned.width = LANES_32 if itemsize == 4 else LANES_64
    planned.lane_axis = kept.axes - 1
    if kept.shape[planned.lane_axis] < planned.width // 2:
        for axis in range(kept.axes):
            if kept.shape[axis] > kept.shape[planned.lane_axis]:
                planned.lane_axis = axis
    planned.along = (
        reduced.axes == 1
        and reduced.x_strides[last] == itemsize
        and (reads_only or reduced.out_strides[last] == itemsize)
        and (planned.n >= SHORTEST_ALONG or size(kept) == 1)
    )
    if planned.along:
        planned.width = 1
    planned.groups_along_axis = (
        kept.shape[planned.lane_axis] + planned.width - 1
    ) // planned.width
    planned.groups = size(kept) // kept.shape[planned.lane_axis] * planned.groups_along_axis


cdef inline void start_sums(const sums *total, sums *part, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(count):
        part.largest[j] = total.largest[j]
        part.ties[j] = part.high[j] = part.low[j] = 0


cdef void compute_group(
    reduction which, const slices *where, const plan *planned, Py_ssize_t index,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    cdef environment caller = enter()
    cdef lanes group
    cdef sums part, total
    cdef answers found
    cdef Py_ssize_t start = 0, stop
    locate(where, planned, index, &group)
    find_largest[real](&where.reduced, &group, 0, planned.n, &total, row, panel, array)
    start_sums(&total, &total, group.count)
    while start < planned.n:
        stop = min(start + planned.segment, planned.n)
        start_sums(&total, &part, group.count)
        add_terms[real](
            &where.reduced, &group, start, stop, which == SOFTMAX, &part, row, row, panel, array
        )
        merge(&part, &total, group.count)
        start = stop
    finish[real](NULL, which, &group, &total, &found)
    if which != LOGSUMEXP:
        write_result[real](
            which, &where.reduced, &group, 0, planned.n, &found, row, row, panel, array
        )
    leave(caller)


cdef enum stage:
    FIND
    ADD
    WRITE


cdef void compute_segment(
    stage now, reduction which, const slices *where, const plan *planned, const lanes *group,
    Py_ssize_t segment, sums *part, const answers *found,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    cdef environment caller = enter()
    cdef Py_ssize_t start = segment * planned.segment, stop = min(start + planned.segment, planned.n)
    if now == FIND:
        find_largest[real](&where.reduced, group, start, stop, part, row, panel, array)
    elif now == ADD:
        add_terms[real](
            &where.reduced, group, start, stop, which == SOFTMAX, part, row, row, panel, array
        )
    else:
        write_result[real](
            which, &where.reduced, group, start, stop, found, row, row, panel, array
        )
    leave(caller)


cdef void compute_group_together(
    reduction which, const slices *where, const plan *planned, Py_ssize_t index, sums *parts, int threads,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """`compute_group` by all threads: the same steps in the same order of addition."""
    cdef lanes group
    cdef sums total
    cdef answers found
    cdef Py_ssize_t segment, j
    locate(where, planned, index, &group)
    for segment in prange(planned.segments, schedule="static", num_threads=threads):
        compute_segment[real](
            FIND, which, where, planned, &group, segment, &parts[segment], &found,
            row, panel, array,
        )
    for j in range(group.count):
        total.largest[j] = parts[0].largest[j]
        for segment in range(1, planned.segments):
            total.largest[j] = max(total.largest[j], parts[segment].largest[j])
    start_sums(&total, &total, group.count)
    for segment in range(planned.segments):
        start_sums(&total, &parts[segment], group.count)
    for segment in prange(planned.segments, schedule="static", num_threads=threads):
        compute_segment[real](
            ADD, which, where, planned, &group, segment, &parts[segment], &found,
            row, panel, array,
        )
    for segment in range(planned.segments):
        merge(&parts[segment], &total, group.count)
    finish[real](NULL, which, &group, &total, &found)
    if which != LOGSUMEXP:
        for segment in prange(planned.segments, schedule="static", num_threads=threads):
            compute_segment[real](
                WRITE, which, where, planned, &group, segment, &parts[segment], &found,
                row, panel, array,
            )


cdef int reduce_slices(
    reduction which, const slices *where, int threads,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    cdef plan planned
    cdef Py_ssize_t index
    cdef sums *parts
    make_plan(where, sizeof(real), which == LOGSUMEXP, &planned)
    if threads > 1 and planned.segments > 1 and planned.groups < 4 * threads:
        parts = <sums *> malloc(planned.segments * sizeof(sums))
        if parts == NULL:
            return -1
        for index in range(planned.groups):
            compute_group_together[real](
                which, where, &planned, index, parts, threads, row, panel, array
            )
        free(parts)
    elif threads > 1 and planned.groups > 1:
        for index in prange(planned.groups, schedule="static", num_threads=threads):
            compute_group[real](which, where, &planned, index, row, panel, array)
    else:
        for index in range(planned.groups):
            compute_group[real](which, where, &planned, index, row, panel, array)
    return 0


# ---- weighted logsumexp ----------------------------------------------------------------------------


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


cdef inline void read_pair(
    real *tag, const weighted_slices *where, const char *x, const char *weights, Py_ssize_t position,
    double *value, double *weight,
) noexcept nogil:
    cdef const Py_ssize_t *shape = &where.shape[0]
    value[0] = (<const real *> (
        x + offset(shape, &where.x_strides[0], where.kept, where.axes, position)
    ))[0]
    weight[0] = (<const real *> (
        weights + offset(shape, &where.weights_strides[0], where.kept, where.axes, position)
    ))[0]


cdef inline int take_exponent(double *weight) noexcept nogil:
    """Bring an extreme weight into [1/2, 1) and return the power of two that was taken off."""
    cdef int exponent = 0
    if isfinite(weight[0]) and not TWO_MINUS_64 < fabs(weight[0]) < TWO_64:
        weight[0] = frexp(weight[0], &exponent)
    return exponent


cdef void compute_weighted(real *tag, const weighted_slices *where, Py_ssize_t index) noexcept nogil:
    """log(abs(sum)) and sign of the sum of weight * exp(x) over slice number ``index``.

    Elements of weight 0 do not count, whatever they are. The exponents of extreme weights go into those
    of exp, so that no product leaves the range. One by one in sums of two doubles: the sign can hang
    on the last digit, so every difference, product and addition keeps its rounding error, and 1 and
    exp(x) - 1 are added apart.
    """
    cdef environment caller = enter()
    cdef const Py_ssize_t *shape = &where.shape[0]
    cdef char *x = where.x + offset(shape, &where.x_strides[0], 0, where.kept, index)
    cdef char *weights = where.weights + offset(shape, &where.weights_strides[0], 0, where.kept, index)
    cdef char *out = where.out + offset(shape, &where.out_strides[0], 0, where.kept, index)
    cdef char *sign = where.sign + offset(shape, &where.sign_strides[0], 0, where.kept, index)
    cdef Py_ssize_t n = 1, position
    cdef double largest = -INFINITY, reference = -INFINITY, infinite = 0, high = 0, low = 0
    cdef double value, weight, difference, rest, power, p, p_tail, result = -INFINITY
    cdef int axis, exponent, reference_exponent = 0
    for axis in range(where.kept, where.axes):
        n *= shape[axis]
    for position in range(n):
        read_pair[real](NULL, where, x, weights, position, &value, &weight)
        exponent = take_exponent(&weight)
        if weight != 0 and value + exponent * LN2 > largest:
            largest = value + exponent * LN2
            reference = value
            reference_exponent = exponent
    for position in range(n):
        read_pair[real](NULL, where, x, weights, position, &value, &weight)
        exponent = take_exponent(&weight)
        if weight == 0:
            continue
        if not isfinite(value):
            infinite += weight * (0.0 if value < 0 else value)
        elif not isfinite(weight):
            infinite += weight
        elif value + exponent * LN2 >= largest - 700:
            # weight * exp(value - reference) = weight * power * (1 + p + p_tail) * exp(rest)
            difference = value
            rest = 0
            add_exactly(&difference, &rest, -reference)
            exp_parts[float64](
                difference, HEADROOM + exponent - reference_exponent, True, &power, &p, &p_tail
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
            result = reference + (log_positive(fabs(high), low) + reference_exponent * LN2)
    (<real *> out)[0] = <real> result
    (<real *> sign)[0] = <real> (1 if high > 0 else -1 if high < 0 else high)
    leave(caller)


cdef void weigh_slices(real *tag, const weighted_slices *where, int threads) noexcept nogil:
    cdef Py_ssize_t index, count = 1
    cdef int axis
    for axis in range(where.kept):
        count *= where.shape[axis]
    if threads == 1 or count == 1:
        for index in range(count):
            compute_weighted[real](NULL, where, index)
    else:
        for index in prange(count, schedule="static", num_threads=threads):
            compute_weighted[real](NULL, where, index)


cdef void weigh_float32(const weighted_slices *where, int threads) noexcept nogil:
    weigh_slices[float32](NULL, where, threads)


cdef void weigh_float64(const weighted_slices *where, int threads) noexcept nogil:
    weigh_slices[float64](NULL, where, threads)


# Views over raw memory start from these, which stay empty.
cdef float32[::1] row_32
cdef float32[:, ::1] panel_32
cdef float32[:, :] array_32
cdef float64[::1] row_64
cdef float64[:, ::1] panel_64
cdef float64[:, :] array_64


cdef int reduce_float32(reduction which, const slices *where, int threads) noexcept nogil:
    return reduce_slices[float32](which, where, threads, row_32, panel_32, array_32)


cdef int reduce_float64(reduction which, const slices *where, int threads) noexcept nogil:
    return reduce_slices[float64](which, where, threads, row_64, panel_64, array_64)


cdef axis_kernels table
table.float32 = reduce_float32
table.float64 = reduce_float64
table.weighted_float32 = weigh_float32
table.weighted_float64 = weigh_float64

kernels = PyCapsule_New(&table, "fastlogit.kernels.axis", NULL)
