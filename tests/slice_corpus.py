"""Slices of every kind in every layout, and a hash of what the functions of slices make of them.

The scores come from integer arithmetic and exact scaling alone, so every machine and every version of NumPy
has the same ones. ``python tests/slice_corpus.py`` prints the hashes of the kernels in use as JSON, and
``python tests/slice_corpus.py --write`` records them for all instruction sets in ``slice_bits.json``, which
``test_slice_bits.py`` holds every build against.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastlogit

Array = NDArray[Any]

RECORD = Path(__file__).with_name("slice_bits.json")
DTYPES = ("float32", "float64")
FUNCTIONS = ("softmax", "log_softmax", "logsumexp")

# Around the widths of vectors, a block of 64 and its quarters, chunks of 4096, segments of 16384.
LENGTHS = (
    *(1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 66, 80, 127, 128, 129, 200),
    *(256, 257, 1000, 1024, 1025, 2000, 4095, 4096, 4097, 4160, 8192, 8193, 16384, 16385, 33000, 70001),
)


def uniform(n: int, seed: int) -> Array:
    """Multiples of 2^-24 in [-1, 1), by the finaliser of MurmurHash3 over the positions."""
    bits = np.arange(n, dtype=np.uint64) + np.uint64(seed * 0x9E3779B9)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return (bits >> np.uint64(39)).astype(np.float64) * 2.0**-24 - 1


def kinds(n: int) -> Iterator[Array]:
    """Slices of n scores: each treats a branch of the sums, or several in turn."""
    u = uniform(n, n)
    ramp = np.arange(n) / 64
    yield 8 * u
    yield u
    yield 80 * u
    yield np.round(4 * u)  # ties
    yield 3 + np.round(2 * u) * 2.0**-22  # within a few units of each other
    yield np.where(np.arange(n) == 2 * n // 3, 25, u)  # one ahead
    yield np.where(np.arange(n) == 0, 60, u)
    yield np.where(np.arange(n) == n - 1, 17, np.full(n, 0.25))
    yield 8 * u + ramp  # the largest far from the first
    yield 8 * u - ramp
    yield 3000 + 8 * u  # shifted
    yield -(2.0**40) * (1 + np.round(u * 8) * 2.0**-20)
    yield np.where(u > 0.5, -np.inf, 8 * u)
    yield np.where(np.arange(n) < 65, -np.inf, 8 * u)
    yield np.where(np.arange(n) == n // 2, np.inf, 8 * u)
    yield np.where(np.arange(n) == n // 2, np.nan, 8 * u)


def rows(n: int, dtype: str) -> Array:
    return np.array(list(kinds(n))).astype(dtype)


def wide(x: Array) -> Array:
    """80 rows, so that a panel is filled and one more begun; fewer where they are long."""
    return np.resize(x, (80 if x.shape[1] <= 1025 else 16 if x.shape[1] <= 8193 else 3, x.shape[1]))


def in_memory(x: Array, shape: tuple[int, ...], *index: slice) -> Array:
    """A copy of x in a part of a larger array."""
    part = np.zeros(shape, x.dtype)[index]
    part[...] = x
    return part


# Of rows (slices, positions): an array that holds them, and the axis or axes along which they run.
LAYOUTS: dict[str, Callable[[Array], tuple[Array, int | tuple[int, ...]]]] = {
    "rows": lambda x: (x.copy(), 1),
    "one row": lambda x: (x[:1].copy(), 1),
    "columns": lambda x: (np.asfortranarray(x), 1),
    "many columns": lambda x: (np.asfortranarray(wide(x)), 1),
    "axis 0": lambda x: (np.ascontiguousarray(wide(x).T), 0),
    "every second": lambda x: (in_memory(x, (len(x), 2 * x.shape[1]), slice(None), slice(None, None, 2)), 1),
    "part of wider rows": lambda x: (
        in_memory(wide(x), (len(wide(x)), x.shape[1] + 3), slice(None), slice(1, x.shape[1] + 1)),
        1,
    ),
    "backwards": lambda x: (in_memory(x[:, ::-1], x.shape)[:, ::-1], 1),
    "middle axis": lambda x: (np.ascontiguousarray(x.reshape(2, -1, x.shape[1]).transpose(0, 2, 1)), 1),
    "two axes": lambda x: (
        np.ascontiguousarray(x.reshape(len(x), -1, 1 if x.shape[1] % 2 else 2).transpose(1, 0, 2)),
        (0, 2),
    ),
}


def results(function: str, dtype: str, layout: str) -> Iterator[Array]:
    """What the function gives for every length: fresh, and for results of the shape of x in place as well."""
    call = getattr(fastlogit, function)
    for n in LENGTHS:
        x, axis = LAYOUTS[layout](rows(n, dtype))
        yield call(x, axis=axis)
        if function != "logsumexp":
            yield call(x, axis=axis, out=x)


def hashes() -> dict[str, str]:
    """By function, dtype and layout. All NaN count as one."""
    found = {}
    for function in FUNCTIONS:
        for dtype in DTYPES:
            for layout in LAYOUTS:
                digest = hashlib.blake2b(digest_size=8)
                for result in results(function, dtype, layout):
                    digest.update(np.where(np.isnan(result), np.nan, result).astype(dtype).tobytes())
                found[f"{function} {dtype} {layout}"] = digest.hexdigest()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"record them in {RECORD.name}")
    if not parser.parse_args().write:
        print(json.dumps(hashes()))
        return
    recorded = {}
    for arithmetic, instruction_set in (("fused", "v3"), ("unfused", "v2")):
        environment = dict(os.environ, FASTLOGIT_ISA=instruction_set)
        done = subprocess.run(
            [sys.executable, __file__], env=environment, check=True, capture_output=True, text=True
        )
        recorded[arithmetic] = json.loads(done.stdout)
    RECORD.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
