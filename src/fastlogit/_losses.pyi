from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

_Reduction = Literal["mean", "sum", "none"]

def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    pos_weight: ArrayLike | None = None,
    reduction: _Reduction = "mean",
    out: NDArray[Any] | None = None,
    grad: NDArray[Any] | None = None,
    hess: NDArray[Any] | None = None,
) -> Any: ...
