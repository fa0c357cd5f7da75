"""More than 2^31 elements, strides of more than 2^31 bytes, and a file larger than the memory: all in place.

``pytest -m huge tests/test_huge.py``; the strides are tried by the suite. One array of 8.6 GB at a time.
"""

import itertools
import math
import mmap
import os
import sys

import numpy as np
import pytest
from memory import needs_linux
from reference import FUNCTIONS, bits

import fastlogit

GIGABYTE = 2**30
MANY = 2**31 + 1001  # float32, of which an int has no index
PERIOD = 8009  # prime, so that no chunk and no thread begins where another did

ALL_IN_PLACE = {
    **{name: (lambda x, f=function: f.call(x, out=x)) for name, function in FUNCTIONS.items()},
    "softmax": lambda x: fastlogit.softmax(x, -1, out=x),
    "log_softmax": lambda x: fastlogit.log_softmax(x, -1, out=x),
    "binary_cross_entropy_with_logits": lambda x: fastlogit.binary_cross_entropy_with_logits(
        x, np.broadcast_to(np.int8(1), x.shape), grad=x, reduction="sum"
    ),
    "cross_entropy": lambda x: fastlogit.cross_entropy(
        x, np.broadcast_to(np.int8(2), x.shape[:-1]), grad=x, reduction="sum"
    ),
}


def need_memory(size):
    """Pages of the machine and what its control group grants decide."""
    if sys.platform != "linux":
        pytest.skip("asks Linux how much memory there is")
    with open("/proc/meminfo") as file:
        available = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    if available < size:
        pytest.skip(f"needs {size / GIGABYTE:.0f} GiB of memory, and {available / GIGABYTE:.0f} are free")


@pytest.fixture(scope="module")
def many():
    need_memory(10 * GIGABYTE)
    return np.empty(MANY, np.float32)


def fill(x, period):
    """Repeat it, the last time in part."""
    flat = x.reshape(-1)
    flat[: period.size] = period
    done = period.size
    while done < flat.size:
        count = min(done, flat.size - done)
        flat[done : done + count] = flat[:count]
        done += count


def has_period(x, period):
    """Bit for bit, compared by parts."""
    flat, expected = bits(x.reshape(-1)), np.tile(bits(period), 1000)
    return all(
        np.array_equal(part, expected[: part.size])
        for part in (flat[start : start + expected.size] for start in range(0, flat.size, expected.size))
    )


# More than 2^31 elements


@pytest.mark.huge
@pytest.mark.parametrize("name", [*FUNCTIONS, "binary_cross_entropy_with_logits"])
def test_elements(many, name):
    values = FUNCTIONS[name if name in FUNCTIONS else "expit"].inputs(PERIOD, "float32")[-PERIOD:]
    fill(many, values)
    ALL_IN_PLACE[name](many)
    ALL_IN_PLACE[name](values)
    assert has_period(many, values)


