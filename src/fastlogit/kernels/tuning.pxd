"""The sizes of ``_tuning.py``, of which each kernel has a copy."""


cdef extern from *:
    """
    typedef struct {
        Py_ssize_t ahead, streamed, kept;
    } fastlogit_sizes;
    static fastlogit_sizes fastlogit_tuning;
    """
    ctypedef struct sizes "fastlogit_sizes":
        Py_ssize_t ahead
        Py_ssize_t streamed
        Py_ssize_t kept

    sizes tuning "fastlogit_tuning"


cdef inline void tune(dict chosen) except *:
    """Take the sizes: what a kernel does when it is imported."""
    tuning.ahead = chosen["ahead"]
    tuning.streamed = chosen["streamed"]
    tuning.kept = chosen["kept"]
