"""Single functions of the slice kernels: sums, axes, plans, panels."""

import importlib.util
import itertools
import math
import sysconfig
from collections import Counter

import numpy as np
import pytest
from layouts import laid_out, random_layout, random_shape

pytestmark = pytest.mark.once

mpmath = pytest.importorskip("mpmath", reason="sums are checked against mpmath")

HEADROOM = 120
SOFTMAX, LOG_SOFTMAX, LOGSUMEXP = range(3)
EVERY_ITEMSIZE = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(scope="module")
def units(set_up_build):
    """tests/kernel_units, built with the compiler of this environment."""
    build = set_up_build("-Dkernel_tests=true")
    library = "tests/kernel_units" + sysconfig.get_config_var("EXT_SUFFIX")
    build.ninja(library)
    specification = importlib.util.spec_from_file_location("kernel_units", build.folder / "build" / library)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# Sums


def value_of(largest, ties, high, low):
    with mpmath.workprec(300):
        others = (mpmath.mpf(high) + mpmath.mpf(low)) * mpmath.mpf(2) ** -HEADROOM
        return mpmath.exp(largest) * (ties + others)


def relative_error(got, exact):
    with mpmath.workprec(300):
        return float(abs(got / exact - 1)) if exact else float(abs(got))


def random_sums(rng, width, spread):
    """Rows largest, ties, high, low, as sums of up to 4096 terms have them."""
    largest = rng.normal(0, spread, width)
    ties = rng.integers(1, 100, width).astype(float)
    high = rng.random(width) * 2.0 ** rng.integers(0, 132, width)
    low = high * 2.0**-53 * rng.uniform(-1, 1, width)
    return np.array([largest, ties, high, low])


@pytest.mark.parametrize("spread", [0.01, 1, 10, 300, 1e5])
def test_merge_of_relative_sums(units, spread):
    """What exp of the distance loses is all: 0.025 half units, and roundings of the tails."""
    rng = np.random.default_rng(int(spread * 100))
    for equal in (False, True):
        part, total = random_sums(rng, 60, spread), random_sums(rng, 60, spread)
        if equal:
            part[0] = total[0]
        got = np.array(units.merged_relative(part, total))
        np.testing.assert_array_equal(got[0], np.maximum(part[0], total[0]))
        ties = np.where(
            part[0] == total[0], part[1] + total[1], np.where(part[0] > total[0], part[1], total[1])
        )
        np.testing.assert_array_equal(got[1], ties)
        for j in range(60):
            with mpmath.workprec(300):
                exact = value_of(*part[:, j]) + value_of(*total[:, j])
            assert relative_error(value_of(*got[:, j]), exact) < 0.05 * 2.0**-53


REFERENCES = [0, 1e-30, 1, -1, 88.7, 259.9, -260, 260.1, 1577.9, -1578, 1578.1, -1e4, 1e30, 3e38, -3e38]


@EVERY_ITEMSIZE
def test_terms_out_of_reach_are_zero_and_others_normal(units, dtype):
    """A masked score, -inf, has no term, nor a subnormal tail, which takes an Intel processor 65 ns."""
    reach = {"float32": 130, "float64": 789}[dtype]
    smallest = np.finfo(dtype).smallest_normal
    rng = np.random.default_rng(5)
    for reference in [*REFERENCES, *rng.normal(0, reach, 300)]:
        reference = float(np.dtype(dtype).type(reference))
        spacing = float(np.spacing(np.dtype(dtype).type(abs(reference))))
        below = reference - (reach + 4 + 2 * spacing)
        for term, tail in units.terms(reference, np.array([-math.inf, below]), dtype == "float32"):
            assert term == tail == 0
        (term, _), (not_a_number, _) = units.terms(
            reference, np.array([reference - reach, math.nan]), dtype == "float32"
        )
        assert term >= smallest or spacing > 1
        assert math.isnan(not_a_number)


def test_merge_with_nothing_is_the_identity(units):
    """A part of -inf alone, and one that is far too small to count."""
    total = random_sums(np.random.default_rng(1), 60, 1)
    for largest in (-math.inf, -1e5):
        part = np.array([np.full(60, largest), np.ones(60), np.zeros(60), np.zeros(60)])
        got = np.array(units.merged_relative(part, total))
        for j in range(60):
            assert relative_error(value_of(*got[:, j]), value_of(*total[:, j])) < 2.0**-100


def test_merge_of_scaled_sums_keeps_every_bit(units):
    rng = np.random.default_rng(2)
    part, total = random_sums(rng, 60, 1), random_sums(rng, 60, 1)
    largest, high, low = np.array(units.merged_scaled(part, total))
    np.testing.assert_array_equal(largest, np.maximum(part[0], total[0]))
    for j in range(60):
        with mpmath.workprec(300):
            exact = sum(mpmath.mpf(value) for value in (*part[2:, j], *total[2:, j]))
            assert relative_error(mpmath.mpf(high[j]) + mpmath.mpf(low[j]), exact) < 2.0**-104


