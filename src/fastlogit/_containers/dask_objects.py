"""Arrays and DataFrames of dask, which stay lazy."""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from fastlogit._arguments import checked_axes
from fastlogit._containers import Array


def is_array(value: Any) -> bool:
    return hasattr(value, "map_blocks")


def is_frame(value: Any) -> bool:
    return hasattr(value, "map_partitions")


def numbers(name: str, argument: str, value: Any) -> tuple[Array, Array | None]:
    raise TypeError(
        f"{name}: {argument} is a dask {type(value).__name__}, which would be computed at once; compute() it "
        "first, or map the function over its blocks"
    )


def share(function: Callable[..., Any], x: Any, axis: Any, where: Any) -> Any:
    if not is_array(x):
        return of_partitions(function, "x", x, axis, {"where": where})
    return lazily(function, x, axis, where)


def add(function: Callable[..., Any], a: Any, axis: Any, options: dict[str, Any]) -> Any:
    if not is_array(a):
        return of_partitions(function, "a", a, axis, options)
    name = function.__name__
    for option in ("b", "return_sign"):
        if options[option] is not None and options[option] is not False:
            raise TypeError(
                f"{name}: {option} does not go with a dask array; map the function over its blocks, or "
                "compute() it first"
            )
    return lazily(function, a, axis, options["where"], options["keepdims"])


def of_partitions(
    function: Callable[..., Any], argument: str, x: Any, axis: Any, options: dict[str, Any]
) -> Any:
    """Each partition has whole rows, and nothing else is whole there."""
    name = function.__name__
    if not is_frame(x):
        numbers(name, argument, x)
    if not hasattr(x, "columns") or x.ndim != 2 or checked_axes(name, axis, 2) != (1,):
        refuse_partitions(name, argument, x, axis)
    for option, value in options.items():
        if value is not None and not isinstance(value, bool):
            raise TypeError(
                f"{name}: {option} does not go with a dask DataFrame; map the function over its partitions"
            )
    meta = function(x._meta, axis=axis, **options)
    return x.map_partitions(function, axis=axis, **options, meta=meta)


def refuse_partitions(name: str, argument: str, x: Any, axis: Any) -> NoReturn:
    raise TypeError(
        f"{name}: {argument} is a dask {type(x).__name__}, whose rows lie in several partitions, and axis="
        f"{axis} goes across them; pass axis=1 of a DataFrame, or the array x.to_dask_array(lengths=True)"
    )


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
        dask_array = sys.modules["dask.array"]
        masks = [dask_array.broadcast_to(dask_array.asarray(where), x.shape).rechunk(x.chunks)]

    def of_chunk(part: Any, mask: Any = True) -> Any:
        return function(part, axis=axes, where=mask, **options)

    result = x.map_blocks(of_chunk, *masks, dtype=dtype, chunks=chunks)
    return result.squeeze(axis=axes) if keepdims is False else result


