"""softmax, log_softmax and logsumexp of the slices of a strided array, which may be written in place.

A slice is read in chunks. The largest of the first elements of a chunk tells how to scale exponentials;
then all are added, and the largest of all is found on the way and its term taken off again, since the
others count for themselves: log_softmax of [40, 0] is -exp(-40) in its first element. What is wrong after
that, because the scale was far off or the others are too small beside the largest to have all their digits,
is added once more, without the largest. The sums of the chunks are put together, and the result is
written. softmax leaves its terms in ``out`` meanwhile, all of a slice to one scale.

Where the positions of a slice are contiguous and many, one slice is vectorised along itself; otherwise as
many slices as fill four cache lines lie side by side, the lanes of a panel. Both add up in one order, which
the number of positions alone fixes: the four quarters of a block of 64 at once, block after block with the
rounding errors kept, the sums of a quarter by halving, the chunks one after the other. Threads share
out the slices or, where these are few and long, the segments of a slice.
"""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport (
    FUSED, enter, environment, exclusive_doubles, float32, float64, leave, muladd, point_1d, point_2d, real,
    residual, residual64,
)
from fastlogit.kernels.axis cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, axis_kernels, reduction, slices
from fastlogit.kernels.formulas cimport (
    HEADROOM, TWO_64, TWO_MINUS_HEADROOM, add_exactly, exp_double, exp_range, exp_term, log_positive,
)
from fastlogit.kernels.memory cimport LINE, end_streaming, prefetch, stream
from fastlogit.kernels.panel cimport (
    ACROSS, ALONG, GATHERED, LANES_32, LANES_64, MOST_LANES, arrangement, copy_run, gather, lanes,
    lanes_of, position_of, scatter,
)
from fastlogit.kernels.strided cimport size, walk


cdef enum:
    BLOCK = 64  # positions whose quarters are added first
    QUARTER = 16
    CHUNK = 4096  # positions whose sum is scaled by one element
    SHORTEST_ALONG = 64  # positions from which a contiguous slice is vectorised along itself
    SCRATCH = 32768  # bytes of a gathered block, or of slices whose sums are finished together
    MOST_AHEAD = 1024  # positions of a panel that stay in the second-level cache until the next are done
    STREAMED_GROUP = 8192  # bytes of slices whose results are streamed together: that much waits in line
    STREAMED = 256  # elements that are computed before they are streamed
    SMALLEST_STREAMED = 1 << 23  # bytes of a result that no cache keeps
    SHORTEST_SEGMENT = 16384
    MOST_SEGMENTS = 64


cdef extern from *:
    """
    #define TWO_120 0x1p120
    /* Sums in float64 begin with this: no term is larger, and none changes the exponent. 256 terms of a
       chunk meet in one sum, each less than 2^138; in a slice of one block, 64 of less than 2^121. */
    #define OFFSET 0x1.8p148
    #define OFFSET_OF_BLOCK 0x1.8p129
    #define TWO_MINUS_24_DOUBLE 0x1p-24
    #define TWO_MINUS_40 0x1p-40
    """
    const double TWO_120, OFFSET, OFFSET_OF_BLOCK, TWO_MINUS_24_DOUBLE, TWO_MINUS_40


cdef enum way:
    # of adding terms
    TOGETHER  # the largest with the others, to be taken off when it is known
    APART  # without the largest, which is known, where the others count for themselves however small
    KEPT  # together, and the terms are kept
    KEPT_SHIFTED  # also where `exp_range` shifts


cdef struct sums:
    # Of some positions of each lane: exp(largest) * (ties + 2^-HEADROOM * (high + low)), or for softmax
    # high + low, as `exp_term` scales.
    double reference[MOST_LANES]  # what `exp_range` goes by
    double largest[MOST_LANES]
    double ties[MOST_LANES]  # elements equal to the largest, which the sum leaves out
    double high[MOST_LANES]
    double low[MOST_LANES]


cdef struct scaling:
    # What `exp_range` chose for each lane.
    double shift[MOST_LANES]
    double scale[MOST_LANES]
    double lowest[MOST_LANES]


cdef struct answers:
    # What the sums of whole slices come to, lane by lane.
    double largest[MOST_LANES]  # element; for softmax its term
    double normaliser[MOST_LANES]  # log of the sum; for softmax 1 / sum
    double rest[MOST_LANES]  # of 1 / sum
    double greatest[MOST_LANES]  # softmax of the largest


cdef struct workspace:
    # Of one thread, all of it in the first-level cache.
    double high[QUARTER * LANES_32]  # sums of one position of a quarter in each lane
    double low[QUARTER * LANES_64]
    char *panel  # BLOCK positions of gathered lanes
    Py_ssize_t gathered  # the position from which the panel holds them, -1 for none


# ---- sums ------------------------------------------------------------------------------------------


cdef inline void normalise(double *high, double *low) noexcept nogil:
    """The same sum with ``high`` rounded to nearest, where ``high`` is the larger (Dekker's fast two-sum)."""
    cdef double total = high[0] + low[0]
    low[0] = low[0] - (total - high[0])
    high[0] = total


cdef inline void add_by_size(double *high, double *low, double term) noexcept nogil:
    """`add_exactly` for numbers that are not negative: to order them costs less than to do without."""
    cdef double larger = term if term > high[0] else high[0]
    cdef double smaller = high[0] if term > high[0] else term
    high[0] = larger + smaller
    low[0] += smaller - (high[0] - larger)


cdef inline void add_ordered(double *high, double *low, double term) noexcept nogil:
    """`add_exactly` where abs(term) <= abs(high)."""
    cdef double total = high[0] + term
    low[0] += term - (total - high[0])
    high[0] = total


cdef inline bint keeps(way how) noexcept nogil:
    return how == KEPT or how == KEPT_SHIFTED


cdef inline double offset_of(real *tag, way how, Py_ssize_t n) noexcept nogil:
    """What the sums over slices of n positions begin with."""
    if real is float32:
        return 0
    return 0 if how == APART else OFFSET_OF_BLOCK if n <= BLOCK else OFFSET


cdef inline double most_above(real *tag) noexcept nogil:
    """How far the largest element may exceed the one that the terms are scaled by."""
    return 20 if real is float32 else 12


