"""How many threads a call uses, and what this build of fastlogit is."""

import os
import sys
import warnings
from contextlib import contextmanager
from math import ceil

from fastlogit import _build_config, _isa

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #else
    static int omp_get_max_threads(void) { return 1; }
    static int omp_get_num_procs(void) { return 1; }
    static int omp_in_parallel(void) { return 0; }
    #endif
    #if defined(_OPENMP) && defined(__linux__)
    #ifndef __USE_GNU
    #define __USE_GNU
    #endif
    #include <dlfcn.h>
    static const char *fastlogit_openmp_library(void)
    {
        Dl_info info;
        return dladdr((void *)omp_get_max_threads, &info) ? info.dli_fname : "";
    }
    #else
    static const char *fastlogit_openmp_library(void) { return ""; }
    #endif
    """
    int omp_get_max_threads() noexcept nogil
    int omp_get_num_procs() noexcept nogil
    bint omp_in_parallel() noexcept nogil
    const char *fastlogit_openmp_library()


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


cdef int requested = 0  # by set_num_threads; 0: not set
cdef int initial = omp_get_max_threads()
cdef int granted = cgroup_quota() or initial
cdef bint named_by_user = bool(os.environ.get("OMP_NUM_THREADS"))
cdef bint forked = False


cdef int num_threads_now() noexcept nogil:
    """Asked at every call, so that what threadpoolctl or OpenMP were told in between counts."""
    cdef int limit = omp_get_max_threads()
    if forked or omp_in_parallel():
        return 1
    if requested:
        return min(requested, limit) if limit < initial else requested
    if limit != initial or named_by_user:
        return limit
    return max(1, min(limit, granted, omp_get_num_procs()))


cdef int threads_for(Py_ssize_t elements, Py_ssize_t smallest_parallel) noexcept nogil:
    """Threads for a call over so many elements: one where entering a parallel region costs more."""
    return 1 if elements < smallest_parallel else num_threads_now()


def _become_serial():
    """A forked child has none of the threads that its copy of the OpenMP runtime believes in."""
    global forked
    forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_become_serial)


def get_num_threads():
    """Number of threads that a call on a large array uses.

    Returns
    -------
    int
        What `set_num_threads` or `num_threads` asked for. Without that: what OpenMP would use
        (``OMP_NUM_THREADS``, threadpoolctl), and by default the CPUs that the affinity mask and the
        control group of this process leave it. Always 1 in a forked child and in a build without OpenMP.

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
    if count > 1 and forked:
        warnings.warn(
            "fastlogit stays on one thread in a forked process, because the threads of OpenMP do not "
            "survive fork(); start workers with the spawn or forkserver method",
            RuntimeWarning,
            stacklevel=2,
        )
    return count


def set_num_threads(n):
    """Set the number of threads for every following call in this process.

    Parameters
    ----------
    n : int
        At least 1. More threads than CPUs are allowed. A limit that OpenMP is given later, for
        instance by threadpoolctl, still holds.

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
    global requested
    requested = checked(n)


@contextmanager
def num_threads(n):
    """Use `n` threads inside a ``with`` block, then as many as before.

    The setting belongs to the process, as in PyTorch and numexpr: it also reaches calls that other
    Python threads make meanwhile.

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
    global requested
    cdef int before = requested
    requested = checked(n)
    try:
        yield
    finally:
        requested = before


def show_config():
    """Print what this installation of fastlogit is: for bug reports.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.show_config()  # doctest: +ELLIPSIS
    fastlogit ...
    """
    import numpy

    openmp = fastlogit_openmp_library().decode() or "yes" if _build_config.OPENMP else "none: serial"
    print(f"fastlogit {_build_config.VERSION}")
    print(f"  compiler:         {_build_config.COMPILER}, Cython {_build_config.CYTHON}")
    print(f"  instruction sets: {', '.join(_build_config.INSTRUCTION_SETS)} built, "
          f"{', '.join(_isa.supported())} on this processor, {_isa.chosen} chosen")
    print(f"  OpenMP:           {openmp}")
    print(f"  threads:          {get_num_threads()}{' (forked process)' if forked else ''}")
    print(f"  NumPy:            {numpy.__version__} (built with {_build_config.NUMPY})")
    print(f"  Python:           {sys.version.split()[0]} on {sys.platform}")
