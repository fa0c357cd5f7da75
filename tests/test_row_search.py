"""The rows that try to break the bounds of functions of slices, and the climb from them (tools/ulp)."""

import sys
from pathlib import Path

import numpy as np
import pytest
from reference import (
    DTYPES,
    LARGEST_ROW_ULP,
    ExactSlices,
    bits,
    longdouble_is_wider,
    longdouble_reason,
)

import fastlogit
from fastlogit import _isa

mpmath = pytest.importorskip("mpmath", reason="a planted error is measured by mpmath")
pytest.importorskip("gmpy2", reason="the harness judges with MPFR, through gmpy2")
pytest.importorskip("tqdm", reason="the harness shows its progress with tqdm")
pytestmark = pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools"))

from ulp import campaign, mpfr, rows, tasks  # noqa: E402
from ulp.findings import Findings  # noqa: E402
from ulp.libraries import Libraries, builds  # noqa: E402

SEED = 3
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


# ---- families --------------------------------------------------------------------------------------


@EVERY_DTYPE
@pytest.mark.parametrize("family", rows.FAMILIES)
def test_families_have_rows_of_every_length(family, dtype):
    for n in rows.LENGTHS:
        if n < rows.FAMILIES[family].shortest:
            continue
        these, again = (rows.built(family, dtype, n, SEED, 1) for _ in range(2))
        assert these.values.dtype == dtype
        assert these.places.shape == (n,)
        assert these.counts.min() >= 1
        assert these.counts.size == these.values.shape[1]
        assert np.isfinite(these.values).all()
        assert len(np.unique(these.values, axis=0)) > 1
        np.testing.assert_array_equal(bits(these.values), bits(again.values))
        np.testing.assert_array_equal(these.places, again.places)
        assert these.text(0) is not None or these.first.size > rows.PRINTED_RUNS // 2


def distances_in_floats(x, y):
    """How many floats lie between two that are near."""
    return np.abs(x.astype(np.longdouble) - y) / np.spacing(np.abs(x))


@EVERY_DTYPE
def test_neighbours_are_a_few_floats_apart(dtype):
    values = rows.built("neighbours", dtype, 1000, SEED, 0).values
    assert distances_in_floats(values, values[:, :1]).max() <= 32
    assert (np.ptp(values, axis=1) > 0).mean() > 0.9


def of_family(family, dtype, n):
    """Distances to the largest element, and the sum relative to it, of each row; 1-d."""
    these = rows.built(family, dtype, n, SEED, 0)
    exact = ExactSlices.of(these.values, 1, these.counts)
    return these, exact


@EVERY_DTYPE
@pytest.mark.parametrize("n", [2, 16, 64, 4096])
def test_shares_are_next_to_powers_of_two(dtype, n):
    _, exact = of_family("share at a power of two", dtype, n)
    share = exact.softmax()[:, 1]
    power = np.exp2(np.rint(np.log2(share)))
    # An element is rounded to its type, and some floats up or down: eps times its size.
    tolerance = 8 * np.finfo(dtype).eps * (1 + np.abs(exact.difference[:, 1]) + np.abs(exact.largest[:, 0]))
    assert (np.abs(share / power - 1) < tolerance).all()


@EVERY_DTYPE
@pytest.mark.parametrize("n", [2, 17, 4097])
def test_largest_is_three_quarters_of_the_sum(dtype, n):
    _, exact = of_family("largest is three quarters", dtype, n)
    share = 1 / exact.total[:, 0]
    assert np.abs(share - 0.75).max() < 2e-3
    assert (share > 0.75).any()
    assert (share < 0.75).any()


@EVERY_DTYPE
@pytest.mark.parametrize("n", [2, 65, 4096, 20_000])
def test_one_ahead_and_results_near_zero(dtype, n):
    _, exact = of_family("one ahead", dtype, n)
    ahead = -np.min(exact.difference, axis=1)
    assert 4.9 < ahead.min() < ahead.max() < 25.1
    _, exact = of_family("result near zero", dtype, n)
    assert (np.abs(exact.logsumexp()[:, 0]) < 0.55).all()
    assert (np.abs(exact.logsumexp()[:, 0]) < 1e-4).any()


@EVERY_DTYPE
def test_results_are_next_to_powers_of_two(dtype):
    """log_softmax of one of the two elements, or logsumexp."""
    _, exact = of_family("logarithm at a power of two", dtype, 2)
    near = np.zeros(len(exact.largest), bool)
    for result in (*exact.log_softmax().T, exact.logsumexp()[:, 0]):
        size = np.abs(result)
        near |= np.abs(size / np.exp2(np.rint(np.log2(size))) - 1) < 1e-4
    assert near.mean() > 0.95


@pytest.mark.parametrize(("dtype", "limits"), rows.MOST_ABOVE.items())
def test_reference_is_below_the_largest_by_the_limit(dtype, limits):
    these, exact = of_family("reference far below", dtype, 100)
    assert (these.places[: rows.BLOCK] == 0).all()
    ahead = -np.min(exact.difference, axis=1).astype(np.float64)
    for limit in limits:
        at_limit = np.abs(ahead - limit) < 1e-3
        assert (ahead[at_limit] < limit).any()
        assert (ahead[at_limit] > limit).any()


@EVERY_DTYPE
def test_elements_around_the_shift(dtype):
    limit = 2 * rows.RANGE[dtype]
    these, exact = of_family("shifted or not", dtype, 5)
    largest = np.abs(exact.largest[:, 0])
    assert (largest < limit).any()
    assert (largest > limit).any()
    assert distances_in_floats(these.values[:, 0], np.copysign(limit, these.values[:, 0])).max() < 9


