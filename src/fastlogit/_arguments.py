"""The argument rules of all functions. Errors say which argument, what is wrong, and the cure."""

import numbers
import operator
import sys
from typing import Any

import numpy as np

Mask = np.ndarray[Any, np.dtype[np.bool]]

# Candidate solutions that NumPy tries before it gives up on whether two arrays share an element: the search
# can be exponential, and arrays met in practice take a handful.
MOST_CANDIDATES: Any = 1000  # an int, which NumPy's stubs do not know of


class NotGiven:
    """The default of `out`: NumPy warns of a mask without `out`, and takes ``out=None`` for consent."""

    def __repr__(self) -> str:
        return "None"


NOT_GIVEN = NotGiven()


def overrides(value: object) -> bool:
    """Whether `value` brings its own meaning of a ufunc call, as pandas, xarray, dask and polars do."""
    method = getattr(type(value), "__array_ufunc__", None)
    return method is not None and method is not np.ndarray.__array_ufunc__


def as_array(name: str, argument: str, value: Any, subok: bool = False) -> np.ndarray[Any, Any]:
    """`value` as NumPy sees it, which may be an array of objects."""
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return with_numpy_dtype(np.asanyarray(value) if subok else np.asarray(value))
    except (TypeError, ValueError) as error:
        raise type_of(error)(
            f"{name}: {argument} is a {type(value).__name__} that NumPy makes no array of ({error}); pass "
            "an array, a number, or sequences of numbers that all have one length"
        ) from error


def with_numpy_dtype(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Floats of 8 and 16 bits that NumPy does not have itself (ml_dtypes) as float32, which holds them."""
    if array.dtype.type.__module__ == "ml_dtypes" and "float" in array.dtype.name:
        return array.astype(np.float32)
    return array


def type_of(error: Exception) -> type[Exception]:
    """The class to raise anew: those that NumPy derives take other arguments than a message."""
    return TypeError if isinstance(error, TypeError) else ValueError


def check_real(name: str, dtype: np.dtype[Any], argument: str = "x") -> None:
    """Refuse what has no order: complex, object, string, date and structured dtypes."""
    if dtype.kind not in "biuf":
        raise TypeError(
            f"{name}: {argument} has dtype {dtype}, and the function is defined for real numbers; pass "
            f"bool, integer or floating-point values ({argument}.astype(float) converts objects, "
            f"{argument}.real drops an imaginary part)"
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
            f"np.empty({shape}, out.dtype)"
        )


def check_cast(
    name: str, result: np.dtype[Any], out: np.dtype[Any], casting: Any = None
) -> None:
    """Refuse an `out` of a dtype that the result cannot be cast to; without `casting`, by "same_kind"."""
    rule: Any = "same_kind" if casting is None else casting
    if not np.can_cast(result, out, rule):
        raise TypeError(
            f"{name}: out has dtype {out}, and the rule {rule!r} casts no {result} to it; allocate it as "
            f"{result}" + ("" if casting is None else ", or say casting='unsafe' to cut the result off")
        )


def check_loop(name: str, x: np.dtype[Any], dtype: Any, casting: Any) -> np.dtype[Any]:
    """The dtype that a ufunc computes in, if there is one that the caller allows."""
    if dtype is None:
        loop = working_dtype(x) or np.dtype(np.longdouble)
    else:
        try:
            # The classes of NumPy's dtypes name themselves by their scalars.
            scalar: Any = dtype.type if isinstance(dtype, type(np.dtype)) else dtype
            loop = np.dtype(scalar)
        except TypeError as error:
            raise TypeError(
                f"{name}: dtype is no dtype ({error}); pass float32, float64 or longdouble"
            ) from error
        if loop.char not in "fdg":
            raise TypeError(
                f"{name}: dtype is {loop}, and the function is computed in float32, float64 or longdouble; "
                "pass one of these, and convert the result with astype"
            )
    if not np.can_cast(x, loop, casting):
        raise TypeError(
            f"{name}: x has dtype {x} and would be computed in {loop}, to which casting={casting!r} casts "
            f"no {x}; pass x.astype({loop.name!r})"
        )
    return loop


def as_mask(name: str, where: Any) -> Mask:
    mask = as_array(name, "where", where)
    if mask.dtype != np.bool:
        raise TypeError(
            f"{name}: where has dtype {mask.dtype} and must be boolean: True where an element counts; "
            "compare (weights > 0), or convert with astype(bool)"
        )
    return mask


def shape_with_weights(name: str, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ValueError(
            f"{name}: b has shape {b.shape}, which does not broadcast against the shape {a.shape} of a; "
            "give it that shape, or lengths of 1"
        ) from error


def mask_for(name: str, where: Any, shape: tuple[int, ...], out: object) -> Mask:
    """`where` in the shape of the argument, without a copy unless `out` lies in the same memory."""
    mask = as_mask(name, where)
    try:
        mask = np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"{name}: where has shape {mask.shape}, which does not broadcast to the shape {shape} of "
            "the argument; give it that shape, or lengths of 1"
        ) from None
    if isinstance(out, np.ndarray) and np.may_share_memory(mask, out):
        mask = mask.copy()
    return mask


def real_number(value: object) -> float:
    """As a float, infinite where that is too small for it."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} is no type of real numbers")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def check_eps(eps: Any, name: str = "logit") -> float:
    """`eps` as a float in [0, 0.5]."""
    number = eps
    if not isinstance(eps, numbers.Real) and getattr(eps, "ndim", None) == 0 and hasattr(eps, "item"):
        number = eps.item()  # of an array of any library
    try:
        value = real_number(number)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: eps must be a number, not {type(eps).__name__}; if this is the array for the "
            "result, pass it by keyword: out="
        ) from error
    if not 0 <= value <= 0.5:
        raise ValueError(f"{name}: eps is {value!r}; it must be a number with 0 <= eps <= 0.5")
    return value


