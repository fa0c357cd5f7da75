from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlogit._typing import (
    Array,
    Casting,
    Container,
    Eps,
    Exact,
    Floating,
    Foreign,
    Mask,
    Masked,
    Number,
    Numbers,
    Order,
    Real,
    Shape,
)

__all__ = [
    "expit",
    "log_expit",
    "logit",
    "softplus",
]
@overload
def logit(
    x: np.float16,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.float32: ...
@overload
def logit(
    x: Floating,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> Floating: ...
@overload
def logit(
    x: Number,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.float64: ...
@overload
def logit(
    x: Masked,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> Masked: ...
@overload
def logit(
    x: np.ndarray[Shape, np.dtype[np.float16]],
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.ndarray[Shape, np.dtype[np.float32]]: ...
@overload
def logit(
    x: np.ndarray[Shape, np.dtype[Floating]],
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.ndarray[Shape, np.dtype[Floating]]: ...
@overload
def logit(
    x: np.ndarray[Shape, np.dtype[Exact]],
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.ndarray[Shape, np.dtype[np.float64]]: ...
@overload
def logit(
    x: Numbers,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> NDArray[np.float64]: ...
@overload
def logit(
    x: Container,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
) -> Container: ...
@overload
def logit(
    x: Foreign,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> NDArray[np.floating[Any]]: ...
@overload
def logit(  # type: ignore[overload-overlap]
    x: Number | np.floating[Any],
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: type[Floating] | np.dtype[Floating],
    subok: bool = True,
) -> Floating: ...
@overload
def logit(
    x: Real,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: type[Floating] | np.dtype[Floating],
    subok: bool = True,
) -> NDArray[Floating]: ...
@overload
def logit(
    x: Real,
    /,
    eps: Eps = None,
    *,
    out: None = ...,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: DTypeLike,
    subok: bool = True,
) -> Any: ...
@overload
def logit(
    x: Real,
    /,
    eps: Eps = None,
    *,
    out: Array | tuple[Array],
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
) -> Array: ...
@overload
def expit(
    x: np.float16,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.float32: ...
@overload
def expit(
    x: Floating,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> Floating: ...
@overload
def expit(
    x: Number,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.float64: ...
@overload
def expit(
    x: Masked,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> Masked: ...
@overload
def expit(
    x: np.ndarray[Shape, np.dtype[np.float16]],
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.ndarray[Shape, np.dtype[np.float32]]: ...
@overload
def expit(
    x: np.ndarray[Shape, np.dtype[Floating]],
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.ndarray[Shape, np.dtype[Floating]]: ...
@overload
def expit(
    x: np.ndarray[Shape, np.dtype[Exact]],
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> np.ndarray[Shape, np.dtype[np.float64]]: ...
@overload
def expit(
    x: Numbers,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> NDArray[np.float64]: ...
@overload
def expit(
    x: Container,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
) -> Container: ...
@overload
def expit(
    x: Foreign,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: None = None,
    subok: bool = True,
) -> NDArray[np.floating[Any]]: ...
@overload
def expit(  # type: ignore[overload-overlap]
    x: Number | np.floating[Any],
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: type[Floating] | np.dtype[Floating],
    subok: bool = True,
) -> Floating: ...
@overload
def expit(
    x: Real,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: type[Floating] | np.dtype[Floating],
    subok: bool = True,
) -> NDArray[Floating]: ...
@overload
def expit(
    x: Real,
    /,
    out: None = ...,
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: DTypeLike,
    subok: bool = True,
) -> Any: ...
@overload
def expit(
    x: Real,
    /,
    out: Array | tuple[Array],
    *,
    where: Mask = True,
    casting: Casting = "same_kind",
    order: Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
) -> Array: ...

# The signatures of all functions of log odds.
log_expit = expit
softplus = expit
