"""softmax, log_softmax and logsumexp: signatures, documentation, argument rules."""

import numpy as np

from fastlogit import _isa, _longdouble
from fastlogit._arguments import (
    as_array, check_cast, check_flag, check_out, check_real, checked_axes, mask_for, shape_with_weights,
    share_memory, with_numpy_dtype, working_dtype,
)
from fastlogit._blocks import blocks
from fastlogit._containers import check_no_series, container_of, counting, into, numbers_in

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer

from fastlogit._arrays cimport (
    can_take_result_of, is_native_float, is_real, new_like, same_elements_or_apart,
)
from fastlogit._environment cimport enter_default, fenv_t, fesetenv
from fastlogit._threads cimport end_call, threads_for
from fastlogit.kernels.slices cimport LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, slice_function, slice_kernels, slices
from fastlogit.kernels.strided cimport (
    MAX_AXES, add_axis, add_masked_axis, append_axis, begin_walk, has_own_elements, merge_axes, pad_axes,
    walk,
)
from fastlogit.kernels.weighted cimport weighted_kernels, weighted_slices

cnp.import_array()

cdef const slice_kernels *kernels = <const slice_kernels *> PyCapsule_GetPointer(
    _isa.kernels("slices"), "fastlogit.kernels.slices"
)
cdef const weighted_kernels *weighted = <const weighted_kernels *> PyCapsule_GetPointer(
    _isa.kernels("weighted"), "fastlogit.kernels.weighted"
)

cdef enum:
    SMALLEST_PARALLEL = 131072  # bytes from which two threads win (``benchmarks/thresholds.py``)
    SMALLEST_PARALLEL_WEIGHTED = 2048  # elements
    SMALLEST_WITHOUT_GIL = 2048  # elements below which letting the GIL go costs more than it gives


