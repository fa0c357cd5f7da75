"""Arrays and DataFrames of dask, which stay lazy."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import numpy as np

from fastlogit._arguments import as_mask, check_real, checked_axes, working_dtype
from fastlogit._containers import Array
from fastlogit._parts import PART_SUM, from_sums, logsumexp_from_sums, merged, sum_of_parts


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
    """The function of a dask array, whose chunks stay as they are.

    `keepdims` is for functions that make one number of a slice.
    """
    axes = checked_axes(function.__name__, axis, x.ndim)
    check_real(function.__name__, x.dtype, "x" if keepdims is None else "a")
    masks = []
    if where is not True:
        where = sys.modules["dask.array"].asarray(where)
        if where.dtype != bool:
            as_mask(function.__name__, np.empty(0, where.dtype))  # which refuses it
        masks = [sys.modules["dask.array"].broadcast_to(where, x.shape).rechunk(x.chunks)]
    dtype = working_dtype(x.dtype)
    is_plain = dtype is not None and type(x._meta) is np.ndarray
    if all(len(x.chunks[i]) == 1 for i in axes):
        result = of_chunks(function, x, axes, masks, keepdims)
    elif is_plain and not any(np.isnan(length) for chunks in x.chunks for length in chunks):
        result = from_parts(function, x, axes, masks, dtype, keepdims)
    else:  # long double and chunks of other libraries have no sums of parts
        x = x.rechunk(dict.fromkeys(axes, -1))
        masks = [mask.rechunk(x.chunks) for mask in masks]
        result = of_chunks(function, x, axes, masks, keepdims)
    return result.squeeze(axis=axes) if keepdims is False else result


def of_chunks(
    function: Callable[..., Any], x: Any, axes: tuple[int, ...], masks: list[Any], keepdims: bool | None
) -> Any:
    """Where each slice is in one chunk."""
    options = {} if keepdims is None else {"keepdims": True}
    meta = function(np.ones_like(x._meta, shape=(1,) * x.ndim), axis=axes, **options)[(slice(0),) * x.ndim]
    chunks = tuple((1,) if i in axes and options else chunk for i, chunk in enumerate(x.chunks))
    return x.map_blocks(
        of_chunk, *masks, function=function, axes=axes, options=options, dtype=meta.dtype, chunks=chunks,
        meta=meta, token=function.__name__,
    )


def from_parts(
    function: Callable[..., Any],
    x: Any,
    axes: tuple[int, ...],
    masks: list[Any],
    dtype: Any,
    keepdims: bool | None,
) -> Any:
    """Where slices lie in several chunks: a sum for each part, merged in a tree, then the results."""
    dask_array = sys.modules["dask.array"]
    name = function.__name__
    nothing = (0,) * x.ndim

    chunks = tuple((1,) * len(chunk) if i in axes else chunk for i, chunk in enumerate(x.chunks))
    sums = x.map_blocks(
        sums_of_chunk, *masks, axes=axes, computed=dtype, chunks=chunks, dtype=PART_SUM,
        meta=np.empty(nothing, PART_SUM), token=f"{name}-sums",
    )
    totals = dask_array.reduction(
        sums, as_it_is, merged_sums, combine=merged_sums, axis=axes, keepdims=True, dtype=PART_SUM,
        meta=np.empty(nothing, PART_SUM), concatenate=False,
    )
    meta = np.empty(nothing, dtype)
    if keepdims is not None:
        return totals.map_blocks(logsumexp_from_sums, dtype, dtype=dtype, meta=meta, token=name)
    if is_read(x):
        # Else the scheduler keeps all chunks along an axis from the first pass to the second.
        bind = import_module("dask.graph_manipulation").bind
        x = bind(x, totals, seed=totals.name)
    return x.map_blocks(
        results_of_chunk, totals, *masks, function_name=name, axes=axes, computed=dtype, chunks=x.chunks,
        dtype=dtype, meta=meta, token=name,
    )


def is_read(x: Any) -> bool:
    """Whether the chunks come straight from an array, a file or a function, and not from another computation.

    So they cost little to read a second time. What was persisted is in memory anyway.
    """
    layers, dependencies = x.dask.layers, x.dask.dependencies
    layer = layers.get(x.name)
    if layer is None or not hasattr(layer, "io_deps"):  # a Blockwise layer has them
        return False
    return all(len(layers[name]) == 1 for name in dependencies[x.name])


# What runs in a task


def of_chunk(
    part: Any, mask: Any = True, *, function: Callable[..., Any], axes: tuple[int, ...],
    options: dict[str, Any],
) -> Any:
    return function(part, axis=axes, where=mask, **options)


def sums_of_chunk(part: Any, mask: Any = None, *, axes: tuple[int, ...], computed: Any) -> Array:
    return sum_of_parts(np.asarray(part, computed), axes, mask)


def as_it_is(sums: Array, axis: Any, keepdims: bool) -> Array:
    return sums


def merged_sums(sums: Any, axis: Any, keepdims: bool) -> Array:
    return merged(flat(sums))


def results_of_chunk(
    part: Any, sums: Array, mask: Any = None, *, function_name: str, axes: tuple[int, ...], computed: Any
) -> Array:
    return from_sums(function_name, np.asarray(part, computed), sums, axes, mask)


def flat(sums: Any) -> list[Array]:
    """The arrays in lists of lists, one for each axis, as dask nests them."""
    if not isinstance(sums, list):
        return [sums]
    return [one for part in sums for one in flat(part)]
