"""Wrong arguments of every kind: how to make one, which exception answers, and what its message says.

``bad_calls.py`` has the calls.
"""

import mmap
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

AxisError = np.exceptions.AxisError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Scream(Exception):
    """Raised by objects that are passed, and seen by who passed them."""


def raising(error: Exception, *methods: str) -> Any:
    def method(self: object, *arguments: Any, **options: Any) -> Any:
        raise type(error)(*error.args)  # a new one: the same would gather the frames of all calls

    return type("Raising", (), dict.fromkeys(methods, method))()


def returning(value: Any, *methods: str) -> Any:
    def method(self: object, *arguments: Any, **options: Any) -> Any:
        return value

    return type("Returning", (), dict.fromkeys(methods, method))()


class RaisingNumber(Fraction):
    def __float__(self) -> float:
        raise Scream("float")


class ReturningNumber(Fraction):
    def __float__(self) -> float:
        return "a half"  # type: ignore[return-value]


def released() -> memoryview:
    view = memoryview(np.zeros(4))
    view.release()
    return view


def closed() -> mmap.mmap:
    mapped = mmap.mmap(-1, mmap.PAGESIZE)
    mapped.close()
    return mapped


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def x() -> np.ndarray:
    return np.array([[0.25, 0.5, 0.75, 0.125], [0.0, 1.0, 0.5, 0.375]])


def out(dtype: Any = float, shape: tuple[int, ...] = (2, 4)) -> np.ndarray:
    return np.full(shape, 7, dtype)


def polars_series() -> Any:
    import polars

    return polars.Series("p", [0.25, 0.5])


def data_frame(values: Any = 0.25) -> Any:
    import pandas

    return pandas.DataFrame([[values] * 4] * 2)


# What is wrong with x itself; `X` stands for the name of the argument.
OF_X = {
    "complex": (lambda: np.ones(3, np.complex128), TypeError, "X has dtype complex128.*real numbers"),
    "complex64 0-d": (lambda: np.array(1j, np.complex64), TypeError, r"X\.real drops"),
    "Python complex": (lambda: 1j, TypeError, "X has dtype complex128"),
    "strings": (lambda: ["a", "b"], TypeError, "X has dtype <U1"),
    "string": (lambda: "0.5", TypeError, "X has dtype <U3"),
    "bytes": (lambda: b"0.5", TypeError, r"X has dtype \|S3"),
    "None": (lambda: None, TypeError, r"X has dtype object.*X\.astype\(float\) converts"),
    "objects": (lambda: np.array([0.5, None]), TypeError, "X has dtype object"),
    "huge integer": (lambda: 10**400, TypeError, "X has dtype object"),
    "Decimal": (lambda: Decimal("0.5"), TypeError, "X has dtype object"),
    "dates": (lambda: np.array(["2024-01-01"], "M8[D]"), TypeError, r"X has dtype datetime64\[D\]"),
    "durations": (lambda: np.array([1], "m8[s]"), TypeError, r"X has dtype timedelta64\[s\]"),
    "structure": (lambda: np.zeros(2, [("p", "f8")]), TypeError, "X has dtype .*real numbers"),
    "void": (lambda: np.zeros(2, "V8"), TypeError, r"X has dtype \|V8"),
    "masked strings": (lambda: np.ma.array(["a", "b"], mask=[0, 1]), TypeError, "X has dtype <U1"),
    "masked complex": (lambda: np.ma.array([1j, 2], mask=[0, 1]), TypeError, "X has dtype complex"),
    "ellipsis": (lambda: ..., TypeError, "X has dtype object"),
    "function": (lambda: len, TypeError, "X has dtype object"),
    "class": (lambda: float, TypeError, "X has dtype object"),
    "set": (lambda: {0.5}, TypeError, "X has dtype object"),
    "generator": (lambda: (value for value in [0.5]), TypeError, "X has dtype object"),
    "dictionary": (lambda: {0: 0.5}, TypeError, "X has dtype object"),
    "ragged": (lambda: [[0.5], [0.5, 0.5]], ValueError, "X is a list.*sequences.*one length"),
    "released buffer": (released, TypeError, "X has dtype object"),
    "closed mapping": (closed, TypeError, "X has dtype object"),
    "__array__ raises": (lambda: raising(Scream("of the array"), "__array__"), Scream, "of the array"),
    "__array__ raises TypeError": (
        lambda: raising(TypeError("no array today"), "__array__"),
        TypeError,
        "X is a Raising that NumPy makes no array of.*no array today.*pass",
    ),
    "__array__ returns rubbish": (
        lambda: returning("rubbish", "__array__"),
        ValueError,
        "X is a Returning that NumPy makes no array of.*not producing an array.*pass",
    ),
    "__array_interface__ of rubbish": (
        lambda: type("Interface", (), {"__array_interface__": {"shape": "?"}})(),
        ValueError,
        "X is a Interface that NumPy makes no array of.*pass",
    ),
    "__array_interface__ is no dictionary": (
        lambda: type("Interface", (), {"__array_interface__": 7})(),
        ValueError,
        "X is a Interface that NumPy makes no array of.*pass",
    ),
    "__len__ raises": (lambda: raising(Scream("length"), "__len__", "__getitem__"), TypeError, "X has dtype"),
    "__array_ufunc__ is None": (
        lambda: type("Refusing", (), {"__array_ufunc__": None})(),
        TypeError,
        "X has dtype object",
    ),
}

