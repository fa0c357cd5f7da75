"""softmax, log_softmax and logsumexp of slices whose parts are apart, in the chunks of a larger array.

`sum_of_parts` of each chunk, `merged` of these along the slices, then `from_sums` for the results.
"""

import numpy as np

from fastlogit import _isa

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer

from fastlogit._threads cimport end_call, threads_for
from fastlogit.kernels.parts cimport part_kernels, part_sum, slice_parts
from fastlogit.kernels.slices cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, slice_function

cnp.import_array()

cdef const part_kernels *kernels = <const part_kernels *> PyCapsule_GetPointer(
    _isa.kernels("parts"), "fastlogit.kernels.parts"
)

cdef enum:
    SMALLEST_PARALLEL = 2048  # elements, as of weighted sums

# Of the part of a slice: exp(largest) * (ties + 2**-120 * (high + low)).
PART_SUM = np.dtype([(field, np.float64) for field in ("largest", "ties", "high", "low")], align=True)

# What comes out of a message or a file, as from a worker of dask, may begin at any byte.
cdef str ALIGNED = "A"

cdef dict FUNCTIONS = {"softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX, "logsumexp": LOGSUMEXP}


cdef int describe(
    cnp.ndarray x, object mask, cnp.ndarray out, cnp.ndarray sums, tuple axes, slice_parts *cut
) except -1:
    """``out`` and ``sums`` have the axes of x, of length 1 along the slices where a slice has one element."""
    cdef int turn, axis
    cut.axes = 0
    cut.x, cut.out, cut.sums = cnp.PyArray_BYTES(x), cnp.PyArray_BYTES(out), cnp.PyArray_BYTES(sums)
    cut.mask = NULL if mask is None else cnp.PyArray_BYTES(<cnp.ndarray> mask)
    for turn in range(2):
        for axis in range(cnp.PyArray_NDIM(x)):
            if (axis in axes) == turn:
                cut.shape[cut.axes] = cnp.PyArray_DIM(x, axis)
                cut.x_strides[cut.axes] = cnp.PyArray_STRIDE(x, axis)
                cut.mask_strides[cut.axes] = (
                    0 if mask is None else cnp.PyArray_STRIDE(<cnp.ndarray> mask, axis)
                )
                cut.out_strides[cut.axes] = cnp.PyArray_STRIDE(out, axis)
                cut.sum_strides[cut.axes] = cnp.PyArray_STRIDE(sums, axis)
                cut.axes += 1
        if turn == 0:
            cut.kept = cut.axes
    return 0


cdef tuple shape_of_sums(cnp.ndarray x, tuple axes):
    return tuple([1 if i in axes else cnp.PyArray_DIM(x, i) for i in range(cnp.PyArray_NDIM(x))])


def sum_of_parts(cnp.ndarray x, tuple axes, mask=None):
    """The sums of the parts of slices in x, native float32 or float64, along at least one axis."""
    cdef slice_parts cut
    cdef cnp.ndarray sums = np.empty(shape_of_sums(x, axes), PART_SUM)
    x = np.require(x, None, ALIGNED)
    cdef Py_ssize_t size = cnp.PyArray_SIZE(x)
    cdef bint single = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT
    if size == 0:
        sums[...] = np.array((-np.inf, 1, 0, 0), PART_SUM)
        return sums
    describe(x, mask, x, sums, axes, &cut)
    with nogil:
        if single:
            kernels.add_float32(&cut, threads_for(size, SMALLEST_PARALLEL))
        else:
            kernels.add_float64(&cut, threads_for(size, SMALLEST_PARALLEL))
        end_call()
    return sums


cdef object merged_pair(cnp.ndarray first, object second):
    """The first, which is overwritten, with the second added."""
    cdef cnp.ndarray part = np.ascontiguousarray(second)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(first)
    with nogil:
        kernels.merge(
            <const part_sum *> cnp.PyArray_DATA(part), <part_sum *> cnp.PyArray_DATA(first), count
        )
    return first


def merged(sums):
    """The sums of several parts of the same slices together, in pairs: each merge has an error of its own."""
    level = [np.array(one, PART_SUM, order="C") for one in sums]
    while len(level) > 1:
        pairs = [merged_pair(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs):]
    return level[0]


def from_sums(str name, cnp.ndarray x, cnp.ndarray sums, tuple axes, mask=None):
    """The function of the elements of x, given the sums of their whole slices."""
    cdef slice_parts cut
    cdef slice_function function = FUNCTIONS[name]
    cdef cnp.ndarray out
    x, sums = np.require(x, None, ALIGNED), np.require(sums, None, ALIGNED)
    out = np.empty_like(x, subok=False)
    cdef Py_ssize_t size = cnp.PyArray_SIZE(x)
    cdef bint single = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT
    if size == 0:
        return out
    describe(x, mask, out, sums, axes, &cut)
    with nogil:
        if single:
            kernels.write_float32(function, &cut, threads_for(size, SMALLEST_PARALLEL))
        else:
            kernels.write_float64(function, &cut, threads_for(size, SMALLEST_PARALLEL))
        end_call()
    return out


def logsumexp_from_sums(cnp.ndarray sums, dtype):
    """One number for each sum."""
    cdef slice_parts cut
    cdef cnp.ndarray flat = np.require(sums, None, (ALIGNED, "C")).reshape(-1, 1)
    cdef cnp.ndarray out = np.empty((<object> flat).shape, dtype)
    if cnp.PyArray_SIZE(out):
        describe(out, None, out, flat, (1,), &cut)
        with nogil:
            if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT:
                kernels.write_float32(LOGSUMEXP, &cut, 1)
            else:
                kernels.write_float64(LOGSUMEXP, &cut, 1)
    return (<object> out).reshape((<object> sums).shape)
