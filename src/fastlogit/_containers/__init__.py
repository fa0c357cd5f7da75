"""Containers beside the ndarray, for the functions of slices. The others get them through the ufuncs.

A module for each library, none of which imports it: what they are given has loaded it. Each has

``numbers(name, argument, value)``
    the array in a container, and a mask of what is missing from it, or None;
``share(function, x, axis, where)``
    softmax or log_softmax of a container, in one like it;
``add(function, a, axis, options)``
    logsumexp of a container, with the labels that remain;
``like(x, axis, result)``
    a result of the shape of x, or without its axis, with the labels of x;
``fault_of(x)``
    what keeps an elementwise function from it, for an error message, or None.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from fastlogit._arguments import as_array, as_mask, overrides

MODULES = {
    "pandas": "pandas_objects",
    "xarray": "xarray_objects",
    "dask": "dask_objects",
    "polars": "polars_objects",
    "pint": "quantities",
    "astropy": "quantities",
}

Array = np.ndarray[Any, Any]


def library_of(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def is_of_pandas(value: object) -> bool:
    """Also if another library has derived it."""
    return any(base.__module__.partition(".")[0] == "pandas" for base in type(value).__mro__)


def container_of(value: object) -> Any:
    """The module that knows this kind of object; None for an ndarray and all that NumPy makes one of."""
    if type(value) is np.ndarray or library_of(value) == "builtins":
        return None
    for base in type(value).__mro__:
        module = MODULES.get(base.__module__.partition(".")[0])
        if module is not None:
            return import_module(f"fastlogit._containers.{module}")
    if isinstance(value, np.ndarray):
        return import_module("fastlogit._containers.numpy_objects")
    return None


def numbers_in(name: str, argument: str, value: Any) -> tuple[Array, Array | None]:
    """What an argument holds as an array, and a mask of what is missing, or None if nothing is."""
    container = container_of(value)
    if container is None:
        return as_array(name, argument, value), None
    numbers: tuple[Array, Array | None] = container.numbers(name, argument, value)
    return numbers


def counting(name: str, where: Any, missing: Array | None, shape: tuple[int, ...]) -> Any:
    """`where`, and False for what is missing, of this shape."""
    if missing is None:
        return where
    counted = np.broadcast_to(~missing, shape)
    if where is True:
        return counted
    mask = as_mask(name, where)
    try:
        return counted & np.broadcast_to(mask, shape)
    except ValueError:
        return mask  # which the function refuses


def into(function: Callable[..., Any], x: Any, axis: Any, out: Any, where: Any) -> Any:
    """softmax or log_softmax of a container, written to an array, which has NaN then for what is missing."""
    name = function.__name__
    values, missing = numbers_in(name, "x", x)
    function(values, axis, out=out, where=counting(name, where, missing, values.shape))
    if missing is not None:
        out[missing] = np.ma.masked if isinstance(out, np.ma.MaskedArray) else np.nan
    return out


def labelled_like(x: Any, axis: int | None, result: Array) -> Any:
    """A result of the shape of x, or without this axis, as x is."""
    container = container_of(x)
    return result if container is None else container.like(x, axis, result)


def check_labels(name: str, argument: str, value: Any, x: Any, *, of_rows: bool = False) -> None:
    """Refuse an argument whose labels are others than those of x: what belongs together is a guess then.

    A Series beside a DataFrame lies along its columns, for NumPy and for pandas, unless it is `of_rows`.
    """
    if not is_of_pandas(value) or not is_of_pandas(x):
        return
    pairs = []
    if hasattr(value, "columns") == hasattr(x, "columns"):
        pairs = [(getattr(value, labels, None), getattr(x, labels, None)) for labels in ("index", "columns")]
    elif hasattr(x, "columns"):
        pairs = [(getattr(value, "index", None), x.index if of_rows else x.columns)]
    for labels, others in pairs:
        if labels is not None and others is not None and not labels.equals(others):
            raise ValueError(
                f"{name}: {argument} has other labels than the argument, or in another order; align it "
                f"first ({argument}.reindex_like), or pass {argument}.to_numpy() to go by position"
            )


def check_no_series(name: str, out: object, argument: str = "out") -> None:
    """Refuse an `out` of pandas, which would fill it from a hidden copy, or fill that alone."""
    if not is_of_pandas(out):
        return
    kind = type(out).__name__
    fault = f"{name}: {argument} is a pandas {kind}, whose memory pandas may share with others or replace"
    if argument != "out":
        raise TypeError(f"{fault}; pass an array, and make a {kind} of it afterwards")
    raise TypeError(
        f"{fault}; assign the result instead (out[:] = {name}(x)), or work in place on an array that is "
        f"yours: a = x.to_numpy(copy=True); {name}(a, out=a); pd.{kind}(a, copy=False)"
    )


def applied_to_container(
    name: str, ufunc: np.ufunc, x: Any, out: Any, options: dict[str, Any]
) -> Any:
    """What a container makes of a ufunc: of x, or of the place for the result."""
    check_no_series(name, out)
    container = x if overrides(x) else out
    module = container_of(container)
    refuse = getattr(module, "check_elementwise", None)
    if refuse is not None:
        x = refuse(name, x) if container is x else x
    try:
        return ufunc(x, **options) if out is None else ufunc(x, out=out, **options)
    except TypeError as error:
        kind = f"a {library_of(container)} {type(container).__name__}"
        fault = module.fault_of(x) if out is None and hasattr(module, "fault_of") else None
        if fault is not None:
            message = f"x is {kind}, {fault}"
        elif out is None:
            message = f"x is {kind}, which refuses ({error}); pass one of numbers, or its array (to_numpy())"
        else:
            message = (
                f"out is not for {kind}, as x or out is ({error}); assign the result instead, or pass NumPy "
                "arrays (to_numpy()) as both"
            )
        raise TypeError(f"{name}: {message}") from error