# What is wrong with where, if not its shape.
OF_MASK = {
    "floats": (lambda: np.ones((2, 4)), "where has dtype float64 and must be boolean.*astype"),
    "integers": (lambda: [1, 0, 1, 1], "where has dtype int64"),
    "integer": (lambda: 1, "where has dtype int64"),
    "None": (lambda: None, "where has dtype object"),
    "strings": (lambda: "True", "where has dtype <U4"),
    "__array__ raises": (lambda: raising(TypeError("no mask"), "__array__"), "where is a Raising.*no mask"),
}

# An out that cannot take the result, of whatever shape that is.
OF_OUT = {
    "list": (lambda shape: np.zeros(shape).tolist(), TypeError, "out must be an array, not .*empty_like"),
    "string": (lambda shape: "out", TypeError, "out must be an array, not str"),
    "NumPy scalar": (lambda shape: np.float64(7), TypeError, "out must be an array, not float64"),
    "ellipsis": (lambda shape: ..., TypeError, "out must be an array, not ellipsis"),
    "False": (lambda shape: False, TypeError, "out must be an array, not bool"),
    "memoryview": (lambda shape: memoryview(np.zeros(shape)), TypeError, "out must be an array, not memory"),
    "bytearray": (lambda shape: bytearray(64), TypeError, "out must be an array, not bytearray"),
    "class": (lambda shape: np.ndarray, TypeError, "out must be an array, not type"),
    "dtype": (lambda shape: np.dtype(float), TypeError, "out must be an array, not Float64DType"),
    "read-only": (lambda shape: read_only(np.full(shape, 7.0)), ValueError, "out is read-only.*copy"),
    "read-only repetition": (
        lambda shape: np.broadcast_to(np.full(1, 7.0), shape or (1,))[()],
        ValueError,
        "out is read-only.*copy",
    ),
    "too many axes": (lambda shape: out(shape=(*shape, 2)), ValueError, r"out has shape .*np\.empty\("),
    "another length": (lambda shape: out(shape=(*shape[:-1], 9)), ValueError, "out has shape.*the result"),
    "empty": (lambda shape: out(shape=(0, *shape[1:])), ValueError, "out has shape"),
    "integers": (lambda shape: out("i8", shape), TypeError, "out has dtype int64.*same_kind.*as float64"),
    "bytes": (lambda shape: out("u1", shape), TypeError, "out has dtype uint8.*same_kind.*as float64"),
    "bool": (lambda shape: np.ones(shape, bool), TypeError, "out has dtype bool.*same_kind.*as float64"),
    "dates": (lambda shape: np.zeros(shape, "M8[s]"), TypeError, "out has dtype datetime64.*as float64"),
    "structure": (lambda shape: np.zeros(shape, "f8,f8"), TypeError, "out has dtype .*as float64"),
}

