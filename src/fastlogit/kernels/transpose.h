/* A square tile of a matrix, as many elements wide as fit 32 bytes (16 where vectors are no wider), written
   with rows and columns exchanged. Cython has no word for a shuffle, and the compiler finds none in a loop. */
#ifndef FASTLOGIT_TRANSPOSE_H
#define FASTLOGIT_TRANSPOSE_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__) && defined(__AVX__)
#define FASTLOGIT_TILE_BYTES 32

typedef float fastlogit_floats __attribute__((vector_size(32)));
typedef double fastlogit_doubles __attribute__((vector_size(32)));
typedef float fastlogit_four_floats __attribute__((vector_size(16)));
typedef double fastlogit_two_doubles __attribute__((vector_size(16)));

static inline void fastlogit_transpose_tile32(
    const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride)
{
    fastlogit_floats low[4], high[4], pair[8];
    int i;
    /* Rows i and i + 4 meet in one vector: their first four columns in low, the others in high. */
    for (i = 0; i < 4; i++) {
        fastlogit_four_floats first, second;
        memcpy(&first, source + i * source_stride, 16);
        memcpy(&second, source + (i + 4) * source_stride, 16);
        low[i] = __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7);
        memcpy(&first, source + i * source_stride + 16, 16);
        memcpy(&second, source + (i + 4) * source_stride + 16, 16);
        high[i] = __builtin_shufflevector(first, second, 0, 1, 2, 3, 4, 5, 6, 7);
    }
    for (i = 0; i < 4; i += 2) {
        pair[i] = __builtin_shufflevector(low[i], low[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pair[i + 1] = __builtin_shufflevector(low[i], low[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
        pair[i + 4] = __builtin_shufflevector(high[i], high[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pair[i + 5] = __builtin_shufflevector(high[i], high[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (i = 0; i < 8; i += 4) {
        low[0] = __builtin_shufflevector(pair[i], pair[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        low[1] = __builtin_shufflevector(pair[i], pair[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        low[2] = __builtin_shufflevector(pair[i + 1], pair[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        low[3] = __builtin_shufflevector(pair[i + 1], pair[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
        memcpy(target + i * target_stride, &low[0], sizeof low[0]);
        memcpy(target + (i + 1) * target_stride, &low[1], sizeof low[1]);
        memcpy(target + (i + 2) * target_stride, &low[2], sizeof low[2]);
        memcpy(target + (i + 3) * target_stride, &low[3], sizeof low[3]);
    }
}

static inline void fastlogit_transpose_tile64(
    const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride)
{
    fastlogit_doubles low[2], high[2], row[4];
    int i;
    for (i = 0; i < 2; i++) {
        fastlogit_two_doubles first, second;
        memcpy(&first, source + i * source_stride, 16);
        memcpy(&second, source + (i + 2) * source_stride, 16);
        low[i] = __builtin_shufflevector(first, second, 0, 1, 2, 3);
        memcpy(&first, source + i * source_stride + 16, 16);
        memcpy(&second, source + (i + 2) * source_stride + 16, 16);
        high[i] = __builtin_shufflevector(first, second, 0, 1, 2, 3);
    }
    row[0] = __builtin_shufflevector(low[0], low[1], 0, 4, 2, 6);
    row[1] = __builtin_shufflevector(low[0], low[1], 1, 5, 3, 7);
    row[2] = __builtin_shufflevector(high[0], high[1], 0, 4, 2, 6);
    row[3] = __builtin_shufflevector(high[0], high[1], 1, 5, 3, 7);
    for (i = 0; i < 4; i++)
        memcpy(target + i * target_stride, &row[i], sizeof row[i]);
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

#endif
