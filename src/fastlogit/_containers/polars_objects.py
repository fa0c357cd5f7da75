"""Series and DataFrames of polars, whose nulls stay where they are and do not count."""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from fastlogit._containers import Array, counting


def polars() -> Any:
    return sys.modules["polars"]


def kind_of(value: Any) -> str:
    if hasattr(value, "to_frame"):
        return "Series"
    return "DataFrame" if hasattr(value, "get_columns") else "Expr"


def is_number(dtype: Any) -> bool:
    """A dtype whose values are real numbers for NumPy; decimals are objects there."""
    return bool(dtype == polars().Boolean or (dtype.is_numeric() and not dtype.is_decimal()))


def refuse_lazy(name: str, argument: str, value: Any) -> NoReturn:
    raise TypeError(
        f"{name}: {argument} is a polars {type(value).__name__}, which is not computed yet; collect() it, or "
        f"map the function: pl.col('z').map_batches({name}, return_dtype=pl.Float64)"
    )


def of_series(name: str, argument: str, series: Any) -> tuple[Array, Array | None]:
    if not is_number(series.dtype):
        raise TypeError(
            f"{name}: {argument} is a polars Series, whose values ({series.name!r}) have dtype "
            f"{series.dtype}, and the function is defined for real numbers; convert it with cast(pl.Float64)"
        )
    missing = None
    if series.null_count():
        missing = series.is_null().to_numpy()
        series = series.fill_null(value=series.dtype == polars().Boolean and False)
    return series.to_numpy(), missing


def numbers(name: str, argument: str, value: Any) -> tuple[Array, Array | None]:
    kind = kind_of(value)
    if kind == "Series":
        return of_series(name, argument, value)
    if kind == "Expr":
        refuse_lazy(name, argument, value)
    columns = [of_series(name, argument, column) for column in value.get_columns()]
    dtype = np.result_type(*(values.dtype for values, _ in columns)) if columns else np.dtype(float)
    together = np.empty(value.shape, dtype, order="F")
    missing = None
    for i, (values, hidden) in enumerate(columns):
        together[:, i] = values
        if hidden is not None:
            missing = np.zeros(value.shape, bool, order="F") if missing is None else missing
            missing[:, i] = hidden
    return together, missing


def with_nulls(name: str, values: Array, missing: Array | None) -> Any:
    series = polars().Series(name, values)
    return series if missing is None or not missing.any() else series.set(polars().Series(missing), None)


def share(function: Callable[..., Any], x: Any, axis: Any, where: Any) -> Any:
    name = function.__name__
    values, missing = numbers(name, "x", x)
    result = function(values, axis, where=counting(name, where, missing, values.shape))
    if kind_of(x) == "Series":
        return with_nulls(x.name, result, missing)
    return type(x)([
        with_nulls(label, result[:, i], None if missing is None else missing[:, i])
        for i, label in enumerate(x.columns)
    ])


def add(function: Callable[..., Any], a: Any, axis: Any, options: dict[str, Any]) -> Any:
    """A number; of a DataFrame along an axis an array, as it has no labels but those of its columns."""
    name = function.__name__
    values, missing = numbers(name, "a", a)
    return function(
        values, axis, **{**options, "where": counting(name, options["where"], missing, values.shape)}
    )


def like(x: Any, axis: int | None, result: Array) -> Any:
    if axis is not None or result.ndim == 0:
        return result
    return with_nulls(x.name, result, None) if kind_of(x) == "Series" else type(x)(result, schema=x.columns)


def check_elementwise(name: str, x: Any) -> Any:
    """Small integers and booleans as float64, in which they are computed; polars would take float32."""
    if kind_of(x) == "Series" and (x.dtype == polars().Boolean or x.dtype.is_integer()):
        return x.cast(polars().Float64)
    return x


def fault_of(x: Any) -> str | None:
    if kind_of(x) == "Series" and not is_number(x.dtype):
        return (
            f"whose values ({x.name!r}) have dtype {x.dtype}, and the function is defined for real numbers; "
            "pass one of numbers: cast(pl.Float64)"
        )
    return None
