"""Which build of the kernels this processor runs."""

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
