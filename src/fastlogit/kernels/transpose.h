/* A square tile of a matrix, as many elements wide as fit 32 bytes (16 where vectors are no wider), written
   with rows and columns exchanged. Cython has no word for a shuffle, and the compiler finds none in a loop. */
#ifndef FASTLOGIT_TRANSPOSE_H
#define FASTLOGIT_TRANSPOSE_H

#include <stddef.h>
#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#define FASTLOGIT_TILE_BYTES 32

static inline __m256 fastlogit_join32(const char *first, const char *second)
{
    return _mm256_insertf128_ps(
        _mm256_castps128_ps256(_mm_loadu_ps((const float *)first)), _mm_loadu_ps((const float *)second), 1);
}

static inline __m256d fastlogit_join64(const char *first, const char *second)
{
    return _mm256_insertf128_pd(
        _mm256_castpd128_pd256(_mm_loadu_pd((const double *)first)), _mm_loadu_pd((const double *)second), 1);
}

/* Pairs of floats, exchanged as doubles. */
static inline void fastlogit_store_pairs(
    __m256 first, __m256 second, char *target, ptrdiff_t target_stride)
{
    __m256d a = _mm256_castps_pd(first), b = _mm256_castps_pd(second);
    _mm256_storeu_pd((double *)target, _mm256_unpacklo_pd(a, b));
    _mm256_storeu_pd((double *)(target + target_stride), _mm256_unpackhi_pd(a, b));
}

static inline void fastlogit_transpose_tile32(
    const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride)
{
    __m256 low[4], high[4];
    int i;
    /* Rows i and i + 4 meet in one vector: their first four columns in low, the others in high. */
    for (i = 0; i < 4; i++) {
        const char *row = source + i * source_stride, *other = row + 4 * source_stride;
        low[i] = fastlogit_join32(row, other);
        high[i] = fastlogit_join32(row + 16, other + 16);
    }
    for (i = 0; i < 2; i++) {
        const __m256 *four = i ? high : low;
        char *rows = target + 4 * i * target_stride;
        fastlogit_store_pairs(
            _mm256_unpacklo_ps(four[0], four[1]), _mm256_unpacklo_ps(four[2], four[3]), rows, target_stride);
        fastlogit_store_pairs(
            _mm256_unpackhi_ps(four[0], four[1]), _mm256_unpackhi_ps(four[2], four[3]),
            rows + 2 * target_stride, target_stride);
    }
}

static inline void fastlogit_transpose_tile64(
    const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride)
{
    int i;
    for (i = 0; i < 2; i++) {
        const char *column = source + i * 16;
        char *rows = target + 2 * i * target_stride;
        __m256d even = fastlogit_join64(column, column + 2 * source_stride);
        __m256d odd = fastlogit_join64(column + source_stride, column + 3 * source_stride);
        _mm256_storeu_pd((double *)rows, _mm256_unpacklo_pd(even, odd));
        _mm256_storeu_pd((double *)(rows + target_stride), _mm256_unpackhi_pd(even, odd));
    }
}

#else
#define FASTLOGIT_TILE_BYTES 16

#define FASTLOGIT_TRANSPOSE_TILE(name, element)                                                    \
    static inline void name(                                                                       \
        const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride)        \
    {                                                                                              \
        enum { WIDTH = FASTLOGIT_TILE_BYTES / sizeof(element) };                                   \
        int i, j;                                                                                  \
        for (i = 0; i < WIDTH; i++)                                                                \
            for (j = 0; j < WIDTH; j++)                                                            \
                memcpy(                                                                            \
                    target + j * target_stride + i * sizeof(element),                              \
                    source + i * source_stride + j * sizeof(element), sizeof(element));            \
    }
FASTLOGIT_TRANSPOSE_TILE(fastlogit_transpose_tile32, float)
FASTLOGIT_TRANSPOSE_TILE(fastlogit_transpose_tile64, double)
#endif

/* A whole matrix of two to four columns, too few for a tile, to the rows of another, and back. With their number a
   constant and arrays that do not overlap the compiler finds the shuffles. Not inlined: what is around them keeps
   its registers. */
#define FASTLOGIT_MOST_FEW 4

#if defined(__GNUC__)
#define FASTLOGIT_APART __restrict__
#define FASTLOGIT_BY_ITSELF __attribute__((noinline, unused))
#else
#define FASTLOGIT_APART
#define FASTLOGIT_BY_ITSELF
#endif

#define FASTLOGIT_FOR_FEW(columns, rows, statement)                                                        \
    do {                                                                                                   \
        ptrdiff_t i, j;                                                                                    \
        for (j = 0; j < (rows); j++)                                                                       \
            for (i = 0; i < (columns); i++)                                                                \
                statement;                                                                                 \
    } while (0)
#define FASTLOGIT_BY_COLUMNS(columns, rows, statement)                                                     \
    do {                                                                                                   \
        if (columns == 2)                                                                                  \
            FASTLOGIT_FOR_FEW(2, rows, statement(2));                                                      \
        else if (columns == 3)                                                                             \
            FASTLOGIT_FOR_FEW(3, rows, statement(3));                                                      \
        else                                                                                               \
            FASTLOGIT_FOR_FEW(4, rows, statement(4));                                                      \
    } while (0)
#define FASTLOGIT_TAKE_ONE(few)                                                                            \
    memcpy(&target[i * target_columns + j], source + ((few) * j + i) * (ptrdiff_t)sizeof *target, sizeof *target)
#define FASTLOGIT_PUT_ONE(few)                                                                             \
    memcpy(target + ((few) * j + i) * (ptrdiff_t)sizeof *source, &source[i * source_columns + j], sizeof *source)

#define FASTLOGIT_FEW_COLUMNS(bits, element)                                                               \
    static FASTLOGIT_BY_ITSELF void fastlogit_take_few_columns##bits(                                      \
        const char *FASTLOGIT_APART source, ptrdiff_t columns, ptrdiff_t rows,                             \
        element *FASTLOGIT_APART target, ptrdiff_t target_columns)                                         \
    {                                                                                                      \
        FASTLOGIT_BY_COLUMNS(columns, rows, FASTLOGIT_TAKE_ONE);                                           \
    }                                                                                                      \
    static FASTLOGIT_BY_ITSELF void fastlogit_put_few_columns##bits(                                       \
        const element *FASTLOGIT_APART source, ptrdiff_t source_columns, char *FASTLOGIT_APART target,     \
        ptrdiff_t columns, ptrdiff_t rows)                                                                 \
    {                                                                                                      \
        FASTLOGIT_BY_COLUMNS(columns, rows, FASTLOGIT_PUT_ONE);                                            \
    }
FASTLOGIT_FEW_COLUMNS(32, float)
FASTLOGIT_FEW_COLUMNS(64, double)

#endif
