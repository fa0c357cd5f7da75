"""The elementwise functions: signatures, documentation, argument rules.

An exact ndarray of native float32 or float64, with no option set, goes straight to the kernels. All else
goes through the ufuncs, where NumPy knows what to do.
"""

import numpy as np

from fastlogit import _isa, ufuncs
from fastlogit._arguments import (
    NOT_GIVEN, as_array, as_mask, check_cast, check_eps, check_loop, check_out, check_real, overrides,
    working_dtype,
)
from fastlogit._containers import applied_to_container, check_no_series

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer

from fastlogit._arrays cimport can_take_result_of, is_native_float, is_real, new_like
from fastlogit._environment cimport enter_default, fenv_t, fesetenv
from fastlogit._threads cimport end_call, threads_for
from fastlogit.kernels.elementwise cimport elementwise_kernel, elementwise_kernels
from fastlogit.kernels.strided cimport add_axis, begin_walk, has_own_elements, merge_axes, pad_axes, walk

cnp.import_array()

__all__ = [
    "expit",
    "log_expit",
    "logit",
    "softplus",
]


@cython.final
cdef class Function:
    """What the public functions hand on: a name for messages, kernels, and a ufunc, unless eps makes it."""

    cdef str name
    cdef const elementwise_kernels *kernels
    cdef object ufunc

    def __cinit__(self, str name, str kernels, object ufunc):
        self.name = name
        self.kernels = <const elementwise_kernels *> PyCapsule_GetPointer(
            _isa.kernels("elementwise")[kernels], "fastlogit.kernels.elementwise"
        )
        self.ufunc = ufunc


cdef Function LOGIT = Function("logit", "logit", ufuncs.logit)
cdef Function CLAMPED_LOGIT = Function("logit", "clamped_logit", None)
cdef Function EXPIT = Function("expit", "expit", ufuncs.expit)
cdef Function LOG_EXPIT = Function("log_expit", "log_expit", ufuncs.log_expit)
cdef Function SOFTPLUS = Function("softplus", "softplus", ufuncs.softplus)

cdef struct choices:  # the options of a ufunc, borrowed for the length of a call
    PyObject *where
    PyObject *casting
    PyObject *order
    PyObject *dtype
    PyObject *subok

cdef enum:
    SMALLEST_WITHOUT_GIL = 2048  # elements below which letting the GIL go costs more than it gives

cdef object memmap = np.memmap
cdef object not_given = NOT_GIVEN


cdef inline bint is_direct(object array):
    """Whether the kernels can take this object as it is: a plain array of native float32 or float64."""
    return (
        type(array) is cnp.ndarray or type(array) is memmap
    ) and is_native_float(<cnp.ndarray> array)


cdef bint transform_directly(
    const elementwise_kernels *kernels, double eps, cnp.ndarray x, cnp.ndarray out
):
    """Write the function of x to ``out``; False, and nothing written, where NumPy has to see to it."""
    cdef walk path
    cdef int axis, threads
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef const elementwise_kernel *kernel
    kernel = &kernels.float32 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else &kernels.float64
    if n == 0:
        return True
    begin_walk(&path, cnp.PyArray_BYTES(x), cnp.PyArray_BYTES(out), NULL)
    for axis in range(cnp.PyArray_NDIM(x)):
        add_axis(
            &path, cnp.PyArray_DIM(x, axis), cnp.PyArray_STRIDE(x, axis), cnp.PyArray_STRIDE(out, axis)
        )
    merge_axes(&path)
    pad_axes(&path, 2, cnp.PyArray_ITEMSIZE(x))
    if not has_own_elements(&path, cnp.PyArray_ITEMSIZE(x)):
        return False
    if n < SMALLEST_WITHOUT_GIL:
        kernel.transform(kernel, &path, eps, 1)
    else:
        with nogil:
            threads = threads_for(n, kernel.smallest_parallel)
            kernel.transform(kernel, &path, eps, threads)
            end_call()
    return True


cdef object call_directly(const elementwise_kernels *kernels, double eps, object x, object out):
    """The result, or None where NumPy has to see to it."""
    if not is_direct(x):
        return None
    if out is None:
        if type(x) is memmap or cnp.PyArray_NDIM(<cnp.ndarray> x) == 0:
            return None
        out = new_like(<cnp.ndarray> x)
    elif not (is_direct(out) and can_take_result_of(<cnp.ndarray> out, <cnp.ndarray> x)):
        return None
    return out if transform_directly(kernels, eps, <cnp.ndarray> x, <cnp.ndarray> out) else None


