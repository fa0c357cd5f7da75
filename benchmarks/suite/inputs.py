"""The input of all benchmarks. FASTLOGIT_BENCHMARK=quick leaves little of it, for CI."""

import os
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

import fastlogit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import cases
import layouts

__all__ = ["ALL_THREADS", "DTYPES", "QUICK", "THREADS", "cases", "drawn", "is_too_large", "layouts"]

QUICK = os.environ.get("FASTLOGIT_BENCHMARK") == "quick"
DTYPES = ["float64"] if QUICK else ["float32", "float64"]
THREADS = ["all"] if QUICK else ["1", "all"]
ALL_THREADS = fastlogit.get_num_threads()
COPIES = 4  # of an array that a benchmark may need at once: source, x, result, and one for the system


@lru_cache(maxsize=1)
def drawn(dtype, shape):
    """In the domain of all functions. Drawn once, because asv sets up again before every single call."""
    return np.random.default_rng(20240229).random(shape, dtype)


def is_too_large(elements, dtype):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return COPIES * elements * np.dtype(dtype).itemsize > memory