OF_ELEMENTWISE = {
    "no argument": (lambda: ((), {}), TypeError, "positional argument"),
    "x by keyword": (lambda: ((), {"x": x()}), TypeError, "argument"),
    "unknown option": (lambda: ((x(),), {"axis": 0}), TypeError, "axis"),
    "three positions": (lambda: ((x(), None, None), {}), TypeError, "positional argument"),
    "mask of another shape": (
        lambda: ((x(),), {"out": out(), "where": np.ones(3, bool)}),
        ValueError,
        r"where has shape \(3,\), which does not broadcast to the shape \(2, 4\).*give it that shape",
    ),
    "mask of more axes than out": (
        lambda: ((x(),), {"out": out(), "where": np.ones((3, 2, 4), bool)}),
        ValueError,
        r"out has shape \(2, 4\), and the result has shape \(3, 2, 4\)",
    ),
    "tuple of two": (lambda: ((x(),), {"out": (out(), out())}), ValueError, "out is a tuple of 2; pass"),
    "tuple of none": (lambda: ((x(),), {"out": ()}), ValueError, "out is a tuple of 0; pass the one array"),
    "tuple of a list": (lambda: ((x(),), {"out": ([7.0],)}), TypeError, "out must be an array, not list"),
    "two tuples": (lambda: ((x(),), {"out": ((out(),),)}), TypeError, "out must be an array, not tuple"),
    "unsafe out by safe": (
        lambda: ((x(),), {"out": out("f4"), "casting": "safe"}),
        TypeError,
        "out has dtype float32.*'safe'.*as float64.*casting='unsafe'",
    ),
    "conversion of x by no": (
        lambda: ((np.array([0, 1]),), {"casting": "no"}),
        TypeError,
        r"x has dtype int64.*casting='no'.*pass x\.astype\('float64'\)",
    ),
    "narrowing of x by safe": (
        lambda: ((x(),), {"dtype": "f4", "casting": "safe"}),
        TypeError,
        r"x has dtype float64.*casting='safe'.*pass x\.astype\('float32'\)",
    ),
    "casting unknown": (lambda: ((x(),), {"casting": "X"}), ValueError, "casting must be one of 'no'"),
    "casting of a number": (lambda: ((x(),), {"casting": 3}), TypeError, "casting must be str"),
    "order unknown": (lambda: ((x(),), {"order": "X"}), ValueError, "order must be one of 'C'"),
    "order of a number": (lambda: ((x(),), {"order": 3}), TypeError, "order must be"),
    "subok of a number": (lambda: ((x(),), {"subok": 3}), TypeError, "'subok' must be a boolean"),
    "subok of a string": (lambda: ((x(),), {"subok": "no"}), TypeError, "'subok' must be a boolean"),
    "dtype unknown": (lambda: ((x(),), {"dtype": "X"}), TypeError, "dtype is no dtype.*pass float32"),
    "dtype of a number": (lambda: ((x(),), {"dtype": 3}), TypeError, "dtype is no dtype.*pass float32"),
    "dtype of integers": (lambda: ((x(),), {"dtype": "i8"}), TypeError, "dtype is int64.*pass one of these"),
    "dtype float16": (lambda: ((x(),), {"dtype": "f2"}), TypeError, "dtype is float16.*pass one of these"),
    "dtype complex": (lambda: ((x(),), {"dtype": complex}), TypeError, "dtype is complex128.*pass one"),
    "dtype of strings": (lambda: ((x(),), {"dtype": "U4"}), TypeError, "dtype is <U4.*pass one of these"),
    "class of dtypes": (
        lambda: ((x(),), {"dtype": np.dtypes.Int64DType}),
        TypeError,
        "dtype is int64.*pass one of these",
    ),
    "dtype of another byte order": (
        lambda: ((x(),), {"dtype": np.dtype(float).newbyteorder()}),
        TypeError,
        "`dtype`.*byte order.*np.float64",
    ),
    "__array_ufunc__ raises": (
        lambda: ((raising(Scream("ufunc"), "__array_ufunc__"),), {}),
        Scream,
        "ufunc",
    ),
    "__array_ufunc__ raises TypeError": (
        lambda: ((raising(TypeError("not with me"), "__array_ufunc__"),), {}),
        TypeError,
        "x is a bad_arguments Raising, which refuses .not with me.; pass",
    ),
    "__array_ufunc__ declines": (
        lambda: ((returning(NotImplemented, "__array_ufunc__"),), {}),
        TypeError,
        "x is a bad_arguments Returning, which refuses .*NotImplemented.*; pass",
    ),
    "__array_ufunc__ of out raises": (
        lambda: ((x(),), {"out": raising(Scream("out"), "__array_ufunc__")}),
        Scream,
        "out",
    ),
    "__array_ufunc__ of out declines": (
        lambda: ((x(),), {"out": returning(NotImplemented, "__array_ufunc__")}),
        TypeError,
        "out is not for a bad_arguments Returning.*assign the result",
    ),
}

