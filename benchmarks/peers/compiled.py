"""Compilers: numba, with and without a library of vector functions, and JAX."""

import importlib
import math
import os

import numpy as np
from cases import EPS, SPELLINGS, named

from .library import Calls, Library, ignore_threads, same


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
