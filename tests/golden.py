"""Digests of the results of every function on inputs that are the same everywhere.

    python tests/golden.py            prints the digests of the kernels in use
    python tests/golden.py --write    puts them into golden.json, for kernels of this arithmetic

The inputs come from integers alone: no function of a C library and no random generator of NumPy stands
between this file and the bits. Write the digests anew only after a change that is meant to change bits.
"""

import hashlib
import json
import platform
import sys
from functools import partial
from pathlib import Path

import numpy as np

import fastlogit
from fastlogit import _isa

SAVED = Path(__file__).with_name("golden.json")
SIZE = 2**20
DTYPES = ("float32", "float64")


def scrambled(count):
    """The outputs of splitmix64 (Steele, Lea and Flood 2014) for the seed 0."""
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def patterns_between(low, high, count, dtype):
    """Floats whose bit patterns are spread over those of the positive numbers from low to high."""
    unsigned = np.uint32 if dtype == "float32" else np.uint64
    ends = np.array([low, high], dtype).view(unsigned).astype(np.uint64)
    return (ends[0] + scrambled(count) % (ends[1] - ends[0] + np.uint64(1))).astype(unsigned).view(dtype)


def with_any_pattern(x, dtype):
    """The last sixteenth of x is replaced by any bit patterns, infinities and NaN included."""
    shift = np.uint64(32 if dtype == "float32" else 0)
    unsigned = np.uint32 if dtype == "float32" else np.uint64
    many = x.size // 16
    x[-many:] = (scrambled(many) >> shift).astype(unsigned).view(dtype)
    return x


def log_odds(dtype):
    """Half of them by bit pattern, half evenly spaced, beyond where a result becomes subnormal or 1."""
    end = 110 if dtype == "float32" else 760
    half = patterns_between(0, end, SIZE // 2, dtype)
    half[1::2] *= -1
    even = (np.arange(SIZE // 2) - SIZE // 4) * (end / (SIZE // 4))
    return with_any_pattern(np.concatenate([half, even.astype(dtype)]), dtype)


def probabilities(dtype):
    """By bit pattern from 0 to 1, then evenly spaced, then as near to 1/2 as the dtype has them."""
    quarter = SIZE // 4
    even = np.arange(SIZE // 2) / (SIZE // 2)
    near_half = 0.5 + (np.arange(quarter) - quarter // 2) * np.finfo(dtype).eps
    parts = [patterns_between(0, 1, quarter, dtype), near_half, even]
    return with_any_pattern(np.concatenate(parts).astype(dtype), dtype)


# name: (function, its inputs). A new function is one row here and one run of --write.
CASES = {
    "logit": (fastlogit.logit, probabilities),
    "logit, eps 1e-6": (partial(fastlogit.logit, eps=1e-6), probabilities),
    "expit": (fastlogit.expit, log_odds),
    "log_expit": (fastlogit.log_expit, log_odds),
    "softplus": (fastlogit.softplus, log_odds),
}


def arithmetic():
    """ "fused" or "unfused", by the kernels in use; None where the compiler's choice is not known."""
    if _isa.chosen == "v2":
        return "unfused"
    if _isa.chosen in ("v3", "v4") or platform.machine() in ("aarch64", "arm64"):
        return "fused"
    return None


def digest(name, dtype):
    """Of the little-endian bytes of the results; the bits of a NaN differ between processors."""
    function, inputs = CASES[name]
    result = function(inputs(dtype))
    result[np.isnan(result)] = np.nan
    return hashlib.sha256(result.astype(result.dtype.newbyteorder("<")).tobytes()).hexdigest()[:32]


def digests():
    return {f"{name}, {dtype}": digest(name, dtype) for name in CASES for dtype in DTYPES}


if __name__ == "__main__":
    found = digests()
    for case, value in found.items():
        print(f"{arithmetic()} {value} {case}")
    if "--write" in sys.argv:
        saved = json.loads(SAVED.read_text()) if SAVED.exists() else {}
        SAVED.write_text(json.dumps(saved | {arithmetic(): found}, indent=1, sort_keys=True) + "\n")
