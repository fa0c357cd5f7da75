"""The libraries that are compared, and how each says the functions of cases.py."""

import importlib
import math
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from cases import ELEMENTWISE, EPS, OF_SLICES, SPELLINGS, named

import fastlogit


class Calls(NamedTuple):
    """One function in one library. None stands for what the library does not have.

    Of single elements: in_place(x) and new(x). Of slices: in_place(x, axis), preallocated(x, axis, out) and
    new(x, axis). A library that has no `out` may return a new array from `preallocated`: it is all that its
    user can do.
    """

    in_place: Callable[..., Any] | None = None
    preallocated: Callable[..., Any] | None = None
    new: Callable[..., Any] | None = None


class Library(NamedTuple):
    name: str
    version: str
    calls: dict[str, Calls]  # by the name of the case
    wrap: Callable[[np.ndarray], Any]  # the library's view of a NumPy array; raises where it has none
    set_threads: Callable[[int], None]


def same(array):
    return array


def ignore_threads(threads):
    """There is one thread, or nothing to set it with."""


def of_elements(call):
    return Calls(in_place=lambda x: call(x, out=x), new=call)


def load_fastlogit():
    calls = {case.name: of_elements(case.call) for case in ELEMENTWISE}
    for case in OF_SLICES:
        calls[case.name] = Calls(
            in_place=None if case.reduces else lambda x, axis, call=case.call: call(x, axis, out=x),
            preallocated=lambda x, axis, out, call=case.call: call(x, axis, out=out),
            new=case.call,
        )
    return Library("fastlogit", fastlogit.__version__, calls, same, fastlogit.set_num_threads)


def load_scipy():
    scipy = importlib.import_module("scipy")
    special = importlib.import_module("scipy.special")
    logit = special.logit
    calls = {
        case.name: of_elements(getattr(special, case.name))
        for case in ELEMENTWISE
        if hasattr(special, case.name)
    }
    calls["logit, eps"] = Calls(
        in_place=lambda x: logit(np.clip(x, EPS, 1 - EPS, out=x), out=x),
        new=lambda x: logit(np.clip(x, EPS, 1 - EPS)),
    )
    for name in ("softmax", "log_softmax", "logsumexp"):
        function = getattr(special, name)
        calls[name] = Calls(
            preallocated=lambda x, axis, out, function=function: function(x, axis), new=function
        )
    return Library("SciPy", scipy.__version__, calls, same, ignore_threads)


def load_pytorch():
    torch = importlib.import_module("torch")
    calls = {
        **{name: of_elements(named(spellings.pytorch)) for name, spellings in SPELLINGS.items()},
        "logit, eps": Calls(in_place=lambda x: x.logit_(EPS), new=lambda x: torch.logit(x, EPS)),
        "softmax": Calls(
            preallocated=lambda x, axis, out: torch.softmax(x, axis, out=out), new=torch.softmax
        ),
        "log_softmax": Calls(
            preallocated=lambda x, axis, out: torch._log_softmax(x, axis, False, out=out),
            new=torch.log_softmax,
        ),
        "logsumexp": Calls(
            preallocated=lambda x, axis, out: torch.logsumexp(x, axis, out=out), new=torch.logsumexp
        ),
    }
    return Library("PyTorch", torch.__version__, calls, torch.from_numpy, torch.set_num_threads)


def load_numpy():
    """The expressions that one would write, with `out` where it can be given."""
    logit = SPELLINGS["logit"]

    def softmax(x, axis, out=None):
        terms = np.subtract(x, x.max(axis, keepdims=True), out=out)
        np.exp(terms, out=terms)
        return np.divide(terms, terms.sum(axis, keepdims=True), out=terms)

    def log_softmax(x, axis, out=None):
        shifted = np.subtract(x, x.max(axis, keepdims=True), out=out)
        return np.subtract(shifted, np.log(np.exp(shifted).sum(axis, keepdims=True)), out=shifted)

    def logsumexp(x, axis, out=None):
        largest = x.max(axis, keepdims=True)
        return np.add(np.log(np.exp(x - largest).sum(axis)), np.squeeze(largest, axis), out=out)

    calls = {
        **{
            name: Calls(in_place=spellings.numpy_in_place, new=spellings.numpy)
            for name, spellings in SPELLINGS.items()
        },
        "logit, eps": Calls(
            in_place=lambda x: logit.numpy_in_place(np.clip(x, EPS, 1 - EPS, out=x)),
            new=lambda x: logit.numpy(np.clip(x, EPS, 1 - EPS)),
        ),
        "softmax": Calls(lambda x, axis: softmax(x, axis, out=x), softmax, softmax),
        "log_softmax": Calls(lambda x, axis: log_softmax(x, axis, out=x), log_softmax, log_softmax),
        "logsumexp": Calls(preallocated=logsumexp, new=logsumexp),
    }
    return Library("NumPy", np.__version__, calls, same, ignore_threads)


