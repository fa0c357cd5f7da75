"""The functions of one number, for compiled code: ``docs/scalar.rst`` says how to call them.

One number goes through the very loop that a block of an array goes through, of the instruction set that was
chosen at import: no second copy of the formulas could have other bits.
"""

from fastlogit import _isa

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport NAN

from fastlogit.kernels.arithmetic cimport enter, environment, float32, float64, leave
from fastlogit.kernels.clamp cimport clamp_bounds
from fastlogit.kernels.elementwise cimport elementwise_kernel, elementwise_kernels


# As ``kernels/elementwise.pyx`` has it.
ctypedef void (*block_of_function)(
    const real *x, real *out, Py_ssize_t n, real lower, real upper
) noexcept nogil


cdef const elementwise_kernels *kernels_of(str name) except NULL:
    return <const elementwise_kernels *> PyCapsule_GetPointer(
        _isa.kernels("elementwise")[name], "fastlogit.kernels.elementwise"
    )


cdef const elementwise_kernels *LOGIT = kernels_of("logit")
cdef const elementwise_kernels *CLAMPED_LOGIT = kernels_of("clamped_logit")
cdef const elementwise_kernels *EXPIT = kernels_of("expit")
cdef const elementwise_kernels *LOG_EXPIT = kernels_of("log_expit")
cdef const elementwise_kernels *SOFTPLUS = kernels_of("softplus")


cdef inline const elementwise_kernel *kernel_for(real *tag, const elementwise_kernels *row) noexcept nogil:
    return &row.float32 if real is float else &row.float64


cdef inline real between(const elementwise_kernels *row, real x, real lower, real upper) noexcept nogil:
    cdef real result
    (<block_of_function> kernel_for[real](NULL, row).block)(&x, &result, 1, lower, upper)
    return result


cdef inline real value(const elementwise_kernels *row, real x) noexcept nogil:
    cdef environment caller = enter()
    cdef const elementwise_kernel *kernel = kernel_for[real](NULL, row)
    cdef real result = between[real](row, x, <real> kernel.lower, <real> kernel.upper)
    leave(caller)
    return result


cdef inline real clamped_value(const elementwise_kernels *row, real x, double eps) noexcept nogil:
    cdef environment caller
    cdef real lower, upper, result
    if not 0 <= eps <= 0.5:
        return NAN
    caller = enter()
    if real is float:
        clamp_bounds[float32](eps, <float32 *> &lower, <float32 *> &upper)
    else:
        clamp_bounds[float64](eps, <float64 *> &lower, <float64 *> &upper)
    result = between[real](row, x, lower, upper)
    leave(caller)
    return result


cdef float logit_float32(float x) noexcept nogil:
    return value[float](LOGIT, x)


cdef double logit_float64(double x) noexcept nogil:
    return value[double](LOGIT, x)


cdef float clamped_logit_float32(float x, double eps) noexcept nogil:
    return clamped_value[float](CLAMPED_LOGIT, x, eps)


cdef double clamped_logit_float64(double x, double eps) noexcept nogil:
    return clamped_value[double](CLAMPED_LOGIT, x, eps)


cdef float expit_float32(float x) noexcept nogil:
    return value[float](EXPIT, x)


cdef double expit_float64(double x) noexcept nogil:
    return value[double](EXPIT, x)


cdef float log_expit_float32(float x) noexcept nogil:
    return value[float](LOG_EXPIT, x)


cdef double log_expit_float64(double x) noexcept nogil:
    return value[double](LOG_EXPIT, x)


cdef float softplus_float32(float x) noexcept nogil:
    return value[float](SOFTPLUS, x)


cdef double softplus_float64(double x) noexcept nogil:
    return value[double](SOFTPLUS, x)
