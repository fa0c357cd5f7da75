"""Two arrays of one shape as the loops walk them: few axes, long ones, in the order of memory."""


cdef enum:
    MAX_AXES = 64  # NPY_MAXDIMS of NumPy 2


cdef struct walk:
    int axes
    Py_ssize_t shape[MAX_AXES]
    Py_ssize_t x_strides[MAX_AXES]
    Py_ssize_t out_strides[MAX_AXES]
    char *x
    char *out


cdef inline void add_axis(
    walk *path, Py_ssize_t length, Py_ssize_t x_stride, Py_ssize_t out_stride
) noexcept nogil:
    """Take in one more axis: walked forwards, kept in the order of the strides of ``out``."""
    cdef int i
    if length == 1:
        return
    if out_stride < 0 or (out_stride == 0 and x_stride < 0):
        path.x += (length - 1) * x_stride
        path.out += (length - 1) * out_stride
        x_stride = -x_stride
        out_stride = -out_stride
    i = path.axes
    while i > 0 and (
        path.out_strides[i - 1] < out_stride
        or (path.out_strides[i - 1] == out_stride and path.x_strides[i - 1] < x_stride)
    ):
        path.shape[i] = path.shape[i - 1]
        path.x_strides[i] = path.x_strides[i - 1]
        path.out_strides[i] = path.out_strides[i - 1]
        i -= 1
    path.shape[i] = length
    path.x_strides[i] = x_stride
    path.out_strides[i] = out_stride
    path.axes += 1


cdef inline void append_axis(
    walk *path, Py_ssize_t length, Py_ssize_t x_stride, Py_ssize_t out_stride
) noexcept nogil:
    """Take in one more axis inside the others, in the direction that it has."""
    if length == 1:
        return
    path.shape[path.axes] = length
    path.x_strides[path.axes] = x_stride
    path.out_strides[path.axes] = out_stride
    path.axes += 1


cdef inline void merge_axes(walk *path) noexcept nogil:
    """Join neighbouring axes that both arrays run through with one stride."""
    cdef int i, last = 0
    for i in range(1, path.axes):
        if (
            path.x_strides[last] == path.shape[i] * path.x_strides[i]
            and path.out_strides[last] == path.shape[i] * path.out_strides[i]
        ):
            path.shape[last] *= path.shape[i]
        else:
            last += 1
            path.shape[last] = path.shape[i]
        path.x_strides[last] = path.x_strides[i]
        path.out_strides[last] = path.out_strides[i]
    path.axes = last + 1 if path.axes else 0


cdef inline void pad_axes(walk *path, int count, Py_ssize_t itemsize) noexcept nogil:
    """Put axes of length 1 outside the others until there are ``count``."""
    cdef int i
    while path.axes < count:
        for i in range(path.axes, 0, -1):
            path.shape[i] = path.shape[i - 1]
            path.x_strides[i] = path.x_strides[i - 1]
            path.out_strides[i] = path.out_strides[i - 1]
        path.shape[0] = 1
        path.x_strides[0] = path.out_strides[0] = itemsize
        path.axes += 1


cdef inline Py_ssize_t size(const walk *path) noexcept nogil:
    cdef Py_ssize_t product = 1
    cdef int i
    for i in range(path.axes):
        product *= path.shape[i]
    return product


cdef inline bint has_own_elements(const walk *path, Py_ssize_t itemsize) noexcept nogil:
    """Whether no two elements of ``out`` share memory, as far as its strides tell."""
    cdef int axis
    cdef Py_ssize_t extent = itemsize
    for axis in range(path.axes - 1, -1, -1):
        if path.shape[axis] > 1:
            if path.out_strides[axis] < extent:
                return False
            extent = path.shape[axis] * path.out_strides[axis]
    return True