cdef inline void add_four(
    real x0, real x1, real x2, real x3, way how, real shift, real scale, real lowest, real *largest,
    double *high, double *low, real *others, real *term0, real *term1, real *term2, real *term3,
) noexcept nogil:
    """Add four terms to a sum and find the largest of the elements, or leave that out and count the others.

    float64 keeps the rounding errors; float32 adds in float64, where there are none to speak of.
    """
    cdef bint shifted = how == APART or how == KEPT_SHIFTED, careful = keeps(how)
    cdef real first, second, other0, other1, other2, other3
    term0[0] = exp_term[real](x0, shifted, shift, scale, lowest, careful)
    term1[0] = exp_term[real](x1, shifted, shift, scale, lowest, careful)
    term2[0] = exp_term[real](x2, shifted, shift, scale, lowest, careful)
    term3[0] = exp_term[real](x3, shifted, shift, scale, lowest, careful)
    other0, other1, other2, other3 = term0[0], term1[0], term2[0], term3[0]
    if how == APART:
        others[0] = others[0] + 1 if x0 != largest[0] else others[0]
        others[0] = others[0] + 1 if x1 != largest[0] else others[0]
        others[0] = others[0] + 1 if x2 != largest[0] else others[0]
        others[0] = others[0] + 1 if x3 != largest[0] else others[0]
        other0 = other0 if x0 != largest[0] else 0
        other1 = other1 if x1 != largest[0] else 0
        other2 = other2 if x2 != largest[0] else 0
        other3 = other3 if x3 != largest[0] else 0
    else:
        first = x0 if x0 > x1 else x1
        second = x2 if x2 > x3 else x3
        first = first if first > second else second
        largest[0] = first if first > largest[0] else largest[0]
    if real is float32:
        high[0] += (<double> other0 + <double> other1) + (<double> other2 + <double> other3)
    elif how == APART:
        add_by_size(high, low, other0)
        add_by_size(high, low, other1)
        add_by_size(high, low, other2)
        add_by_size(high, low, other3)
    else:
        add_ordered(high, low, other0)
        add_ordered(high, low, other1)
        add_ordered(high, low, other2)
        add_ordered(high, low, other3)


