"""The libraries that are compared, and how each says the functions of cases.py."""

import sys

from results import EXPONENTIAL

from .compiled import load_jax, load_numba, load_numba_with_svml
from .mkl import load_exponential
from .numpy_arrays import load_fastlogit, load_numexpr, load_numpy, load_scipy
from .onnx import load_onnxruntime
from .pytorch import load_onednn, load_pytorch

LOADERS = {
    "fastlogit": load_fastlogit,
    "SciPy": load_scipy,
    "PyTorch": load_pytorch,
    "oneDNN": load_onednn,
    "onnxruntime": load_onnxruntime,
    "NumPy": load_numpy,
    "numexpr": load_numexpr,
    "numba": load_numba,
    "numba with SVML": load_numba_with_svml,
    "JAX": load_jax,
    EXPONENTIAL: load_exponential,
}


def load(names):
    libraries = []
    for name in names:
        try:
            libraries.append(LOADERS[name]())
        except ImportError as error:
            print(f"*** {name} is left out: {error}", file=sys.stderr)
    return libraries