def check_flag(name: str, argument: str, value: Any) -> bool:
    if isinstance(value, bool | np.bool | int):
        return bool(value)
    raise TypeError(f"{name}: {argument} must be True or False, not {type(value).__name__}")


def checked_axes(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that the caller means, in ascending order."""
    if axis is None:
        return tuple(range(ndim))
    axes = []
    for one in axis if isinstance(axis, tuple) else (axis,):
        try:
            if isinstance(one, bool):
                raise TypeError("a flag is no axis")
            index = operator.index(one)
        except TypeError as error:
            raise TypeError(
                f"{name}: axis must be an integer, a tuple of integers or None, and not "
                f"{'' if one is axis else 'a tuple with '}{type(one).__name__}; several axes are axis=(0, 1)"
            ) from error
        if ndim == 0 and index in (0, -1) and one is axis:
            return ()
        axes.append(checked_axis(name, index, ndim))
    if len(set(axes)) < len(axes):
        raise ValueError(
            f"{name}: axis={axis} names a repeated axis; name each once, from its start or its end"
        )
    return tuple(sorted(axes))


def checked_axis(name: str, axis: int, ndim: int) -> int:
    """Counted from the first."""
    if not -ndim <= axis < ndim:
        cure = f"pass {-ndim} <= axis < {ndim}" if ndim else "pass axis=None"
        shown = max(-sys.maxsize, min(axis, sys.maxsize))  # Python prints no integer of 4300 digits
        raise np.exceptions.AxisError(shown, ndim, f"{name}: {cure}")
    return axis % ndim


def share_memory(x: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> bool:
    """Whether an element of one array lies in that of the other, or NumPy cannot tell soon."""
    try:
        return np.shares_memory(x, out, max_work=MOST_CANDIDATES)
    except np.exceptions.TooHardError:
        return True


def working_dtype(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """float32 or float64, in which the kernels compute this dtype; None for long double."""
    if dtype.kind == "f":
        if dtype.itemsize > 8:
            return None
        if dtype.itemsize < 8:
            return np.dtype(np.float32)
    return np.dtype(np.float64)
