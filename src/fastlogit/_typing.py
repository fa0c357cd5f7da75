"""The words of the stubs. No library of containers is imported: its objects are known by what they can do."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray


class Columns(Protocol):
    """A Series, DataFrame or Index, of pandas or polars, or a DataArray of xarray."""

    def to_numpy(self) -> Any: ...


class Lazy(Protocol):
    """An array of dask, or a Dataset of xarray."""

    def compute(self, **kwargs: Any) -> Any: ...


class Expression(Protocol):
    """An expression of polars."""

    def map_batches(self, function: Any) -> Any: ...
    def __array_ufunc__(self, ufunc: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any: ...


class SupportsArray(Protocol):
    """What NumPy makes an array of, a tensor for instance."""

    def __array__(self) -> Any: ...


class SupportsDlpack(Protocol):
    def __dlpack__(self) -> Any: ...


Shape = TypeVar("Shape", bound=tuple[Any, ...])
Floating = TypeVar("Floating", bound=np.floating[Any])
Array = TypeVar("Array", bound=NDArray[Any])
Masked = TypeVar("Masked", bound=np.ma.MaskedArray[Any, Any])
Container = TypeVar("Container", bound=Columns | Lazy | Expression)

# What is computed in float64.
Number: TypeAlias = float | np.integer[Any] | np.bool
Exact: TypeAlias = np.integer[Any] | np.bool

# As deep as anyone writes them: a type that contains itself would take a str, whose elements are str.
Row: TypeAlias = Sequence[Number | np.floating[Any]]
Numbers: TypeAlias = Row | Sequence[Row] | Sequence[Sequence[Row]] | Sequence[Sequence[Sequence[Row]]]

Foreign: TypeAlias = SupportsArray | SupportsDlpack
RealArray: TypeAlias = NDArray[np.floating[Any] | np.integer[Any] | np.bool]
DoubleArray: TypeAlias = NDArray[np.float64 | np.integer[Any] | np.bool]
Double: TypeAlias = (
    Number | np.float64 | np.float32 | np.float16 | Numbers
    | NDArray[np.float64 | np.float32 | np.float16 | np.integer[Any] | np.bool]
)
Real: TypeAlias = (
    Number | np.floating[Any] | RealArray | Numbers | Columns | Lazy | Expression | Foreign
)
Mask: TypeAlias = (
    bool | np.bool | NDArray[np.bool] | Sequence[bool] | Sequence[Sequence[bool]] | Columns | Lazy
)

Axis: TypeAlias = int | tuple[int, ...] | None
Eps: TypeAlias = float | np.floating[Any] | np.integer[Any] | NDArray[Any] | None
Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
Order: TypeAlias = Literal["K", "A", "C", "F"]