cdef inline bint is_text(object value, str text):
    return type(value) is str and <str> value == text


cdef inline bint are_usual(const choices *chosen):
    """Whether these are the defaults, or make no difference to an ndarray."""
    return (
        <object> chosen.where is True
        and <object> chosen.dtype is None
        and is_text(<object> chosen.order, "K")
        and is_text(<object> chosen.casting, "same_kind")
        and (<object> chosen.subok is True or <object> chosen.subok is False)
    )


cdef dict unusual(const choices *chosen):
    """Those that a container has to be told."""
    cdef dict options = {}
    if <object> chosen.where is not True:
        options["where"] = <object> chosen.where
    if not is_text(<object> chosen.casting, "same_kind"):
        options["casting"] = <object> chosen.casting
    if not is_text(<object> chosen.order, "K"):
        options["order"] = <object> chosen.order
    if <object> chosen.dtype is not None:
        options["dtype"] = <object> chosen.dtype
    if <object> chosen.subok is not True:
        options["subok"] = <object> chosen.subok
    return options


cdef object checked_mask(str name, object where, cnp.ndarray x, object out):
    """``where`` as an array that fits the arguments, of which ``out`` may be longer."""
    cdef object mask = as_mask(name, where), shape = (<object> x).shape
    try:
        shape = np.broadcast_shapes(shape, mask.shape)
    except ValueError as error:
        raise ValueError(
            f"{name}: where has shape {mask.shape}, which does not broadcast to the shape {shape} of x; "
            "give it that shape, or lengths of 1"
        ) from error
    if out is not None:
        check_out(name, out, shape)
    return mask


cdef object by_numpy(Function function, double eps, cnp.ndarray x, object out, const choices *chosen):
    """By the ufunc, or by the kernels once x has another dtype."""
    cdef object result, loop = None, given = None if out is not_given else out
    cdef dict options = unusual(chosen)
    if not is_real(x):
        check_real(function.name, x.dtype)
    if not are_usual(chosen):
        loop = check_loop(function.name, x.dtype, <object> chosen.dtype, <object> chosen.casting)
    if "where" in options:
        options["where"] = checked_mask(function.name, options["where"], x, given)
    if given is not None:
        check_out(function.name, given, (<object> x).shape)
        check_cast(
            function.name, working_dtype(x.dtype) or np.dtype(np.longdouble) if loop is None else loop,
            given.dtype, <object> chosen.casting,
        )
    elif loop is None and type(x) is cnp.ndarray and x.ndim and cnp.PyArray_TYPE(x) != cnp.NPY_LONGDOUBLE:
        # The converted copy is the result: no second array, and all threads.
        result = x.astype(working_dtype(x.dtype))
        transform_directly(function.kernels, eps, result, result)
        return result
    if out is not not_given:
        options["out"] = out
    return (ufuncs.clamped_logit(eps) if function.ufunc is None else function.ufunc)(x, **options)


cdef object call(Function function, double eps, object x, object out, const choices *chosen):
    cdef object result, given
    cdef fenv_t caller
    if are_usual(chosen):
        result = call_directly(function.kernels, eps, x, None if out is not_given else out)
        if result is not None:
            return result
    if isinstance(out, tuple):
        if len(out) != 1:
            raise ValueError(
                f"{function.name}: out is a tuple of {len(out)}; pass the one array for the result"
            )
        (out,) = out
    given = None if out is not_given else out
    if given is not None:
        check_no_series(function.name, given)
    if overrides(x) or overrides(given):
        return applied_to_container(
            function.name, ufuncs.clamped_logit(eps) if function.ufunc is None else function.ufunc, x, given,
            unusual(chosen),
        )
    x = as_array(function.name, "x", x, True)
    enter_default(&caller)  # NumPy rounds where it casts
    try:
        return by_numpy(function, eps, x, out, chosen)
    finally:
        fesetenv(&caller)


