from typing import Any

from numpy.typing import ArrayLike, NDArray

_Axis = int | tuple[int, ...] | None

def softmax(
    x: ArrayLike, axis: _Axis = None, *, out: NDArray[Any] | None = None, where: ArrayLike = True
) -> Any: ...
def log_softmax(
    x: ArrayLike, axis: _Axis = None, *, out: NDArray[Any] | None = None, where: ArrayLike = True
) -> Any: ...
def logsumexp(
    a: ArrayLike,
    axis: _Axis = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    out: NDArray[Any] | None = None,
    where: ArrayLike = True,
) -> Any: ...
