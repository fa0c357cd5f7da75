from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = [
    "expit",
    "log_expit",
    "logit",
    "softplus",
]

_Casting = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_Order = Literal["K", "A", "C", "F"]
_Out = NDArray[Any] | tuple[NDArray[Any]] | None

def logit(
    x: ArrayLike,
    /,
    eps: float | np.floating[Any] | None = None,
    *,
    out: _Out = ...,
    where: bool | NDArray[np.bool] = True,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
) -> Any: ...
def expit(
    x: ArrayLike,
    /,
    out: _Out = ...,
    *,
    where: bool | NDArray[np.bool] = True,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
) -> Any: ...

# The signature of all functions of log odds.
log_expit = expit
softplus = expit
