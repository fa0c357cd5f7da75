"""DataArray, Variable and Dataset."""

import sys
from collections.abc import Callable
from typing import Any

from fastlogit._arguments import checked_axes
from fastlogit._containers import Array, numbers_in


def xarray() -> Any:
    return sys.modules["xarray"]


def is_dataset(value: Any) -> bool:
    return hasattr(value, "data_vars")


def numbers(name: str, argument: str, value: Any) -> tuple[Array, Array | None]:
    if is_dataset(value):
        raise TypeError(
            f"{name}: {argument} is an xarray Dataset, which has several arrays; pass one of them"
        )
    return numbers_in(name, argument, value.data)


def refuse_axis(name: str, axis: Any) -> None:
    if axis is not None:
        raise TypeError(
            f"{name}: x is an xarray Dataset, whose variables may have an axis {axis} each of another name; "
            f"say it for each: x.map(lambda variable: {name}(variable, axis={axis}))"
        )


def beside(name: str, argument: str, value: Any, x: Any) -> Any:
    """Another argument as its data, in the dimensions of x, to which its labels have to fit."""
    if not hasattr(value, "dims") or not hasattr(value, "data"):
        return value
    unknown = [dim for dim in value.dims if dim not in x.dims]
    if unknown:
        raise ValueError(
            f"{name}: {argument} has the dimension {unknown[0]!r}, which the argument has not; pass one of "
            f"its dimensions {x.dims}"
        )
    if hasattr(value, "coords") and hasattr(x, "coords"):
        try:
            xarray().align(x, value, join="exact")
        except ValueError as error:
            raise ValueError(
                f"{name}: {argument} has other labels than the argument, or in another order; align it first "
                f"({argument}.reindex_like), or pass {argument}.data to go by position"
            ) from error
    missing = tuple(dim for dim in x.dims if dim not in value.dims)
    expanded = value.expand_dims(dict.fromkeys(missing, 1)) if missing else value
    return expanded.transpose(*x.dims).data


def share(function: Callable[..., Any], x: Any, axis: Any, where: Any) -> Any:
    name = function.__name__
    keeps_attrs = xarray().get_options()["keep_attrs"] is not False
    if is_dataset(x):
        refuse_axis(name, axis)
        return x.map(lambda variable: function(variable, where=where), keep_attrs=keeps_attrs)
    result = x.copy(deep=False, data=function(x.data, axis, where=beside(name, "where", where, x)))
    if not keeps_attrs:
        result.attrs = {}
    return result


def add(function: Callable[..., Any], a: Any, axis: Any, options: dict[str, Any]) -> Any:
    name = function.__name__
    if is_dataset(a):
        refuse_axis(name, axis)
        if options["return_sign"]:
            raise TypeError(
                f"{name}: with return_sign there are two results for each array of a Dataset; pass one array"
            )
        return a.map(lambda variable: function(variable, **options))
    keepdims = options["keepdims"]
    data = {argument: beside(name, argument, options[argument], a) for argument in ("b", "where")}

    def reduced(index: int | None) -> Any:
        def of(values: Any, axis: Any = None) -> Any:
            results = function(values, axis, **{**options, **data, "keepdims": False})
            return results if index is None else results[index]

        axes = checked_axes(name, axis, a.ndim)
        return a.reduce(of, axis=axes, keepdims=keepdims)

    if options["return_sign"]:
        return reduced(0), reduced(1)
    return reduced(None)


def like(x: Any, axis: int | None, result: Array) -> Any:
    if axis is None:
        return x.copy(deep=False, data=result)
    return x.reduce(lambda values, axis: result, axis=axis)


def fault_of(x: Any) -> str | None:
    arrays = dict(x.data_vars) if is_dataset(x) else {x.name if hasattr(x, "name") else None: x}
    for label, array in arrays.items():
        if array.dtype.kind not in "biuf":
            whose = f"whose variable {label!r}" if is_dataset(x) else "which"
            return f"{whose} has dtype {array.dtype}, and the function is defined for real numbers"
    return None