@pytest.mark.parametrize(
    ("is_float32", "reach", "most", "bound"),
    # float32: `exp_for_float`, a sum and a quotient, rounded to doubles.
    [(False, 12, 1500, 0.05 * 2.0**-53), (True, 20, 250, 2.0**-50)],
)
def test_relate(units, is_float32, reach, most, bound):
    """High and low of terms scaled for a reference, relative to the largest element: as exact as exp is."""
    rng = np.random.default_rng(3)
    dtype = np.float32 if is_float32 else np.float64
    for spread in (1, most, 1e6):
        reference = rng.normal(0, spread, 60).clip(-most if spread == most else -1e7, most).astype(dtype)
        above = rng.uniform(-reach, reach, 60).astype(dtype)
        largest = (reference + above).astype(dtype).astype(float)
        sums = random_sums(rng, 60, 1)
        sums[0] = largest
        if is_float32:
            sums[2] *= 2.0**-60
            sums[3] = 0
        shift, exponent, *relative = np.array(
            units.related(reference.astype(float), np.ascontiguousarray(sums), is_float32)
        )
        np.testing.assert_array_equal(relative[0], largest)
        np.testing.assert_array_equal(relative[1], sums[1])
        for j in range(60):
            with mpmath.workprec(300):
                scaled = mpmath.mpf(sums[2, j]) + mpmath.mpf(sums[3, j])
                exact = scaled * mpmath.mpf(2) ** -int(exponent[j]) * mpmath.exp(shift[j])
            got = value_of(largest[j], 0, relative[2][j], relative[3][j])
            assert relative_error(got, exact) < bound


# Exponentials in fixed point


def test_exponentials_in_fixed_point(units):
    """All of the range, and next to multiples of ln 2, where the reduction goes one way or the other."""
    rng = np.random.default_rng(5)
    multiples = -np.log(2) * rng.integers(1, 3174, 300)
    arguments = np.concatenate(
        [
            rng.uniform(-2200, 0, 600),
            *(multiples + offset * np.spacing(multiples) for offset in range(-3, 4)),
            -(2.0 ** -rng.uniform(0, 300, 200)),
            [0.0, -2200.0, -np.log(2), -5e-324],
        ]
    ).clip(-2200, 0)
    for x in arguments:
        for rest in (0.0, 0.4 * np.spacing(x), -0.4 * np.spacing(x)):
            rest = min(rest, -x)
            k, fraction = units.exponential_in_fixed_point(x, rest)
            with mpmath.workprec(400):
                exact = mpmath.exp(mpmath.mpf(x) + mpmath.mpf(rest)) * mpmath.mpf(2) ** k
                got = 1 + mpmath.mpf(fraction) * mpmath.mpf(2) ** -192
                assert abs(got / exact - 1) < mpmath.mpf(2) ** -180, (x, rest)


# Axes


def pairs(x, out, shape, x_strides, out_strides):
    """The addresses in both arrays that a walk meets together, in its order."""
    return [
        (
            x + sum(i * stride for i, stride in zip(index, x_strides, strict=True)),
            out + sum(i * stride for i, stride in zip(index, out_strides, strict=True)),
        )
        for index in itertools.product(*map(range, shape))
    ]


@pytest.mark.parametrize("ordered", [False, True])
def test_merged_axes_meet_the_same_addresses(units, ordered):
    rng = np.random.default_rng(4)
    fewer = 0
    for _ in range(300):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(0, 6)))
        x_strides = random_layout(rng, shape, 8, repeat=True)[2]
        out_strides = x_strides if rng.random() < 0.5 else random_layout(rng, shape, 8)[2]
        if rng.random() < 0.5:
            x_strides = out_strides = np.empty(shape).strides
        before = pairs(0, 0, shape, x_strides, out_strides)
        x, out, *merged = units.merged_axes(shape, x_strides, out_strides, ordered)
        after = pairs(x, out, *merged)
        if ordered:
            assert Counter(after) == Counter(before)
            assert merged[2] == sorted(merged[2], reverse=True)
        else:
            assert after == before
        assert len(merged[0]) <= len(shape)
        fewer += len(merged[0]) < sum(n > 1 for n in shape)
    assert fewer > 50


# Plans


def cut(units, function, x, out, is_reduced):
    out_strides = iter(out.strides)
    axes = [
        (x.shape[i], x.strides[i], next(out_strides), is_reduced[i]) for i in range(x.ndim)
    ]
    return units.Cut(function, x.ctypes.data, out.ctypes.data, axes, x.itemsize)


