/* What is said to the memory and not computed: hints, and stores that pass the caches by. Cython has no
   words for them. Elsewhere than on x86 the stores are ordinary ones. */
#ifndef FASTLOGIT_MEMORY_H
#define FASTLOGIT_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define FASTLOGIT_PREFETCH(address) __builtin_prefetch((address), 0, 3)
#define FASTLOGIT_PREFETCH_FAR(address) __builtin_prefetch((address), 0, 2)
#else
#define FASTLOGIT_PREFETCH(address) ((void)(address))
#define FASTLOGIT_PREFETCH_FAR(address) ((void)(address))
#endif

#define FASTLOGIT_LINE 64

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>

/* One cache line; the target begins a line. */
static inline void fastlogit_stream_line(char *target, const char *source)
{
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)target, _mm512_loadu_si512(source));
#elif defined(__AVX__)
    _mm256_stream_si256((void *)target, _mm256_loadu_si256((const void *)source));
    _mm256_stream_si256((void *)(target + 32), _mm256_loadu_si256((const void *)(source + 32)));
#else
    int i;
    for (i = 0; i < FASTLOGIT_LINE; i += 16)
        _mm_stream_si128((void *)(target + i), _mm_loadu_si128((const void *)(source + i)));
#endif
}

/* The stores before this are seen by other threads before those after it. */
static inline void fastlogit_end_streaming(void) { _mm_sfence(); }
#else
static inline void fastlogit_stream_line(char *target, const char *source)
{
    memcpy(target, source, FASTLOGIT_LINE);
}
static inline void fastlogit_end_streaming(void) {}
#endif

#endif
