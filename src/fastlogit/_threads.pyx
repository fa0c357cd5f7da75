"""How many threads a call uses, and what this build of fastlogit is."""

import os
import re
import sys
import threading
import warnings
from contextlib import contextmanager
from math import ceil

from fastlogit import _build_config, _isa, _runtime, _tuning

cdef extern from "_openmp.h":
    int omp_get_max_threads() noexcept nogil
    int omp_get_num_procs() noexcept nogil
    bint omp_in_parallel() noexcept nogil
    ctypedef struct openmp_thread:
        int requested
        int started
        int limit
        bint nested
        bint serial
    openmp_thread here  # of each thread its own
    bint pools_die  # with a fork: libgomp's do
    int requested_by_all  # atomic
    const char *openmp_library()
    int watch_forks(bint inherited)
    void notice_fork() noexcept nogil
    int threads_that_start(int wanted, size_t stack_bytes) noexcept nogil

cdef extern from "_waking.h":
    bint sleep_at_once
    ptrdiff_t worth_waking
    bint wake_for(ptrdiff_t multiple, int threads) noexcept nogil
    void note_end() noexcept nogil


def cgroup_quota(root="/sys/fs/cgroup"):
    """CPUs that the control group grants, rounded up, or None where it sets no limit."""
    try:
        with open(os.path.join(root, "cpu.max")) as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open(os.path.join(root, "cpu", "cpu.cfs_quota_us")) as file:
                quota = file.read().strip()
            with open(os.path.join(root, "cpu", "cpu.cfs_period_us")) as file:
                period = file.read().strip()
        except OSError:
            return None
    try:
        granted = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return max(1, ceil(granted)) if granted > 0 else None


def stack_bytes(environment):
    """What libgomp asks for the stack of a thread, or 0 for the default of the system."""
    text = environment.get("OMP_STACKSIZE") or environment.get("GOMP_STACKSIZE") or ""
    found = re.fullmatch(r"\s*(\d+)\s*([bkmg]?)\s*", text, re.IGNORECASE)
    return int(found[1]) << {"b": 0, "": 10, "k": 10, "m": 20, "g": 30}[found[2].lower()] if found else 0


# Written once, here, and read by all threads ever after.
cdef int initial = omp_get_max_threads()
cdef int granted = cgroup_quota() or initial
cdef bint named_by_user = bool(os.environ.get("OMP_NUM_THREADS"))
cdef size_t stack = min(stack_bytes(os.environ), <size_t> -1)
sleep_at_once = _runtime.sleep_at_once()
worth_waking = _tuning.SIZES["waking"]

if watch_forks(_runtime.INHERITED_LIBGOMP):
    raise MemoryError("no memory for the handlers of fork()")


cdef enum:
    # Regions inside of a region start threads, which takes 28 us for two and not 1: so many times as many
    # elements make it worth while.
    STARTING_THREADS = 16


cdef int num_threads_now() noexcept nogil:
    """Asked at every call, so that what threadpoolctl or OpenMP were told in between counts."""
    cdef int limit = omp_get_max_threads()
    cdef int wanted = here.requested if here.requested else requested_by_all
    if omp_in_parallel():
        return 1
    notice_fork()
    if here.serial:
        return 1
    if wanted:
        wanted = min(wanted, limit) if limit < initial else wanted
    elif limit != initial or named_by_user:
        wanted = limit
    else:
        wanted = max(1, min(limit, granted, omp_get_num_procs()))
    return min(wanted, here.limit) if here.limit else wanted