def logit(
    x, /, eps=None, *, out=NOT_GIVEN, where=True, casting="same_kind", order="K", dtype=None, subok=True
):
    """
    logit(x, /, eps=None, *, out=None, where=True, casting='same_kind', order='K', dtype=None, subok=True)

    Log odds of a probability, ``log(x / (1 - x))``, element by element.

    The inverse of `expit`. A probability of exactly 0 or 1, which classifiers do return, has infinite
    log odds; `eps` brings it into [eps, 1 - eps] first, in the same pass.

    Parameters
    ----------
    x : array_like
        Probabilities, of any shape. float32, float64 and long double are computed in their own
        precision, float16 in float32, bool and integers in float64.
    eps : float, optional
        A number with 0 <= eps <= 0.5. `x` is brought into [eps, 1 - eps], both bounds computed in the
        dtype of the result; for ``eps > 0`` they never reach 0 or 1, so the result is always finite.
        Without `eps`, ``logit(0)`` is ``-inf``, ``logit(1)`` is ``inf`` and outside [0, 1] the result is
        NaN. NaN stays NaN.
    out : ndarray, optional
        Where the result goes: any strides, and it may be `x` itself. It is returned.
    where : array_like of bool, optional
        Compute only where True; elsewhere `out` keeps what it has. Runs on one thread. Without `out` the
        result is not initialised elsewhere, of which NumPy warns as it does for its own functions (from
        2.4 on); ``out=None`` says that this is meant.
    casting, order, dtype, subok
        As for any `numpy.ufunc`.

    Returns
    -------
    ndarray or scalar
        The log odds, with the shape of `x`. A scalar if `x` is one. pandas, xarray, dask and polars
        objects give one of their kind.

    Raises
    ------
    TypeError
        If `x` is not real, `eps` is not a number, or `out` is not an array.
    ValueError
        If `eps` is not in [0, 0.5], or `out` is read-only or has the wrong shape.

    See Also
    --------
    expit : the inverse.

    Notes
    -----
    The error is below 1 unit in the last place for every input, subnormals and the neighbourhood of
    1/2 included, and the bits depend on neither position, stride nor thread count. No floating-point
    warning is raised.

    The argument is reduced as ``x / (1 - x) = 2**k (1 + s) / (1 - s)``, and
    ``s = (x - 2**k (1 - x)) / (x + 2**k (1 - x))`` takes one division. The result is
    ``k log(2) + 2 atanh(s)``; around 1/2, where k is 0, s is ``2 x - 1`` and nothing is lost.

    Examples
    --------
    Average two models in logit space, in place, although one of them is certain:

    >>> import numpy as np
    >>> from fastlogit import expit, logit
    >>> p = np.array([[0.5, 0.9, 1.0], [0.5, 0.99, 0.999]])
    >>> z = logit(p, 1e-6, out=p)
    >>> z is p
    True
    >>> expit(z.mean(axis=0))
    array([0.5       , 0.96758469, 0.99996836])

    Near 1/2, where the log odds are 4 (x - 1/2), the usual expression keeps 9 digits of 16:

    >>> x = 0.5 + 1e-9
    >>> d = x - 0.5
    >>> [round(float(z / (4 * d)), 12) for z in (logit(x), np.log(x / (1 - x)))]
    [1.0, 0.999999998]
    """
    cdef choices chosen = choices(
        <PyObject *> where, <PyObject *> casting, <PyObject *> order, <PyObject *> dtype, <PyObject *> subok
    )
    if eps is None:
        return call(LOGIT, 0, x, out, &chosen)
    if type(eps) is float and 0 <= <double> eps <= 0.5:
        return call(CLAMPED_LOGIT, eps, x, out, &chosen)
    return call(CLAMPED_LOGIT, check_eps(eps), x, out, &chosen)


_SIGNATURE_OF_LOG_ODDS = (
    "(x, /, out=None, *, where=True, casting='same_kind', order='K', dtype=None, subok=True)"
)
_ARGUMENTS_OF_LOG_ODDS = """Parameters
    ----------
    x : array_like
        Log odds, of any shape. float32, float64 and long double are computed in their own precision,
        float16 in float32, bool and integers in float64.
    out : ndarray, optional
        Where the result goes: any strides, and it may be `x` itself. It is returned.
    where : array_like of bool, optional
        Compute only where True; elsewhere `out` keeps what it has. Runs on one thread. Without `out` the
        result is not initialised elsewhere, of which NumPy warns as it does for its own functions (from
        2.4 on); ``out=None`` says that this is meant.
    casting, order, dtype, subok
        As for any `numpy.ufunc`.

    Returns
    -------
    ndarray or scalar
        {values}, with the shape of `x`. A scalar if `x` is one. pandas, xarray, dask and
        polars objects give one of their kind.

    Raises
    ------
    TypeError
        If `x` is not real, or `out` is not an array.
    ValueError
        If `out` is read-only or has the wrong shape."""
_PROMISES = """The error is below 1 unit in the last place for every input, subnormal results included, and
    the bits depend on neither position, stride nor thread count. No floating-point warning is raised."""