cdef inline void add_halves(real *tag, double *high, double *low, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(width):
        if real is float32:
            high[i] += high[i + width]
        else:
            low[i] += low[i + width]
            add_exactly(&high[i], &low[i], high[i + width])


cdef inline Py_ssize_t quarter_of(Py_ssize_t n, Py_ssize_t count) noexcept nogil:
    """How far apart the four terms are that are added first, in the last ``count`` positions of n.

    Positions that are missing from the four quarters count as -inf.
    """
    return (count + 3) // 4 if n < SHORTEST_ALONG else QUARTER


# ---- along a slice ---------------------------------------------------------------------------------


cdef inline void keep_larger(real *found, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(width):
        found[i] = found[i + width] if found[i + width] > found[i] else found[i]


cdef real largest_along(const real[::1] x) noexcept nogil:
    """NaN is passed over here; it comes back through the sum.

    Four blocks are compared among themselves before they meet ``found``, which would be waited for.
    """
    cdef real found[BLOCK]
    cdef real first, second
    cdef Py_ssize_t block, i, j
    for j in range(BLOCK):
        found[j] = -INFINITY
    for block in range(x.shape[0] // (4 * BLOCK)):
        i = block * 4 * BLOCK
        for j in range(BLOCK):
            first = x[i + j] if x[i + j] > x[i + j + BLOCK] else x[i + j + BLOCK]
            second = x[i + j + 2 * BLOCK]
            second = second if second > x[i + j + 3 * BLOCK] else x[i + j + 3 * BLOCK]
            first = first if first > second else second
            found[j] = first if first > found[j] else found[j]
    for block in range(x.shape[0] // (4 * BLOCK) * 4, x.shape[0] // BLOCK):
        i = block * BLOCK
        for j in range(BLOCK):
            found[j] = x[i + j] if x[i + j] > found[j] else found[j]
    i = x.shape[0] - BLOCK
    if i >= 0:
        # Some of the last block for the second time, which does no harm.
        for j in range(BLOCK):
            found[j] = x[i + j] if x[i + j] > found[j] else found[j]
    else:
        for j in range(x.shape[0]):
            found[j] = x[j] if x[j] > found[j] else found[j]
    keep_larger[real](found, 32)
    keep_larger[real](found, 16)
    keep_larger[real](found, 8)
    keep_larger[real](found, 4)
    keep_larger[real](found, 2)
    keep_larger[real](found, 1)
    return found[0]


cdef inline void add_quarters(
    const real[::1] x, Py_ssize_t start, Py_ssize_t quarter, way how, real shift, real scale, real lowest,
    real *largest, double *high, double *low, real *others, real *terms,
) noexcept nogil:
    """Add the block that begins at ``start``, and keep its terms if that is the way."""
    cdef Py_ssize_t i
    cdef real term0, term1, term2, term3
    for i in range(quarter):
        add_four[real](
            x[start + i], x[start + i + quarter], x[start + i + 2 * quarter], x[start + i + 3 * quarter],
            how, shift, scale, lowest, &largest[i],
            &high[i], &low[i], &others[i], &term0, &term1, &term2, &term3,
        )
        if keeps(how):
            terms[i] = term0
            terms[i + quarter] = term1
            terms[i + 2 * quarter] = term2
            terms[i + 3 * quarter] = term3


cdef inline void add_along(
    const real[::1] x, char *out, Py_ssize_t n, way how, const scaling *by, sums *found, Py_ssize_t lane,
    real[::1] rest, const char *next_x,
) noexcept nogil:
    """The sum over a chunk; the terms that are kept go to ``out``.

    While the arithmetic goes on, what is read next comes into the cache.
    """
    cdef double high[QUARTER]
    cdef double low[QUARTER]
    cdef real largest[QUARTER]
    cdef real others[QUARTER]
    cdef real padded[BLOCK]
    cdef real terms[BLOCK]
    cdef real shift = <real> by.shift[lane], scale = <real> by.scale[lane], lowest = <real> by.lowest[lane]
    cdef Py_ssize_t i, quarter = 0, whole = x.shape[0] // BLOCK * BLOCK, count = x.shape[0] - whole
    for i in range(QUARTER):
        high[i] = offset_of[real](NULL, how, n)
        low[i] = others[i] = 0
        largest[i] = <real> found.largest[lane] if how == APART else -INFINITY
    for i in range(x.shape[0] // BLOCK):
        prefetch(next_x + i * BLOCK * sizeof(real), BLOCK * sizeof(real))
        add_quarters[real](
            x, i * BLOCK, QUARTER, how, shift, scale, lowest, largest, high, low, others, terms
        )
        if keeps(how):
            memcpy(out + i * BLOCK * sizeof(real), terms, BLOCK * sizeof(real))
    if count:
        quarter = quarter_of(n, count)
        memcpy(padded, &x[whole], count * sizeof(real))
        for i in range(count, 4 * quarter):
            padded[i] = -INFINITY
        point_1d(rest, padded, 4 * quarter, sizeof(real))
        if quarter == QUARTER:
            add_quarters[real](
                rest, 0, QUARTER, how, shift, scale, lowest, largest, high, low, others, terms
            )
        else:
            add_quarters[real](
                rest, 0, quarter, how, shift, scale, lowest, largest, high, low, others, terms
            )
        if keeps(how):
            memcpy(out + whole * sizeof(real), terms, count * sizeof(real))
    for i in range(QUARTER):
        high[i] -= offset_of[real](NULL, how, n)
    add_halves[real](NULL, high, low, 8)
    add_halves[real](NULL, high, low, 4)
    add_halves[real](NULL, high, low, 2)
    add_halves[real](NULL, high, low, 1)
    found.high[lane], found.low[lane] = high[0], low[0]
    if how == APART:
        for i in range(8):
            others[i] += others[i + 8]
        found.ties[lane] = whole + 4 * quarter
        for i in range(8):
            found.ties[lane] -= others[i]
    else:
        keep_larger[real](largest, 8)
        keep_larger[real](largest, 4)
        keep_larger[real](largest, 2)
        keep_larger[real](largest, 1)
        found.largest[lane] = largest[0]


# ---- across slices ---------------------------------------------------------------------------------


cdef void largest_across(const real[:, ::1] panel, real *largest) noexcept nogil:
    cdef real found[MOST_LANES]
    cdef const real *row
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    for j in range(width):
        found[j] = largest[j]
    for i in range(panel.shape[0]):
        row = &panel[i, 0]
        for j in range(width):
            found[j] = row[j] if row[j] > found[j] else found[j]
    for j in range(width):
        largest[j] = found[j]


cdef inline void add_across(
    real[:, ::1] panel, real[:, ::1] out, Py_ssize_t n, way how, const scaling *by, sums *found,
    exclusive_doubles high, exclusive_doubles low, const char *next_x, Py_ssize_t next_stride,
    Py_ssize_t next_bytes,
) noexcept nogil:
    """Add the panel to the sums of each position of a quarter; the terms that are kept go to ``out``."""
    cdef real shift[MOST_LANES]
    cdef real scale[MOST_LANES]
    cdef real lowest[MOST_LANES]
    cdef real largest[MOST_LANES]
    cdef real others[MOST_LANES]
    cdef real absent[MOST_LANES]
    cdef const real *row0
    cdef const real *row1
    cdef const real *row2
    cdef const real *row3
    cdef real terms[4 * MOST_LANES]
    cdef real term0, term1, term2, term3
    cdef const char *ahead
    cdef Py_ssize_t block, i, j, start, count, quarter, positions = 0, width = lanes_of[real](NULL)
    # In memory of its own the compiler sees that no store into the panel can change them.
    for j in range(width):
        shift[j], scale[j], lowest[j] = <real> by.shift[j], <real> by.scale[j], <real> by.lowest[j]
        largest[j] = <real> found.largest[j]
        others[j] = 0
        absent[j] = -INFINITY
    for block in range((panel.shape[0] + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        count = min(<Py_ssize_t> BLOCK, panel.shape[0] - start)
        quarter = QUARTER if count == BLOCK else quarter_of(n, count)
        positions += 4 * min(quarter, count)
        if panel.shape[0] <= MOST_AHEAD:
            ahead = next_x + start * next_stride
        elif start + BLOCK < panel.shape[0]:
            ahead = <const char *> &panel[start + BLOCK, 0]
        else:
            ahead = next_x
        for i in range(min(quarter, count)):
            for j in range(4):
                prefetch(ahead + (i + j * quarter) * next_stride, next_bytes)
            row0 = &panel[start + i, 0]
            row1 = &panel[start + i + quarter, 0] if i + quarter < count else absent
            row2 = &panel[start + i + 2 * quarter, 0] if i + 2 * quarter < count else absent
            row3 = &panel[start + i + 3 * quarter, 0] if i + 3 * quarter < count else absent
            for j in range(width):
                add_four[real](
                    row0[j], row1[j], row2[j], row3[j], how, shift[j], scale[j], lowest[j], &largest[j],
                    &high[i * width + j], &low[i * width + j], &others[j], &term0, &term1, &term2, &term3,
                )
                if keeps(how):
                    terms[j] = term0
                    terms[width + j] = term1
                    terms[2 * width + j] = term2
                    terms[3 * width + j] = term3
            if keeps(how):
                for j in range(4):
                    if i + j * quarter < count:
                        memcpy(&out[start + i + j * quarter, 0], &terms[j * width], width * sizeof(real))
    for j in range(width):
        if how == APART:
            found.ties[j] += positions - others[j]
        else:
            found.largest[j] = largest[j]


# ---- results ---------------------------------------------------------------------------------------


cdef inline real share(
    real term, real largest_term, real normaliser, real rest, real greatest
) noexcept nogil:
    """The part of the sum that a term is; that of the largest, often all of it, is known exactly.

    Without fused multiply-add the product is rounded before it becomes subnormal, not twice afterwards.
    """
    cdef real value, lift
    if FUSED:
        value = muladd[real](term, normaliser, term * rest)
    else:
        lift = <real> (TWO_64 if real is float32 else TWO_120)
        normaliser = normaliser * lift
        value = term * normaliser
        value = value + (term * (rest * lift) - residual[real](term, normaliser, value))
        value = value * (1 / lift)
    return greatest if term >= largest_term else value


cdef void write_along(
    reduction which, const real[::1] x, real[::1] out, const answers *found, Py_ssize_t lane
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real largest = <real> found.largest[lane], normaliser = <real> found.normaliser[lane]
    cdef real rest = <real> found.rest[lane], greatest = <real> found.greatest[lane]
    if which == SOFTMAX:
        for i in range(x.shape[0]):
            out[i] = share[real](x[i], largest, normaliser, rest, greatest)
    else:
        for i in range(x.shape[0]):
            out[i] = (x[i] - largest) - normaliser


cdef void write_across(
    reduction which, const real[:, ::1] panel, real[:, ::1] out, const answers *found, bint streamed
) noexcept nogil:
    cdef real largest[MOST_LANES]
    cdef real normaliser[MOST_LANES]
    cdef real rest[MOST_LANES]
    cdef real greatest[MOST_LANES]
    cdef real block[MOST_LANES]
    cdef const real *row
    cdef real *out_row
    cdef Py_ssize_t i, j, width = lanes_of[real](NULL)
    for j in range(width):
        largest[j], normaliser[j] = <real> found.largest[j], <real> found.normaliser[j]
        rest[j], greatest[j] = <real> found.rest[j], <real> found.greatest[j]
    for i in range(panel.shape[0]):
        row = &panel[i, 0]
        out_row = &block[0] if streamed else &out[i, 0]
        if which == SOFTMAX:
            for j in range(width):
                out_row[j] = share[real](row[j], largest[j], normaliser[j], rest[j], greatest[j])
        else:
            for j in range(width):
                out_row[j] = (row[j] - largest[j]) - normaliser[j]
        if streamed:
            stream(<char *> &out[i, 0], <char *> block, width * sizeof(real))


# ---- the positions of one group of lanes -----------------------------------------------------------


cdef inline Py_ssize_t computed_lanes(real *tag, const lanes *group) noexcept nogil:
    """ALONG only those there are; otherwise all of a panel, filled or not."""
    return group.count if group.arranged == ALONG else lanes_of[real](NULL)


cdef inline char *terms_of(
    const lanes *group, const workspace *space, Py_ssize_t lane, Py_ssize_t lane_bytes
) noexcept nogil:
    """Where softmax keeps the terms of a lane ALONG: in the cache, if there is room."""
    if lane_bytes <= SCRATCH:
        return space.panel + lane * lane_bytes
    return group.out + lane * group.out_stride


cdef inline void fetch(
    const walk *reduced, const lanes *group, bint from_x, Py_ssize_t start, Py_ssize_t stop, workspace *space,
    real[:, :] array,
) noexcept nogil:
    """Gather a block, unless the panel holds it already."""
    if space.gathered != start:
        gather[real](reduced, group, from_x, start, stop, space.panel, array, array)
        space.gathered = start


cdef void find_largest(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, double *largest,
    workspace *space, real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    cdef real found[MOST_LANES]
    cdef Py_ssize_t j, end, itemsize = sizeof(real), width = lanes_of[real](NULL)
    if group.arranged == ALONG:
        for j in range(group.count):
            point_1d(row, group.x + j * group.x_stride + start * itemsize, stop - start, itemsize)
            largest[j] = largest_along[real](row)
        return
    for j in range(width):
        found[j] = -INFINITY
    if group.arranged == ACROSS:
        point_2d(
            panel, group.x + start * reduced.x_strides[0], stop - start, width,
            reduced.x_strides[0], itemsize,
        )
        largest_across[real](panel, found)
    else:
        while start < stop:
            end = min(start + BLOCK, stop)
            fetch[real](reduced, group, True, start, end, space, array)
            point_2d(panel, space.panel, end - start, width, width * itemsize, itemsize)
            largest_across[real](panel, found)
            start = end
    for j in range(width):
        largest[j] = found[j]


cdef bint has_nan(
    real *tag, const walk *reduced, char *lane, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    cdef Py_ssize_t position
    cdef real value
    for position in range(start, stop):
        value = (<const real *> position_of(reduced, &reduced.x_strides[0], lane, position))[0]
        if value != value:
            return True
    return False


cdef void add_lane(
    const real[::1] x, char *out, Py_ssize_t n, way how, const scaling *by, sums *found, Py_ssize_t lane,
    real[::1] rest, const char *next_x,
) noexcept nogil:
    """`add_along`, whose loop is compiled for each way."""
    if how == TOGETHER:
        add_along[real](x, out, n, TOGETHER, by, found, lane, rest, next_x)
    elif how == APART:
        add_along[real](x, out, n, APART, by, found, lane, rest, next_x)
    elif how == KEPT:
        add_along[real](x, out, n, KEPT, by, found, lane, rest, next_x)
    else:
        add_along[real](x, out, n, KEPT_SHIFTED, by, found, lane, rest, next_x)


cdef void add_panel(
    real[:, ::1] panel, real[:, ::1] out, Py_ssize_t n, way how, const scaling *by, sums *found,
    workspace *space, const char *next_x, Py_ssize_t next_stride, Py_ssize_t next_bytes,
) noexcept nogil:
    """`add_across`, whose loop is compiled for each way."""
    if how == TOGETHER:
        add_across[real](
            panel, out, n, TOGETHER, by, found, space.high, space.low, next_x, next_stride, next_bytes
        )
    elif how == APART:
        add_across[real](
            panel, out, n, APART, by, found, space.high, space.low, next_x, next_stride, next_bytes
        )
    elif how == KEPT:
        add_across[real](
            panel, out, n, KEPT, by, found, space.high, space.low, next_x, next_stride, next_bytes
        )
    else:
        add_across[real](
            panel, out, n, KEPT_SHIFTED, by, found, space.high, space.low, next_x, next_stride, next_bytes
        )


cdef void add_lanes(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, way how,
    const bint *passed_over, const scaling *by, sums *found, const char *next_x, workspace *space,
    real[::1] row, real[:, ::1] panel, real[:, ::1] out_panel, real[:, :] array,
) noexcept nogil:
    """The sums of positions start ... stop of all lanes, but for those ALONG that are passed over."""
    cdef Py_ssize_t itemsize = sizeof(real), width = lanes_of[real](NULL), n = size(reduced)
    cdef Py_ssize_t half = QUARTER, next_bytes = 0, i, j, end
    if group.arranged == ALONG:
        for j in range(group.count):
            if passed_over == NULL or not passed_over[j]:
                point_1d(row, group.x + j * group.x_stride + start * itemsize, stop - start, itemsize)
                add_lane[real](
                    row, terms_of(group, space, j, n * itemsize) + start * itemsize, n, how, by, found, j,
                    row, next_x + j * group.x_stride,
                )
        return
    if stop - start < BLOCK:
        end = min(quarter_of(n, stop - start), stop - start)
        while half >= 2 * end:
            half //= 2
    for i in range(half):
        for j in range(width):
            space.high[i * width + j] = offset_of[real](NULL, how, n)
            if real is float64:
                space.low[i * width + j] = 0
    for j in range(width):
        if how == APART:
            found.ties[j] = 0
        else:
            found.largest[j] = -INFINITY
    if group.arranged == ACROSS:
        point_2d(
            panel, group.x + start * reduced.x_strides[0], stop - start, width,
            reduced.x_strides[0], itemsize,
        )
        point_2d(
            out_panel, group.out + start * reduced.out_strides[0], stop - start, width,
            reduced.out_strides[0], itemsize,
        )
        add_panel[real](
            panel, out_panel, n, how, by, found, space, next_x, reduced.x_strides[0], width * itemsize
        )
    else:
        if n <= BLOCK and group.x_stride == n * itemsize:
            next_bytes = group.count * n * itemsize // (4 * quarter_of(n, n))
        while start < stop:
            end = min(start + BLOCK, stop)
            fetch[real](reduced, group, True, start, end, space, array)
            point_2d(panel, space.panel, end - start, width, width * itemsize, itemsize)
            add_panel[real](panel, panel, n, how, by, found, space, next_x, next_bytes, next_bytes)
            if keeps(how) and n > BLOCK:
                scatter[real](reduced, group, start, end, space.panel, array, array)
                space.gathered = -1
            start = end
    if real is float64:
        for i in range(half):
            for j in range(width):
                space.high[i * width + j] -= offset_of[real](NULL, how, n)
    if half > 8:
        add_halves[real](NULL, space.high, space.low, 8 * width)
    if half > 4:
        add_halves[real](NULL, space.high, space.low, 4 * width)
    if half > 2:
        add_halves[real](NULL, space.high, space.low, 2 * width)
    if half > 1:
        add_halves[real](NULL, space.high, space.low, width)
    for j in range(width):
        found.high[j] = space.high[j]
        found.low[j] = 0 if real is float32 else space.low[j]


cdef int set_scaling(real *tag, const sums *found, Py_ssize_t width, scaling *by) noexcept nogil:
    """What `exp_range` chooses for the references, and how many lanes it shifts."""
    cdef real shift, scale, lowest
    cdef Py_ssize_t j
    cdef int shifted = 0
    for j in range(width):
        exp_range[real](<real> found.reference[j], &shift, &scale, &lowest)
        by.shift[j], by.scale[j], by.lowest[j] = shift, scale, lowest
    for j in range(width):
        shifted += by.shift[j] != 0
    return shifted


cdef void take_off_largest(
    real *tag, Py_ssize_t n, const scaling *by, Py_ssize_t width, sums *found, bint *settled
) noexcept nogil:
    """Leave the largest element out of the sum of all; settled is where what remains has all its digits.

    That needs a scale that fits, and others that together weigh enough: beside the largest, or in float64
    beside what the sums began with, since its rounding errors are not added exactly. NaN never settles.
    """
    cdef double enough[MOST_LANES]
    cdef double term
    cdef Py_ssize_t j
    for j in range(width):
        term = exp_term[real](
            <real> found.largest[j], False, 0, <real> by.scale[j], <real> by.lowest[j], False
        )
        found.ties[j] = 1
        if real is float32:
            found.high[j] -= term
            enough[j] = found.high[j] - TWO_MINUS_24_DOUBLE * term
        else:
            add_exactly(&found.high[j], &found.low[j], -term)
            normalise(&found.high[j], &found.low[j])
            enough[j] = found.high[j] - TWO_MINUS_40 * offset_of[real](NULL, TOGETHER, n)
    for j in range(width):
        settled[j] = (
            enough[j] >= 0
            and by.shift[j] == 0
            and found.largest[j] - found.reference[j] <= most_above[real](NULL)
        )


cdef void add_terms(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, sums *found,
    const char *next_x, workspace *space, real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """The sums of positions start ... stop, and their largest elements."""
    cdef sums anew
    cdef scaling by, by_anew
    cdef bint settled[MOST_LANES]
    cdef int unsettled = 0, shifted
    cdef Py_ssize_t width = computed_lanes[real](NULL, group), infinite = 0, j
    find_largest[real](
        reduced, group, start, min(start + BLOCK, stop), found.reference, space, row, panel, array
    )
    shifted = set_scaling[real](NULL, found, width, &by)
    if shifted < width:
        add_lanes[real](
            reduced, group, start, stop, TOGETHER, NULL, &by, found, next_x, space, row, panel, panel, array
        )
        take_off_largest[real](NULL, size(reduced), &by, width, found, settled)
    else:
        for j in range(width):
            settled[j] = False
    for j in range(group.count):
        unsettled += not settled[j]
    if unsettled:
        find_largest[real](reduced, group, start, stop, anew.largest, space, row, panel, array)
        memcpy(anew.reference, anew.largest, sizeof(anew.largest))
        set_scaling[real](NULL, &anew, width, &by_anew)
        add_lanes[real](
            reduced, group, start, stop, APART, settled, &by_anew, &anew, next_x, space,
            row, panel, panel, array,
        )
        for j in range(group.count):
            if not settled[j]:
                found.largest[j], found.ties[j] = anew.largest[j], anew.ties[j]
                found.high[j], found.low[j] = anew.high[j], anew.low[j]
                by.shift[j], by.scale[j] = by_anew.shift[j], by_anew.scale[j]
                infinite += fabs(found.largest[j]) == INFINITY
    relate[real](NULL, &by, width, found)
    for j in range(group.count if infinite else 0):
        if fabs(found.largest[j]) == INFINITY:
            # Beside an infinite largest element the others come to nothing, unless one is NaN.
            found.ties[j] = 1
            found.low[j] = 0
            found.high[j] = 0
            if has_nan[real](NULL, reduced, group.x + j * group.x_stride, start, stop):
                found.high[j] = NAN


cdef int correct_reference(real *tag, Py_ssize_t width, sums *total) noexcept nogil:
    """For softmax: the largest of all where that of the first block will not do; how many these are."""
    cdef scaling by
    cdef Py_ssize_t j
    cdef int count = 0
    set_scaling[real](NULL, total, width, &by)
    for j in range(width):
        if by.shift[j] != 0 or not total.largest[j] - total.reference[j] <= most_above[real](NULL):
            total.reference[j] = total.largest[j]
            count += 1
    return count


cdef void keep_terms(
    const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop, sums *found,
    const char *next_x, workspace *space, real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """The terms of positions start ... stop, their sums and the largest elements, for a given reference.

    They are left in ``out``, or in the panel if that holds all positions.
    """
    cdef scaling by
    cdef Py_ssize_t width = computed_lanes[real](NULL, group)
    cdef way how = KEPT_SHIFTED if set_scaling[real](NULL, found, width, &by) else KEPT
    add_lanes[real](
        reduced, group, start, stop, how, NULL, &by, found, next_x, space, row, panel, panel, array
    )


cdef inline bint is_one_piece(const walk *reduced, const lanes *group, Py_ssize_t itemsize) noexcept nogil:
    """Whether the lanes of ``out`` are one block of positions long and follow one another without a gap."""
    return (
        reduced.axes == 1
        and reduced.shape[0] <= BLOCK
        and reduced.out_strides[0] == itemsize
        and group.out_stride == reduced.shape[0] * itemsize
    )


cdef void write_result(
    reduction which, const walk *reduced, const lanes *group, Py_ssize_t start, Py_ssize_t stop,
    const answers *found, workspace *space, real[::1] row, real[::1] out_row, real[:, ::1] panel,
    real[:, ::1] out_panel, real[:, :] array,
) noexcept nogil:
    """log_softmax is written from ``x``, softmax from the terms that stand in ``out``."""
    cdef bint from_x = which != SOFTMAX
    cdef char *base
    cdef char *out
    cdef char *staged
    cdef real block[STREAMED]
    cdef Py_ssize_t i, j, end, itemsize = sizeof(real), width = lanes_of[real](NULL)
    if group.arranged == ALONG:
        for j in range(group.count):
            if from_x:
                base = group.x + j * group.x_stride + start * itemsize
            else:
                base = terms_of(group, space, j, size(reduced) * itemsize) + start * itemsize
            out = group.out + j * group.out_stride + start * itemsize
            # Terms that stand in ``out`` have brought it into the cache already.
            if group.streamed and base != out:
                # The first block ends where a line does, so that the others are whole lines.
                i = 0
                end = (-<uintptr_t> out % LINE) // itemsize
                while i < stop - start:
                    end = min(end, stop - start - i)
                    point_1d(row, base + i * itemsize, end, itemsize)
                    point_1d(out_row, block, end, itemsize)
                    write_along[real](which, row, out_row, found, j)
                    stream(out + i * itemsize, <char *> block, end * itemsize)
                    i += end
                    end = STREAMED
            else:
                point_1d(row, base, stop - start, itemsize)
                point_1d(out_row, out, stop - start, itemsize)
                write_along[real](which, row, out_row, found, j)
    elif group.arranged == ACROSS:
        point_2d(
            out_panel, group.out + start * reduced.out_strides[0], stop - start, width,
            reduced.out_strides[0], itemsize,
        )
        if from_x:
            point_2d(
                panel, group.x + start * reduced.x_strides[0], stop - start, width,
                reduced.x_strides[0], itemsize,
            )
            write_across[real](which, panel, out_panel, found, group.streamed)
        else:
            write_across[real](which, out_panel, out_panel, found, False)
    else:
        while start < stop:
            end = min(start + BLOCK, stop)
            fetch[real](reduced, group, from_x, start, end, space, array)
            point_2d(panel, space.panel, end - start, width, width * itemsize, itemsize)
            write_across[real](which, panel, panel, found, False)
            if group.streamed and is_one_piece(reduced, group, itemsize):
                # Half of the scratch memory is enough for the panel, the other half for its transpose.
                staged = space.panel + SCRATCH // 2
                copy_run[real](
                    staged, group.out_stride, itemsize, group.count, end, False, space.panel, array, array
                )
                stream(group.out, staged, group.count * group.out_stride)
            else:
                scatter[real](reduced, group, start, end, space.panel, array, array)
            space.gathered = -1
            start = end


# ---- from the sums of chunks to those of slices ----------------------------------------------------


cdef void relate(real *tag, const scaling *by, Py_ssize_t count, sums *found) noexcept nogil:
    """Turn sums of terms as `exp_term` scales them into sums relative to exp(largest)."""
    cdef Py_ssize_t j
    cdef double unit, unit_tail, quotient
    for j in range(count):
        exp_double(found.largest[j] - by.shift[j], by.scale[j] - HEADROOM, &unit, &unit_tail)
        if real is float32:
            quotient = found.high[j] / unit
            found.low[j] = 0
        else:
            normalise(&found.high[j], &found.low[j])
            quotient = found.high[j] / unit
            found.low[j] = (
                residual64(quotient, unit, found.high[j]) - quotient * unit_tail + found.low[j]
            ) / unit
        found.high[j] = quotient


cdef void merge(reduction which, const sums *part, sums *total, Py_ssize_t count) noexcept nogil:
    """Add the sums of more positions of the same lanes."""
    cdef Py_ssize_t j
    cdef bint part_leads, equal
    cdef double larger, smaller, ties, lesser_ties, high, lesser_high, low, lesser_low
    cdef double difference, rest, factor, factor_tail, term, tail, whole
    if which == SOFTMAX:
        for j in range(count):
            total.largest[j] = max(total.largest[j], part.largest[j])
            total.low[j] += part.low[j]
            add_exactly(&total.high[j], &total.low[j], part.high[j])
        return
    for j in range(count):
        part_leads = part.largest[j] > total.largest[j]
        equal = part.largest[j] == total.largest[j]
        larger = part.largest[j] if part_leads else total.largest[j]
        smaller = total.largest[j] if part_leads else part.largest[j]
        ties = part.ties[j] if part_leads else total.ties[j]
        lesser_ties = total.ties[j] if part_leads else part.ties[j]
        high = part.high[j] if part_leads else total.high[j]
        lesser_high = total.high[j] if part_leads else part.high[j]
        low = part.low[j] if part_leads else total.low[j]
        lesser_low = total.low[j] if part_leads else part.low[j]
        # exp(smaller - larger), which vanishes before it leaves the range of numbers
        difference = smaller
        rest = 0
        add_exactly(&difference, &rest, -larger)
        rest = rest if difference > -789 else 0
        difference = difference if difference > -789 else -789
        exp_double(difference, HEADROOM, &factor, &factor_tail)
        factor_tail = factor_tail + factor * rest
        # times the whole sum of the lesser
        whole = lesser_ties
        tail = lesser_low * TWO_MINUS_HEADROOM
        add_exactly(&whole, &tail, lesser_high * TWO_MINUS_HEADROOM)
        term = factor * whole
        tail = (factor * tail + factor_tail * whole) - residual64(factor, whole, term)
        term = lesser_high if equal else term
        tail = lesser_low if equal else tail
        total.largest[j] = larger
        total.ties[j] = ties + (lesser_ties if equal else 0)
        low = low + tail
        add_exactly(&high, &low, term)
        total.high[j] = high
        total.low[j] = low


cdef inline double reciprocal(double high, double low, double *tail) noexcept nogil:
    """1 / (high + low), with a tail to twice the precision."""
    cdef double value = 1 / high
    tail[0] = value * (residual64(value, high, 1) - value * low)
    return value


cdef void finish(
    real *tag, reduction which, const lanes *group, const sums *total, answers *found
) noexcept nogil:
    """From the sums of whole slices to what `write_result` needs, or to the logsumexp itself."""
    cdef Py_ssize_t j, width = computed_lanes[real](NULL, group)
    cdef double high[MOST_LANES]
    cdef double low[MOST_LANES]
    cdef double unit, unit_tail, value
    cdef real shift, scale, lowest
    cdef bint infinite
    if which == SOFTMAX:
        for j in range(width):
            exp_range[real](<real> total.reference[j], &shift, &scale, &lowest)
            exp_double(total.largest[j] - shift, scale, &unit, &unit_tail)
            found.largest[j] = exp_term[real](<real> total.largest[j], True, shift, scale, lowest, True)
            # The largest, which may outweigh all others, is in the sum with the rounding of its term.
            high[j], low[j] = total.high[j], total.low[j] + unit_tail
            add_exactly(&high[j], &low[j], -found.largest[j])
            add_exactly(&high[j], &low[j], unit)
            normalise(&high[j], &low[j])
            # Without a finite largest element there are no shares.
            high[j] += total.largest[j] - total.largest[j]
            found.normaliser[j] = reciprocal(high[j], low[j], &found.rest[j])
            value = unit * found.normaliser[j]
            found.greatest[j] = value + (
                (unit * found.rest[j] + unit_tail * found.normaliser[j])
                - residual64(unit, found.normaliser[j], value)
            )
            if real is float32:
                found.rest[j] = (found.normaliser[j] - <real> found.normaliser[j]) + found.rest[j]
        return
    for j in range(width):
        high[j] = total.ties[j]
        low[j] = total.low[j] * TWO_MINUS_HEADROOM
        add_exactly(&high[j], &low[j], total.high[j] * TWO_MINUS_HEADROOM)
    if which == LOG_SOFTMAX:
        for j in range(width):
            found.largest[j] = total.largest[j]
            found.normaliser[j] = log_positive[real](NULL, high[j], low[j], 0)
    else:
        for j in range(width):
            infinite = fabs(total.largest[j]) == INFINITY
            value = log_positive[real](NULL, high[j], low[j], 0 if infinite else total.largest[j])
            found.normaliser[j] = total.largest[j] + value if infinite else value
        for j in range(group.count):
            (<real *> (group.out + j * group.out_stride))[0] = <real> found.normaliser[j]


# ---- all groups ------------------------------------------------------------------------------------


cdef struct plan:
    Py_ssize_t n
    Py_ssize_t segment
    Py_ssize_t segments
    arrangement arranged
    bint streamed
    int lane_axis  # of ``kept``
    Py_ssize_t width
    Py_ssize_t groups_along_axis
    Py_ssize_t groups


cdef void make_plan(const slices *where, Py_ssize_t itemsize, bint reads_only, plan *planned) noexcept nogil:
    cdef const walk *kept = &where.kept
    cdef const walk *reduced = &where.reduced
    cdef int last = reduced.axes - 1, axis
    cdef Py_ssize_t longest = LANES_32 if itemsize == 4 else LANES_64
    planned.n = size(reduced)
    planned.segment = max(<Py_ssize_t> SHORTEST_SEGMENT, (planned.n + MOST_SEGMENTS - 1) // MOST_SEGMENTS)
    planned.segment = (planned.segment + CHUNK - 1) // CHUNK * CHUNK
    planned.segments = (planned.n + planned.segment - 1) // planned.segment
    planned.width = longest
    planned.lane_axis = kept.axes - 1
    if kept.shape[planned.lane_axis] < longest // 2:
        for axis in range(kept.axes):
            if kept.shape[axis] > kept.shape[planned.lane_axis]:
                planned.lane_axis = axis
    planned.arranged = GATHERED
    planned.streamed = (
        not reads_only and kept.x != kept.out and size(kept) * planned.n * itemsize >= SMALLEST_STREAMED
    )
    if reduced.axes == 1:
        if (
            reduced.x_strides[last] == itemsize
            and (reads_only or reduced.out_strides[last] == itemsize)
            and (planned.n >= SHORTEST_ALONG or size(kept) == 1)
        ):
            planned.arranged = ALONG
            planned.width = STREAMED_GROUP if planned.streamed else SCRATCH
            planned.width = max(<Py_ssize_t> 1, min(longest, planned.width // (planned.n * itemsize)))
        elif kept.x_strides[planned.lane_axis] == itemsize and (
            reads_only or kept.out_strides[planned.lane_axis] == itemsize
        ):
            planned.arranged = ACROSS
            planned.streamed = (
                planned.streamed
                and <uintptr_t> kept.out % LINE == 0
                and reduced.out_strides[last] % LINE == 0
            )
    planned.groups_along_axis = (
        kept.shape[planned.lane_axis] + planned.width - 1
    ) // planned.width
    planned.groups = size(kept) // kept.shape[planned.lane_axis] * planned.groups_along_axis


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
    group.arranged = planned.arranged
    group.streamed = planned.streamed
    if group.arranged == ACROSS and group.count < planned.width:
        group.arranged = GATHERED
    for axis in range(kept.axes - 1, -1, -1):
        if axis != planned.lane_axis:
            at = index % kept.shape[axis]
            index = index // kept.shape[axis]
            group.x += at * kept.x_strides[axis]
            group.out += at * kept.out_strides[axis]


cdef inline void prepare(workspace *space, char *memory) noexcept nogil:
    space.panel = <char *> ((<uintptr_t> memory + 63) // 64 * 64)
    space.gathered = -1


cdef inline const char *what_follows(
    real *tag, const slices *where, const lanes *group, Py_ssize_t position
) noexcept nogil:
    """The rest of the slice, or else the next slices."""
    if position < size(&where.reduced):
        return group.x + position * where.reduced.x_strides[0]
    if group.arranged == ALONG:
        return group.x + group.count * group.x_stride
    return group.x + lanes_of[real](NULL) * group.x_stride


cdef void add_chunks(
    reduction which, const slices *where, const lanes *group, Py_ssize_t start, Py_ssize_t stop, sums *total,
    workspace *space, real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """The sums of positions start ... stop. For softmax ``total`` holds the reference beforehand."""
    cdef sums next_chunk
    cdef sums *found = total
    cdef const char *next_x
    cdef Py_ssize_t end, width = computed_lanes[real](NULL, group)
    while start < stop:
        end = min(start + CHUNK, stop)
        next_x = what_follows[real](NULL, where, group, end)
        if which == SOFTMAX:
            if found != total:
                memcpy(found.reference, total.reference, sizeof(total.reference))
            keep_terms[real](&where.reduced, group, start, end, found, next_x, space, row, panel, array)
        else:
            add_terms[real](&where.reduced, group, start, end, found, next_x, space, row, panel, array)
        if found != total:
            merge(which, found, total, width)
        found = &next_chunk
        start = end


cdef void add_segments(
    reduction which, const slices *where, const plan *planned, const lanes *group, sums *total,
    workspace *space, real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    cdef sums next_segment
    cdef Py_ssize_t segment, start
    add_chunks[real](
        which, where, group, 0, min(planned.segment, planned.n), total, space, row, panel, array
    )
    for segment in range(1, planned.segments):
        start = segment * planned.segment
        memcpy(next_segment.reference, total.reference, sizeof(total.reference))
        add_chunks[real](
            which, where, group, start, min(start + planned.segment, planned.n), &next_segment, space,
            row, panel, array,
        )
        merge(which, &next_segment, total, computed_lanes[real](NULL, group))


cdef void sum_group(
    reduction which, const slices *where, const plan *planned, const lanes *group, answers *found,
    workspace *space, real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """All that is to be known of the slices of a group before its result is written."""
    cdef const walk *reduced = &where.reduced
    cdef sums total
    cdef scaling by
    cdef bint guessed = False
    cdef Py_ssize_t n = planned.n, width = computed_lanes[real](NULL, group)
    space.gathered = -1
    if which == SOFTMAX:
        find_largest[real](
            reduced, group, 0, min(n, <Py_ssize_t> BLOCK), total.reference, space, row, panel, array
        )
        # Where the terms do not take the place of ``x``, a wrong guess can be mended.
        guessed = n > BLOCK and not set_scaling[real](NULL, &total, group.count, &by) and (
            group.x != group.out or (group.arranged == ALONG and n * <Py_ssize_t> sizeof(real) <= SCRATCH)
        )
        if not guessed:
            find_largest[real](reduced, group, 0, n, total.largest, space, row, panel, array)
            correct_reference[real](NULL, width, &total)
    add_segments[real](which, where, planned, group, &total, space, row, panel, array)
    if guessed and correct_reference[real](NULL, group.count, &total):
        space.gathered = -1
        add_segments[real](which, where, planned, group, &total, space, row, panel, array)
    finish[real](NULL, which, group, &total, found)


cdef void compute_groups(
    reduction which, const slices *where, const plan *planned, Py_ssize_t first, Py_ssize_t stop,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """The groups of one thread, whose streamed results are waited for at the end only."""
    cdef environment caller = enter()
    cdef char memory[SCRATCH + 64]
    cdef workspace space
    cdef lanes group
    cdef answers found
    cdef Py_ssize_t index
    prepare(&space, memory)
    for index in range(first, stop):
        locate(where, planned, index, &group)
        sum_group[real](which, where, planned, &group, &found, &space, row, panel, array)
        if which != LOGSUMEXP:
            write_result[real](
                which, &where.reduced, &group, 0, planned.n, &found, &space, row, row, panel, panel, array
            )
    end_streaming()
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
    cdef char memory[SCRATCH + 64]
    cdef workspace space
    cdef Py_ssize_t start = segment * planned.segment, stop = min(start + planned.segment, planned.n)
    prepare(&space, memory)
    if now == FIND:
        find_largest[real](
            &where.reduced, group, start, stop, part.largest, &space, row, panel, array
        )
    elif now == ADD:
        add_chunks[real](which, where, group, start, stop, part, &space, row, panel, array)
    else:
        write_result[real](
            which, &where.reduced, group, start, stop, found, &space, row, row, panel, panel, array
        )
        end_streaming()
    leave(caller)


cdef void compute_group_together(
    reduction which, const slices *where, const plan *planned, Py_ssize_t index, sums *parts, int threads,
    real[::1] row, real[:, ::1] panel, real[:, :] array,
) noexcept nogil:
    """`compute_group` by all threads: the same steps in the same order of addition."""
    cdef environment caller
    cdef char memory[SCRATCH + 64]
    cdef workspace space
    cdef lanes group
    cdef sums total
    cdef answers found
    cdef Py_ssize_t segment, j, width
    locate(where, planned, index, &group)
    width = computed_lanes[real](NULL, &group)
    if which == SOFTMAX:
        for segment in prange(planned.segments, schedule="static", num_threads=threads):
            compute_segment[real](
                FIND, which, where, planned, &group, segment, &parts[segment], &found,
                row, panel, array,
            )
        caller = enter()
        prepare(&space, memory)
        find_largest[real](
            &where.reduced, &group, 0, min(planned.n, <Py_ssize_t> BLOCK), total.reference, &space,
            row, panel, array,
        )
        for j in range(width):
            total.largest[j] = parts[0].largest[j]
            for segment in range(1, planned.segments):
                total.largest[j] = max(total.largest[j], parts[segment].largest[j])
        correct_reference[real](NULL, width, &total)
        for segment in range(planned.segments):
            memcpy(parts[segment].reference, total.reference, sizeof(total.reference))
        leave(caller)
    for segment in prange(planned.segments, schedule="static", num_threads=threads):
        compute_segment[real](
            ADD, which, where, planned, &group, segment, &parts[segment], &found,
            row, panel, array,
        )
    caller = enter()
    total = parts[0]
    for segment in range(1, planned.segments):
        merge(which, &parts[segment], &total, width)
    finish[real](NULL, which, &group, &total, &found)
    leave(caller)
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
    else:
        threads = <int> min(<Py_ssize_t> threads, planned.groups)
        if threads <= 1:
            compute_groups[real](which, where, &planned, 0, planned.groups, row, panel, array)
        else:
            for index in prange(threads, schedule="static", num_threads=threads):
                compute_groups[real](
                    which, where, &planned, index * planned.groups // threads,
                    (index + 1) * planned.groups // threads, row, panel, array,
                )
    return 0


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

kernels = PyCapsule_New(&table, "fastlogit.kernels.axis", NULL)