OF_POLARS = {
    "polars out": (lambda: ((np.ones(2),), {"out": polars_series()}), TypeError, "out is not for a polars"),
    "polars x and out": (
        lambda: ((polars_series(),), {"out": np.full(2, 7.0)}),
        TypeError,
        "out is not for a polars Series.*assign the result.*NumPy arrays",
    ),
}
OF_PANDAS = {
    "frame of strings": (
        lambda: ((data_frame("a"),), {}),
        TypeError,
        "x is a pandas DataFrame, whose column 0 has dtype (str|object)",
    ),
}

OF_AXES = {
    "string": ("0", TypeError, "axis must be an integer, a tuple of integers or None, and not str"),
    "float": (0.0, TypeError, "axis must be an integer.*not float"),
    "list": ([0], TypeError, r"axis must be an integer.*not list; several axes are axis=\(0, 1\)"),
    "array of one": (np.array([0]), TypeError, "axis must be an integer.*not ndarray"),
    "flag": (True, TypeError, "axis must be an integer.*not bool"),
    "complex": (1j, TypeError, "axis must be an integer.*not complex"),
    "class": (int, TypeError, "axis must be an integer.*not type"),
    "ellipsis": (..., TypeError, "axis must be an integer.*not ellipsis"),
    "tuple with a float": ((0, 1.0), TypeError, "axis must be an integer.*not a tuple with float"),
    "tuple with None": ((0, None), TypeError, "axis must be an integer.*not a tuple with NoneType"),
    "tuple of a tuple": (((0, 1),), TypeError, "axis must be an integer.*not a tuple with tuple"),
    "beyond the last": (2, AxisError, "pass -2 <= axis < 2.*axis 2 is out of bounds.*dimension 2"),
    "before the first": (-3, AxisError, "pass -2 <= axis < 2.*axis -3 is out of bounds"),
    "far away": (10**30, AxisError, "pass -2 <= axis < 2.*out of bounds"),
    "integer of 10,000 digits": (10**10_000, AxisError, "pass -2 <= axis < 2.*out of bounds"),
    "tuple beyond the last": ((0, 2), AxisError, "pass -2 <= axis < 2.*axis 2 is out of bounds"),
    "twice": ((0, 0), ValueError, r"axis=\(0, 0\) names a repeated axis; name each once"),
    "twice from both ends": ((0, -2), ValueError, r"axis=\(0, -2\) names a repeated axis"),
    "__index__ raises": (raising(Scream("index"), "__index__"), Scream, "index"),
    "__index__ raises TypeError": (raising(TypeError("no"), "__index__"), TypeError, "axis must be an int"),
    "__index__ returns rubbish": (returning("0", "__index__"), TypeError, "axis must be an int.*Returning"),
}

