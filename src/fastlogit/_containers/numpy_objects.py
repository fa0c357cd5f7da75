"""Masked arrays, matrices and other subclasses of the ndarray."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastlogit._arguments import check_real, shape_with_weights
from fastlogit._containers import Array, counting, numbers_in


def numbers(name: str, argument: str, value: Any) -> tuple[Array, Array | None]:
    if isinstance(value, np.ma.MaskedArray):
        check_real(name, value.dtype, argument)
        missing: Any = None if value.mask is np.ma.nomask else value.mask
        return np.asarray(value.data), missing
    return np.asarray(value), None


def share(function: Callable[..., Any], x: Any, axis: Any, where: Any) -> Any:
    name = function.__name__
    values, missing = numbers(name, "x", x)
    result = np.asarray(function(values, axis, where=counting(name, where, missing, values.shape)))
    if not isinstance(x, np.ma.MaskedArray):
        return wrapped(x, result)
    if x.ndim == 0 and missing is not None and missing:
        return np.ma.masked
    like: Any = x.astype(result.dtype) if x.dtype.kind != "f" else x
    return np.ma.MaskedArray(
        result, np.ma.nomask if missing is None else missing.copy(), fill_value=like.fill_value,
        hard_mask=x.hardmask,
    )


def wrapped(x: Any, result: Array, *, scalar: bool = True) -> Any:
    """`result` as the class of x makes it, a scalar of one number (unless it is a subclass's own)."""
    return x.__array_wrap__(result, None, scalar and result.ndim == 0)


def add(function: Callable[..., Any], a: Any, axis: Any, options: dict[str, Any]) -> Any:
    name = function.__name__
    values, missing = numbers(name, "a", a)
    options = dict(options)
    if isinstance(a, np.matrix) and axis is not None:
        options["keepdims"] = True
    b, b_missing = (None, None) if options["b"] is None else numbers_in(name, "b", options["b"])
    shape = values.shape if b is None else shape_with_weights(name, values, b)
    for hidden in (missing, b_missing):
        options["where"] = counting(name, options["where"], hidden, shape)
    results = function(values, axis, **{**options, "b": b})
    if isinstance(a, np.ma.MaskedArray):
        left: Any = np.ma.nomask
        if missing is not None:
            left = np.broadcast_to(missing, shape).all(axis=axis, keepdims=options["keepdims"])

        def wrap(result: Any) -> Any:
            if np.ndim(result):
                return np.ma.MaskedArray(result, left)
            return np.ma.masked if left is not np.ma.nomask and left else result
    else:

        def wrap(result: Any) -> Any:
            is_number = isinstance(a, np.matrix) and np.ndim(result) == 0
            return result if is_number else wrapped(a, np.asarray(result))

    return tuple(map(wrap, results)) if isinstance(results, tuple) else wrap(results)


def like(x: Any, axis: int | None, result: Array) -> Any:
    """The losses of a masked array, nothing of which is masked, are masked arrays too, as before."""
    return np.ma.MaskedArray(result) if isinstance(x, np.ma.MaskedArray) else result