def test_moved_counts_floats():
    x = np.array([1.0, -1.0, 0.0, 5e-324, np.finfo(float).max, -np.finfo(float).max])
    got = rows.moved(x, [1, 1, -1, -2, 3, -3])
    want = [1 + 2**-52, -1 + 2**-53, -5e-324, -5e-324, np.finfo(float).max, -np.finfo(float).max]
    np.testing.assert_array_equal(got, want)


@EVERY_DTYPE
def test_exact_results_of_counted_elements(dtype):
    """The same as those of the whole row, and as MPFR's."""
    these = rows.built("copies and two", dtype, 31, SEED, 0)
    counted = ExactSlices.of(these.values, 1, these.counts)
    whole = ExactSlices.of(these.whole, 1)
    for name in ("softmax", "log_softmax"):
        of_classes = getattr(counted, name)()
        np.testing.assert_allclose(of_classes, getattr(whole, name)()[:, these.first], rtol=1e-17)
        for row in range(0, len(of_classes), 97):
            exact = mpfr.row_value(name, these.values[row], these.counts, 1)
            assert mpfr.distance(exact, of_classes[row, 1], np.float64) < 0.02
    np.testing.assert_allclose(counted.logsumexp(), whole.logsumexp(), rtol=1e-17)


def test_unequal_results_of_equal_elements_are_found():
    these = rows.Rows(np.array([[0.0, 1.0]]), np.array([0, 1, 1]))
    got = fastlogit.softmax(these.whole, axis=1)
    errors, _, _ = tasks.measure_rows("softmax", these, got, tasks.exact_rows(these), "")
    assert errors.failed == 0
    got[0, 2] = np.nextafter(got[0, 2], 1)
    errors, _, _ = tasks.measure_rows("softmax", these, got, tasks.exact_rows(these), "here")
    assert (errors.failed, errors.failed_at) == (2, "here, row 0")


def test_rows_are_written_down():
    these = rows.Rows(np.array([[0.5, -1.0]]), np.array([0, 1, 1, 1, 0]))
    assert these.text(0) == "0x1.0000000000000p-1, -0x1.0000000000000p+0 x 3, 0x1.0000000000000p-1"


# ---- a climb ---------------------------------------------------------------------------------------


@EVERY_DTYPE
def test_changed_rows_differ_from_the_row(dtype):
    row = rows.built("copies and two", dtype, 17, SEED, 0).row(0)
    rng = np.random.default_rng(SEED)
    lengths, differing = set(), []
    for step in range(60):
        tried = rows.changed(rng, row, rows.reach_of(step, dtype))
        assert np.isfinite(tried.values).all()
        assert tried.counts.min() >= 1
        assert tried.places.size * len(tried.values) <= 2**20
        lengths.add(tried.places.size)
        differing.append((tried.values != row.values).any(axis=1).mean())
    assert {16, 17, 18} <= lengths
    assert min(differing) > 0.5


# ---- a planted error -------------------------------------------------------------------------------

# v4 has the bits of v3.
INSTRUCTION_SET = next(name for name in ("v3", "v2", "generic") if name in _isa.supported())
EXACT_TERM = "    term = muladd[real](power, high + rest, power)\n"
# 0.1 ulp of a term of 1.25 to 1.42 times its power of two, as if the polynomial were that far off at its end.
WORSE_TERM = """\
    if real is float32:
        rest = rest + (<float> 1.19e-8 if high > <float> 0.25 else 0)
    else:
        rest = rest + (2.22e-17 if high > 0.25 else 0)
"""
FAMILIES = ("neighbours", "copies and two", "share at a power of two", "result near zero", "seams", "falling")
LENGTHS = (2, 3, 5, 17, 64)
# The worst elements of log_softmax have their errors from the last two roundings, and little from the terms.
LEAST_SEEN = {"softmax": 0.1, "log_softmax": 0.01, "logsumexp": 0.1}


@pytest.fixture(scope="module")
def planted(set_up_changed_package):
    """A folder with fastlogit whose terms in sums of exponentials are a tenth of an ulp off."""
    change = ("terms.pxd", EXACT_TERM, WORSE_TERM + EXACT_TERM)
    return set_up_changed_package([change], [f"slices_{INSTRUCTION_SET}"])


def worst_rows(dtype):
    """The largest errors that some families and climbs from them show in the first fastlogit on the path."""
    libraries = Libraries([builds()[f"fastlogit {INSTRUCTION_SET}"]])
    built = tasks.BuiltRows(f"{dtype} rows built", dtype, 1, SEED, FAMILIES, LENGTHS)
    total = Findings()
    for chunk in built.chunks:
        total.add(built.compute(chunk, libraries, {}))
    starts = campaign.row_climb_starts(total, len(FAMILIES))
    search = tasks.WorstRowsBySearch(f"{dtype} rows search", dtype, starts, 60, SEED)
    for chunk in search.chunks:
        total.add(search.compute(chunk, libraries, {}))
    assert not any(errors.failed for errors in total.errors.values())
    return {key.partition(" ")[0]: errors.worst[0]["ulp"] for key, errors in total.errors.items()}


@pytest.mark.once
@EVERY_DTYPE
def test_planted_error_in_a_term_is_found(planted, dtype, monkeypatch):
    """By the processes that compute: they have the planted fastlogit, and this one has the usual."""
    usual = worst_rows(dtype)
    for name, ulp in usual.items():
        assert ulp <= LARGEST_ROW_ULP[name, dtype], name
    monkeypatch.syspath_prepend(planted)
    found = worst_rows(dtype)
    print(dtype, usual, found)
    for name, ulp in found.items():
        assert ulp > usual[name] + LEAST_SEEN[name], name
