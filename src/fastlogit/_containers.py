"""Containers beside the ndarray, for the functions of slices. The others get them through the ufuncs."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from fastlogit._arguments import check_real, checked_axes, overrides


def library_of(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def applied_to_container(
    name: str, ufunc: np.ufunc, x: Any, out: Any, options: dict[str, Any]
) -> Any:
    """What a container makes of a ufunc: of x, or of the place for the result."""
    container = x if overrides(x) else out
    try:
        return ufunc(x, **options) if out is None else ufunc(x, out=out, **options)
    except TypeError as error:
        kind = f"a {library_of(container)} {type(container).__name__}"
        if out is None:
            message = f"x is {kind}, which refuses ({error}); pass one of numbers, or its array (to_numpy())"
        else:
            message = (
                f"out is not for {kind}, as x or out is ({error}); assign the result instead, or pass NumPy "
                "arrays (to_numpy()) as both"
            )
        raise TypeError(f"{name}: {message}") from error


def is_lazy(value: object) -> bool:
    """Whether this is a dask array."""
    return library_of(value) == "dask" and hasattr(value, "map_blocks")


def lazily(
    function: Callable[..., Any],
    x: Any,
    axis: int | tuple[int, ...] | None,
    where: Any,
    keepdims: bool | None = None,
) -> Any:
    """The function of a dask array, chunk by chunk, once every slice is in one chunk.

    `keepdims` is for functions that make one number of a slice.
    """
    axes = checked_axes(function.__name__, axis, x.ndim)
    x = x.rechunk(dict.fromkeys(axes, -1))
    options = {} if keepdims is None else {"keepdims": True}
    dtype = function(np.ones((1,) * x.ndim, x.dtype), axis=axes, **options).dtype
    chunks = tuple((1,) if i in axes and options else chunk for i, chunk in enumerate(x.chunks))
    masks = []
    if where is not True:
        dask_array: Any = import_module("dask.array")  # which x has loaded
        masks = [dask_array.broadcast_to(dask_array.asarray(where), x.shape).rechunk(x.chunks)]

    def of_chunk(part: Any, mask: Any = True) -> Any:
        return function(part, axis=axes, where=mask, **options)

    result = x.map_blocks(of_chunk, *masks, dtype=dtype, chunks=chunks)
    return result.squeeze(axis=axes) if keepdims is False else result


def without_masked(name: str, argument: str, x: Any) -> Any:
    """The array itself, or a masked one with -inf for what is masked: it does not count."""
    if not isinstance(x, np.ma.MaskedArray):
        return x
    check_real(name, x.dtype, argument)
    if x.dtype.kind != "f":
        x = np.ma.MaskedArray(x, dtype=np.float64)
    return x.filled(-np.inf)


def wrapped_like(original: object, result: Any) -> Any:
    """`result` with the labels of `original`, if it has any: pandas, xarray, polars, masked arrays."""
    if isinstance(original, np.ma.MaskedArray):
        return np.ma.MaskedArray(result, original.mask)
    if isinstance(original, np.ndarray) or not overrides(original):
        return result
    if library_of(original) == "polars":
        series: Any = original
        return type(series)(series.name, result)
    if any(base.__module__.partition(".")[0] == "pandas" for base in type(original).__mro__):
        pandas: Any = original
        if result.ndim == 2:
            return type(pandas)(result, index=pandas.index, columns=pandas.columns, copy=False)
        if hasattr(pandas, "index"):
            return type(pandas)(result, index=pandas.index, name=pandas.name, copy=False)
        return type(pandas)(result, name=pandas.name)
    wrap = getattr(original, "__array_wrap__", None)
    return result if wrap is None else wrap(result)
