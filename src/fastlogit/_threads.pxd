cdef int threads_for(Py_ssize_t elements, Py_ssize_t smallest_parallel) noexcept nogil
cdef void end_call() noexcept nogil
