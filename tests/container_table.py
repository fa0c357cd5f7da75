"""The table of docs/containers.rst: what comes back for what goes in, as the functions answer.

``python tests/container_table.py --write`` writes it anew; test_container_table.py compares it row by row.
"""

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastlogit import expit, log_expit, log_softmax, logit, logsumexp, softmax, softplus

TABLE = Path(__file__).parents[1] / "docs" / "container-table.rst.inc"
VALUES = [0.25, 0.5, 0.75]
GRID = np.array([[0.25, 0.5, 0.75], [0.5, 0.125, 0.25]])


def clamped(x):
    return logit(x, 1e-6)


ELEMENTWISE = (logit, clamped, expit, log_expit, softplus)
NORMALISING = (softmax, log_softmax)


class Row(NamedTuple):
    libraries: str
    argument: str  # as the table names it
    make: Callable[[], Any]
    axis: int | None = None


def load(name):
    return import_module(name)


def series(values, dtype=None):
    return load("pandas").Series(values, index=[5, 3, 3], name="p", dtype=dtype)


def frame(**dtypes):
    pandas = load("pandas")
    made = pandas.DataFrame(GRID, index=[4, 4], columns=["a", "b", "c"])
    return made.astype(dtypes)


def frame_with_na():
    pandas = load("pandas")
    made = frame(a="Float64")
    made.loc[:, "a"] = pandas.array([0.5, None], dtype="Float64")
    return made


def lazy(chunks):
    return load("dask.array").from_array(GRID, chunks=chunks)


def data_array(data=GRID):
    return load("xarray").DataArray(data, dims=("row", "class"), coords={"class": list("abc")})


def dask_frame():
    return load("dask.dataframe").from_pandas(frame().reset_index(drop=True), npartitions=1)


def polars_series(values, dtype):
    return load("polars").Series("p", values, dtype=getattr(load("polars"), dtype))


def polars_frame():
    polars = load("polars")
    return polars.DataFrame({"a": [0.5, None], "b": [0.25, 0.75]})


def mapped():
    return np.frombuffer(GRID.tobytes()).reshape(GRID.shape).view(np.memmap)


ROWS = [
    Row("", "ndarray float64", lambda: GRID, 1),
    Row("", "ndarray float32", lambda: GRID.astype("f4"), 1),
    Row("", "ndarray float16", lambda: GRID.astype("f2"), 1),
    Row("", "ndarray of integers or bool", lambda: GRID > 0.3, 1),
    Row("", "NumPy scalar", lambda: np.float32(0.25)),
    Row("", "list of numbers", lambda: VALUES),
    Row("", "masked array", lambda: np.ma.MaskedArray(GRID, GRID == 0.75), 1),
    Row("", "masked array, nothing left in a row", lambda: np.ma.MaskedArray(GRID, [[1] * 3, [0] * 3]), 1),
    Row("", "memmap", mapped, 1),
    Row("", "matrix", lambda: GRID.view(np.matrix), 1),
    Row("ml_dtypes", "ndarray bfloat16", lambda: GRID.astype(load("ml_dtypes").bfloat16), 1),
    Row("pandas", "Series float64", lambda: series(VALUES)),
    Row("pandas", "Series float32", lambda: series(VALUES, "float32")),
    Row("pandas", "Series int64", lambda: series([1, 0, 1])),
    Row("pandas", "Series Float64 with NA", lambda: series([0.25, None, 0.5], "Float64")),
    Row("pandas", "Series Float32 with NA", lambda: series([0.25, None, 0.5], "Float32")),
    Row("pandas", "Series Int64 with NA", lambda: series([1, None, 0], "Int64")),
    Row("pandas", "Series boolean with NA", lambda: series([True, None, False], "boolean")),
    *(
        Row("pandas pyarrow", f"Series {dtype} with NA", partial(series, values, dtype))
        for dtype, values in {
            "double[pyarrow]": [0.25, None, 0.5],
            "int64[pyarrow]": [1, None, 0],
            "bool[pyarrow]": [True, None, False],
        }.items()
    ),
    Row("pandas", "Series Sparse", lambda: series([0.0, 0.5, 0.0], "Sparse[float64]")),
    Row("pandas", "Series category", lambda: series([1, 0, 1], "category")),
    Row("pandas", "Series of strings", lambda: series(["a", "b", "c"])),
    Row("pandas", "Index", lambda: load("pandas").Index(VALUES, name="p")),
    Row("pandas", "RangeIndex", lambda: load("pandas").RangeIndex(2, name="p")),
    Row("pandas", "array Float64 with NA", lambda: load("pandas").array([0.25, None])),
    Row("pandas", "DataFrame float64", frame, 1),
    Row("pandas", "DataFrame float64 and float32", lambda: frame(a="float32"), 1),
    Row("pandas", "DataFrame float64, and Float64 with NA", frame_with_na, 1),
    Row("xarray", "DataArray", data_array, 1),
    Row("xarray dask", "DataArray of dask", lambda: data_array(lazy((1, 2))), 1),
    Row("xarray", "Dataset", lambda: data_array().to_dataset(name="p")),
    Row("dask", "dask array, axis in one chunk", lambda: lazy((1, 3)), 1),
    Row("dask", "dask array, axis in several chunks", lambda: lazy((1, 2)), 1),
    Row("dask pandas", "dask DataFrame, axis=1", dask_frame, 1),
    Row("dask pandas", "dask DataFrame, axis=0", dask_frame, 0),
    Row("dask pandas", "dask Series", lambda: dask_frame()["a"]),
    Row("polars", "polars Series Float64 with null", lambda: polars_series([0.25, None, 0.5], "Float64")),
    Row("polars", "polars Series Float32", lambda: polars_series(VALUES, "Float32")),
    Row("polars", "polars Series Int8 with null", lambda: polars_series([1, None], "Int8")),
    Row("polars", "polars Series String", lambda: polars_series(["a"], "String")),
    Row("polars", "polars DataFrame with null", polars_frame, 1),
    Row("polars", "polars expression", lambda: load("polars").col("p")),
    Row("torch", "torch CPU tensor", lambda: load("torch").tensor(VALUES)),
    Row("pyarrow", "pyarrow array", lambda: load("pyarrow").array(VALUES)),
    Row("pint", "pint Quantity", lambda: load("pint").UnitRegistry().Quantity(np.array(VALUES), "percent")),
    Row("astropy", "astropy Quantity", lambda: VALUES * load("astropy.units").percent),
]


