"""Units of the slice kernels for test_kernel_units.py: built by ``-Dkernel_tests=true`` alone, not for users.

Arrays come as an address, a shape and strides in bytes; sums of lanes as rows of float64.
"""

from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport float32, float64, real
from fastlogit.kernels.blocks cimport ALONG, begin_work, lanes, locate, make_plan, plan, worker, worker_of
from fastlogit.kernels.expsum cimport (
    BLOCK, choose_scaling, merge_relative, merge_scaled, relate, relative_sums, scaled_sums, scaling,
)
from fastlogit.kernels.fixed_point cimport FRACTION, exp_fraction
from fastlogit.kernels.panels cimport position_of
from fastlogit.kernels.scratch cimport begin_scratch
from fastlogit.kernels.slices cimport LOGSUMEXP, slice_function, slices
from fastlogit.kernels.staging cimport stage_lane, stage_panel, unstage_lane, unstage_panel
from fastlogit.kernels.strided cimport (
    add_axis, add_masked_axis, append_axis, begin_walk, merge_axes, pad_axes, walk,
)
from fastlogit.kernels.terms cimport exp_range, exp_term
from fastlogit.kernels.tuning cimport tune

from fastlogit import _tuning

tune(_tuning.SIZES)
if begin_scratch():
    raise MemoryError("the system has no key left (pthread_key_create)")


# ---- sums ------------------------------------------------------------------------------------------


cdef void load_scaled(const double[:, ::1] rows, scaled_sums *sums):
    cdef Py_ssize_t size = rows.shape[1] * sizeof(double)
    memcpy(sums.largest, &rows[0, 0], size)
    memcpy(sums.ties, &rows[1, 0], size)
    memcpy(sums.high, &rows[2, 0], size)
    memcpy(sums.low, &rows[3, 0], size)


cdef void load_relative(const double[:, ::1] rows, relative_sums *sums):
    cdef Py_ssize_t size = rows.shape[1] * sizeof(double)
    memcpy(sums.largest, &rows[0, 0], size)
    memcpy(sums.ties, &rows[1, 0], size)
    memcpy(sums.high, &rows[2, 0], size)
    memcpy(sums.low, &rows[3, 0], size)


def merged_relative(const double[:, ::1] part, const double[:, ::1] total):
    """Of rows largest, ties, high, low: the rows of both together."""
    cdef relative_sums first, second
    cdef Py_ssize_t width = part.shape[1], j
    load_relative(part, &first)
    load_relative(total, &second)
    merge_relative(&first, &second, width)
    return [
        [second.largest[j] for j in range(width)], [second.ties[j] for j in range(width)],
        [second.high[j] for j in range(width)], [second.low[j] for j in range(width)],
    ]


def merged_scaled(const double[:, ::1] part, const double[:, ::1] total):
    """Of rows largest, ties, high, low: largest, high and low of both together."""
    cdef scaled_sums first, second
    cdef Py_ssize_t width = part.shape[1], j
    load_scaled(part, &first)
    load_scaled(total, &second)
    merge_scaled(&first, &second, width)
    return [
        [second.largest[j] for j in range(width)], [second.high[j] for j in range(width)],
        [second.low[j] for j in range(width)],
    ]


cdef object related_as(real *tag, const double[::1] reference, const double[:, ::1] rows):
    cdef scaling scale
    cdef scaled_sums scaled
    cdef relative_sums relative
    cdef Py_ssize_t width = rows.shape[1], j
    choose_scaling[real](NULL, &reference[0], width, &scale)
    load_scaled(rows, &scaled)
    relate[real](NULL, &scale, &scaled, width, &relative)
    return [
        [scale.shift[j] for j in range(width)], [scale.exponent[j] for j in range(width)],
        [relative.largest[j] for j in range(width)], [relative.ties[j] for j in range(width)],
        [relative.high[j] for j in range(width)], [relative.low[j] for j in range(width)],
    ]


def related(const double[::1] reference, const double[:, ::1] rows, bint is_float32):
    """Shift, exponent, and the relative sums, of sums scaled for the references."""
    if is_float32:
        return related_as[float32](NULL, reference, rows)
    return related_as[float64](NULL, reference, rows)


# ---- terms -----------------------------------------------------------------------------------------


cdef object terms_as(real *tag, double reference, const double[::1] values):
    cdef real shift, exponent, lowest, tail
    cdef Py_ssize_t j
    exp_range[real](<real> reference, &shift, &exponent, &lowest)
    pairs = []
    for j in range(values.shape[0]):
        term = exp_term[real](<real> values[j], True, shift, exponent, lowest, &tail)
        pairs.append((term, tail))
    return pairs


