"""What a build of ``elementwise.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.strided cimport walk


cdef enum formula:
    LOGIT
    CLAMPED_LOGIT
    EXPIT
    LOG_EXPIT


ctypedef void (*transform)(
    formula which, const walk *path, double eps, int threads
) noexcept nogil


cdef struct elementwise_kernels:
    transform float32
    transform float64


cdef inline Py_ssize_t smallest_parallel(formula which, bint is_float32) noexcept nogil:
    """Elements from which two threads win, and half as many again (``benchmarks/thresholds.py``)."""
    if which == EXPIT:
        return 12288 if is_float32 else 5120
    if which == LOG_EXPIT:
        return 4096 if is_float32 else 2560
    return 6144 if is_float32 else 4608