def is_available(row):
    return all(find_spec(library) is not None for library in row.libraries.split())


def labels_of(value):
    """Whatever names the elements of a container."""
    names = ("index", "columns", "coords", "name")
    return {name: getattr(value, name) for name in names if not callable(getattr(value, name, len))}


def missing_in(value):
    if isinstance(value, np.ma.MaskedArray):
        return np.ma.getmaskarray(value)
    if type(value).__module__.startswith("polars"):
        columns = [value] if hasattr(value, "to_frame") else value.get_columns()
        return np.column_stack([column.is_null().to_numpy() for column in columns])
    if hasattr(value, "data_vars"):
        return np.zeros(0, bool)
    if hasattr(value, "isna") and not hasattr(value, "map_partitions"):
        return np.asarray(value.isna())
    return np.zeros(getattr(value, "shape", ()), bool)


def dtype_of(value):
    if hasattr(value, "data_vars"):
        return " and ".join(sorted({str(array.dtype) for array in value.data_vars.values()}))
    if hasattr(value, "dtypes"):
        dtypes = value.dtypes
        dtypes = [dtypes] if not np.iterable(dtypes) or isinstance(dtypes, str) else list(dtypes)
        return " and ".join(dict.fromkeys(map(plain_name, dtypes)))
    return str(getattr(value, "dtype", ""))


def plain_name(dtype):
    """pandas spells the fill value of sparse arrays in several ways."""
    return "Sparse" if str(dtype).startswith("Sparse") else str(dtype)


def kept_labels(result, argument):
    """Whether all that the result is labelled with are labels of the argument, if that has some."""
    if type(argument).__module__.startswith("dask"):
        return hasattr(result, "columns") and list(result.columns) == list(argument.columns)
    if not type(argument).__module__.startswith(("pandas", "polars", "xarray")):
        return None
    theirs = labels_of(argument)
    pairs = [(theirs[name], own) for name, own in labels_of(result).items() if name in theirs]
    if hasattr(argument, "coords") and hasattr(argument, "dims"):
        return set(result.dims) <= set(argument.dims)
    if not pairs:
        return None
    return all(
        own is not None and (own.equals(other) if hasattr(own, "equals") else own == other)
        for other, own in pairs
        if other is not None
    )


def is_lazy(value):
    if type(value).__module__.startswith("xarray") and hasattr(value, "data"):
        value = value.data
    return type(value).__module__.startswith("dask")


def answer(function, row):
    """What the function makes of the argument, in words."""
    argument = row.make()
    options = {} if function in ELEMENTWISE else {"axis": row.axis}
    try:
        result = function(argument, **options)
    except TypeError:
        return "TypeError"
    kind = type(result).__name__
    if kind in ("Expr", "Dataset") or is_lazy(result):
        words = [f"{kind} {dtype_of(result)}".strip()]
    else:
        words = [f"{kind} {dtype_of(result)}".strip() if kind not in ("float32", "float64") else kind]
    if is_lazy(argument) and is_lazy(result):
        words.append("lazy")
    if kept_labels(result, argument):
        words.append("labels kept")
    if not is_lazy(argument) and getattr(result, "shape", ()) and kind != "Expr":
        here, there = missing_in(argument), missing_in(result)
        if here.any() and here.shape == there.shape and (here == there).all():
            words.append("missing kept")
        elif here.any() and isinstance(result, np.ndarray) and here.shape == result.shape:
            assert np.isnan(result[here]).all()
            words.append("missing become NaN")
        elif here.any():
            words.append("missing left out" if not there.any() else "missing where nothing is left")
    elif not is_lazy(argument) and kind not in ("Expr", "Dataset") and missing_in(argument).any():
        words.append("missing left out")
    return ", ".join(words)


def answers(functions, row):
    """The one answer of all of them."""
    (words,) = {answer(function, row) for function in functions}
    return words


def cells(row):
    return (
        row.argument, answers(ELEMENTWISE, row), answers(NORMALISING, row), answers((logsumexp,), row),
    )


HEAD = """.. list-table::
   :header-rows: 1
   :widths: 24 26 26 24

"""


def formatted(cells):
    return "".join(f"   {'*' if i == 0 else ' '} - {cell}\n" for i, cell in enumerate(cells))


def table(rows):
    titles = ("argument", "logit, expit, log_expit, softplus", "softmax, log_softmax", "logsumexp")
    return HEAD + formatted(titles) + "".join(formatted(cells(row)) for row in rows)


if __name__ == "__main__" and "--write" in sys.argv:
    missing = [row.libraries for row in ROWS if not is_available(row)]
    if missing:
        sys.exit(f"the table needs {', '.join(sorted(set(missing)))}")
    TABLE.write_text(table(ROWS))
