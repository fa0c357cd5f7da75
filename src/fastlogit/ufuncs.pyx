# cython: cdivision=True
"""The functions as NumPy ufuncs, for everything that speaks NumPy's ufunc protocol.

The elementwise functions, by their public names, are unary `numpy.ufunc` objects with loops for float32,
float64 and long double. ``clamped_logit(eps)`` makes one more, for logit with eps. Bool and integer input is
computed in float64, float16 in float32. Long runs use all threads.

Examples
--------
>>> import numpy as np
>>> from fastlogit import ufuncs
>>> ufuncs.expit(np.array([-1.0, 0.0, 1.0]))
array([0.26894142, 0.5       , 0.73105858])
>>> ufuncs.logit.types
['f->f', 'd->d', 'g->g']
"""

import numpy as np

from fastlogit import _isa
from fastlogit._arguments import check_eps

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_INCREF, Py_REFCNT, PyObject
from cython.parallel cimport prange
from libc.string cimport memcpy

from fastlogit._environment cimport enter_default, fenv_t, fesetenv
from fastlogit._threads cimport end_call, threads_for
from fastlogit.kernels.arithmetic cimport longdouble
from fastlogit.kernels.clamp cimport clamp_bounds
from fastlogit.kernels.elementwise cimport elementwise_kernel, elementwise_kernels
from fastlogit.kernels.longdouble cimport (
    clamped_logit_longdouble, expit_longdouble, log_expit_longdouble, logit_longdouble,
    softplus_longdouble,
)
from fastlogit.kernels.strided cimport add_axis, begin_walk, merge_axes, pad_axes, walk

cdef extern from "numpy/ndarraytypes.h":
    ctypedef struct PyArray_DTypeMeta:
        pass
    PyArray_DTypeMeta PyArray_DoubleDType

cdef extern from "numpy/ufuncobject.h":
    ctypedef struct PyUFuncObject:
        PyObject *obj  # what the ufunc keeps alive
    int PyUFunc_AddPromoter(object ufunc, object dtypes, object promoter) except -1

cnp.import_array()
cnp.import_umath()

cdef enum:
    SEQUENTIAL = 512  # elements that a loop over half-overlapping memory takes at a time
    MOST_IDLE = 128  # ufuncs of an eps that nobody holds: 3.6 kB each, and making one anew takes 10 us


ctypedef longdouble (*longdouble_formula)(
    longdouble x, longdouble lower, longdouble upper
) noexcept nogil


cdef struct loop_data:
    const elementwise_kernel *kernel  # NULL for long double
    longdouble_formula formula
    double eps


cdef void transform_run(
    const loop_data *data, Py_ssize_t itemsize, char *x, Py_ssize_t x_stride, char *out,
    Py_ssize_t out_stride, Py_ssize_t n, int threads,
) noexcept nogil:
    cdef walk path
    begin_walk(&path, x, out, NULL)
    add_axis(&path, n, x_stride, out_stride)
    merge_axes(&path)
    pad_axes(&path, 2, itemsize)
    data.kernel.transform(data.kernel, &path, data.eps, threads)


cdef inline bint needs_order(
    char *x, Py_ssize_t x_stride, char *out, Py_ssize_t out_stride, Py_ssize_t n, Py_ssize_t itemsize
) noexcept nogil:
    """Whether an element of ``out`` may share memory with another of ``x`` than its own, or of ``out``."""
    cdef Py_ssize_t stride = out_stride if out_stride >= 0 else -out_stride, gap
    cdef Py_ssize_t x_reach = (n - 1) * x_stride, out_reach = (n - 1) * out_stride
    if stride < itemsize:
        return n > 1
    if (
        x + max(x_reach, 0) + itemsize <= out + min(out_reach, 0)
        or out + max(out_reach, 0) + itemsize <= x + min(x_reach, 0)
    ):
        return False
    if x_stride != out_stride:
        return n > 1
    gap = (x - out) % stride
    return x != out and (gap == 0 or not itemsize <= (gap if gap > 0 else gap + stride) <= stride - itemsize)


