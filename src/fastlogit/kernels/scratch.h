/* Memory of the thread that asks, kept for its next call until it ends. The stack of a thread may have 16 KiB
   (OMP_STACKSIZE, threading.stack_size), and malloc takes longer than softmax of eight elements. */
#ifndef FASTLOGIT_SCRATCH_H
#define FASTLOGIT_SCRATCH_H

#include <stddef.h>
#include <stdlib.h>

#ifdef _WIN32
#include <malloc.h>
#include <windows.h>
#define FASTLOGIT_AT_THREAD_END WINAPI
typedef DWORD fastlogit_thread_key;
#define fastlogit_aligned_alloc(alignment, size) _aligned_malloc(size, alignment)
#define fastlogit_aligned_free _aligned_free
#else
#include <pthread.h>
#define FASTLOGIT_AT_THREAD_END
typedef pthread_key_t fastlogit_thread_key;
#define fastlogit_aligned_alloc aligned_alloc
#define fastlogit_aligned_free free
#endif

#include "memory.h"

typedef struct {
    char *memory;
    size_t size;
} fastlogit_scratch;

static _Thread_local fastlogit_scratch fastlogit_scratch_here;
static fastlogit_thread_key fastlogit_scratch_key;

static void FASTLOGIT_AT_THREAD_END fastlogit_end_scratch(void *memory)
{
    fastlogit_scratch_here.memory = NULL;
    fastlogit_scratch_here.size = 0;
    fastlogit_aligned_free(memory);
}

/* At import. Not 0 where there is no key left. */
static int fastlogit_begin_scratch(void)
{
#ifdef _WIN32
    fastlogit_scratch_key = FlsAlloc(fastlogit_end_scratch);
    return fastlogit_scratch_key == FLS_OUT_OF_INDEXES;
#else
    return pthread_key_create(&fastlogit_scratch_key, fastlogit_end_scratch);
#endif
}

static int fastlogit_keep_until_thread_ends(void *memory)
{
#ifdef _WIN32
    return !FlsSetValue(fastlogit_scratch_key, memory);
#else
    return pthread_setspecific(fastlogit_scratch_key, memory);
#endif
}

/* So many bytes, which begin where a line does and may hold anything; NULL where memory is wanting. */
static void *fastlogit_scratch_of_thread(size_t size)
{
    fastlogit_scratch *here = &fastlogit_scratch_here;
    char *memory;
    if (here->size >= size)
        return here->memory;
    size = (size + FASTLOGIT_LINE - 1) / FASTLOGIT_LINE * FASTLOGIT_LINE;
    memory = fastlogit_aligned_alloc(FASTLOGIT_LINE, size);
    if (!memory)
        return NULL;
    if (fastlogit_keep_until_thread_ends(memory)) {
        fastlogit_aligned_free(memory);
        return NULL;
    }
    fastlogit_aligned_free(here->memory);
    here->memory = memory;
    here->size = size;
    return memory;
}

#endif
