/* Which threads OpenMP can be asked for here and now: after fork(), and where the system grants no more.

   libgomp, the OpenMP runtime of gcc, keeps a pool of threads for each thread that enters parallel regions. fork()
   copies the record of the pool and none of its threads, and the next region would wait for them forever. A pool
   can be dead only for the one thread that a fork leaves, the main thread of the child. There are two cures:

   - Before the fork, the pool of the forking thread is dismissed (omp_pause_resource_all). Its threads are idle,
     otherwise the thread would not be there to fork. Parent and child each start a new one when they need it.

   - After a fork that nobody could prepare, because fastlogit was not loaded yet or the fork went past
     pthread_atfork, the main thread enters a region of one thread and stays there. Regions inside of a region
     have threads of their own, which live as long as the region: 28 us for two, but nothing waits for the dead.

   The runtime of LLVM has handlers for fork() itself. */

#ifndef FASTLOGIT_OPENMP_H
#define FASTLOGIT_OPENMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_max_threads(void) { return 1; }
static int omp_get_num_procs(void) { return 1; }
static int omp_in_parallel(void) { return 0; }
#endif

/* What one thread has been told and has seen of OpenMP. */
typedef struct {
    int requested; /* by num_threads; 0: nothing */
    int started;   /* as many threads as this were seen to start at once */
    int limit;     /* more than this did not; 0: not met */
    bool ready;    /* the pool was dismissed before the fork under way, or is never used */
    bool nested;   /* inside a region for ever: each further one starts threads of its own */
    bool serial;   /* left by a fork inside of a region: its pool is dead, and must not be entered */
} openmp_thread;

static _Thread_local openmp_thread here;
static bool pools_die; /* the runtime is libgomp */
static _Atomic int requested_by_all; /* by set_num_threads; 0: nothing */

#if defined(_OPENMP) && !defined(_WIN32)

#ifndef __USE_GNU
#define __USE_GNU
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

enum { PAUSE_SOFT = 1 }; /* omp_pause_soft, which omp.h has since OpenMP 5.0 */

static int (*pause_pool)(int);
static void (*start_region)(void (*)(void *), void *, unsigned);
static _Atomic pid_t process;
static _Atomic bool main_pool_may_be_dead;

static const char *openmp_library(void)
{
    Dl_info info;
    return dladdr((void *)omp_get_max_threads, &info) ? info.dli_fname : "";
}

static bool is_main_thread(void)
{
#ifdef __linux__
    return syscall(SYS_gettid) == getpid();
#else
    return true;
#endif
}

static void nothing(void *unused) { (void)unused; }

static void never_use_pool(void)
{
    if (start_region) {
        start_region(nothing, NULL, 1);
        here.nested = true;
    } else
        here.serial = true;
}

/* Before this thread enters a region: whether its pool is alive, or not needed. */
static void notice_fork(void)
{
    pid_t now;
    if (!pools_die)
        return;
    now = getpid();
    if (now != process) {
        process = now;
        main_pool_may_be_dead = true;
    }
    if (main_pool_may_be_dead && !here.nested && !here.serial && is_main_thread()) {
        if (omp_get_level() == 0)
            never_use_pool();
        else
            here.serial = true;
    }
}

static void before_fork(void)
{
    notice_fork();
    here.ready = here.nested || (pause_pool && pause_pool(PAUSE_SOFT) == 0);
}

static void after_fork_in_parent(void) { here.started = 0; }

static void after_fork_in_child(void)
{
    process = getpid();
    main_pool_may_be_dead = false;
    here.started = here.limit = 0;
    if (here.ready)
        return;
    if (omp_get_level() == 0)
        never_use_pool();
    else
        here.serial = true;
}

/* inherited: a fork left this process, and libgomp was in it before fastlogit. */
static int watch_forks(bool inherited)
{
    void *library = dlopen(openmp_library(), RTLD_LAZY | RTLD_NOLOAD);
    if (library && dlsym(library, "__kmpc_fork_call"))
        return 0;
    pools_die = true;
    process = getpid();
    main_pool_may_be_dead = inherited;
    if (library) {
        *(void **)&pause_pool = dlsym(library, "omp_pause_resource_all");
        *(void **)&start_region = dlsym(library, "GOMP_parallel_start");
    }
    return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void *wait_for_all(void *all_started)
{
    pthread_mutex_lock(all_started);
    pthread_mutex_unlock(all_started);
    return NULL;
}

/* How many of so many more threads, with stacks of so many bytes (0: the default), start at once. */
static int threads_that_start(int wanted, size_t stack_bytes)
{
    pthread_t *threads; /* not on the stack, which may be a small one */
    pthread_mutex_t all_started = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    sigset_t all, before;
    int started = 0, i;
    threads = malloc((size_t)wanted * sizeof *threads);
    if (!threads)
        return 0;
    if (pthread_attr_init(&attributes)) {
        free(threads);
        return 0;
    }
    if (stack_bytes)
        pthread_attr_setstacksize(&attributes, stack_bytes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&all_started);
    while (started < wanted
           && pthread_create(&threads[started], &attributes, wait_for_all, &all_started) == 0)
        started++;
    pthread_mutex_unlock(&all_started);
    pthread_sigmask(SIG_SETMASK, &before, NULL); /* before the wait, which an alarm can end */
    for (i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    free(threads);
    return started;
}

#else

static const char *openmp_library(void) { return ""; }
static void notice_fork(void) {}
static int watch_forks(bool inherited) { (void)inherited; return 0; }
static int threads_that_start(int wanted, size_t stack_bytes) { (void)stack_bytes; return wanted; }

#endif

#endif
