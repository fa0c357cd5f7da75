"""Memory of the thread that asks, kept for its next call."""


cdef extern from "scratch.h" nogil:
    int begin_scratch "fastlogit_begin_scratch"() noexcept
    void *scratch_of_thread "fastlogit_scratch_of_thread"(size_t size) noexcept
