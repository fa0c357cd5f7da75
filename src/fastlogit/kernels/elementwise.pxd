"""What a build of ``elementwise.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.strided cimport walk


ctypedef void (*function_pointer)() noexcept nogil


# One function for one element type.
cdef struct elementwise_kernel:
    void (*transform)(
        const elementwise_kernel *kernel, const walk *path, double eps, int threads
    ) noexcept nogil
    function_pointer block  # a `block_of_function` of ``elementwise.pyx``
    # What the block brings an element into, or has a faster formula for; exact in double.
    double lower
    double upper
    bint clamped  # then the bounds are eps and 1 - eps instead
    Py_ssize_t smallest_parallel  # elements


# A function: a row of the table.
cdef struct elementwise_kernels:
    elementwise_kernel float32
    elementwise_kernel float64
