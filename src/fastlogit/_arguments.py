"""The argument rules of all functions. Errors say which argument, what is wrong, and the cure."""

import numbers
from typing import Any

import numpy as np

Mask = np.ndarray[Any, np.dtype[np.bool]]


def overrides(value: object) -> bool:
    """Whether `value` brings its own meaning of a ufunc call, as pandas, xarray, dask and polars do."""
    method = getattr(type(value), "__array_ufunc__", None)
    return method is not None and method is not np.ndarray.__array_ufunc__


def check_real(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse what has no order: complex, object, string, date and structured dtypes."""
    if dtype.kind not in "biuf":
        raise TypeError(
            f"{name}: x has dtype {dtype}, and the function is defined for real numbers; pass bool, "
            "integer or floating-point values (x.astype(float) converts objects, x.real drops an "
            "imaginary part)"
        )


def check_out(name: str, out: object, shape: tuple[int, ...], *, exact: bool = False) -> None:
    """Refuse an `out` that cannot take a result of this shape, or (`exact`) has not this very shape."""
    if not isinstance(out, np.ndarray):
        raise TypeError(
            f"{name}: out must be an array, not {type(out).__name__}; allocate it with np.empty_like(x)"
        )
    if not out.flags.writeable:
        raise ValueError(
            f"{name}: out is read-only, and nothing was written to it; pass a writeable array, for "
            "instance a copy (pandas hands out read-only arrays: take to_numpy(copy=True))"
        )
    try:
        fits = (shape if exact else np.broadcast_shapes(shape, out.shape)) == out.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: out has shape {out.shape}, and the result has shape {shape}; allocate it with "
            "np.empty_like(x)"
        )


def mask_for(name: str, where: Any, shape: tuple[int, ...], out: object) -> Mask:
    """`where` in the shape of the argument, without a copy unless `out` lies in the same memory."""
    mask = np.asarray(where)
    if mask.dtype != np.bool:
        raise TypeError(
            f"{name}: where has dtype {mask.dtype} and must be boolean: True where an element counts; "
            "compare (weights > 0), or convert with astype(bool)"
        )
    try:
        mask = np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"{name}: where has shape {mask.shape}, which does not broadcast to the shape {shape} of "
            "the argument"
        ) from None
    if isinstance(out, np.ndarray) and np.may_share_memory(mask, out):
        mask = mask.copy()
    return mask


def check_eps(eps: Any) -> float:
    """`eps` as a float in [0, 0.5]."""
    if not isinstance(eps, numbers.Real):
        if getattr(eps, "ndim", None) != 0 or getattr(eps, "dtype", np.dtype(object)).kind not in "iuf":
            raise TypeError(
                f"logit: eps must be a number, not {type(eps).__name__}; if this is the array for the "
                "result, pass it by keyword: out="
            )
    value = float(eps)
    if not 0 <= value <= 0.5:
        raise ValueError(f"logit: eps is {value!r}; it must be a number with 0 <= eps <= 0.5")
    return value


def working_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """float32 or float64, in which the kernels compute this dtype; None for long double."""
    if dtype.kind == "f":
        if dtype.itemsize > 8:
            return None
        if dtype.itemsize < 8:
            return np.dtype(np.float32)
    return np.dtype(np.float64)
