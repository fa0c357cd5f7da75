"""The bounds that an argument is brought between, in the arithmetic of its type."""

from libc.math cimport nextafter, nextafterf, nextafterl

from fastlogit.kernels.arithmetic cimport float32, float64, longdouble


ctypedef fused any_real:
    float32
    float64
    longdouble


cdef inline void clamp_bounds(double eps, any_real *lower, any_real *upper) noexcept nogil:
    """eps and 1 - eps in the arithmetic of the type, neither of them 0 or 1 unless eps is 0."""
    cdef any_real smallest, largest
    lower[0] = <any_real> eps
    upper[0] = 1 - lower[0]
    if eps > 0:
        if any_real is float32:
            smallest = nextafterf(0, 1)
            largest = nextafterf(1, 0)
        elif any_real is float64:
            smallest = nextafter(0, 1)
            largest = nextafter(1, 0)
        else:
            smallest = nextafterl(0, 1)
            largest = nextafterl(1, 0)
        lower[0] = max(lower[0], smallest)
        upper[0] = min(upper[0], largest)
