/* Threads that sleep, and where they wake up.

   A thread of libgomp that has found no work for a while sleeps, and waking it takes 50 to 150 us. That is longer than
   one thread needs for many a call, so a short call after a pause stays on one thread. A second one that follows at once
   does not: it wakes the threads up, and the third one finds them awake.

   Where processors share no cache that the system knows of, as in many virtual machines, it wakes a thread up on the
   processor of the one that calls, although another is idle. There it waits for the caller, who waits for it and spins
   until it sleeps in its turn, call after call: 170 to 330 us for what takes 7. So threads are woken up by a region of
   their own, in which the caller lets others run, and a thread that finds itself on the processor of the caller goes
   to another one. In a long row of calls there is such a region now and then, since whoever has to wait for too long
   in a call, perhaps because the system needs a processor, sleeps and is woken up in the wrong place, too. */

#ifndef FASTLOGIT_WAKING_H
#define FASTLOGIT_WAKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_OPENMP) && defined(__linux__)

#include <sched.h>
#include <time.h>

enum {
    SPINNING = 20000, /* ns that idle threads stay awake at least: less than those of _runtime.py */
    APART = 1000000 /* ns for which threads that are on processors of their own are taken to stay there */
};

static ptrdiff_t worth_waking; /* see _tuning.py */

static bool sleep_at_once; /* idle threads, as the user wants them to: so there is no row of calls to find them awake */

/* Of this thread, in ns: when the last call ended, the last one with threads, and when threads were woken up. */
static _Thread_local int64_t last_call, last_region, last_waking;
static _Thread_local bool call_counts, call_has_threads;

static int64_t monotonic_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

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
    int64_t now;
    bool awake;
    if (sleep_at_once)
        return multiple >= worth_waking;
    now = monotonic_time();
    awake = now - last_region <= SPINNING;
    call_counts = true;
    call_has_threads = awake || now - last_call <= SPINNING || multiple >= worth_waking;
    if (call_has_threads && !(awake && now - last_waking <= APART)) {
        wake_threads(threads);
        last_waking = now;
    }
    return call_has_threads;
}

/* How long a call took is known only then: from an estimate that is too short, each second call of a row would find
   the threads asleep, as it believes, and leave them so. */
static void note_end(void)
{
    if (!call_counts)
        return;
    last_call = monotonic_time();
    if (call_has_threads)
        last_region = last_call;
    call_counts = false;
}

#else

static bool sleep_at_once;
static ptrdiff_t worth_waking;
static bool wake_for(ptrdiff_t multiple, int threads) { (void)multiple; (void)threads; return true; }
static void note_end(void) { }

#endif

#endif