def terms(double reference, const double[::1] values, bint is_float32):
    """Of values in a slice with this reference: terms and tails."""
    if is_float32:
        return terms_as[float32](NULL, reference, values)
    return terms_as[float64](NULL, reference, values)


# ---- exponentials in fixed point -------------------------------------------------------------------


def exponential_in_fixed_point(double x, double rest):
    """k, and the 192 bits of f, where exp(x + rest) is 2^-k (1 + f)."""
    cdef uint64_t f[FRACTION]
    cdef int k = exp_fraction(x, rest, f), i
    return k, sum(int(f[i]) << (64 * i) for i in range(FRACTION))


# ---- where slices lie ------------------------------------------------------------------------------


def merged_axes(shape, x_strides, out_strides, bint ordered):
    """The axes of a walk, as the elementwise functions see them or, unless ordered, as a slice is walked."""
    cdef walk path
    cdef char start[1]
    cdef int axis
    begin_walk(&path, start, start, NULL)
    for length, x_stride, out_stride in zip(shape, x_strides, out_strides, strict=True):
        if ordered:
            add_axis(&path, length, x_stride, out_stride)
        else:
            append_axis(&path, length, x_stride, out_stride, 0)
    merge_axes(&path)
    return (
        path.x - start, path.out - start,
        [path.shape[axis] for axis in range(path.axes)],
        [path.x_strides[axis] for axis in range(path.axes)],
        [path.out_strides[axis] for axis in range(path.axes)],
    )


cdef class Cut:
    """Two arrays cut into slices, and the plan by which they are computed."""

    cdef slices cut
    cdef plan planned

    def __init__(self, int function, uintptr_t x, uintptr_t out, axes, int itemsize):
        """``axes`` are (length, x stride, out stride, whether it runs along a slice)."""
        cdef Py_ssize_t length, x_stride, out_stride
        begin_walk(&self.cut.kept, <char *> x, <char *> out, NULL)
        begin_walk(&self.cut.reduced, NULL, NULL, NULL)
        for length, x_stride, out_stride, is_reduced in axes:
            if is_reduced:
                append_axis(
                    &self.cut.reduced, length, x_stride, 0 if function == LOGSUMEXP else out_stride, 0
                )
            else:
                add_masked_axis(&self.cut.kept, length, x_stride, out_stride, 0)
        merge_axes(&self.cut.kept)
        merge_axes(&self.cut.reduced)
        pad_axes(&self.cut.kept, 1, itemsize)
        pad_axes(&self.cut.reduced, 1, itemsize)
        make_plan(<slice_function> function, &self.cut, itemsize, &self.planned)

    def plan(self):
        """How the plan divides the work."""
        return {
            "along": self.planned.runs == ALONG, "staged": bool(self.planned.staged),
            "positions": self.planned.n, "segment": self.planned.segment,
            "segments": self.planned.segments, "groups": self.planned.groups, "width": self.planned.width,
        }

    def addresses(self):
        """Of every lane of every group: the addresses of its positions in x, and in out."""
        cdef lanes group
        cdef Py_ssize_t index, lane, position
        found = []
        for index in range(self.planned.groups):
            locate(&self.planned, index, &group)
            for lane in range(group.count):
                found.append((
                    [
                        <uintptr_t> position_of(&group.x, position) + lane * group.x.lane_stride
                        for position in range(self.planned.n)
                    ],
                    [
                        <uintptr_t> position_of(&group.out, position) + lane * group.out.lane_stride
                        for position in range(self.planned.n)
                    ],
                ))
        return found

    def copy(self, bint by_panels):
        """x to out, by way of the scratch memory."""
        if self.planned.itemsize == 4:
            copy_as[float32](NULL, &self.planned, by_panels)
        else:
            copy_as[float64](NULL, &self.planned, by_panels)


cdef void copy_as(real *tag, const plan *planned, bint by_panels) noexcept:
    cdef worker *space = worker_of(begin_work(1), 0)
    cdef lanes group
    cdef Py_ssize_t index, lane, start, stop
    cdef real *staged
    for index in range(planned.groups):
        locate(planned, index, &group)
        start = 0
        space.gathered = -1
        while start < planned.n:
            stop = min(start + BLOCK, planned.n)
            if by_panels:
                staged = stage_panel[real](&group, start, stop, True, space, NULL)
                unstage_panel[real](staged, &group.out, &group, start, stop)
            else:
                for lane in range(group.count):
                    staged = stage_lane[real](&group, lane, start, stop, True, <real *> space.scratch)
                    unstage_lane[real](&group.out, lane, start, stop, staged)
            start = stop