def _of_log_odds(values):
    """Writes into the docstring of a function of log odds what all of them share."""
    def documented(function):
        arguments = _ARGUMENTS_OF_LOG_ODDS.replace("{values}", values)
        text = function.__doc__.replace("{arguments}", arguments).replace("{promises}", _PROMISES)
        function.__doc__ = f"\n    {function.__name__}{_SIGNATURE_OF_LOG_ODDS}\n{text}"
        return function
    return documented


@_of_log_odds("Probabilities in [0, 1]")
def expit(
    x, /, out=NOT_GIVEN, *, where=True, casting="same_kind", order="K", dtype=None, subok=True
):
    """
    Logistic sigmoid, ``1 / (1 + exp(-x))``, element by element: the probability that belongs to log odds.

    The inverse of `logit`.

    {arguments}

    See Also
    --------
    logit : the inverse.
    log_expit : the logarithm of this function, finite where this one is 0.

    Notes
    -----
    {promises} ``expit(-720.0)`` is
    2e-313, where the usual formula gives 0.

    The result is the reciprocal of ``1 + exp(-x)``. What rounding the denominator and the reciprocal lost is
    computed, and one Newton step takes it off. All is scaled by a power of two, so that ``exp(-x)``
    cannot overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlogit import expit
    >>> z = np.array([-np.inf, -1.0, 0.0, 1.0, np.inf])
    >>> expit(z, out=z)
    array([0.        , 0.26894142, 0.5       , 0.73105858, 1.        ])

    The far tail keeps its digits:

    >>> expit(-720.0)
    np.float64(2.0322308024e-313)
    """
    cdef choices chosen = choices(
        <PyObject *> where, <PyObject *> casting, <PyObject *> order, <PyObject *> dtype, <PyObject *> subok
    )
    return call(EXPIT, 0, x, out, &chosen)


@_of_log_odds("Values at most 0")
def log_expit(
    x, /, out=NOT_GIVEN, *, where=True, casting="same_kind", order="K", dtype=None, subok=True
):
    """
    Logarithm of the logistic sigmoid, ``log(expit(x)) = -log(1 + exp(-x))``, element by element.

    The log-likelihood of a success at log odds `x`; that of a failure is ``log_expit(-x)``.

    {arguments}

    See Also
    --------
    expit : the function whose logarithm this is.

    Notes
    -----
    {promises}

    With ``E = exp(-abs(x))`` the result is ``min(x, 0) - log1p(E)``, and ``log1p(E)`` is
    ``h log(2) + 2 atanh((1 + E - 2**h) / (1 + E + 2**h))`` with h 0 or 1.

    Examples
    --------
    Taking the logarithm of `expit` fails at both ends:

    >>> import numpy as np
    >>> from fastlogit import expit, log_expit
    >>> x = np.array([-800.0, 0.0, 40.0])
    >>> log_expit(x)
    array([-8.00000000e+02, -6.93147181e-01, -4.24835426e-18])
    >>> with np.errstate(divide="ignore"):
    ...     np.log(expit(x))
    array([       -inf, -0.69314718,  0.        ])
    """
    cdef choices chosen = choices(
        <PyObject *> where, <PyObject *> casting, <PyObject *> order, <PyObject *> dtype, <PyObject *> subok
    )
    return call(LOG_EXPIT, 0, x, out, &chosen)


@_of_log_odds("Values at least 0")
def softplus(
    x, /, out=NOT_GIVEN, *, where=True, casting="same_kind", order="K", dtype=None, subok=True
):
    """
    Smooth maximum of `x` and 0, ``log(1 + exp(x)) = -log_expit(-x)``, element by element.

    {arguments}

    See Also
    --------
    log_expit : the same but for signs.
    expit : the derivative.

    Notes
    -----
    {promises}
    Rounding knows no sign: the error is that of `log_expit`. No threshold makes large results `x` itself.

    Examples
    --------
    The formula overflows, or has no digit left, at both ends:

    >>> import numpy as np
    >>> from fastlogit import softplus
    >>> x = np.array([-40.0, 0.0, 1000.0])
    >>> softplus(x)
    array([4.24835426e-18, 6.93147181e-01, 1.00000000e+03])
    >>> with np.errstate(over="ignore"):
    ...     np.log(1 + np.exp(x))
    array([0.        , 0.69314718,        inf])
    """
    cdef choices chosen = choices(
        <PyObject *> where, <PyObject *> casting, <PyObject *> order, <PyObject *> dtype, <PyObject *> subok
    )
    return call(SOFTPLUS, 0, x, out, &chosen)