OF_WEIGHTS = {
    "weights of another shape": (np.ones(3), ValueError, r"b has shape \(3,\).*shape \(2, 4\) of a; give it"),
    "weights of more rows": (np.ones((3, 4)), ValueError, r"b has shape \(3, 4\), which does not broadcast"),
}
OF_FLAGS = {
    "string": ("yes", "must be True or False, not str"),
    "None": (None, "must be True or False, not NoneType"),
    "array": (np.ones(2, bool), "must be True or False, not ndarray"),
    "__bool__ raises": (raising(Scream("bool"), "__bool__"), "must be True or False, not Raising"),
}

OF_EPS = {
    "negative": (-1e-9, ValueError, r"eps is -1e-09; it must be a number with 0 <= eps <= 0\.5"),
    "subnormal negative": (-5e-324, ValueError, "eps is -5e-324"),
    "above a half": (0.5000000001, ValueError, r"0 <= eps <= 0\.5"),
    "one": (1, ValueError, "eps is 1.0"),
    "infinite": (np.inf, ValueError, "eps is inf"),
    "NaN": (np.nan, ValueError, "eps is nan"),
    "0-d NaN": (np.array(np.nan), ValueError, "eps is nan"),
    "huge integer": (10**400, ValueError, r"0 <= eps <= 0\.5"),
    "huge negative integer": (-(10**400), ValueError, r"0 <= eps <= 0\.5"),
    "integer of 10,000 digits": (10**10_000, ValueError, r"0 <= eps <= 0\.5"),
    "huge fraction": (Fraction(10**400), ValueError, r"0 <= eps <= 0\.5"),
    "huge long double": (np.longdouble("1e4000"), ValueError, r"0 <= eps <= 0\.5"),
    "False": (False, TypeError, "eps must be a number, not bool"),
    "True": (True, TypeError, "eps must be a number, not bool"),
    "NumPy's False": (np.False_, TypeError, "eps must be a number, not bool"),
    "0-d flag": (np.array(False), TypeError, "eps must be a number, not ndarray"),
    "string": ("0.1", TypeError, "eps must be a number, not str"),
    "bytes": (b"0.1", TypeError, "eps must be a number, not bytes"),
    "complex": (1j, TypeError, "eps must be a number, not complex"),
    "0-d string": (np.array("0.1"), TypeError, "eps must be a number, not ndarray"),
    "0-d complex": (np.array(1j), TypeError, "eps must be a number, not ndarray"),
    "0-d object": (np.array(None), TypeError, "eps must be a number, not ndarray"),
    "array": (np.zeros((2, 4)), TypeError, "eps must be a number, not ndarray.*pass it by keyword: out="),
    "array of one": (np.array([0.1]), TypeError, "eps must be a number.*out="),
    "list": ([0.1], TypeError, "eps must be a number, not list"),
    "Decimal": (Decimal("0.1"), TypeError, "eps must be a number, not Decimal"),
    "class": (float, TypeError, "eps must be a number, not type"),
    "ellipsis": (..., TypeError, "eps must be a number, not ellipsis"),
    "__float__ raises": (RaisingNumber(1, 4), Scream, "float"),
    "__float__ returns rubbish": (ReturningNumber(1, 4), TypeError, "eps must be a number, not Returning"),
    "__float__ alone": (returning(0.25, "__float__"), TypeError, "eps must be a number, not Returning"),
}