cdef void real_loop(
    char **args, const cnp.npy_intp *dimensions, const cnp.npy_intp *steps, const loop_data *data,
    Py_ssize_t itemsize,
) noexcept nogil:
    """An inner loop must leave the pointers that NumPy hands it as they are."""
    cdef char *x = args[0]
    cdef char *out = args[1]
    cdef Py_ssize_t n = dimensions[0], x_stride = steps[0], out_stride = steps[1], chunk, start, length, i
    cdef double elements[SEQUENTIAL]  # of either type
    cdef char *buffer = <char *> elements
    if not needs_order(x, x_stride, out, out_stride, n, itemsize):
        transform_run(
            data, itemsize, x, x_stride, out, out_stride, n, threads_for(n, data.kernel.smallest_parallel)
        )
        end_call()
        return
    # NumPy lets memory overlap where the input runs ahead of the output, and elements of the output share
    # memory, of which the last one stays: element by element in order.
    for chunk in range((n + SEQUENTIAL - 1) // SEQUENTIAL):
        start = chunk * SEQUENTIAL
        length = min(<Py_ssize_t> SEQUENTIAL, n - start)
        transform_run(data, itemsize, x + start * x_stride, x_stride, buffer, itemsize, length, 1)
        for i in range(length):
            memcpy(out + (start + i) * out_stride, buffer + i * itemsize, itemsize)


cdef void loop_float32(
    char **args, const cnp.npy_intp *dimensions, const cnp.npy_intp *steps, void *data
) noexcept nogil:
    real_loop(args, dimensions, steps, <const loop_data *> data, sizeof(float))


cdef void loop_float64(
    char **args, const cnp.npy_intp *dimensions, const cnp.npy_intp *steps, void *data
) noexcept nogil:
    real_loop(args, dimensions, steps, <const loop_data *> data, sizeof(double))


cdef void longdouble_chunk(
    const loop_data *data, char *x, Py_ssize_t x_stride, char *out, Py_ssize_t out_stride, Py_ssize_t n
) noexcept nogil:
    cdef fenv_t caller
    cdef longdouble lower, upper
    cdef Py_ssize_t i
    enter_default(&caller)
    clamp_bounds[longdouble](data.eps, &lower, &upper)
    for i in range(n):
        (<longdouble *> (out + i * out_stride))[0] = data.formula(
            (<longdouble *> (x + i * x_stride))[0], lower, upper
        )
    fesetenv(&caller)


cdef void loop_longdouble(
    char **args, const cnp.npy_intp *dimensions, const cnp.npy_intp *steps, void *data
) noexcept nogil:
    cdef char *x = args[0]
    cdef char *out = args[1]
    cdef const loop_data *parameters = <const loop_data *> data
    cdef Py_ssize_t n = dimensions[0], x_stride = steps[0], out_stride = steps[1], chunks, chunk
    cdef int threads = threads_for(n, SEQUENTIAL)
    if threads == 1 or needs_order(x, x_stride, out, out_stride, n, sizeof(long double)):
        longdouble_chunk(parameters, x, x_stride, out, out_stride, n)
    else:
        chunks = (n + SEQUENTIAL - 1) // SEQUENTIAL
        for chunk in prange(chunks, schedule="static", num_threads=threads):
            longdouble_chunk(
                parameters,
                x + chunk * SEQUENTIAL * x_stride, x_stride,
                out + chunk * SEQUENTIAL * out_stride, out_stride,
                min(<Py_ssize_t> SEQUENTIAL, n - chunk * SEQUENTIAL),
            )
    end_call()


cdef cnp.PyUFuncGenericFunction loops[3]
loops[0] = <cnp.PyUFuncGenericFunction> loop_float32
loops[1] = <cnp.PyUFuncGenericFunction> loop_float64
loops[2] = <cnp.PyUFuncGenericFunction> loop_longdouble

cdef char types[6]
types[0] = types[1] = cnp.NPY_FLOAT
types[2] = types[3] = cnp.NPY_DOUBLE
types[4] = types[5] = cnp.NPY_LONGDOUBLE


cdef int promote_to_float64(
    object ufunc, PyArray_DTypeMeta **op_dtypes, PyArray_DTypeMeta **signature,
    PyArray_DTypeMeta **new_op_dtypes,
) except -1:
    """bool and integers are computed in float64, also the small ones that float32 could hold."""
    cdef int i
    for i in range(2):
        new_op_dtypes[i] = signature[i] if signature[i] != NULL else &PyArray_DoubleDType
        Py_INCREF(<object> <PyObject *> new_op_dtypes[i])
    return 0


cdef object float64_promoter = PyCapsule_New(<void *> promote_to_float64, "numpy._ufunc_promoter", NULL)


@cython.final
cdef class Definition:
    """The memory that a ufunc points into; the ufunc owns it."""

    cdef loop_data parameters[3]
    cdef void *data[3]
    cdef bytes name
    cdef bytes doc


cdef object make_ufunc(str function, longdouble_formula formula, str name, str doc, double eps=0):
    """``function`` is the name of its kernels, ``name`` that of the ufunc."""
    cdef const elementwise_kernels *kernels = <const elementwise_kernels *> PyCapsule_GetPointer(
        _isa.kernels("elementwise")[function], "fastlogit.kernels.elementwise"
    )
    cdef Definition definition = Definition()
    cdef object made
    cdef int i
    definition.name = name.encode()
    definition.doc = doc.encode()
    definition.parameters[0] = loop_data(&kernels.float32, formula, eps)
    definition.parameters[1] = loop_data(&kernels.float64, formula, eps)
    definition.parameters[2] = loop_data(NULL, formula, eps)
    for i in range(3):
        definition.data[i] = &definition.parameters[i]
    made = cnp.PyUFunc_FromFuncAndData(
        loops, definition.data, types, 3, 1, 1, cnp.PyUFunc_None, definition.name, definition.doc, 0
    )
    Py_INCREF(definition)
    (<PyUFuncObject *> made).obj = <PyObject *> definition
    for dtype in {type(np.dtype(code)) for code in "?" + np.typecodes["AllInteger"]}:
        PyUFunc_AddPromoter(made, (dtype, np.dtype), float64_promoter)
    return made


cdef object make_unary(str name, longdouble_formula formula, str expression):
    return make_ufunc(name, formula, name, f"{expression}, element by element; see fastlogit.{name}.")


cdef str name_of_clamped(double eps):
    """What errors of NumPy and of containers call it; no dot, which pickle would take for an attribute's."""
    mantissa, _, exponent = repr(eps).partition("e")
    whole, _, fraction = mantissa.partition(".")
    return f"logit(x, eps={int(whole + fraction)}e{int(exponent or 0) - len(fraction)})"


@cython.final
cdef class ClampedLogits:
    """The ufuncs of all eps that are in use, and of some that were.

    As long as anyone holds the ufunc of an eps, there is no other: pickle looks it up by its name and
    wants the same object. NumPy's ufuncs have no weak references; one with a single reference is held here
    alone.
    """

    cdef dict of_eps
    cdef Py_ssize_t most

    def __cinit__(self):
        self.of_eps = {}
        self.most = MOST_IDLE

    cdef object get(self, double eps):
        with cython.critical_section(self):
            ufunc = self.of_eps.get(eps)
            if ufunc is None:
                if len(self.of_eps) >= self.most:
                    self.drop_idle()
                # Other threads may have run meanwhile.
                ufunc = self.of_eps.setdefault(eps, make_clamped(eps))
        return ufunc

    cdef int drop_idle(self) except -1:
        """All that nobody holds; the next time is when there are twice as many as are left."""
        cdef object ufunc
        for eps in list(self.of_eps):
            ufunc = self.of_eps.get(eps)
            if ufunc is not None and Py_REFCNT(ufunc) == 2:  # the dictionary and this function
                del self.of_eps[eps]
        self.most = max(<Py_ssize_t> MOST_IDLE, 2 * len(self.of_eps))
        return 0


cdef ClampedLogits clamped_logits = ClampedLogits()


cdef object make_clamped(double eps):
    return make_ufunc(
        "clamped_logit",
        clamped_logit_longdouble,
        name_of_clamped(eps),
        f"logit of the argument brought into [eps, 1 - eps], eps = {eps!r}",
        eps,
    )


def clamped_logit(eps):
    """The unary ufunc ``logit`` of its argument brought into [eps, 1 - eps].

    A ufunc of one argument is what pandas and other containers can apply to themselves; one that took
    eps as its second would meet them with an array in its place.

    Parameters
    ----------
    eps : float
        0 <= eps <= 0.5. The bounds are computed in the dtype of the loop and for eps > 0 never reach
        0 or 1, so that the result is finite.

    Returns
    -------
    numpy.ufunc
        The same object for the same eps, as long as it is in use.

    Raises
    ------
    TypeError
        If `eps` is not a number.
    ValueError
        If `eps` is not in [0, 0.5].

    Examples
    --------
    >>> from fastlogit import ufuncs
    >>> ufuncs.clamped_logit(1e-6)([0.0, 0.5, 1.0])
    array([-13.81550956,   0.        ,  13.81550956])
    """
    return clamped_logits.get(abs(check_eps(eps, "clamped_logit")))  # of -0.0 the bounds are those of 0.0


def __getattr__(name):
    """Pickle asks for a ufunc by its name, which says which eps to make it for."""
    prefix, _, text = name.rpartition("=")
    try:
        eps = float(text.removesuffix(")"))
        if prefix == "logit(x, eps" and 0 <= eps <= 0.5 and name == name_of_clamped(eps):
            return clamped_logits.get(eps)
    except ValueError:
        pass
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


logit = make_unary("logit", logit_longdouble, "log(x / (1 - x))")
expit = make_unary("expit", expit_longdouble, "1 / (1 + exp(-x))")
log_expit = make_unary("log_expit", log_expit_longdouble, "log(1 / (1 + exp(-x)))")
softplus = make_unary("softplus", softplus_longdouble, "log(1 + exp(x))")
