/* Threads that sleep, and where they wake up.

   A thread of libgomp that has found no work for a while sleeps, and waking it takes 50 us. That is longer than one
   thread needs for many a call, so a short call after a pause stays on one thread. A second one that follows at once
   does not: it wakes the threads up, and the third one finds them awake.

   Where processors share no cache that the system knows of, as in many virtual machines, it wakes a thread up on the
   processor of the one that calls, although another is idle. There it waits for the caller, who waits for it and spins
   until it sleeps in its turn, call after call: 170 to 330 us for what takes 7. So threads are woken up by a region of
   their own, in which the caller lets others run, and a thread that finds itself on the processor of the caller goes
   to another one. */

#ifndef FASTLOGIT_WAKING_H
#define FASTLOGIT_WAKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(_OPENMP) && defined(__linux__)

#include <sched.h>
#include <time.h>

enum {
    SPINNING = 30000, /* ns that idle threads stay awake, with the GOMP_SPINCOUNT of _runtime.py */
    /* ns that one thread needs for the smallest call that may use more: at most, about, and with AVX-512 */
    SMALLEST_CALL = 20000,
    SHORTEST_CALL = 8000,
    WORTH_WAKING = 10 /* such multiples: for those one thread needs twice as long as waking another one takes */
};

static bool sleep_at_once; /* idle threads, as the user wants them to: so there is no row of calls to find them awake */

/* Estimates of when the last call of this thread ended, and the last one that used others; ns. */
static _Thread_local int64_t last_call, last_region;

/* The affinity is left as it was; a system with more processors than a cpu_set_t has fails here, and all stays. */
static void leave_processor(int processor)
{
    cpu_set_t allowed, others;
    if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed))
        return;
    others = allowed;
    CPU_CLR(processor, &others);
    if (CPU_COUNT(&others) && sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
}

static void wake_threads(int threads)
{
    atomic_int awake = 0;
    int processor = sched_getcpu();
#pragma omp parallel num_threads(threads)
    {
        if (omp_get_thread_num() == 0) {
            while (atomic_load(&awake) < omp_get_num_threads() - 1)
                sched_yield();
        } else {
            if (sched_getcpu() == processor)
                leave_processor(processor);
            atomic_fetch_add(&awake, 1);
        }
    }
}

/* Whether a call of so many times the smallest parallel one is to use threads. If so they are awake. */
static bool wake_for(ptrdiff_t multiple, int threads)
{
    struct timespec time;
    int64_t now;
    bool in_a_row, awake;
    if (sleep_at_once)
        return multiple >= WORTH_WAKING;
    clock_gettime(CLOCK_MONOTONIC, &time);
    now = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
    in_a_row = now - last_call <= SPINNING;
    awake = now - last_region <= SPINNING;
    last_call = now + multiple * SMALLEST_CALL;
    if (!awake && !in_a_row && multiple < WORTH_WAKING)
        return false;
    last_call = last_region = now + multiple * SHORTEST_CALL / threads;
    if (!awake)
        wake_threads(threads);
    return true;
}

#else

static bool sleep_at_once;
static bool wake_for(ptrdiff_t multiple, int threads) { (void)multiple; (void)threads; return true; }

#endif

#endif