cdef int transform(
    slice_function function, cnp.ndarray x, cnp.ndarray out, object mask, const bint *is_reduced
) except -1:
    """Write the function of the slices of ``x`` to ``out``, which has its axes, as ``mask`` has, unless None.

    For logsumexp ``out`` has length 1 along those that are reduced.
    """
    cdef slices cut
    cdef int axis, threads, failed, itemsize = <int> cnp.PyArray_ITEMSIZE(x)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x), mask_stride = 0
    cdef bint is_float32 = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT
    if n == 0:
        return 0
    begin_walk(
        &cut.kept, cnp.PyArray_BYTES(x), cnp.PyArray_BYTES(out),
        NULL if mask is None else cnp.PyArray_BYTES(<cnp.ndarray> mask),
    )
    begin_walk(&cut.reduced, NULL, NULL, NULL)
    for axis in range(cnp.PyArray_NDIM(x)):
        if mask is not None:
            mask_stride = cnp.PyArray_STRIDE(<cnp.ndarray> mask, axis)
        if is_reduced[axis]:
            append_axis(
                &cut.reduced, cnp.PyArray_DIM(x, axis), cnp.PyArray_STRIDE(x, axis),
                0 if function == LOGSUMEXP else cnp.PyArray_STRIDE(out, axis), mask_stride,
            )
        else:
            add_masked_axis(
                &cut.kept, cnp.PyArray_DIM(x, axis), cnp.PyArray_STRIDE(x, axis),
                cnp.PyArray_STRIDE(out, axis), mask_stride,
            )
    merge_axes(&cut.kept)
    merge_axes(&cut.reduced)
    pad_axes(&cut.kept, 1, itemsize)
    pad_axes(&cut.reduced, 1, itemsize)
    if n < SMALLEST_WITHOUT_GIL:
        if is_float32:
            failed = kernels.float32(NULL, function, &cut, 1)
        else:
            failed = kernels.float64(NULL, function, &cut, 1)
    else:
        with nogil:
            threads = threads_for(n, SMALLEST_PARALLEL // itemsize)
            if is_float32:
                failed = kernels.float32(NULL, function, &cut, threads)
            else:
                failed = kernels.float64(NULL, function, &cut, threads)
            end_call()
    if failed:
        raise MemoryError("no memory for the sums of the segments of a slice")
    return 0


cdef int weigh(
    cnp.ndarray x, cnp.ndarray weights, object mask, cnp.ndarray out, cnp.ndarray sign, const bint *is_reduced
) except -1:
    cdef weighted_slices cut
    cdef int axis, turn, threads
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef bint is_float32 = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT
    cut.axes = 0
    cut.x = cnp.PyArray_BYTES(x)
    cut.weights = cnp.PyArray_BYTES(weights)
    cut.mask = NULL if mask is None else cnp.PyArray_BYTES(<cnp.ndarray> mask)
    cut.out = cnp.PyArray_BYTES(out)
    cut.sign = cnp.PyArray_BYTES(sign)
    for turn in range(2):
        for axis in range(cnp.PyArray_NDIM(x)):
            if is_reduced[axis] == turn:
                cut.shape[cut.axes] = cnp.PyArray_DIM(x, axis)
                cut.x_strides[cut.axes] = cnp.PyArray_STRIDE(x, axis)
                cut.weights_strides[cut.axes] = cnp.PyArray_STRIDE(weights, axis)
                cut.mask_strides[cut.axes] = (
                    0 if mask is None else cnp.PyArray_STRIDE(<cnp.ndarray> mask, axis)
                )
                cut.out_strides[cut.axes] = cnp.PyArray_STRIDE(out, axis)
                cut.sign_strides[cut.axes] = cnp.PyArray_STRIDE(sign, axis)
                cut.axes += 1
        if turn == 0:
            cut.kept = cut.axes
    with nogil:
        threads = threads_for(n, SMALLEST_PARALLEL_WEIGHTED)
        if is_float32:
            weighted.float32(&cut, threads)
        else:
            weighted.float64(&cut, threads)
        end_call()
    return 0


cdef bint elements_are_apart(cnp.ndarray out):
    cdef walk path
    cdef int axis
    begin_walk(&path, cnp.PyArray_BYTES(out), cnp.PyArray_BYTES(out), NULL)
    for axis in range(cnp.PyArray_NDIM(out)):
        add_axis(
            &path, cnp.PyArray_DIM(out, axis), cnp.PyArray_STRIDE(out, axis),
            cnp.PyArray_STRIDE(out, axis),
        )
    return has_own_elements(&path, cnp.PyArray_ITEMSIZE(out))


cdef int mark_axes(str name, object axis, int ndim, bint *is_reduced) except -1:
    """Fill ``is_reduced`` from what the caller passed as ``axis``."""
    cdef int i
    cdef long long single
    for i in range(ndim):
        is_reduced[i] = axis is None
    if axis is None:
        return 0
    if type(axis) is int and -ndim <= axis < ndim:
        single = axis
        is_reduced[single + ndim if single < 0 else single] = True
        return 0
    for i in checked_axes(name, axis, ndim):
        is_reduced[i] = True
    return 0


cdef inline bint is_plain(object array):
    """Whether the kernels can take this object as it is: a plain array of native float32 or float64."""
    return type(array) is cnp.ndarray and is_native_float(<cnp.ndarray> array)


cdef object converted(cnp.ndarray array, object dtype):
    """To nearest, whatever the caller does, and without a warning."""
    cdef fenv_t caller
    if (<object> array).dtype == dtype:
        return array
    enter_default(&caller)
    try:
        if cnp.PyArray_CanCastSafely(cnp.PyArray_TYPE(array), (<cnp.dtype> dtype).type_num):
            return (<object> array).astype(dtype)
        with np.errstate(all="ignore"):
            return (<object> array).astype(dtype)
    finally:
        fesetenv(&caller)


cdef object shares(str name, slice_function function, object argument, object axis, object out, object where):
    """softmax and log_softmax: a result of the shape of the argument."""
    cdef bint is_reduced[MAX_AXES]
    cdef object x = argument, mask = None, result
    cdef bint native
    if type(x) is not cnp.ndarray:
        container = container_of(argument)
        if container is not None:
            public = softmax if function == SOFTMAX else log_softmax
            if out is None:
                return container.share(public, argument, axis, where)
            return into(public, argument, axis, out, where)
        x = as_array(name, "x", argument)
    native = is_native_float(x)
    if not is_real(x):
        x = with_numpy_dtype(x)
        native = is_native_float(x)
        check_real(name, x.dtype)
    mark_axes(name, axis, cnp.PyArray_NDIM(x), is_reduced)
    if where is not True:
        mask = mask_for(name, where, x.shape, out)
    if (
        native
        and isinstance(out, cnp.ndarray)
        and can_take_result_of(out, x)
        and elements_are_apart(out)
    ):
        transform(function, x, out, mask, is_reduced)
        return out
    if out is not None:
        check_no_series(name, out)
        check_out(name, out, x.shape, exact=True)
        check_cast(name, working_dtype(x.dtype) or np.dtype(np.longdouble), out.dtype)
        transform_converted(function, x, out, mask, is_reduced)
        return out
    if native:
        result = new_like(x)
        transform(function, x, result, mask, is_reduced)
    elif cnp.PyArray_TYPE(x) == cnp.NPY_LONGDOUBLE:
        result = np.empty_like(x, np.longdouble, subok=False)
        transform_converted(function, x, result, mask, is_reduced)
    else:
        # The converted copy is the result.
        result = converted(x, working_dtype(x.dtype))
        transform(function, result, result, mask, is_reduced)
    return result if x.ndim else result[()]


cdef tuple axes_of(cnp.ndarray x, const bint *is_reduced):
    return tuple([i for i in range(cnp.PyArray_NDIM(x)) if is_reduced[i]])


cdef inline bint is_in_blocks(cnp.ndarray x, cnp.ndarray out):
    """Whether a block of ``out`` may be written before the next one of ``x`` is read."""
    return elements_are_apart(out) and (
        not share_memory(x, out)
        or (cnp.PyArray_ITEMSIZE(x) == cnp.PyArray_ITEMSIZE(out) and same_elements_or_apart(x, out))
    )


cdef int transform_converted(
    slice_function function, cnp.ndarray x, cnp.ndarray out, object mask, const bint *is_reduced
) except -1:
    """``transform`` of arrays of any real dtypes: where ``out`` has that of the computation, in its place."""
    cdef fenv_t caller
    cdef object dtype = working_dtype(x.dtype), memory = None, index, part, part_mask, result
    cdef tuple axes = axes_of(x, is_reduced)
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    enter_default(&caller)  # NumPy rounds where it casts
    try:
        if (
            dtype is not None
            and is_native_float(out)
            and out.dtype == dtype
            and elements_are_apart(out)
            and not share_memory(x, out)
        ):
            np.copyto(out, x)
            return transform(function, out, out, mask, is_reduced)
        with np.errstate(all="ignore"):
            for index in blocks(x, axes) if is_in_blocks(x, out) else blocks(x, axes, cnp.PyArray_SIZE(x)):
                part = (<object> x)[index]
                part_mask = None if mask is None else mask[index]
                if dtype is None:
                    result = (_longdouble.softmax if function == SOFTMAX else _longdouble.log_softmax)(
                        part, axes, part_mask
                    )
                else:
                    if memory is None:
                        memory = np.empty_like(part, dtype, subok=False)
                    result = memory[(*[slice(length) for length in part.shape], ...)]
                    np.copyto(result, part)
                    transform(function, result, result, part_mask, is_reduced)
                np.copyto((<object> out)[index], result, casting="same_kind")
                result = None  # before the next block is converted
    finally:
        fesetenv(&caller)
    return 0


def softmax(x, axis=None, *, out=None, where=True):
    """
    softmax(x, axis=None, *, out=None, where=True)

    Exponentials that sum to 1: ``exp(x) / sum(exp(x))`` along an axis.

    Turns scores of any size into probabilities.

    Parameters
    ----------
    x : array_like
        Scores. float32 and float64 are computed in their own precision, float16 in float32, bool and
        integers in float64; long double goes through NumPy, on one thread.
    axis : int, tuple of int or None, optional
        What is to sum to 1: along one axis, several together, or (None) the whole array.
    out : ndarray, optional
        Where the result goes, of the shape of `x`: any strides, and it may be `x` itself. It is
        returned. If its dtype is another one, the result is computed beside it and cast.
    where : array_like of bool, optional
        Which elements count; it is broadcast to the shape of `x`. Where it is False the result is 0,
        whatever the element is, NaN and infinities included. A slice in which none counts gives NaN, as
        one of -inf alone does.

    Returns
    -------
    ndarray or scalar
        Probabilities, with the shape of `x`. Objects of pandas, xarray, dask and polars and masked arrays
        give one of their kind, with their labels; what is missing stays so and does not count.

    Raises
    ------
    TypeError
        If `x` is not real, `out` is not an array, or `where` is not boolean.
    ValueError
        If `out` is read-only or has the wrong shape, `where` does not broadcast, or `axis` names an axis
        twice.
    numpy.exceptions.AxisError
        If `x` has no such axis.

    See Also
    --------
    log_softmax : the logarithm of this function, which keeps the digits of small probabilities.

    Notes
    -----
    The error of every element is at most 2 units in the last place, in float64 1.5, however long the slices
    are. The bits of a slice depend on neither its strides, nor the thread count, nor the other slices. A
    slice without a finite largest element gives NaN, as in SciPy.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlogit import softmax
    >>> x = np.array([[1.0, 2.0, 3.0], [1001.0, 1002.0, 1003.0]])
    >>> softmax(x, axis=1, out=x)
    array([[0.09003057, 0.24472847, 0.66524096],
           [0.09003057, 0.24472847, 0.66524096]])

    Sequences of several lengths, padded with whatever there was:

    >>> scores = np.array([[2.0, 1.0, np.nan], [0.5, 0.5, 0.5]])
    >>> softmax(scores, axis=1, where=[[True, True, False], [True, True, True]])
    array([[0.73105858, 0.26894142, 0.        ],
           [0.33333333, 0.33333333, 0.33333333]])
    """
    return shares("softmax", SOFTMAX, x, axis, out, where)


def log_softmax(x, axis=None, *, out=None, where=True):
    """
    log_softmax(x, axis=None, *, out=None, where=True)

    Logarithm of `softmax`: ``x - log(sum(exp(x)))`` along an axis.

    The log-probabilities that a classifier's scores stand for.

    Parameters
    ----------
    x : array_like
        Scores. float32 and float64 are computed in their own precision, float16 in float32, bool and
        integers in float64; long double goes through NumPy, on one thread.
    axis : int, tuple of int or None, optional
        Along which the probabilities sum to 1: one axis, several together, or (None) the whole array.
    out : ndarray, optional
        Where the result goes, of the shape of `x`: any strides, and it may be `x` itself. It is
        returned. If its dtype is another one, the result is computed beside it and cast.
    where : array_like of bool, optional
        Which elements count; it is broadcast to the shape of `x`. Where it is False the result is -inf,
        whatever the element is, NaN and infinities included. A slice in which none counts gives NaN, as
        one of -inf alone does.

    Returns
    -------
    ndarray or scalar
        Values at most 0, with the shape of `x`. Objects of pandas, xarray, dask and polars and masked arrays
        give one of their kind, with their labels; what is missing stays so and does not count.

    Raises
    ------
    TypeError
        If `x` is not real, `out` is not an array, or `where` is not boolean.
    ValueError
        If `out` is read-only or has the wrong shape, `where` does not broadcast, or `axis` names an axis
        twice.
    numpy.exceptions.AxisError
        If `x` has no such axis.

    See Also
    --------
    softmax : the probabilities themselves.

    Notes
    -----
    The error of every element is at most 1.5 units in the last place, also near 0: the largest element is
    left out of the sum, whose log1p is taken. The bits of a slice depend on neither its strides, nor the
    thread count, nor the other slices.

    Examples
    --------
    The loss of a confident and correct classifier is small and not 0:

    >>> import numpy as np
    >>> from fastlogit import log_softmax
    >>> log_softmax(np.array([40.0, 0.0]))
    array([-4.24835426e-18, -4.00000000e+01])
    """
    return shares("log_softmax", LOG_SOFTMAX, x, axis, out, where)


cdef object reduced_plain(cnp.ndarray x, object axis, bint keepdims, object out):
    """logsumexp of what `is_plain`; None where ``out`` has to be looked at more closely."""
    cdef bint is_reduced[MAX_AXES]
    cdef cnp.npy_intp shape[MAX_AXES]
    cdef cnp.npy_intp kept_shape[MAX_AXES]
    cdef cnp.PyArray_Dims kept
    cdef cnp.ndarray sums, result  # of one memory
    cdef int i, ndim = cnp.PyArray_NDIM(x)
    mark_axes("logsumexp", axis, ndim, is_reduced)
    kept.ptr = kept_shape
    kept.len = 0
    for i in range(ndim):
        shape[i] = 1 if is_reduced[i] else cnp.PyArray_DIM(x, i)
        if not is_reduced[i]:
            kept_shape[kept.len] = shape[i]
            kept.len += 1
    sums = result = cnp.PyArray_EMPTY(ndim, shape, cnp.PyArray_TYPE(x), 0)
    if not keepdims:
        result = cnp.PyArray_Newshape(sums, &kept, cnp.NPY_CORDER)
    if out is not None and not (type(out) is cnp.ndarray and can_take_result_of(<cnp.ndarray> out, result)):
        return None
    if cnp.PyArray_SIZE(x) == 0:
        sums.fill(-np.inf)
    else:
        transform(LOGSUMEXP, x, sums, None, is_reduced)
    if out is not None:
        cnp.PyArray_CopyInto(<cnp.ndarray> out, result)
        return out
    if cnp.PyArray_NDIM(result) == 0:
        return cnp.PyArray_ToScalar(cnp.PyArray_DATA(result), result)
    return result


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, *, out=None, where=True):
    """
    logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, *, out=None, where=True)

    Logarithm of a sum of exponentials: ``log(sum(b * exp(a)))`` along an axis.

    Adds numbers that are given by their logarithms, and would overflow or vanish themselves.

    Parameters
    ----------
    a : array_like
        The exponents. float32 and float64 are computed in their own precision, float16 in float32, bool
        and integers in float64; long double goes through NumPy, on one thread.
    axis : int, tuple of int or None, optional
        Over which to add: one axis, several together, or (None) the whole array.
    b : array_like, optional
        Factors of the exponentials, broadcast against `a`. They may be negative; where one is 0, the
        element of `a` does not count, even if it is infinite or NaN.
    keepdims : bool, optional
        Keep the reduced axes, with length 1.
    return_sign : bool, optional
        Return the sign of the sum as well, and the logarithm of its absolute value.
    out : ndarray, optional
        Where the result goes. It is returned.
    where : array_like of bool, optional
        Which elements count; it is broadcast to the shape of `a`. The others add nothing, whatever they are.

    Returns
    -------
    result : ndarray or scalar
        The logarithm; NaN for a negative sum, unless `return_sign`. A DataFrame gives a Series along an axis,
        an xarray object one without the reduced dimensions.
    sign : ndarray or scalar
        Only with `return_sign`: 1, -1, or 0 where the sum is 0, NaN where it is NaN.

    Raises
    ------
    TypeError
        If `a` or `b` is not real, `out` is not an array, or `where` is not boolean.
    ValueError
        If `a` and `b` do not broadcast, nor `where`, `out` is read-only or has the wrong shape, or `axis`
        names an axis twice.
    numpy.exceptions.AxisError
        If there is no such axis.

    See Also
    --------
    log_softmax : ``x - logsumexp(x)``.

    Notes
    -----
    The error is at most 2 units in the last place of the larger of the result and the largest element, and
    does not grow with the number of terms. With weights of both signs that holds wherever the sum exceeds
    2**-100 of the sum of the absolute terms; the largest element is then that of the largest size, or 2**-26
    if all are smaller. The sign is right wherever the sum exceeds 2**-179 of the absolute terms. Opposite
    weights of equal elements leave exactly nothing. A sum that cancels to less than an eighth of the absolute
    terms takes about ten times as long.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlogit import logsumexp
    >>> logsumexp([-1000.0, -1001.0])
    np.float64(-999.6867383124818)

    A difference of two exponentials, with its sign:

    >>> logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    (np.float64(1.5413248546129181), np.float64(-1.0))
    """
    cdef bint is_reduced[MAX_AXES]
    cdef object x = a, weights = None, sign = None, mask = None, dtype
    cdef object weights_missing = None
    cdef fenv_t caller
    if keepdims is not False and keepdims is not True:
        keepdims = check_flag("logsumexp", "keepdims", keepdims)
    if return_sign is not False and return_sign is not True:
        return_sign = check_flag("logsumexp", "return_sign", return_sign)
    if b is None and not return_sign and where is True and is_plain(x):
        result = reduced_plain(x, axis, keepdims, out)
        if result is not None:
            return result
    container = container_of(a)
    if container is not None and out is None:
        return container.add(
            logsumexp, a, axis, {"b": b, "keepdims": keepdims, "return_sign": return_sign, "where": where}
        )
    x, missing = numbers_in("logsumexp", "a", a)
    x = with_numpy_dtype(x)
    check_real("logsumexp", x.dtype, "a")
    dtype = working_dtype(x.dtype)
    if b is not None:
        weights, weights_missing = numbers_in("logsumexp", "b", b)
        weights = with_numpy_dtype(weights)
        check_real("logsumexp", weights.dtype, "b")
        # A Python number has no precision of its own.
        dtype = working_dtype(
            np.result_type(np.empty(0, dtype or x.dtype), b if isinstance(b, (int, float)) else weights)
        ) or np.dtype(np.longdouble)
        kept_shape = shape_with_weights("logsumexp", x, weights)
        # What is repeated is converted before, once, and little beside the whole.
        if weights.shape != kept_shape:
            weights = converted(weights, dtype)
        if x.shape != kept_shape:
            x = converted(x, dtype)
        x, weights = np.broadcast_arrays(x, weights)
    where = counting("logsumexp", where, missing, x.shape)
    where = counting("logsumexp", where, weights_missing, x.shape)
    if where is not True:
        mask = mask_for("logsumexp", where, x.shape, out)
    mark_axes("logsumexp", axis, x.ndim, is_reduced)
    dtype = dtype or np.dtype(np.longdouble)
    kept_shape = tuple(1 if is_reduced[i] else x.shape[i] for i in range(x.ndim))
    shape = kept_shape if keepdims else tuple(x.shape[i] for i in range(x.ndim) if not is_reduced[i])
    if out is not None:
        check_no_series("logsumexp", out)
        check_out("logsumexp", out, shape, exact=True)
        check_cast("logsumexp", dtype, out.dtype)
    result = np.full(kept_shape, -np.inf, dtype)
    if weights is not None:
        sign = np.zeros(kept_shape, dtype)
    enter_default(&caller)  # NumPy rounds where it casts, and traps where it compares NaN
    try:
        if x.size:
            add_up(x, weights, mask, result, sign, is_reduced)
        if sign is None and return_sign:
            sign = np.where(result == -np.inf, 0, np.where(np.isnan(result), np.nan, 1)).astype(dtype)
        elif sign is not None and not return_sign:
            result[sign < 0] = np.nan
        if not keepdims:
            result = result.reshape(shape)
            sign = sign.reshape(shape) if return_sign else None
        if out is not None:
            with np.errstate(all="ignore"):
                np.copyto(out, result, casting="same_kind")
            result = out
    finally:
        fesetenv(&caller)
    if out is None and result.ndim == 0:
        result = result[()]
    if return_sign:
        return result, sign if sign.ndim else sign[()]
    return result


