"""The libraries whose results are measured, each in a process of its own.

A build of fastlogit's kernels is chosen when fastlogit is imported, so there is one process to a build;
the peers live in processes too, for what they do to the environment of a process and its threads. A block
of inputs is in memory that all of them share, and each library has its own for the results. All
compute with one thread: the cores are for the chunks.
"""

import functools
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata

import numpy as np
from reference import PUBLIC, SPELLINGS, clamp_bounds, named

from ulp.losses import KINDS, parts_of, size_of_parts

MEMORY = 2**23  # bytes for the inputs, and for all results of one library
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
}
ROW_FUNCTIONS = ("softmax", "log_softmax", "logsumexp")

_processes = multiprocessing.get_context("spawn")


def into(function):
    """A function that returns a new array, as one that writes into ``out``."""
    return lambda x, out: np.copyto(out, function(x))


def fastlogit_functions():
    """In place, which spares every block the first touch of a new array."""
    import fastlogit

    def of_rows(function):
        return lambda x, out: function(x, axis=1, out=out)

    def of_loss(name):
        function = getattr(fastlogit, name)

        def call(x, out, **options):
            losses, grad, hess = parts_of(name, x.shape, out)
            function(x, **options, reduction="none", out=losses, grad=grad, hess=hess)

        return call

    return {
        **{name: getattr(fastlogit, name) for name in PUBLIC},
        "clamped_logit": fastlogit.logit,
        **{name: of_rows(getattr(fastlogit, name)) for name in ROW_FUNCTIONS},
        **{name: of_loss(name) for name in KINDS},
    }


def scipy_functions():
    from scipy import special

    def of_rows(function):
        return into(lambda x: function(x, axis=1))

    return {
        **{name: into(getattr(special, name)) for name in PUBLIC if hasattr(special, name)},
        **{name: of_rows(getattr(special, name)) for name in ROW_FUNCTIONS},
    }


def torch_functions():
    import torch

    torch.set_num_threads(1)

    def on_arrays(function, **options):
        return into(lambda x: function(torch.from_numpy(x), **options).numpy())

    return {
        **{name: on_arrays(named(spellings.pytorch)) for name, spellings in SPELLINGS.items()},
        **{name: on_arrays(getattr(torch, name), dim=1) for name in ROW_FUNCTIONS},
    }


def jax_functions():
    import jax

    def of_rows(function):
        return into(jax.jit(lambda x: function(x, axis=1)))

    def of_elements(function):
        """JAX compiles for every length anew: so there are few of them."""
        compiled = jax.jit(function)

        def call(x):
            padded = np.zeros(1 << (x.size - 1).bit_length(), x.dtype)
            padded[: x.size] = x
            return np.asarray(compiled(padded))[: x.size]

        return into(call)

    return {
        **{name: of_elements(named(spellings.jax)) for name, spellings in SPELLINGS.items()},
        "softmax": of_rows(jax.nn.softmax),
        "log_softmax": of_rows(jax.nn.log_softmax),
        "logsumexp": of_rows(jax.scipy.special.logsumexp),
    }


def numexpr_functions():
    """numexpr has none of them: the formulas that people write in their place."""
    import numexpr

    def evaluated(expression):
        return lambda x, out: numexpr.evaluate(expression, {"x": x}, out=out)

    return {name: evaluated(spellings.numexpr) for name, spellings in SPELLINGS.items()}


@dataclass(frozen=True)
class Library:
    """A library, or one build of fastlogit, as the tables name it."""

    name: str
    package: str
    functions: Callable  # gives, by the name of a function, what computes it for x and out
    instruction_set: str | None = None

    def version(self):
        """The version that is installed; None if none is. A build that runs has one without pip, too."""
        if self.instruction_set is not None:
            return import_module("fastlogit._build_config").VERSION
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    def environment(self):
        chosen = {} if self.instruction_set is None else {"FASTLOGIT_ISA": self.instruction_set}
        return ONE_THREAD | chosen


PEERS = {
    library.name: library
    for library in [
        Library("SciPy", "scipy", scipy_functions),
        Library("PyTorch", "torch", torch_functions),
        Library("JAX", "jax", jax_functions),
        Library("numexpr", "numexpr", numexpr_functions),
    ]
}


def builds():
    """Every build of fastlogit's kernels that this processor runs."""
    return {
        f"fastlogit {name}": Library(f"fastlogit {name}", "fastlogit", fastlogit_functions, name)
        for name in import_module("fastlogit._isa").supported()
    }


def end_with_parent():
    """A process whose parent was killed has nobody to work for; an interrupt is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait():
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _serve(library, connection, inputs, outputs):
    end_with_parent()
    functions = library.functions()
    connection.send(sorted(functions))
    while True:
        try:
            calls, dtype, shape = connection.recv()
        except EOFError:
            return  # nobody is left who could ask
        x = np.frombuffer(inputs, dtype, math.prod(shape)).reshape(shape)
        with np.errstate(all="ignore"):
            for (function, options), out in zip(calls, results(calls, outputs, dtype, shape), strict=True):
                functions[function](x, out=out, **options)
        connection.send(None)


def results(calls, outputs, dtype, shape):
    """Where the results of the calls lie in the shared memory, one after the other."""
    arrays, start = [], 0
    for function, _ in calls:
        out_shape = shape[:1] if function == "logsumexp" else shape
        if function in KINDS:
            out_shape = (size_of_parts(function, shape),)
        size = math.prod(out_shape)
        arrays.append(np.frombuffer(outputs, dtype, size, start).reshape(out_shape))
        start += size * np.dtype(dtype).itemsize
    return arrays


class Process:
    """A library at work in its own process."""

    def __init__(self, library, inputs):
        self._outputs = _processes.RawArray("b", MEMORY)
        self._connection, remote = _processes.Pipe()
        before = dict(os.environ)
        os.environ.update(library.environment())
        try:
            process = _processes.Process(
                target=_serve, args=(library, remote, inputs, self._outputs), daemon=True
            )
            process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        remote.close()
        self.functions = self._connection.recv()

    def __call__(self, x, calls):
        """The results of (function, options) for the block that lies in the shared memory as `x`."""
        self._connection.send((calls, x.dtype.name, x.shape))
        self._connection.recv()
        return results(calls, self._outputs, x.dtype, x.shape)


class Libraries:
    """All libraries, and the memory through which they get their inputs."""

    def __init__(self, libraries):
        self._inputs = _processes.RawArray("b", MEMORY)
        self._processes = {library.name: Process(library, self._inputs) for library in libraries}

    def of(self, function):
        """The names of the libraries that have `function`."""
        return [name for name, process in self._processes.items() if function in process.functions]

    def builds(self):
        return [name for name in self._processes if name.startswith("fastlogit ")]

    def share(self, x):
        """A view of the shared memory with `x` in it, for `compute`."""
        shared = np.frombuffer(self._inputs, x.dtype, x.size).reshape(x.shape)
        shared[...] = x
        return shared

    def compute(self, library, shared, *calls):
        """The results of one library, an array for each (function, options); valid until its next ones."""
        return self._processes[library](shared, calls)

    @functools.cache  # noqa: B019 (one of these to a process, for as long as it lives)
    def logit_of_bounds(self, library, dtype, eps):
        """The bounds of the clamped logit and their logits; overwrites the shared memory."""
        bounds = np.array(clamp_bounds(eps, dtype), dtype)
        (ends,) = self.compute(library, self.share(bounds), ("logit", {}))
        return bounds, ends.copy()