# The losses take one axis, and their results have one dtype.
OF_ONE_AXIS = {
    kind: (value, TypeError, "axis is .*it must be one integer")
    for kind, (value, error, message) in OF_AXES.items()
    if error is TypeError
}
OF_ONE_AXIS |= {
    "beyond the last": (2, AxisError, "axis 2 is out of bounds"),
    "far away": (10**30, AxisError, "axis .*out of bounds"),
    "__index__ raises": (raising(Scream("index"), "__index__"), Scream, "index"),
}
OF_SMOOTHING = {
    "above 1": (1.0000001, ValueError, "label_smoothing is 1.0000001; it must be within"),
    "NaN": (np.nan, ValueError, "label_smoothing is nan"),
    "huge integer": (10**400, ValueError, "label_smoothing is .*it must be within"),
    "integer of 10,000 digits": (10**10_000, ValueError, "label_smoothing is .*it must be within"),
    "flag": (True, TypeError, "label_smoothing must be a number, not bool"),
    "string": ("0.1", TypeError, "label_smoothing must be a number, not str"),
    "complex": (1j, TypeError, "label_smoothing must be a number, not complex"),
    "None": (None, TypeError, "label_smoothing must be a number, not NoneType"),
    "array": (np.zeros(3), TypeError, "label_smoothing must be a number, not ndarray"),
    "__float__ raises": (RaisingNumber(1, 4), Scream, "float"),
    "__float__ returns rubbish": (ReturningNumber(1, 4), TypeError, "label_smoothing must be a number"),
}
OF_LABEL = {
    "float": (-100.0, TypeError, "ignore_index is -100.0; it must be an integer"),
    "None": (None, TypeError, "ignore_index is None; it must be an integer"),
    "string": ("-100", TypeError, "ignore_index is '-100'; it must be an integer"),
    "huge": (10**30, ValueError, "ignore_index has more than 64 bits"),
    "integer of 10,000 digits": (10**10_000, ValueError, "ignore_index has more than 64 bits"),
    "__index__ raises": (raising(Scream("index"), "__index__"), Scream, "index"),
}
OF_LOSS_OUT = {
    kind: (make, error, message.replace("out ", "OUT ", 1).replace("empty_like", "empty"))
    for kind, (make, error, message) in OF_OUT.items()
    if error is TypeError and "same_kind" not in message and "as float64" not in message
} | {
    "read-only": (lambda shape: read_only(np.full(shape, 7.0)), ValueError, "OUT is read-only.*copy"),
    "too many axes": (lambda shape: out(shape=(*shape, 2)), ValueError, r"OUT has shape .*np\.empty\("),
    "another length": (lambda shape: out(shape=(*shape[:-1], 9)), ValueError, "OUT has shape.*the results"),
    "empty": (lambda shape: out(shape=(0, *shape[1:])), ValueError, "OUT has shape"),
    "repetition": (
        lambda shape: np.lib.stride_tricks.as_strided(np.full(1, 7.0), shape, [0] * len(shape)),
        ValueError,
        "OUT has several elements in the same memory",
    ),
    **{
        f"of dtype {dtype}": (
            lambda shape, dtype=dtype: np.zeros(shape, dtype),
            TypeError,
            r"OUT has dtype .*the results have float64.*np\.empty",
        )
        for dtype in ("f4", "f2", "g", ">f8", "i8", "u1", "?", "M8[s]", "f8,f8", "O", "c16")
    },
}

OF_THREADS = {
    "zero": (0, ValueError, "n is 0; the number of threads must be at least 1"),
    "negative": (-1, ValueError, "n is -1"),
    "far too many": (10**9, ValueError, "at most 4096"),
    "float": (2.0, TypeError, "n must be an integer, the number of threads, not float"),
    "flag": (True, TypeError, "n must be an integer, the number of threads, not bool"),
    "string": ("2", TypeError, "n must be an integer, the number of threads, not str"),
    "None": (None, TypeError, "n must be an integer, the number of threads, not NoneType"),
}
