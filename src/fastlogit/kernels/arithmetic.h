/* What IEEE arithmetic needs and Cython cannot say. No mathematics stands here. */
#ifndef FASTLOGIT_ARITHMETIC_H
#define FASTLOGIT_ARITHMETIC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Element types that may stand at any address: the compiler then never assumes alignment, and arrays
   that NumPy calls unaligned need no copy. On registers the attribute changes nothing. */
#if defined(__GNUC__)
typedef float fastlogit_float32 __attribute__((aligned(1)));
typedef double fastlogit_float64 __attribute__((aligned(1)));
#else
typedef float fastlogit_float32;
typedef double fastlogit_float64;
#endif

/* A parameter through which alone its memory is reached, so that loops that write there need no check. */
#if defined(__GNUC__)
typedef double *__restrict__ fastlogit_exclusive_doubles;
typedef char *__restrict__ fastlogit_exclusive_bytes;
#else
typedef double *fastlogit_exclusive_doubles;
typedef char *fastlogit_exclusive_bytes;
#endif

static inline uint64_t fastlogit_bits64(double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }
static inline double fastlogit_from_bits64(uint64_t u) { double x; memcpy(&x, &u, sizeof x); return x; }
static inline double fastlogit_negative_part64(double x)
{
    return fastlogit_from_bits64(fastlogit_bits64(x) & (uint64_t)((int64_t)fastlogit_bits64(x) >> 63));
}
static inline uint32_t fastlogit_bits32(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
static inline float fastlogit_from_bits32(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
static inline float fastlogit_negative_part32(float x)
{
    return 0 < x ? 0 : x; /* NaN, of either sign, stays what it is */
}

/* muladd: a * b + c, rounded once or twice, whichever the processor does at full speed.
   residual: c - a * b with the product exact, for a product near c.
   residual_with_tail: c - a * (b + b_tail), for a b_tail in the last digits of b.
   Where there is no fused instruction the factors are cut into two halves, the upper one short enough that
   its products are exact; what a_low * b loses is 2^-79 of the product. A float product is exact in double. */
#if defined(__FMA__) || defined(__aarch64__) || defined(__FP_FAST_FMA)
#define FASTLOGIT_FUSED 1
static inline double fastlogit_muladd64(double a, double b, double c) { return fma(a, b, c); }
static inline float fastlogit_muladd32(float a, float b, float c) { return fmaf(a, b, c); }
static inline double fastlogit_residual64(double a, double b, double c) { return fma(-a, b, c); }
static inline float fastlogit_residual32(float a, float b, float c) { return fmaf(-a, b, c); }
static inline double fastlogit_residual_with_tail64(double a, double b, double b_tail, double c)
{
    return fma(-a, b_tail, fma(-a, b, c));
}
static inline float fastlogit_residual_with_tail32(float a, float b, float b_tail, float c)
{
    return fmaf(-a, b_tail, fmaf(-a, b, c));
}
#else
#define FASTLOGIT_FUSED 0
static inline double fastlogit_muladd64(double a, double b, double c) { return a * b + c; }
static inline float fastlogit_muladd32(float a, float b, float c) { return a * b + c; }
static inline double fastlogit_upper_half64(double x)
{
    return fastlogit_from_bits64(fastlogit_bits64(x) & ~(uint64_t)0x7ffffff);
}
static inline double fastlogit_residual_with_tail64(double a, double b, double b_tail, double c)
{
    double a_high = fastlogit_upper_half64(a), b_high = fastlogit_upper_half64(b);
    return ((c - a_high * b_high) - a_high * ((b - b_high) + b_tail)) - (a - a_high) * b;
}
static inline float fastlogit_residual_with_tail32(float a, float b, float b_tail, float c)
{
    return (float)((double)c - (double)a * ((double)b + (double)b_tail));
}
static inline double fastlogit_residual64(double a, double b, double c)
{
    return fastlogit_residual_with_tail64(a, b, -0.0, c); /* x + -0.0 is x: the compiler leaves it out */
}
static inline float fastlogit_residual32(float a, float b, float c)
{
    return fastlogit_residual_with_tail32(a, b, -0.0f, c);
}
#endif

/* The 128 bits of a product of integers: the lower half, and the upper one through ``high``. */
#if defined(__SIZEOF_INT128__)
static inline uint64_t fastlogit_multiply_integers(uint64_t a, uint64_t b, uint64_t *high)
{
    __extension__ typedef unsigned __int128 uint128;
    uint128 product = (uint128)a * b;
    *high = (uint64_t)(product >> 64);
    return (uint64_t)product;
}
#else
static inline uint64_t fastlogit_multiply_integers(uint64_t a, uint64_t b, uint64_t *high)
{
    uint64_t a_low = (uint32_t)a, a_high = a >> 32, b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t low = a_low * b_low, middle = a_high * b_low + (low >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;
    *high = a_high * b_high + (middle >> 32) + (other >> 32);
    return (other << 32) | (uint32_t)low;
}
#endif

/* The floating-point environment of the thread, set aside while a kernel runs: to nearest, subnormal
   numbers kept (another library may have switched them off for the whole process), and no flag raised
   that the caller could see. */
#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned int fastlogit_environment;
static inline fastlogit_environment fastlogit_enter(void)
{
    fastlogit_environment caller = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return caller;
}
static inline void fastlogit_leave(fastlogit_environment caller) { _mm_setcsr(caller); }
#else
#include <fenv.h>
typedef fenv_t fastlogit_environment;
static inline fastlogit_environment fastlogit_enter(void)
{
    fastlogit_environment caller;
    fegetenv(&caller);
    fesetenv(FE_DFL_ENV);
    return caller;
}
static inline void fastlogit_leave(fastlogit_environment caller) { fesetenv(&caller); }
#endif

/* What stands there has been computed by now, and is read anew after this. No compiler knows that arithmetic
   depends on the environment: it may move what it has in registers before the entrance, or behind the exit. */
static inline void fastlogit_pin(void *number)
{
#if defined(__GNUC__)
    __asm__ volatile("" : : "r"(number) : "memory");
#else
    (void)*(volatile char *)number;
#endif
}

#endif