CASES = [
    ((300, 70), (False, True)),  # along
    ((70, 300), (True, False)),  # across, the last group not filled
    ((5, 300), (True, False)),  # short, across
    ((300, 5), (False, True)),
    ((3, 300), (False, True)),
    ((300, 3), (True, False)),  # few lanes, staged along
    ((4, 50, 6), (True, False, True)),
    ((4, 50, 6), (False, True, False)),
    ((2, 3, 4, 5), (False, True, False, True)),
    ((40_000,), (True,)),
    ((7,), (False,)),
    ((1, 1), (True, True)),
]


@EVERY_ITEMSIZE
@pytest.mark.parametrize("order", ["C", "F", "every second"])
@pytest.mark.parametrize(("shape", "is_reduced"), CASES)
def test_groups_cover_each_slice_once(units, dtype, order, shape, is_reduced):
    if order == "every second":
        x = np.zeros([2 * n for n in shape], dtype)[tuple(slice(None, None, 2) for _ in shape)]
    else:
        x = np.zeros(shape, dtype, order)
    out = np.zeros(shape, dtype)
    arrays = cut(units, SOFTMAX, x, out, is_reduced)
    lanes = arrays.addresses()
    kept = [i for i in range(x.ndim) if not is_reduced[i]]
    assert len(lanes) == math.prod(x.shape[i] for i in kept)

    def address(array, index):
        return array.ctypes.data + sum(i * stride for i, stride in zip(index, array.strides, strict=True))

    expected = {}
    for index in itertools.product(*map(range, shape)):
        lane = expected.setdefault(tuple(index[i] for i in kept), ([], []))
        lane[0].append(address(x, index))
        lane[1].append(address(out, index))
    assert sorted(lanes) == sorted(expected.values())


@EVERY_ITEMSIZE
@pytest.mark.parametrize("n", [1, 63, 64, 4096, 4097, 16384, 16385, 70_001, 2**20, 2**20 + 1, 2**24])
def test_segments_cover_a_slice_and_are_whole_chunks(units, dtype, n):
    x = np.broadcast_to(np.zeros(1, dtype), (n,))  # only strides and lengths count here
    axes = [(n, x.itemsize, x.itemsize, True)]
    plan = units.Cut(LOG_SOFTMAX, x.ctypes.data, x.ctypes.data, axes, x.itemsize).plan()
    assert plan["positions"] == n
    assert plan["segment"] % 4096 == 0
    assert (plan["segments"] - 1) * plan["segment"] < n <= plan["segments"] * plan["segment"]
    assert plan["segments"] <= 64
    assert plan["segment"] >= 16384


@EVERY_ITEMSIZE
def test_what_is_taken_along_across_and_staged(units, dtype):
    panel = 256 // np.dtype(dtype).itemsize

    def plan(x, is_reduced):
        found = cut(units, SOFTMAX, x, x, is_reduced).plan()
        return found["along"], found["staged"]

    assert plan(np.zeros((100, 1000), dtype), (False, True)) == (True, False)
    assert plan(np.zeros((1, 3), dtype), (False, True)) == (True, False)
    assert plan(np.zeros((1000, 100), dtype), (True, False)) == (False, False)
    assert plan(np.zeros((1000, 16), dtype), (False, True)) == (False, True)
    assert plan(np.zeros((1000, panel // 8), dtype), (True, False)) == (True, True)
    assert plan(np.zeros((1000, panel // 4), dtype), (True, False)) == (False, False)
    assert plan(np.zeros((1, 2000), dtype)[:, ::2], (False, True)) == (True, True)


# Panels


@EVERY_ITEMSIZE
@pytest.mark.parametrize("by_panels", [False, True])
def test_gathered_and_scattered_is_the_identity(units, dtype, by_panels):
    rng = np.random.default_rng(6)
    itemsize = np.dtype(dtype).itemsize
    for _ in range(200):
        shape = random_shape(rng)
        if not math.prod(shape):
            continue
        is_reduced = tuple(bool(bit) for bit in rng.integers(0, 2, len(shape)))
        _, x = laid_out(random_layout(rng, shape, itemsize), shape, dtype)
        x[...] = rng.random(shape)
        memory, out = laid_out(random_layout(rng, shape, itemsize), shape, dtype)
        expected = memory.copy()
        offset = out.ctypes.data - memory.ctypes.data
        np.ndarray(shape, dtype, buffer=expected, offset=offset, strides=out.strides)[...] = x
        cut(units, SOFTMAX, x, out, is_reduced).copy(by_panels)
        np.testing.assert_array_equal(memory, expected)  # and nothing between the elements has changed