def load_numexpr():
    """Its reductions have one thread and are slower than NumPy's, which does them here."""
    numexpr = importlib.import_module("numexpr")

    def elementwise(expression):
        return Calls(
            in_place=lambda x: numexpr.evaluate(expression, {"x": x}, out=x),
            new=lambda x: numexpr.evaluate(expression, {"x": x}),
        )

    def softmax(x, axis, out=None):
        names = {"x": x, "largest": x.max(axis, keepdims=True)}
        terms = numexpr.evaluate("exp(x - largest)", names, out=out)
        names = {"terms": terms, "total": terms.sum(axis, keepdims=True)}
        return numexpr.evaluate("terms / total", names, out=terms)

    def log_of_sum(x, axis, largest):
        terms = numexpr.evaluate("exp(x - largest)", {"x": x, "largest": largest})
        return np.log(terms.sum(axis, keepdims=True))

    def log_softmax(x, axis, out=None):
        largest = x.max(axis, keepdims=True)
        names = {"x": x, "largest": largest, "log_sum": log_of_sum(x, axis, largest)}
        return numexpr.evaluate("(x - largest) - log_sum", names, out=out)

    def logsumexp(x, axis, out=None):
        largest = x.max(axis, keepdims=True)
        return np.add(np.squeeze(largest, axis), np.squeeze(log_of_sum(x, axis, largest), axis), out=out)

    calls = {
        **{name: elementwise(spellings.numexpr) for name, spellings in SPELLINGS.items()},
        "softmax": Calls(lambda x, axis: softmax(x, axis, out=x), softmax, softmax),
        "log_softmax": Calls(lambda x, axis: log_softmax(x, axis, out=x), log_softmax, log_softmax),
        "logsumexp": Calls(preallocated=logsumexp, new=logsumexp),
    }
    return Library("numexpr", numexpr.__version__, calls, same, numexpr.set_num_threads)


def load_numba():
    """As compiled by LLVM alone: without Intel's library of vector functions."""
    os.environ["NUMBA_DISABLE_INTEL_SVML"] = "1"  # it would be taken at the import, for all that follows
    numba = importlib.import_module("numba")
    return numba_library(numba, "numba")


def load_numba_with_svml():
    numba = importlib.import_module("numba")
    numba.config.DISABLE_INTEL_SVML = 0
    if not numba._try_enable_svml():
        has_functions = importlib.import_module("llvmlite.binding").targets.has_svml()
        raise ImportError(
            "icc_rt is not installed" if has_functions else "this build of llvmlite cannot use SVML"
        )
    return numba_library(numba, "numba with SVML")


def numba_library(numba, name):
    """Functions for ``target="parallel"``; float32 stays float32, but for the sums of slices."""
    exp, log = math.exp, math.log
    dtypes = [np.dtype("float32"), np.dtype("float64")]

    def elementwise(formula):
        kernels = {}
        for dtype in dtypes:
            scalar = numba.from_dtype(dtype)
            kernels[dtype] = numba.vectorize([scalar(scalar)], target="parallel")(
                formula(dtype.type(0), dtype.type(1))
            )
        return Calls(in_place=lambda x: kernels[x.dtype](x, x), new=lambda x: kernels[x.dtype](x))

    def of_slices(loop, signature, in_place=True):
        of_dtype = [numba.from_dtype(dtype) for dtype in dtypes]
        result = signature.partition("->")[2]
        kernel = numba.guvectorize(
            [(scalar[:], scalar[:]) for scalar in of_dtype], signature, target="parallel"
        )(loop)

        def call(x, axis, out=None):
            axes = [axis, axis if result == "(n)" else ()]
            return kernel(x, axes=axes) if out is None else kernel(x, out, axes=axes)

        return Calls((lambda x, axis: call(x, axis, x)) if in_place else None, call, call)

    def softmax(x, out):
        largest = x[0]
        for i in range(1, len(x)):
            largest = max(largest, x[i])
        total = 0.0
        for i in range(len(x)):
            out[i] = exp(x[i] - largest)
            total += out[i]
        for i in range(len(x)):
            out[i] /= total

    def log_softmax(x, out):
        largest = x[0]
        for i in range(1, len(x)):
            largest = max(largest, x[i])
        total = 0.0
        for i in range(len(x)):
            total += exp(x[i] - largest)
        log_sum = log(total)
        for i in range(len(x)):
            out[i] = (x[i] - largest) - log_sum

    def logsumexp(x, out):
        largest = x[0]
        for i in range(1, len(x)):
            largest = max(largest, x[i])
        total = 0.0
        for i in range(len(x)):
            total += exp(x[i] - largest)
        out[0] = largest + log(total)

    calls = {
        **{name: elementwise(spellings.numba) for name, spellings in SPELLINGS.items()},
        "softmax": of_slices(softmax, "(n)->(n)"),
        "log_softmax": of_slices(log_softmax, "(n)->(n)"),
        "logsumexp": of_slices(logsumexp, "(n)->()", in_place=False),
    }
    return Library(name, numba.__version__, calls, same, numba.set_num_threads)


def load_jax():
    """It never writes in place, and has no `out`."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)

    def elementwise(function):
        compiled = jax.jit(function)
        return Calls(new=lambda x: compiled(x).block_until_ready())

    def of_slices(function):
        compiled = jax.jit(function, static_argnums=1)
        return Calls(new=lambda x, axis: compiled(x, axis).block_until_ready())

    calls = {
        **{name: elementwise(named(spellings.jax)) for name, spellings in SPELLINGS.items()},
        "logit, eps": elementwise(lambda x: jax.scipy.special.logit(jax.numpy.clip(x, EPS, 1 - EPS))),
        "softmax": of_slices(jax.nn.softmax),
        "log_softmax": of_slices(jax.nn.log_softmax),
        "logsumexp": of_slices(jax.nn.logsumexp),
    }
    # XLA takes its threads from the CPU affinity of the process, once.
    return Library("JAX", jax.__version__, calls, jax.numpy.asarray, ignore_threads)


LOADERS = {
    "fastlogit": load_fastlogit,
    "SciPy": load_scipy,
    "PyTorch": load_pytorch,
    "NumPy": load_numpy,
    "numexpr": load_numexpr,
    "numba": load_numba,
    "numba with SVML": load_numba_with_svml,
    "JAX": load_jax,
}


def load(names):
    libraries = []
    for name in names:
        try:
            libraries.append(LOADERS[name]())
        except ImportError as error:
            print(f"*** {name} is left out: {error}", file=sys.stderr)
    return libraries
