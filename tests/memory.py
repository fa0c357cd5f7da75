"""What a process takes of the memory, as the operating system sees it."""

import ctypes
import mmap
import sys
import tracemalloc

import numpy as np
import pytest

MEGABYTE = 2**20

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident_peak():
    """In bytes. getrusage would do, had it not inherited the peak of the process that started this one."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def bytes_between_forbidden_pages(pages):
    """Memory as an array of uint8; to touch what is before or behind it ends the process."""
    size = pages * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for page in (start, start + mmap.PAGESIZE + size):
        if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return np.frombuffer(memory, np.uint8, size, mmap.PAGESIZE)


def traced_peak(call):
    """Bytes that NumPy and Python had at most while this ran, beside what there was before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
