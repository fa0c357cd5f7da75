"""The kernels for slices in parts, on which softmax along a chunked axis of a dask array rests.

The bounds are those of the derivation at the head of ``kernels/parts.pyx``.
"""

import numpy as np
import pytest
from reference import (
    DTYPES,
    exact_log_softmax,
    exact_logsumexp,
    exact_softmax,
    logsumexp_error,
    long_rows,
    longdouble_is_wider,
    longdouble_reason,
    mpmath_slice,
    row_families,
    same_bits,
    ulp_error,
)

from fastlogit import log_softmax, logsumexp, softmax
from fastlogit._parts import PART_SUM, from_sums, logsumexp_from_sums, merged, sum_of_parts

inf, nan = np.inf, np.nan
fromhex = float.fromhex
BOUNDS = {"softmax": 0.8, "log_softmax": 1.4, "logsumexp": 1.4}  # as parts.pyx derives them
EXACT = {"softmax": exact_softmax, "log_softmax": exact_log_softmax}
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)

# Rows from the derivations of the kernels for whole slices, which broke earlier versions of these.
WORST_ROWS = {
    "float32": [
        [fromhex(x) for x in ("0x1.66664cp-2", "0x1.666642p-2", "0x1.666644p-2", "0x1.66664cp-2")],
        [fromhex("0x1.0c7e1ap4"), fromhex("0x1.f31782p3"), *[fromhex("0x1.04ffc2p4")] * 2000],
        [fromhex("-0x1.30f73p4"), fromhex("-0x1.b60c42p4")],
    ],
    "float64": [
        [
            fromhex("-0x1.46b99a7cde0ddp4"), fromhex("-0x1.9fba12145f535p4"),
            *[fromhex("-0x1.524035df4cb27p4")] * 1032,
        ],
        [0.0, *[fromhex("-0x1.03aa2db532aebp4")] * 4095],
        [fromhex("-0x1.89f179ddab2dbp-13"), *[fromhex("-0x1.0344a57bbc23dp4")] * 4095],
        [0.0, fromhex("-0x1.fffffffffffffp-1"), -1.0, -1.5],
        [700.0, 699.0, 700.0, -50.0],
        [40.0, 0.0, -700.0, -745.0],
    ],
}


def computed(x, cuts):
    """All three functions along the last axis, cut at these positions."""
    axes = (x.ndim - 1,)
    parts = np.split(x, cuts, axis=-1)
    sums = merged([sum_of_parts(part, axes) for part in parts])
    results = {
        name: np.concatenate([from_sums(name, part, sums, axes) for part in parts], axis=-1)
        for name in ("softmax", "log_softmax")
    }
    return results | {"logsumexp": logsumexp_from_sums(sums, x.dtype)[..., 0]}


def check_errors(x, cuts, family):
    for name, got in computed(x, cuts).items():
        assert got.dtype == x.dtype
        if name == "logsumexp":
            errors = logsumexp_error(got[:, np.newaxis], *exact_logsumexp(x, -1))
        else:
            errors = ulp_error(got, EXACT[name](x, -1))
        assert errors.max() <= BOUNDS[name], (name, family, float(errors.max()))


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@EVERY_DTYPE
@pytest.mark.parametrize("parts", [1, 13])
def test_errors_are_within_the_derived_bounds(dtype, parts):
    rng = np.random.default_rng(parts)
    for family, x in row_families(rng, dtype).items():
        x = np.atleast_2d(x)
        cuts = np.sort(rng.integers(0, x.shape[-1] + 1, parts - 1))  # of which some are empty
        check_errors(x, cuts, family)


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@EVERY_DTYPE
def test_errors_of_long_rows(dtype):
    for family, x in long_rows(np.random.default_rng(0), dtype, 2**17).items():
        check_errors(np.atleast_2d(x), range(5000, 2**17, 5000), family)


@EVERY_DTYPE
def test_worst_rows_against_mpmath(dtype):
    pytest.importorskip("mpmath", reason="mpmath is the reference")
    for row in WORST_ROWS[dtype]:
        x = np.array([row], dtype)
        results = computed(x, [1, 1, 3])
        total = mpmath_slice("logsumexp", x[0])[0]
        errors = {
            name: ulp_error(results[name][0], mpmath_slice(name, x[0])) for name in ("softmax", "log_softmax")
        }
        errors["logsumexp"] = logsumexp_error(results["logsumexp"], total, x.max())
        for name, error in errors.items():
            assert error.max() <= BOUNDS[name], (name, row[:3], float(error.max()))


