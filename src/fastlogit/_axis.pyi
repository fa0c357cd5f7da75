from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from fastlogit._typing import (
    Array,
    Axis,
    Columns,
    Container,
    Double,
    DoubleArray,
    Exact,
    Expression,
    Floating,
    Foreign,
    Lazy,
    Mask,
    Masked,
    Number,
    Numbers,
    Real,
    RealArray,
    Shape,
)

@overload
def softmax(x: np.float16, axis: Axis = None, *, out: None = None, where: Mask = True) -> np.float32: ...
@overload
def softmax(x: Floating, axis: Axis = None, *, out: None = None, where: Mask = True) -> Floating: ...
@overload
def softmax(x: Number, axis: Axis = None, *, out: None = None, where: Mask = True) -> np.float64: ...
@overload
def softmax(x: Masked, axis: Axis = None, *, out: None = None, where: Mask = True) -> Masked: ...
@overload
def softmax(
    x: np.ndarray[Shape, np.dtype[np.float16]], axis: Axis = None, *, out: None = None, where: Mask = True
) -> np.ndarray[Shape, np.dtype[np.float32]]: ...
@overload
def softmax(
    x: np.ndarray[Shape, np.dtype[Floating]], axis: Axis = None, *, out: None = None, where: Mask = True
) -> np.ndarray[Shape, np.dtype[Floating]]: ...
@overload
def softmax(
    x: np.ndarray[Shape, np.dtype[Exact]], axis: Axis = None, *, out: None = None, where: Mask = True
) -> np.ndarray[Shape, np.dtype[np.float64]]: ...
@overload
def softmax(
    x: Numbers, axis: Axis = None, *, out: None = None, where: Mask = True
) -> NDArray[np.float64]: ...
@overload
def softmax(x: Container, axis: Axis = None, *, out: None = None, where: Mask = True) -> Container: ...
@overload
def softmax(
    x: Foreign, axis: Axis = None, *, out: None = None, where: Mask = True
) -> NDArray[np.floating[Any]]: ...
@overload
def softmax(x: Real, axis: Axis = None, *, out: Array, where: Mask = True) -> Array: ...

log_softmax = softmax

# Without axis a number, with one an array: the types do not know the number of axes. A single one is best
# left out, then.
@overload
def logsumexp(  # type: ignore[overload-overlap]
    a: DoubleArray | Numbers | Number | np.float64,
    axis: None = None,
    b: Double | None = None,
    keepdims: Literal[False] = False,
    return_sign: Literal[False] = False,
    *,
    out: None = None,
    where: Mask = True,
) -> np.float64: ...
@overload
def logsumexp(  # type: ignore[overload-overlap]
    a: DoubleArray | Numbers,
    axis: int | tuple[int, ...],
    b: Double | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    out: None = None,
    where: Mask = True,
) -> NDArray[np.float64]: ...
@overload
def logsumexp(  # type: ignore[overload-overlap]
    a: DoubleArray | Numbers,
    axis: Axis = None,
    b: Double | None = None,
    *,
    keepdims: Literal[True],
    return_sign: Literal[False] = False,
    out: None = None,
    where: Mask = True,
) -> NDArray[np.float64]: ...
@overload
def logsumexp(
    a: NDArray[np.float32] | np.float32,
    axis: None = None,
    b: None = None,
    keepdims: Literal[False] = False,
    return_sign: Literal[False] = False,
    *,
    out: None = None,
    where: Mask = True,
) -> np.float32: ...
@overload
def logsumexp(
    a: NDArray[np.float32],
    axis: int | tuple[int, ...],
    b: None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    out: None = None,
    where: Mask = True,
) -> NDArray[np.float32]: ...
@overload
def logsumexp(
    a: NDArray[np.float32],
    axis: Axis = None,
    b: None = None,
    *,
    keepdims: Literal[True],
    return_sign: Literal[False] = False,
    out: None = None,
    where: Mask = True,
) -> NDArray[np.float32]: ...
@overload
def logsumexp(
    a: RealArray | Numbers | Foreign | Number | np.floating[Any],
    axis: None = None,
    b: Real | None = None,
    keepdims: Literal[False] = False,
    return_sign: Literal[False] = False,
    *,
    out: None = None,
    where: Mask = True,
) -> np.floating[Any]: ...
@overload
def logsumexp(
    a: RealArray | Numbers | Foreign,
    axis: int | tuple[int, ...],
    b: Real | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    out: None = None,
    where: Mask = True,
) -> NDArray[np.floating[Any]]: ...
@overload
def logsumexp(
    a: RealArray | Numbers | Foreign,
    axis: Axis = None,
    b: Real | None = None,
    *,
    keepdims: Literal[True],
    return_sign: Literal[False] = False,
    out: None = None,
    where: Mask = True,
) -> NDArray[np.floating[Any]]: ...
@overload
def logsumexp(
    a: DoubleArray | Numbers | Number | np.float64,
    axis: None = None,
    b: Double | None = None,
    keepdims: Literal[False] = False,
    *,
    return_sign: Literal[True],
    out: None = None,
    where: Mask = True,
) -> tuple[np.float64, np.float64]: ...
@overload
def logsumexp(
    a: DoubleArray | Numbers,
    axis: int | tuple[int, ...],
    b: Double | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    out: None = None,
    where: Mask = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def logsumexp(
    a: DoubleArray | Numbers,
    axis: Axis = None,
    b: Double | None = None,
    *,
    keepdims: Literal[True],
    return_sign: Literal[True],
    out: None = None,
    where: Mask = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
@overload
def logsumexp(
    a: RealArray | Numbers | Foreign | Number | np.floating[Any],
    axis: None = None,
    b: Real | None = None,
    keepdims: Literal[False] = False,
    *,
    return_sign: Literal[True],
    out: None = None,
    where: Mask = True,
) -> tuple[np.floating[Any], np.floating[Any]]: ...
@overload
def logsumexp(
    a: RealArray | Numbers | Foreign,
    axis: int | tuple[int, ...],
    b: Real | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    out: None = None,
    where: Mask = True,
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]: ...
@overload
def logsumexp(
    a: RealArray | Numbers | Foreign,
    axis: Axis = None,
    b: Real | None = None,
    *,
    keepdims: Literal[True],
    return_sign: Literal[True],
    out: None = None,
    where: Mask = True,
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]: ...
# What a container is reduced to only its library knows.
@overload
def logsumexp(
    a: Columns | Lazy | Expression,
    axis: Axis = None,
    b: Real | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    out: None = None,
    where: Mask = True,
) -> Any: ...
@overload
def logsumexp(
    a: Real,
    axis: Axis = None,
    b: Real | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    out: Array,
    where: Mask = True,
) -> Array: ...
@overload
def logsumexp(
    a: Real,
    axis: Axis = None,
    b: Real | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    out: Array,
    where: Mask = True,
) -> tuple[Array, NDArray[np.floating[Any]]]: ...
