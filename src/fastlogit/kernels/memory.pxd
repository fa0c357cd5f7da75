"""Which memory is needed soon, and which is written and not needed again."""

from libc.stdint cimport uintptr_t
from libc.string cimport memcpy


cdef extern from "memory.h" nogil:
    const Py_ssize_t LINE "FASTLOGIT_LINE"
    # Any address will do, also one beyond the end of an array.
    void prefetch_line "FASTLOGIT_PREFETCH"(const char *address) noexcept
    # Into the second-level cache, which leaves the first to what is computed now.
    void prefetch_line_far "FASTLOGIT_PREFETCH_FAR"(const char *address) noexcept
    void stream_line "fastlogit_stream_line"(char *target, const char *source) noexcept
    void end_streaming "fastlogit_end_streaming"() noexcept


cdef inline void prefetch(const char *address, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range((size + LINE - 1) // LINE):
        prefetch_line(address + i * LINE)


cdef inline void prefetch_far(const char *address, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range((size + LINE - 1) // LINE):
        prefetch_line_far(address + i * LINE)


cdef inline void stream(char *target, const char *source, Py_ssize_t size) noexcept nogil:
    """Copy into the memory behind the caches, but for the parts of lines at both ends."""
    cdef Py_ssize_t i, head = min(size, <Py_ssize_t> (-<uintptr_t> target % LINE))
    memcpy(target, source, head)
    target += head
    source += head
    size -= head
    for i in range(size // LINE):
        stream_line(target + i * LINE, source + i * LINE)
    i = size // LINE * LINE
    memcpy(target + i, source + i, size - i)
