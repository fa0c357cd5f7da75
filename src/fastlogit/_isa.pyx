"""Which build of the kernels this processor runs, and how long its pause is. No OpenMP comes with this."""

import importlib
import os

from fastlogit._build_config import INSTRUCTION_SETS

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    static int fastlogit_runs_v2(void)
    {
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    }
    static int fastlogit_runs_v3(void)
    {
        return fastlogit_runs_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
               && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    }
    static int fastlogit_runs_v4(void)
    {
        return fastlogit_runs_v3() && __builtin_cpu_supports("avx512f")
               && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
               && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
    #else
    static int fastlogit_runs_v2(void) { return 0; }
    static int fastlogit_runs_v3(void) { return 0; }
    static int fastlogit_runs_v4(void) { return 0; }
    #endif
    """
    bint fastlogit_runs_v2()
    bint fastlogit_runs_v3()
    bint fastlogit_runs_v4()


cdef extern from *:
    """
    #if defined(__linux__) && defined(__x86_64__) && defined(__GNUC__)
    #include <time.h>
    static double fastlogit_pause_time(void)
    {
        enum { ROUNDS = 5, PAUSES = 400 };
        struct timespec start, end;
        volatile int word = 0; /* which a waiting thread reads each time, too */
        double least = 1e9, elapsed;
        int i, j;
        for (i = 0; i < ROUNDS; i++) {
            clock_gettime(CLOCK_MONOTONIC, &start);
            for (j = 0; j < PAUSES && word == 0; j++)
                __builtin_ia32_pause();
            clock_gettime(CLOCK_MONOTONIC, &end);
            elapsed = (end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec);
            least = elapsed < least ? elapsed : least;
        }
        return least / PAUSES;
    }
    #else
    static double fastlogit_pause_time(void) { return 0; }
    #endif
    """
    double fastlogit_pause_time()


def pause_time():
    """Nanoseconds that a thread needs to look for work once; 0 where that is not known."""
    return fastlogit_pause_time()


def supported():
    """The instruction sets that were built and that this processor runs, the best last."""
    runs = {
        "generic": True,
        "v2": fastlogit_runs_v2(),
        "v3": fastlogit_runs_v3(),
        "v4": fastlogit_runs_v4(),
    }
    return tuple(name for name in INSTRUCTION_SETS if runs[name])


def choose():
    """The best instruction set, or the one that ``FASTLOGIT_ISA`` names."""
    available = supported()
    wanted = os.environ.get("FASTLOGIT_ISA")
    if wanted is None:
        if not available:
            raise ImportError(
                f"fastlogit was built for {', '.join(INSTRUCTION_SETS)}, and this processor runs none "
                "of them; build it from source on this machine"
            )
        return available[-1]
    if wanted not in available:
        raise ImportError(
            f"FASTLOGIT_ISA={wanted!r} is not an instruction set that this processor runs and this "
            f"build has; it can be {', '.join(available)}, or unset for the best of them"
        )
    return wanted


chosen = choose()


def kernels(name):
    """The functions of the chosen build of ``kernels/<name>.pyx``, as a capsule."""
    return importlib.import_module(f"fastlogit.kernels.{name}_{chosen}").kernels
