"""What the functions need to know of an ndarray before a kernel may take it."""

cimport numpy as cnp
from cpython.object cimport PyObject


cdef extern from "numpy/arrayobject.h":
    bint PyArray_SAMESHAPE(cnp.ndarray, cnp.ndarray) noexcept
    cnp.ndarray PyArray_NewLikeArray(cnp.ndarray, cnp.NPY_ORDER, PyObject *descr, int subok)


cdef inline cnp.ndarray new_like(cnp.ndarray x):
    """An uninitialised ndarray of the shape, dtype and order of ``x``."""
    return PyArray_NewLikeArray(x, cnp.NPY_KEEPORDER, NULL, 0)


cdef inline bint is_native_float(cnp.ndarray array):
    """float32 or float64 in the byte order of the machine."""
    return (
        cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE or cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT
    ) and cnp.PyArray_ISNOTSWAPPED(array)


cdef inline bint is_real(cnp.ndarray array):
    """Whether its elements have an order: bool, integers and floating-point numbers."""
    cdef int kind = cnp.PyArray_TYPE(array)
    return cnp.PyTypeNum_ISBOOL(kind) or cnp.PyTypeNum_ISINTEGER(kind) or cnp.PyTypeNum_ISFLOAT(kind)


cdef inline bint can_take_result_of(cnp.ndarray out, cnp.ndarray x):
    """Whether a kernel may write a result of the shape and dtype of ``x`` to ``out`` while it reads ``x``."""
    return (
        cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(x)
        and cnp.PyArray_ISNOTSWAPPED(out)
        and cnp.PyArray_ISWRITEABLE(out)
        and PyArray_SAMESHAPE(x, out)
        and same_elements_or_apart(x, out)
    )


cdef inline bint same_elements_or_apart(cnp.ndarray x, cnp.ndarray out):
    """Whether writing an element of ``out`` can only change the element of ``x`` at the same place.

    Of arrays with elements of one size. Ranges of memory that do not meet are told at once; NumPy tells
    whether the elements of those that do lie between each other.
    """
    cdef int axis
    cdef Py_ssize_t extent, x_low = 0, x_high, out_low = 0, out_high
    cdef bint same = cnp.PyArray_BYTES(x) == cnp.PyArray_BYTES(out)
    x_high = out_high = cnp.PyArray_ITEMSIZE(x)
    for axis in range(cnp.PyArray_NDIM(x)):
        extent = (cnp.PyArray_DIM(x, axis) - 1) * cnp.PyArray_STRIDE(x, axis)
        x_high += max(extent, 0)
        x_low += min(extent, 0)
        same = same and (
            cnp.PyArray_STRIDE(x, axis) == cnp.PyArray_STRIDE(out, axis)
            or cnp.PyArray_DIM(x, axis) == 1
        )
        extent = (cnp.PyArray_DIM(x, axis) - 1) * cnp.PyArray_STRIDE(out, axis)
        out_high += max(extent, 0)
        out_low += min(extent, 0)
    return (
        same
        or cnp.PyArray_BYTES(x) + x_high <= cnp.PyArray_BYTES(out) + out_low
        or cnp.PyArray_BYTES(out) + out_high <= cnp.PyArray_BYTES(x) + x_low
        or not shares_elements(x, out)
    )


cdef inline bint shares_elements(cnp.ndarray x, cnp.ndarray out):
    from fastlogit._arguments import share_memory

    return share_memory(x, out)
