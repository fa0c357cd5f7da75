"""The element types and the operations of IEEE arithmetic on them."""

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "arithmetic.h" nogil:
    ctypedef float float32 "fastlogit_float32"
    ctypedef double float64 "fastlogit_float64"

    ctypedef double *exclusive_doubles "fastlogit_exclusive_doubles"
    ctypedef char *exclusive_bytes "fastlogit_exclusive_bytes"

    uint64_t bits64 "fastlogit_bits64"(double x) noexcept
    double from_bits64 "fastlogit_from_bits64"(uint64_t u) noexcept
    uint32_t bits32 "fastlogit_bits32"(float x) noexcept
    float from_bits32 "fastlogit_from_bits32"(uint32_t u) noexcept
    double negative_part64 "fastlogit_negative_part64"(double x) noexcept
    float negative_part32 "fastlogit_negative_part32"(float x) noexcept

    double muladd64 "fastlogit_muladd64"(double a, double b, double c) noexcept
    float muladd32 "fastlogit_muladd32"(float a, float b, float c) noexcept
    double residual64 "fastlogit_residual64"(double a, double b, double c) noexcept
    float residual32 "fastlogit_residual32"(float a, float b, float c) noexcept
    double residual_with_tail64 "fastlogit_residual_with_tail64"(
        double a, double b, double b_tail, double c) noexcept
    float residual_with_tail32 "fastlogit_residual_with_tail32"(
        float a, float b, float b_tail, float c) noexcept

    uint64_t multiply_integers "fastlogit_multiply_integers"(uint64_t a, uint64_t b, uint64_t *high) noexcept

    const bint FUSED "FASTLOGIT_FUSED"

    ctypedef struct environment "fastlogit_environment":
        pass
    environment enter "fastlogit_enter"() noexcept
    void leave "fastlogit_leave"(environment caller) noexcept
    void pin "fastlogit_pin"(void *number) noexcept


ctypedef long double longdouble


ctypedef fused real:
    float32
    float64


cdef inline real muladd(real a, real b, real c) noexcept nogil:
    """a * b + c, rounded once or twice."""
    if real is float32:
        return muladd32(a, b, c)
    else:
        return muladd64(a, b, c)


cdef inline real residual(real a, real b, real c) noexcept nogil:
    """c - a * b for a product near c, rounded once."""
    if real is float32:
        return residual32(a, b, c)
    else:
        return residual64(a, b, c)


cdef inline real residual_with_tail(real a, real b, real b_tail, real c) noexcept nogil:
    """c - a * (b + b_tail) for a product near c, the roundings far behind the last digit of c."""
    if real is float32:
        return residual_with_tail32(a, b, b_tail, c)
    else:
        return residual_with_tail64(a, b, b_tail, c)