cdef int add_up(
    cnp.ndarray x, object weights, object mask, cnp.ndarray result, object sign, const bint *is_reduced
) except -1:
    """The sums of all slices, by blocks where x or the weights have not the dtype of the result."""
    cdef object index, part, part_weights, part_mask, dtype = result.dtype
    cdef bint as_it_is = x.dtype == dtype and is_native_float(x)
    cdef bint is_longdouble = dtype.char == "g"
    cdef tuple axes = axes_of(x, is_reduced)
    if weights is None and as_it_is:
        return transform(LOGSUMEXP, x, result, mask, is_reduced)
    if as_it_is and weights.dtype == dtype and is_native_float(weights):
        return weigh(x, weights, mask, result, sign, is_reduced)
    with np.errstate(all="ignore"):
        for index in blocks(x, axes):
            part = (<object> x)[index]
            part = part if is_longdouble else np.asarray(part, dtype)
            part_mask = None if mask is None else mask[index]
            part_weights = None if weights is None else np.asarray(weights[index], dtype)
            if is_longdouble and weights is None:
                (<object> result)[index].flat = _longdouble.logsumexp(part, axes, part_mask)
            elif is_longdouble:
                (<object> result)[index].flat, sign[index].flat = _longdouble.weighted_logsumexp(
                    part, part_weights, axes, part_mask
                )
            elif weights is None:
                transform(LOGSUMEXP, part, (<object> result)[index], part_mask, is_reduced)
            else:
                weigh(part, part_weights, part_mask, (<object> result)[index], sign[index], is_reduced)
            part = part_weights = None  # before the next block is converted
    return 0
