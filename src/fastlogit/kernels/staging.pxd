"""Parts of slices in memory of the thread, where the loops can take them: copied there, and back."""

from libc.math cimport INFINITY

from fastlogit.kernels.arithmetic cimport real
from fastlogit.kernels.blocks cimport SCRATCH, lane_of, lanes, panel_lanes, worker
from fastlogit.kernels.expsum cimport BLOCK, lanes_of
from fastlogit.kernels.panels cimport (
    array_part, gather, mask_lane, mask_panel, put_lane, scatter, take_lane,
)


cdef inline real *stage_lane(
    const lanes *group, Py_ssize_t lane, Py_ssize_t start, Py_ssize_t stop, bint from_x, real *scratch
) noexcept nogil:
    """Positions of one slice of ``x`` or of its terms, copied."""
    cdef lanes at = group[0]
    if from_x:
        at.x.start += lane * at.x.lane_stride
        take_lane[real](&at.x, start, stop, scratch)
        if group.plan.slices.kept.mask != NULL:
            at.mask.start += lane * at.mask.lane_stride
            mask_lane[real](&at.mask, start, stop, scratch)
    else:
        at.terms.start += lane * at.terms.lane_stride
        take_lane[real](&at.terms, start, stop, scratch)
    return scratch


cdef inline void unstage_lane(
    const array_part *target, Py_ssize_t lane, Py_ssize_t start, Py_ssize_t stop, const real *scratch
) noexcept nogil:
    cdef array_part at = target[0]
    at.start += lane * at.lane_stride
    put_lane[real](scratch, &at, start, stop)


cdef inline real *stage_panel(
    const lanes *group, Py_ssize_t start, Py_ssize_t stop, bint from_x, worker *space, real *tag
) noexcept nogil:
    """At most BLOCK positions of all lanes, copied unless the scratch memory holds them already."""
    cdef real *panel = <real *> space.scratch
    cdef const array_part *source = &group.x if from_x else &group.terms
    cdef Py_ssize_t width = panel_lanes[real](NULL, group), i
    if space.gathered != start:
        # The compiler has to see the width of most panels.
        if group.plan.fold == 1:
            gather[real](source, group.count, start, stop, panel, lanes_of[real](NULL))
        else:
            gather[real](source, group.count, start, stop, panel, width)
        if from_x and group.plan.slices.kept.mask != NULL:
            mask_panel[real](&group.mask, group.count, start, stop, panel, width)
        if group.plan.fold > 1:
            # The rows are those of a whole block.
            for i in range((stop - start) * width, BLOCK * width):
                panel[i] = -INFINITY
        space.gathered = start
    return panel


cdef inline void unstage_panel(
    const real *panel, const array_part *target, const lanes *group, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    if group.plan.fold == 1:
        scatter[real](panel, target, group.count, start, stop, lanes_of[real](NULL))
    else:
        scatter[real](panel, target, group.count, start, stop, panel_lanes[real](NULL, group))


cdef inline real *kept_terms(
    real *tag, const lanes *group, const worker *space, Py_ssize_t lane, Py_ssize_t start
) noexcept nogil:
    """Where the terms of a slice stand that is taken ALONG where it is: in the cache, if there is room."""
    cdef Py_ssize_t n = group.plan.n
    if n * <Py_ssize_t> sizeof(real) <= SCRATCH:
        return <real *> space.scratch + lane * n + start
    return lane_of[real](&group.terms, lane, start, NULL)
