"""One exponential of Intel's vector library: no peer, but what those can hope for that compute one."""

import ctypes
import importlib.metadata
import os

import numpy as np
from cases import ELEMENTWISE, OF_SLICES
from results import EXPONENTIAL

from .library import Calls, Library, contiguous, of_elements


def load_exponential():
    """To the highest accuracy of the three that it has."""
    location = next(
        (file for file in importlib.metadata.files("mkl") if file.name.startswith("libmkl_rt.so")), None
    )
    if location is None:
        raise ImportError("the package mkl has no libmkl_rt")
    os.environ.setdefault("MKL_THREADING_LAYER", "GNU")  # the runtime of OpenMP that is there already
    mkl = ctypes.CDLL(str(location.locate().resolve()))
    highest = ctypes.c_int64(1)  # VML_HA
    functions = {np.dtype(np.float32): mkl.vmsExp, np.dtype(np.float64): mkl.vmdExp}

    def exponential(x, out=None):
        out = np.empty_like(x) if out is None else out
        functions[x.dtype](
            ctypes.c_int(x.size), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data), highest
        )
        return out

    elementwise = of_elements(exponential)
    of_slices = Calls(
        in_place=lambda x, axis: exponential(x, x), preallocated=lambda x, axis, out: exponential(x, out)
    )
    calls = {case.name: elementwise for case in ELEMENTWISE}
    calls |= {case.name: of_slices for case in OF_SLICES if not case.reduces}
    return Library(
        EXPONENTIAL,
        importlib.metadata.version("mkl"),
        calls,
        contiguous,
        lambda threads: mkl.MKL_Set_Num_Threads(ctypes.c_int(threads)),
    )
