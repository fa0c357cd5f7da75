/* Every second element, to and from contiguous memory. Cython has no word for a store that leaves elements
   out, and the compiler finds none in a loop: what lies between is not ours, another thread may be writing it. */
#ifndef FASTLOGIT_ROWS_H
#define FASTLOGIT_ROWS_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__)
#define FASTLOGIT_ALONE __restrict__
#else
#define FASTLOGIT_ALONE
#endif

#if defined(__AVX512F__)
#include <immintrin.h>

/* Whole vectors of elements; how many these are. */
static inline ptrdiff_t fastlogit_put_vectors32(const float *source, char *target, ptrdiff_t n)
{
    const __m512i low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    ptrdiff_t i;
    for (i = 0; i + 16 <= n; i += 16) {
        __m512 elements = _mm512_loadu_ps(source + i);
        _mm512_mask_storeu_ps(target + 8 * i, 0x5555, _mm512_permutexvar_ps(low, elements));
        _mm512_mask_storeu_ps(target + 8 * i + 64, 0x5555, _mm512_permutexvar_ps(high, elements));
    }
    return i;
}
static inline ptrdiff_t fastlogit_put_vectors64(const double *source, char *target, ptrdiff_t n)
{
    const __m512i low = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    const __m512i high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
    ptrdiff_t i;
    for (i = 0; i + 8 <= n; i += 8) {
        __m512d elements = _mm512_loadu_pd(source + i);
        _mm512_mask_storeu_pd(target + 16 * i, 0x55, _mm512_permutexvar_pd(low, elements));
        _mm512_mask_storeu_pd(target + 16 * i + 64, 0x55, _mm512_permutexvar_pd(high, elements));
    }
    return i;
}
#else
/* AVX2 has masked stores, too, which on Zen 4 take 3 cycles an element, where single stores take 1. */
static inline ptrdiff_t fastlogit_put_vectors32(const float *source, char *target, ptrdiff_t n)
{
    (void)source, (void)target, (void)n;
    return 0;
}
static inline ptrdiff_t fastlogit_put_vectors64(const double *source, char *target, ptrdiff_t n)
{
    (void)source, (void)target, (void)n;
    return 0;
}
#endif

#define FASTLOGIT_EVERY_SECOND(bits, element)                                                              \
    static inline void fastlogit_take_every_second##bits(                                                  \
        const char *FASTLOGIT_ALONE source, element *FASTLOGIT_ALONE target, ptrdiff_t n)                  \
    {                                                                                                      \
        ptrdiff_t i;                                                                                       \
        for (i = 0; i < n; i++) {                                                                          \
            element x;                                                                                     \
            memcpy(&x, source + 2 * i * (ptrdiff_t)sizeof x, sizeof x);                                    \
            target[i] = x;                                                                                 \
        }                                                                                                  \
    }                                                                                                      \
    static inline void fastlogit_put_every_second##bits(                                                   \
        const element *FASTLOGIT_ALONE source, char *FASTLOGIT_ALONE target, ptrdiff_t n)                  \
    {                                                                                                      \
        ptrdiff_t i;                                                                                       \
        for (i = fastlogit_put_vectors##bits(source, target, n); i < n; i++)                               \
            memcpy(target + 2 * i * (ptrdiff_t)sizeof *source, source + i, sizeof *source);                \
    }
FASTLOGIT_EVERY_SECOND(32, float)
FASTLOGIT_EVERY_SECOND(64, double)

#endif
