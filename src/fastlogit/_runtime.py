"""What has to be known, and set, before the first extension brings the OpenMP runtime into the process.

The package imports this module before any other.
"""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORKED_NOT_EXECUTED = 0x40  # PF_FORKNOEXEC in include/linux/sched.h

# How often an idle thread of libgomp looks for work before it sleeps, at least; its own default is 300000.
# Threads of other libraries, and other processes, get the processor sooner; see docs/reliability.rst.
FEWEST_SPINS = 1000
# ns that they stay awake, at least: more than the 20 us for which _waking.h takes them to be. A look takes
# 27 to 50 ns on AMD and 11 on an Intel Xeon, where 1000 were too few: calls 10 to 20 us apart found threads
# asleep that nobody had woken up, and took 53 us instead of 9.
SPINNING = 27_000


def is_forked() -> bool:
    """Whether this process comes from a fork() without an exec() after it."""
    try:
        with open("/proc/self/stat") as file:
            flags = file.read().rpartition(")")[2].split()[6]
    except OSError:
        return False
    return bool(int(flags) & FORKED_NOT_EXECUTED)


def libgomp_names() -> tuple[str, ...]:
    """How the name of our runtime begins: that of a wheel is beside the package, named after its content."""
    bundled = Path(__file__).parents[1] / "fastlogit.libs"
    return tuple(path.name for path in bundled.glob("libgomp*")) or ("libgomp.so.1",)


def is_libgomp_loaded() -> bool:
    """Whether a library has brought the runtime that fastlogit will then share.

    The loader goes by the name: another wheel with a copy of the same content has the one that we shall use.
    """
    names = libgomp_names()
    try:
        with open("/proc/self/maps") as file:
            return any(line.rstrip().rpartition("/")[2].startswith(names) for line in file)
    except OSError:
        return False


def spins_for(pause_time: float) -> int:
    """How many looks for work take as long as a thread is to stay awake; in hundreds."""
    if pause_time <= 0:
        return FEWEST_SPINS
    return max(FEWEST_SPINS, math.ceil(SPINNING / pause_time / 100) * 100)


@contextmanager
def short_waiting() -> Iterator[int]:
    """Loaded inside of it, libgomp lets threads spin for a short time, unless the user said how to wait.

    Gives how many looks for work it has set, or 0.
    """
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ or is_libgomp_loaded():
        yield 0
        return
    spins = spins_for(_isa.pause_time())
    os.environ["GOMP_SPINCOUNT"] = str(spins)
    try:
        yield spins
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def sleep_at_once() -> bool:
    """Whether the user wants idle threads not to look for work at all."""
    spins = os.environ.get("GOMP_SPINCOUNT", "").strip()
    return spins == "0" or (not spins and os.environ.get("OMP_WAIT_POLICY", "").strip().lower() == "passive")


# There may be threads in the records of libgomp that the fork has not copied.
INHERITED_LIBGOMP = sys.platform == "linux" and is_forked() and is_libgomp_loaded()

try:
    from fastlogit import _isa

    with short_waiting() as SPINS:
        from fastlogit import _threads  # noqa: F401
except ImportError as error:
    if "interpreter" not in str(error):
        raise
    raise ImportError(
        "fastlogit works in one interpreter of a process, like NumPy: the first that imports it. "
        "Import it in the main interpreter only; for work at the same time use threads, which need no "
        "lock here, or processes"
    ) from error


def waiting() -> str:
    """What decides for how long idle threads of OpenMP look for work before they sleep."""
    if SPINS:
        return f"GOMP_SPINCOUNT={SPINS}, set by fastlogit"
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        if name in os.environ:
            return f"{name}={os.environ[name]}"
    return "as another library has loaded libgomp"