@pytest.mark.huge
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cross_entropy"])
@pytest.mark.parametrize("axis", [0, 1])
def test_slices(many, name, axis):
    """More than 2^31 elements in short slices, along the last axis and across the first."""
    length = 7
    rows = np.random.default_rng(3).normal(0, 5, (PERIOD, length)).astype("f4")
    x = many[: MANY // (length * PERIOD) * length * PERIOD]
    if axis:
        x = x.reshape(-1, length)
        fill(x, rows.reshape(-1))
    else:
        x = x.reshape(length, -1)
        for row, values in zip(x, rows.T, strict=True):
            fill(row, values)
        x = x.T
    ALL_IN_PLACE[name](x)
    ALL_IN_PLACE[name](rows)
    if axis:
        assert has_period(x, rows.reshape(-1))
    else:
        assert all(has_period(row, values) for row, values in zip(x.T, rows.T, strict=True))


@pytest.mark.huge
def test_one_slice(many):
    """Everything is one slice, with the largest element beyond 2^31."""
    values = np.linspace(-3, 3, PERIOD, dtype="f4")
    fill(many, values)
    many[-5] = 30
    last = np.resize(values, MANY % PERIOD)
    total = MANY // PERIOD * math.fsum(np.exp(values, dtype="f8")) + math.fsum(np.exp(last, dtype="f8"))
    log_of_sum = math.log(total - math.exp(last[-5]) + math.exp(30.0))
    assert fastlogit.logsumexp(many) == np.float32(log_of_sum)
    loss = fastlogit.cross_entropy(many, np.array(2**31 + 7))
    assert abs(loss - (log_of_sum - many[2**31 + 7])) < 1e-6
    many[-5] = last[-5]
    fastlogit.softmax(many, out=many)
    shares = np.exp(values - np.float64(math.log(total)))
    np.testing.assert_allclose(many[:PERIOD], shares, rtol=4e-7, atol=0)
    assert has_period(many, many[:PERIOD].copy())


@pytest.mark.huge
def test_one_slice_as_a_loss(many):
    """Its gradient in place: everything is a share but at the label."""
    values = np.linspace(-3, 3, PERIOD, dtype="f4")
    fill(many, values)
    fastlogit.cross_entropy(many, np.array(2**31 + 7), grad=many)
    at_label = many[2**31 + 7]
    assert at_label == np.float32(-1)
    many[2**31 + 7] = many[(2**31 + 7) % PERIOD]
    assert has_period(many, many[:PERIOD].copy())


@pytest.mark.huge
def test_sum_of_losses(many):
    """The mean of so many is exact in its float64."""
    many.fill(0)
    many[-1] = 50
    y = np.broadcast_to(True, many.shape)
    assert fastlogit.binary_cross_entropy_with_logits(many, y, reduction="sum") == pytest.approx(
        (MANY - 1) * math.log(2), rel=1e-7, abs=0
    )
    assert fastlogit.binary_cross_entropy_with_logits(many, y) == pytest.approx(math.log(2), rel=1e-7, abs=0)


# Strides of more than 2^31 bytes

FAR = 2**31 + 8
ROOM = 7 * (FAR + 4096)


@pytest.fixture(scope="module")
def room():
    """Addresses, of which only the pages that are written take memory."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    try:
        return np.frombuffer(mmap.mmap(-1, ROOM, flags=flags), np.uint8)
    except OSError as error:
        pytest.skip(f"this process cannot have {ROOM} addresses: {error}")


FAR_STRIDES = {
    "rows": (FAR, None),
    "columns": (None, FAR),
    "rows backwards": (-FAR, None),
    "both": (FAR, 2 * FAR + 64),
    "both, one backwards": (-2 * FAR - 64, FAR + 8),
    "pages more": (FAR + 4096, None),
}


@needs_linux
@pytest.mark.skipif(sys.maxsize < 2**32, reason="such strides need 64 bits")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL_IN_PLACE)
@pytest.mark.parametrize("strides", FAR_STRIDES)
def test_strides(room, strides, name, dtype):
    itemsize = np.dtype(dtype).itemsize
    far = FAR_STRIDES[strides]
    lengths = (3, 3) if None not in far else (7 if far[0] else 50, 7 if far[1] else 50)
    used = [step or itemsize for step in far]
    start = sum(-step * (length - 1) for step, length in zip(used, lengths, strict=True) if step < 0)
    x = np.ndarray(lengths, dtype, room, start, used)
    values = np.random.default_rng(8).random(lengths).astype(dtype)
    values[0, 1] = 1
    x[...] = values
    expected = values.copy()
    ALL_IN_PLACE[name](x)
    ALL_IN_PLACE[name](expected)
    np.testing.assert_array_equal(bits(x.copy()), bits(expected))


# A file larger than the memory


def free_disk(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.fixture
def sparse_file(tmp_path):
    """Of float32, with a GiB more than the machine has memory."""
    size = os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE + GIGABYTE
    if free_disk(tmp_path) < size + 4 * GIGABYTE:
        pytest.skip(f"needs {size / GIGABYTE:.0f} GiB of disk")
    path = tmp_path / "sparse"
    yield np.memmap(path, np.float32, "w+", shape=(size // (4 * 1024 * 64), 64, 1024))
    path.unlink()


@pytest.mark.huge
@needs_linux
def test_rows_of_a_file_larger_than_the_memory(sparse_file):
    for turn, (name, dtype) in enumerate(itertools.product(ALL_IN_PLACE, ("float32", "float64"))):
        view = sparse_file.view(dtype)[turn % 3 :: 50, turn, :]
        view[:, ::3] = 0.25
        expected = np.zeros_like(view[0])
        expected[::3] = 0.25
        ALL_IN_PLACE[name](view)
        ALL_IN_PLACE[name](expected[np.newaxis])
        assert all(np.array_equal(bits(row), bits(expected)) for row in view)
        assert not sparse_file[turn % 3 :: 50, turn + 1].any()


@pytest.mark.huge
@needs_linux
def test_all_of_a_file_larger_than_the_memory(sparse_file):
    fastlogit.expit(sparse_file, out=sparse_file)
    assert all((sparse_file[start : start + 500] == 0.5).all() for start in range(0, len(sparse_file), 500))