cdef int threads_for(Py_ssize_t elements, Py_ssize_t smallest_parallel) noexcept nogil:
    """Threads for a call over so many elements: one where entering a parallel region costs more."""
    cdef int threads
    if elements < smallest_parallel:
        return 1
    threads = num_threads_now()
    if here.nested and elements // STARTING_THREADS < smallest_parallel:
        return 1
    if threads > max(1, here.started):
        threads = startable(threads)
    if threads == 1 or here.nested:
        return threads
    return threads if wake_for(elements // smallest_parallel, threads) else 1


cdef void end_call() noexcept nogil:
    """For each call that has asked `threads_for`, when it is done: so it is known whether threads sleep."""
    note_end()


cdef int startable(int threads) noexcept nogil:
    """As many of the threads as the system grants: libgomp would end the process over a missing one.

    Asked for each thread that calls, because each has a pool, and again when it wants more than before.
    """
    cdef int started = max(1, here.started)
    started += threads_that_start(threads - started, stack)
    here.started = started
    if started < threads:
        here.limit = started
        with gil:
            warnings.warn(
                f"the system lets fastlogit start {started} of {threads} threads (a limit on processes or on "
                "memory): calls of this thread use no more from now on",
                RuntimeWarning,
                stacklevel=2,
            )
    return started


def get_num_threads():
    """Number of threads that a call on a large array uses.

    Returns
    -------
    int
        What `set_num_threads` or `num_threads` asked for. Without that: what OpenMP would use
        (``OMP_NUM_THREADS``, threadpoolctl), and by default the CPUs that the affinity mask and the
        control group of this process leave it. Always 1 in a build without OpenMP.

    See Also
    --------
    set_num_threads, num_threads, show_config

    Examples
    --------
    >>> import fastlogit
    >>> with fastlogit.num_threads(1):
    ...     fastlogit.get_num_threads()
    1
    """
    return num_threads_now()


cdef int checked(n) except -1:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n must be an integer, the number of threads, not {type(n).__name__}")
    count = n.__index__()
    if not 1 <= count <= 4096:
        raise ValueError(f"n is {count}; the number of threads must be at least 1 and at most 4096")
    if count > 1 and not _build_config.OPENMP:
        warnings.warn(
            "this build of fastlogit has no OpenMP and stays on one thread; install the OpenMP runtime "
            "of the compiler and build again",
            RuntimeWarning,
            stacklevel=2,
        )
        return 1
    notice_fork()
    if count > 1 and here.serial:
        warnings.warn(
            "fastlogit stays on one thread here, because this process was forked inside of a parallel region "
            "of OpenMP, whose threads do not survive fork(); start workers with the spawn or forkserver",
            RuntimeWarning,
            stacklevel=2,
        )
    return count


def set_num_threads(n):
    """Set the number of threads for every following call in this process, of whatever Python thread.

    Inside a ``with num_threads(...)`` block, the block counts.

    Parameters
    ----------
    n : int
        At least 1. More threads than CPUs are allowed. A lower limit that OpenMP is given later, for
        instance by threadpoolctl, still holds, if it is below the number that OpenMP began with: one that
        equals it cannot be told from none.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is less than 1.

    See Also
    --------
    num_threads : the same for the length of a ``with`` block.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.set_num_threads(2)
    >>> fastlogit.get_num_threads()
    2
    """
    global requested_by_all
    requested_by_all = checked(n)


# The numbers of the blocks that a Python thread is in, as long as it is in any.
blocks = threading.local()


@contextmanager
def num_threads(n):
    """Use `n` threads inside a ``with`` block, then as many as before.

    The block belongs to the Python thread that enters it, and calls of other threads do not notice.
    Coroutines of one thread share it: await nothing inside of the block.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        As `set_num_threads`.

    Examples
    --------
    Leave the cores to the worker processes of a pool:

    >>> import numpy as np
    >>> import fastlogit
    >>> with fastlogit.num_threads(1):
    ...     fastlogit.expit(np.array([-2.0, 0.0, 2.0]))
    array([0.11920292, 0.5       , 0.88079708])
    """
    count = checked(n)
    entered = blocks.__dict__.setdefault("entered", [])
    block = [count]
    entered.append(block)
    here.requested = count
    try:
        yield
    finally:
        # Not simply what it was before: blocks of generators can end in any order.
        entered[:] = [other for other in entered if other is not block]
        if blocks.__dict__.get("entered") is entered:
            here.requested = entered[-1][0] if entered else 0


def show_config():
    """Print what this installation of fastlogit is: for bug reports.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.show_config()  # doctest: +ELLIPSIS
    fastlogit ...
    """
    import numpy

    openmp = openmp_library().decode() or "yes" if _build_config.OPENMP else "none: serial"
    print(f"fastlogit {_build_config.VERSION}")
    print(f"  compiler:         {_build_config.COMPILER}, Cython {_build_config.CYTHON}")
    print(f"  instruction sets: {', '.join(_build_config.INSTRUCTION_SETS)} built, "
          f"{', '.join(_isa.supported())} on this processor, {_isa.chosen} chosen")
    print(f"  OpenMP:           {openmp}")
    print(f"  threads:          {get_num_threads()}{' (forked in a parallel region)' if here.serial else ''}")
    print(f"  sizes:            {' '.join(f'{name}={size}' for name, size in _tuning.SIZES.items())}")
    print(f"  idle threads:     {_runtime.waiting() if pools_die else 'as the runtime does by default'}")
    print(f"  NumPy:            {numpy.__version__} (built with {_build_config.NUMPY})")
    print(f"  Python:           {sys.version.split()[0]} on {sys.platform}")
