"""The functions of one number, for other Cython code and for all that calls a C function.

    from fastlogit.scalar cimport expit, logit, log_expit, softplus

``expit(x)`` of a float is a float, of a double a double, with the bits of the array functions. Nothing is
raised, the GIL is not needed, and the floating-point environment of the caller neither matters nor changes.
"""

ctypedef fused real:
    float
    double

cdef float logit_float32(float x) noexcept nogil
cdef double logit_float64(double x) noexcept nogil
cdef float clamped_logit_float32(float x, double eps) noexcept nogil
cdef double clamped_logit_float64(double x, double eps) noexcept nogil
cdef float expit_float32(float x) noexcept nogil
cdef double expit_float64(double x) noexcept nogil
cdef float log_expit_float32(float x) noexcept nogil
cdef double log_expit_float64(double x) noexcept nogil
cdef float softplus_float32(float x) noexcept nogil
cdef double softplus_float64(double x) noexcept nogil


cdef inline real logit(real x) noexcept nogil:
    """log(x / (1 - x)): -inf at 0, inf at 1, NaN outside."""
    return logit_float32(x) if real is float else logit_float64(x)


cdef inline real clamped_logit(real x, double eps) noexcept nogil:
    """`logit` of x brought into [eps, 1 - eps]; NaN for an eps that is not in [0, 0.5]."""
    return clamped_logit_float32(x, eps) if real is float else clamped_logit_float64(x, eps)


cdef inline real expit(real x) noexcept nogil:
    """1 / (1 + exp(-x))."""
    return expit_float32(x) if real is float else expit_float64(x)


cdef inline real log_expit(real x) noexcept nogil:
    """log(expit(x))."""
    return log_expit_float32(x) if real is float else log_expit_float64(x)


cdef inline real softplus(real x) noexcept nogil:
    """log(1 + exp(x))."""
    return softplus_float32(x) if real is float else softplus_float64(x)
