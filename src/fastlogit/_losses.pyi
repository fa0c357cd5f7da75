from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from fastlogit._typing import (
    Array,
    Columns,
    Container,
    DoubleArray,
    Exact,
    Expression,
    Foreign,
    Lazy,
    Number,
    Numbers,
    Real,
    RealArray,
)

# Added in float64, whatever the logits are.
_Total = Literal["mean", "sum"]
_Grad = NDArray[np.float32] | NDArray[np.float64] | None
_Single = NDArray[np.float32 | Exact]

@overload
def binary_cross_entropy_with_logits(
    logits: Real,
    target: Real,
    weight: Real | None = None,
    *,
    pos_weight: Real | None = None,
    reduction: _Total = "mean",
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> np.float64: ...
@overload
def binary_cross_entropy_with_logits(
    logits: Container,
    target: Real,
    weight: Real | None = None,
    *,
    pos_weight: Real | None = None,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> Container: ...
@overload
def binary_cross_entropy_with_logits(  # type: ignore[overload-overlap]
    logits: NDArray[np.float32],
    target: _Single,
    weight: _Single | None = None,
    *,
    pos_weight: _Single | None = None,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> NDArray[np.float32]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: DoubleArray | Numbers,
    target: Real,
    weight: Real | None = None,
    *,
    pos_weight: Real | None = None,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> NDArray[np.float64]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: Number,
    target: Number,
    weight: Number | None = None,
    *,
    pos_weight: Number | None = None,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> np.float64: ...
@overload
def binary_cross_entropy_with_logits(
    logits: RealArray | Foreign,
    target: Real,
    weight: Real | None = None,
    *,
    pos_weight: Real | None = None,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> NDArray[np.floating[Any]]: ...
@overload
def binary_cross_entropy_with_logits(
    logits: Real,
    target: Real,
    weight: Real | None = None,
    *,
    pos_weight: Real | None = None,
    reduction: Literal["none"],
    out: Array,
    grad: _Grad = None,
    hess: _Grad = None,
) -> Array: ...
@overload
def cross_entropy(
    logits: Real,
    target: Real,
    weight: Real | None = None,
    *,
    axis: int = -1,
    sample_weight: Real | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: _Total = "mean",
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> np.float64: ...
@overload
def cross_entropy(  # type: ignore[overload-overlap]
    logits: NDArray[np.float32],
    target: _Single | int,
    weight: _Single | None = None,
    *,
    axis: int = -1,
    sample_weight: _Single | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> NDArray[np.float32]: ...
@overload
def cross_entropy(
    logits: DoubleArray | Numbers,
    target: Real,
    weight: Real | None = None,
    *,
    axis: int = -1,
    sample_weight: Real | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> NDArray[np.float64]: ...
@overload
def cross_entropy(
    logits: RealArray | Foreign,
    target: Real,
    weight: Real | None = None,
    *,
    axis: int = -1,
    sample_weight: Real | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> NDArray[np.floating[Any]]: ...
# What a container is reduced to only its library knows.
@overload
def cross_entropy(
    logits: Columns | Lazy | Expression,
    target: Real,
    weight: Real | None = None,
    *,
    axis: int = -1,
    sample_weight: Real | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: None = None,
    grad: _Grad = None,
    hess: _Grad = None,
) -> Any: ...
@overload
def cross_entropy(
    logits: Real,
    target: Real,
    weight: Real | None = None,
    *,
    axis: int = -1,
    sample_weight: Real | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: Array,
    grad: _Grad = None,
    hess: _Grad = None,
) -> Array: ...
