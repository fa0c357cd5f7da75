"""What the functions need to know of an ndarray before a kernel may take it."""

cimport numpy as cnp


cdef inline bint same_elements_or_apart(cnp.ndarray x, cnp.ndarray out):
    """Whether writing an element of ``out`` can only change the element of ``x`` at the same place."""
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
    )
