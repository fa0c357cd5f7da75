"""Series, DataFrames, indexes and extension arrays of pandas.

pd.NA does not count and stays where it is. The columns of a DataFrame are computed in the one dtype that
holds all of them, as NumPy would; each comes back as NumPy, nullable or Arrow array, as it was.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastlogit._arguments import checked_axes, shape_with_weights
from fastlogit._containers import Array, check_labels, counting, numbers_in

NULLABLE = "nullable"
ARROW = "arrow"


def pandas() -> Any:
    return sys.modules["pandas"]


class Column(NamedTuple):
    values: Array
    missing: Array | None
    kind: str | None  # NULLABLE, ARROW, or None for NumPy

    def wrapped(self, result: Array) -> Any:
        return extension_array(self.kind, result, self.missing)


def extension_array(kind: str | None, result: Array, missing: Array | None) -> Any:
    if kind == NULLABLE:
        mask = np.zeros(result.shape, bool) if missing is None else missing
        return pandas().arrays.FloatingArray(result, mask)
    if kind == ARROW:
        pyarrow = sys.modules["pyarrow"]
        return pandas().arrays.ArrowExtensionArray(
            pyarrow.array(result, mask=missing, from_pandas=False)
        )
    return result


def kind_of(dtype: Any) -> str | None:
    if hasattr(dtype, "pyarrow_dtype"):
        return ARROW
    if type(dtype).__name__ == "NumpyEADtype":
        return None
    return NULLABLE if hasattr(dtype, "numpy_dtype") else None


def is_number(dtype: Any) -> bool:
    if hasattr(dtype, "fill_value"):  # sparse
        dtype = dtype.subtype
    numpy_dtype = getattr(dtype, "numpy_dtype", dtype)
    return isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in "biuf"


def fault_of_dtype(dtype: Any) -> str:
    cure = "take its codes (cat.codes) or convert it" if str(dtype) == "category" else "convert it"
    return (
        f"has dtype {dtype}, and the function is defined for real numbers; {cure} with astype(float), or "
        "leave it out"
    )


def column_of(name: str, argument: str, array: Any, label: Any = None) -> Column:
    """The numbers of one array, and what is missing. `array` may also be a Series or an Index."""
    dtype = array.dtype
    if not is_number(dtype):
        whose = "" if label is None else f"is a DataFrame, whose column {label!r} "
        raise TypeError(f"{name}: {argument} {whose}{fault_of_dtype(dtype)}")
    kind = kind_of(dtype)
    if kind is None:
        return Column(np.asarray(array), None, None)
    missing = np.asarray(array.isna())
    if not missing.any():
        return Column(array.to_numpy(dtype=dtype.numpy_dtype), None, kind)
    filled: Array = array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0).item())
    return Column(filled, missing, kind)


class Table(NamedTuple):
    """The columns of a DataFrame together."""

    values: Array
    missing: Array | None
    kinds: list[str | None]
    is_own: bool  # nobody else has this memory

    def missing_of(self, column: int) -> Array | None:
        if self.missing is None or not self.missing[:, column].any():
            return None
        return self.missing[:, column]


def is_plain(dtypes: list[Any]) -> bool:
    """Whether NumPy holds all columns in one array, or can."""
    return all(isinstance(dtype, np.dtype) and dtype == dtypes[0] for dtype in dtypes)


def table_of(name: str, argument: str, frame: Any) -> Table:
    dtypes = list(frame.dtypes)
    if is_plain(dtypes) and (not dtypes or is_number(dtypes[0])):
        values = frame.to_numpy()
        is_own = bool(values.size) and not np.may_share_memory(values, frame.iloc[:, 0].to_numpy())
        return Table(values, None, [None] * len(dtypes), is_own and values.flags.writeable)
    numpy_dtypes = []
    for label, dtype in zip(frame.columns, dtypes, strict=True):
        if not is_number(dtype):
            raise TypeError(
                f"{name}: {argument} is a pandas DataFrame, whose column {label!r} {fault_of_dtype(dtype)}"
            )
        numpy_dtypes.append(getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype)))
    values = np.empty(frame.shape, np.result_type(*numpy_dtypes), order="F")
    missing = None
    kinds = []
    for i, label in enumerate(frame.columns):
        column = column_of(name, argument, frame.iloc[:, i].array, label)
        values[:, i] = column.values
        kinds.append(column.kind)
        if column.missing is not None:
            missing = np.zeros(frame.shape, bool, order="F") if missing is None else missing
            missing[:, i] = column.missing
    return Table(values, missing, kinds, True)


def is_frame(value: Any) -> bool:
    return hasattr(value, "columns")


def numbers(name: str, argument: str, value: Any) -> tuple[Array, Array | None]:
    if is_frame(value):
        return table_of(name, argument, value)[:2]
    if not hasattr(value, "dtype"):
        return np.asarray(value), None
    return column_of(name, argument, value)[:2]


def in_place(
    function: Callable[..., Any], values: Array, is_own: bool, axis: Any, where: Any
) -> Array:
    """In the memory of the values, if that is free to use and has the dtype of the result."""
    is_own = is_own and values.dtype.char in "fdg" and values.dtype.isnative and values.flags.writeable
    result: Array = function(values, axis, where=where, **({"out": values} if is_own else {}))
    return result


def share(function: Callable[..., Any], x: Any, axis: Any, where: Any) -> Any:
    name = function.__name__
    check_labels(name, "where", where, x)
    if is_frame(x):
        return share_in_frame(function, x, axis, where)
    column = column_of(name, "x", x)
    counted = counting(name, where, column.missing, column.values.shape)
    result = column.wrapped(
        in_place(function, column.values, column.missing is not None, axis, counted)
    )
    if hasattr(x, "index"):
        series = x._constructor(result, index=x.index, name=x.name, copy=False)
        return series.__finalize__(x)
    if hasattr(x, "name"):
        return pandas().Index(result, name=x.name, copy=False)
    return result if column.kind is not None else pandas().arrays.NumpyExtensionArray(result)


def share_in_frame(function: Callable[..., Any], x: Any, axis: Any, where: Any) -> Any:
    table = table_of(function.__name__, "x", x)
    counted = counting(function.__name__, where, table.missing, table.values.shape)
    result = in_place(function, table.values, table.is_own, axis, counted)
    if not any(table.kinds):
        frame = x._constructor(result, index=x.index, columns=x.columns, copy=False)
    else:
        arrays = {
            i: extension_array(kind, result[:, i], table.missing_of(i)) for i, kind in enumerate(table.kinds)
        }
        frame = x._constructor(arrays, index=x.index, copy=False)
        frame.columns = x.columns
    return frame.__finalize__(x)


def add(function: Callable[..., Any], a: Any, axis: Any, options: dict[str, Any]) -> Any:
    """A number, or the Series of a DataFrame along an axis. With keepdims an array, which broadcasts."""
    name = function.__name__
    for argument in ("b", "where"):
        check_labels(name, argument, options[argument], a)
    if is_frame(a):
        table = table_of(name, "a", a)
        values, missing, kinds = table.values, table.missing, table.kinds
    else:
        values, missing = numbers(name, "a", a)
        kinds = [None]
    b, b_missing = (None, None) if options["b"] is None else numbers_in(name, "b", options["b"])
    shape = values.shape if b is None else shape_with_weights(name, values, b)
    where = options["where"]
    for hidden in (missing, b_missing):
        where = counting(name, where, hidden, shape)
    results = function(values, axis, **{**options, "b": b, "where": where})
    axes = checked_axes(name, axis, values.ndim)
    if not is_frame(a) or len(axes) != 1 or options["keepdims"] or shape != values.shape:
        return results
    labels = a.index if axes == (1,) else a.columns
    kind = NULLABLE if NULLABLE in kinds else ARROW if ARROW in kinds else None

    def labelled(result: Array) -> Any:
        series = a._constructor_sliced(extension_array(kind, result, None), index=labels, copy=False)
        return series.__finalize__(a)

    return tuple(map(labelled, results)) if isinstance(results, tuple) else labelled(results)


def like(x: Any, axis: int | None, result: Array) -> Any:
    if is_frame(x) and axis is not None:
        labels = x.columns if axis == 0 else x.index
        return x._constructor_sliced(result, index=labels, copy=False).__finalize__(x)
    if is_frame(x):
        return x._constructor(result, index=x.index, columns=x.columns, copy=False).__finalize__(x)
    if hasattr(x, "index") and result.ndim:
        return x._constructor(result, index=x.index, name=x.name, copy=False).__finalize__(x)
    return pandas().Index(result, name=x.name) if hasattr(x, "name") and result.ndim else result


def fault_of(x: Any) -> str | None:
    if is_frame(x):
        for label, dtype in zip(x.columns, x.dtypes, strict=True):
            if not is_number(dtype):
                return f"whose column {label!r} {fault_of_dtype(dtype)}"
        return None
    dtype = getattr(x, "dtype", None)
    return None if dtype is None or is_number(dtype) else f"which {fault_of_dtype(dtype)}"
