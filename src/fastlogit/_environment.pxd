"""The whole floating-point environment of a thread, for what the C library and NumPy compute.

The kernels set aside only the part that they compute with (``arithmetic.h``), which is quicker.
"""

cdef extern from "<fenv.h>" nogil:
    ctypedef struct fenv_t:
        pass
    int fegetenv(fenv_t *) noexcept
    int fesetenv(const fenv_t *) noexcept
    const fenv_t *FE_DFL_ENV


cdef inline void enter_default(fenv_t *caller) noexcept nogil:
    """To nearest, no exception trapped, subnormal numbers kept; ``fesetenv(caller)`` gives all back."""
    fegetenv(caller)
    fesetenv(FE_DFL_ENV)
