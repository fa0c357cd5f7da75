"""Two arrays of one shape, and a mask, as loops walk them: few axes, long ones, in the order of memory."""


cdef enum:
    MAX_AXES = 64  # NPY_MAXDIMS of NumPy 2


cdef struct walk:
    int axes
    Py_ssize_t shape[MAX_AXES]
    Py_ssize_t x_strides[MAX_AXES]
    Py_ssize_t out_strides[MAX_AXES]
    Py_ssize_t mask_strides[MAX_AXES]
    char *x
    char *out
    char *mask  # NULL, with strides of 0, where there is none


cdef inline void begin_walk(walk *path, char *x, char *out, char *mask) noexcept nogil:
    path.axes = 0
    path.x, path.out, path.mask = x, out, mask


cdef inline void put_axis(
    walk *path, int position, Py_ssize_t length, Py_ssize_t x_stride, Py_ssize_t out_stride,
    Py_ssize_t mask_stride,
) noexcept nogil:
    path.shape[position] = length
    path.x_strides[position] = x_stride
    path.out_strides[position] = out_stride
    path.mask_strides[position] = mask_stride


cdef inline void move_axis(walk *path, int source, int target) noexcept nogil:
    put_axis(
        path, target, path.shape[source], path.x_strides[source], path.out_strides[source],
        path.mask_strides[source],
    )


cdef inline void add_masked_axis(
    walk *path, Py_ssize_t length, Py_ssize_t x_stride, Py_ssize_t out_stride, Py_ssize_t mask_stride
) noexcept nogil:
    """Take in one more axis: walked forwards, kept in the order of the strides of ``out``."""
    cdef int i
    if length == 1:
        return
    if out_stride < 0 or (out_stride == 0 and x_stride < 0):
        path.x += (length - 1) * x_stride
        path.out += (length - 1) * out_stride
        path.mask += (length - 1) * mask_stride
        x_stride, out_stride, mask_stride = -x_stride, -out_stride, -mask_stride
    i = path.axes
    while i > 0 and (
        path.out_strides[i - 1] < out_stride
        or (path.out_strides[i - 1] == out_stride and path.x_strides[i - 1] < x_stride)
    ):
        move_axis(path, i - 1, i)
        i -= 1
    put_axis(path, i, length, x_stride, out_stride, mask_stride)
    path.axes += 1


cdef inline void add_axis(
    walk *path, Py_ssize_t length, Py_ssize_t x_stride, Py_ssize_t out_stride
) noexcept nogil:
    """`add_masked_axis` of two arrays without a mask."""
    add_masked_axis(path, length, x_stride, out_stride, 0)


cdef inline void append_axis(
    walk *path, Py_ssize_t length, Py_ssize_t x_stride, Py_ssize_t out_stride, Py_ssize_t mask_stride
) noexcept nogil:
    """Take in one more axis inside the others, in the direction that it has."""
    if length == 1:
        return
    put_axis(path, path.axes, length, x_stride, out_stride, mask_stride)
    path.axes += 1


cdef inline bint continues(const walk *path, int outer, int inner) noexcept nogil:
    """Whether all arrays run through both axes with the stride of the inner one."""
    cdef Py_ssize_t length = path.shape[inner]
    return (
        path.x_strides[outer] == length * path.x_strides[inner]
        and path.out_strides[outer] == length * path.out_strides[inner]
        and path.mask_strides[outer] == length * path.mask_strides[inner]
    )


cdef inline void merge_axes(walk *path) noexcept nogil:
    """Join neighbouring axes that are one."""
    cdef int i, last = 0
    cdef Py_ssize_t length
    for i in range(1, path.axes):
        length = path.shape[i]
        if continues(path, last, i):
            length *= path.shape[last]
        else:
            last += 1
        move_axis(path, i, last)
        path.shape[last] = length
    path.axes = last + 1 if path.axes else 0


cdef inline void pad_axes(walk *path, int count, Py_ssize_t itemsize) noexcept nogil:
    """Put axes of length 1 outside the others until there are ``count``."""
    cdef int i
    while path.axes < count:
        for i in range(path.axes, 0, -1):
            move_axis(path, i - 1, i)
        put_axis(path, 0, 1, itemsize, itemsize, 0)
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