def ascending_parts(dtype):
    """The largest element rises a little from part to part: every merge multiplies what was before."""
    steps = np.linspace(0, 3, 512)[:, None] + np.linspace(-2, 0, 16)
    return steps.reshape(1, -1).astype(dtype)


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@EVERY_DTYPE
def test_many_merges(dtype):
    x = ascending_parts(dtype)
    for row in (x, x[:, ::-1].copy(), np.tile(x, 8)):
        check_errors(row, range(16, row.shape[1], 16), "ascending")


@EVERY_DTYPE
@pytest.mark.parametrize(
    "row",
    [
        [inf, 0.0], [0.0, inf], [inf, inf], [-inf, -inf], [-inf, 2.0], [2.0, -inf], [nan, 1.0], [1.0, nan],
        [inf, nan], [nan, -inf], [nan, nan], [3e38, -3e38], [0.0, -800.0], [-0.0, 0.0], [1e-45, -1e-45],
    ],
    ids=str,
)
def test_special_values_are_those_of_whole_slices(dtype, row):
    x = np.array([row], dtype)
    for cuts in ([], [1], [0, 1], [1, 1, 2]):
        results = computed(x, cuts)
        same_bits(results["softmax"], softmax(x, axis=-1))
        same_bits(results["log_softmax"], log_softmax(x, axis=-1))
        same_bits(results["logsumexp"], logsumexp(x, axis=-1))


@EVERY_DTYPE
def test_subnormal_shares(dtype):
    lowest = -745 if dtype == "float64" else -103
    x = np.array([[0.0, *np.linspace(lowest, lowest + 40, 200)]], dtype)
    errors = ulp_error(computed(x, [50, 100])["softmax"], exact_softmax(x, -1))
    assert errors.max() <= BOUNDS["softmax"]


@EVERY_DTYPE
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_bits_do_not_depend_on_strides_nor_on_threads(dtype, axes, restored_threads):
    import fastlogit

    rng = np.random.default_rng(1)
    x = rng.normal(0, 3, (9, 130, 11)).astype(dtype)
    mask = rng.random(x.shape) < 0.7
    views = [
        (x, mask),
        (np.asfortranarray(x), np.asfortranarray(mask)),
        (np.repeat(x, 2, axis=1)[:, ::2], np.repeat(mask, 2, axis=2)[..., ::2]),
        (x[::-1].copy()[::-1], mask[:, ::-1].copy()[:, ::-1]),
    ]
    expected = None
    for threads in (1, 2):
        fastlogit.set_num_threads(threads)
        for view, hidden in views:
            sums = sum_of_parts(view, axes, hidden)
            results = [
                sums.view(np.float64), from_sums("softmax", view, sums, axes, hidden),
                from_sums("log_softmax", view, sums, axes, hidden),
            ]
            if expected is None:
                expected = results
            for got, first in zip(results, expected, strict=True):
                same_bits(got, first)
    np.testing.assert_allclose(
        expected[1], softmax(x, axis=axes, where=mask), rtol=4 * np.finfo(dtype).eps
    )
    assert (expected[1][~mask] == 0).all()
    assert (expected[2][~mask] == -inf).all()


def test_nothing_to_add():
    empty = np.zeros((3, 0))
    sums = sum_of_parts(empty, (1,))
    assert sums.dtype == PART_SUM
    same_bits(logsumexp_from_sums(sums, np.dtype("f8")), np.full((3, 1), -inf))
    x = np.array([[1.0, 2.0]] * 3)
    together = merged([sums, sum_of_parts(x, (1,)), sums])
    same_bits(logsumexp_from_sums(together, np.dtype("f8"))[:, 0], logsumexp(x, axis=1))
    assert from_sums("softmax", empty, together, (1,)).shape == (3, 0)
    with pytest.raises(KeyError):
        from_sums("softplus", x, together, (1,))


def off_by_one_byte(array):
    """The same numbers beginning at an odd address, as in a message."""
    raw = np.empty(array.nbytes + 1, np.uint8)
    moved = raw[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


@EVERY_DTYPE
def test_sums_and_parts_at_any_address(dtype):
    """Kernels take it for granted that a number is where its type says; a sanitizer saw one that was not."""
    x = np.linspace(-3, 3, 300, dtype=dtype).reshape(3, 100)
    moved = off_by_one_byte(x)
    sums = sum_of_parts(x, (1,))
    assert sum_of_parts(moved, (1,)).tobytes() == sums.tobytes()
    twice = merged([off_by_one_byte(sums), off_by_one_byte(sums)])
    assert twice.tobytes() == merged([sums, sums]).tobytes()
    for name in ("softmax", "log_softmax"):
        same_bits(from_sums(name, moved, off_by_one_byte(sums), (1,)), from_sums(name, x, sums, (1,)))
    same_bits(logsumexp_from_sums(off_by_one_byte(sums), x.dtype), logsumexp_from_sums(sums, x.dtype))
