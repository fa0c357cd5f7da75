"""The calls that try to break the bounds of the losses, and the climb from them (tools/ulp)."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from loss_reference import (
    LABEL_GRADIENT_BOUND_ULP,
    LOSS_BOUND_ULP,
    exact_cross_entropy,
    longdoubles,
    mpmath_binary,
    mpmath_slice_loss,
)
from reference import DTYPES, bits, longdouble_is_wider, longdouble_reason

import fastlogit
from fastlogit import _isa

pytest.importorskip("mpmath", reason="MPFR's results are checked against mpmath's")
pytest.importorskip("gmpy2", reason="the harness judges with MPFR, through gmpy2")
pytest.importorskip("tqdm", reason="the harness shows its progress with tqdm")
pytestmark = pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools"))

from ulp import campaign, loss_exhaustion, loss_families, loss_tasks, losses, mpfr  # noqa: E402
from ulp.findings import Findings  # noqa: E402
from ulp.inputs import EveryFloat32  # noqa: E402
from ulp.libraries import Libraries, builds  # noqa: E402
from ulp.rows import Rows, reach_of  # noqa: E402

SEED = 3
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_CALL = pytest.mark.parametrize("call", losses.CALLS)
# v4 has the bits of v3.
INSTRUCTION_SET = next(name for name in ("v3", "v2", "generic") if name in _isa.supported())


def families_of(call):
    function = call.partition("/")[0]
    return [name for name, family in loss_families.FAMILIES.items() if family.function == function]


def cases(call, dtype, lengths):
    for family in families_of(call):
        for n in loss_families.lengths_of(family):
            if n in lengths:
                yield loss_families.built(call, family, dtype, n, SEED, 1)


def call_of(case):
    """The loss, the gradient and the Hessian of this process's fastlogit."""
    flat = np.empty(losses.size_of_parts(case.function, case.logits.shape), case.dtype)
    value, grad, hess = losses.parts_of(case.function, case.logits.shape, flat)
    function = getattr(fastlogit, case.function)
    function(case.logits, **case.options, reduction="none", out=value, grad=grad, hess=hess)
    return value, grad, hess


def is_valid(case):
    if isinstance(case, losses.Logits):
        assert ((0 <= case.y) & (case.y <= 1)).all()
        return np.isfinite(case.z).all()
    assert case.rows.counts.min() >= 1
    assert case.rows.counts[case.label] == 1
    if case.targets is not None:
        assert ((0 <= case.targets) & (case.targets <= 1)).all()
        assert not ((0 < case.targets) & (case.targets < loss_families.LEAST_TARGET)).any()
    return np.isfinite(case.rows.values).all()


@EVERY_DTYPE
@EVERY_CALL
def test_families_are_valid_and_the_same_again(call, dtype):
    lengths = (1, 2, 65, 4097, loss_families.MOST_LOGITS)
    for case, again in zip(cases(call, dtype, lengths), cases(call, dtype, lengths), strict=True):
        assert is_valid(case)
        assert case.dtype == dtype
        np.testing.assert_array_equal(bits(case.logits), bits(again.logits))
        for name, value in case.options.items():
            np.testing.assert_array_equal(value, again.options[name])


@EVERY_DTYPE
@EVERY_CALL
def test_changed_calls_are_valid_and_differ(call, dtype):
    rng, differing = np.random.default_rng(SEED), []
    for case in cases(call, dtype, (2, 17, loss_families.MOST_LOGITS)):
        one = case.item(1)
        for step in range(0, 12, 3):
            tried = loss_families.changed(rng, one, reach_of(step, dtype))
            assert is_valid(tried)
            value = losses.judged(tried, call_of(tried))["loss"].exact
            differing.append((value != one.exact().value).mean())
    assert np.mean(differing) > 0.5


@EVERY_DTYPE
@pytest.mark.parametrize("call", [call for call in losses.CALLS if call.startswith("cross_entropy")])
def test_counted_classes_have_the_exact_results_of_whole_rows(call, dtype):
    """Results next to each other, to some 2^-60 of the unit's size; a gradient of what it is made of."""
    for case in cases(call, dtype, (1, 3, 31, 64)):
        counted, places = case.exact(), case.rows.places
        options = case.options
        whole = exact_cross_entropy(
            case.logits, options.pop("target"), options.pop("weight"), **options, reduction="none"
        )
        np.testing.assert_allclose(counted.value[:, 0], whole.value, rtol=1e-17)
        np.testing.assert_allclose(counted.hess[:, places], whole.hess, rtol=1e-17)
        np.testing.assert_allclose(counted.size[:, places], whole.size, rtol=1e-17)
        assert (np.abs(counted.grad[:, places] - whole.grad) <= 1e-17 * whole.size).all()


@EVERY_DTYPE
@EVERY_CALL
def test_mpfr_agrees_with_the_wider_type(call, dtype):
    for case in cases(call, dtype, (2, 5, 65, loss_families.MOST_LOGITS)):
        for result, of in losses.judged(case, call_of(case)).items():
            for row in (0, len(of.exact) // 2):
                index = of.exact.shape[1] - 1
                value = case.value(result, row, index)
                size = max(value, float(of.size[row, index]), key=abs)
                distance = mpfr.distance(value, of.exact[row, index], case.dtype, size)
                assert losses.in_units(distance, of.size[row, index], of.least[row, index], dtype) < 0.02


def test_mpfr_agrees_with_mpmath():
    """Of arguments that tests/loss_reference.py evaluates with 4000 bits."""
    got = mpfr.binary_loss(0.75, 0.25, 1.5, 3.0)
    for result, exact in zip(losses.RESULTS, mpmath_binary(0.75, 0.25, 1.5, 3.0), strict=False):
        assert abs(float(got[result]) - float(exact)) <= 1e-15 * abs(float(exact))
    z, t, w = [0.5, -1.25, 3.0, 3.0], [0.5, 0.125, 0.25, 0.25], [1.0, 2.0, 0.5, 0.5]
    rows = Rows(np.array([z[:3]]), np.array([0, 1, 2, 2]))
    case = losses.Slices(rows, 0, np.array([t[:3]]), np.array(w[:3]), np.array([1.5]), 0.125)
    loss, grad, hess, _ = mpmath_slice_loss(z, t, w, 1.5, 0.125)
    for index in range(3):
        wanted = {"loss": loss, "gradient": grad[index], "Hessian": hess[index]}
        for result, exact in wanted.items():
            got = longdoubles([case.value(result, 0, index)])
            np.testing.assert_allclose(got, longdoubles([exact]), rtol=1e-16)


@EVERY_CALL
def test_error_of_one_result_is_found(call):
    """Six units added to one of them."""
    case = next(cases(call, "float64", (5, loss_families.MOST_LOGITS)))
    for index, result in enumerate(losses.RESULTS):
        got = call_of(case)
        usual = losses.judged(case, got)[result]
        row = int(np.argmax(np.abs(usual.exact[:, 0])))
        at = row if got[index].ndim == 1 else (row, 0)
        got[index][at] += 6 * np.spacing(np.float64(usual.size[row, 0]))
        of = losses.judged(case, got)[result]
        found, worst, _ = loss_tasks.measure_calls(case, result, got[index], of, "")
        assert worst == row or found.failed
        assert found.worst[0]["ulp"] > 4 or found.failed


def test_unequal_results_of_equal_elements_are_found():
    case = losses.Slices(Rows(np.array([[0.0, 1.0, 2.0]]), np.array([0, 1, 1, 2])), 0)
    value, grad, hess = call_of(case)
    for result, of in losses.judged(case, (value, grad, hess)).items():
        assert np.isfinite(of.error).all(), result
    grad[0, 2] = np.nextafter(grad[0, 2], 1)
    of = losses.judged(case, (value, grad, hess))["gradient"]
    errors, _, _ = loss_tasks.measure_calls(case, "gradient", grad, of, "here")
    assert (errors.failed, errors.failed_at) == (2, "here, row 0")


def test_calls_are_written_down():
    rows = Rows(np.array([[0.5, -1.0]]), np.array([1, 1, 0]))
    case = losses.Slices(rows, 0, weights=np.array([1.0, 2.0]), smoothing=0.5)
    assert case.text(0).replace("0000000000000", "") == (
        "-0x1.p+0 x 2, 0x1.p-1; label 2; weights 0x1.p+1 0x1.p+0; smoothing 0x1.p-1"
    )
    logits = losses.Logits(np.array([0.5]), np.array([1.0]), v=np.array([2.0]))
    assert logits.text(0).replace("0000000000000", "") == (
        "0x1.p-1; target 0x1.p+0; weight of positives 0x1.p+1"
    )


def test_no_unit_is_less_than_what_a_weight_makes_of_the_smallest_number():
    case = losses.Slices(Rows(np.array([[0.0, -744.5]]), np.arange(2)), 0, samples=np.array([8.0]))
    value, grad, hess = call_of(case)
    of = losses.judged(case, (value, grad, hess))["loss"]
    smallest = np.finfo(float).smallest_subnormal
    assert of.error[0, 0] == pytest.approx(float(abs(value[0] - of.exact[0, 0]) / smallest / 8), rel=1e-6)


# ---- all logits ------------------------------------------------------------------------------------


def test_labels_of_one_have_the_results_of_zero_at_the_negative():
    """So a trial of one of them is one of both."""
    z = np.concatenate([np.random.default_rng(SEED).normal(0, 30, 200_000), [0.0, 64.0, 103.3, 1e30]])
    z = z.astype(np.float32)
    zero, one = (call_of(losses.Logits(x, np.full_like(z, y))) for x, y in ((z, 0), (-z, 1)))
    for got, want in zip(one, [zero[0], -zero[1], zero[2]], strict=True):
        np.testing.assert_array_equal(bits(got), bits(want))


def test_some_of_all_logits():
    libraries = Libraries([builds()[f"fastlogit {INSTRUCTION_SET}"]])
    task = loss_exhaustion.EveryLogit("every", EveryFloat32(Fraction(1, 4096), SEED))
    found = Findings()
    for chunk in task.chunks[:4]:
        found.add(task.compute(chunk, libraries, {}))
    for key in loss_exhaustion.KEYS:
        errors = found.errors[f"{key} fastlogit {INSTRUCTION_SET}"]
        assert errors.inputs == found.errors[f"{loss_exhaustion.KEYS[0]} fastlogit {INSTRUCTION_SET}"].inputs
        assert not errors.failed
    for result, bound in (("loss", LOSS_BOUND_ULP), ("gradient", LABEL_GRADIENT_BOUND_ULP)):
        worst = found.errors[f"{loss_exhaustion.CALL}/{result} fastlogit {INSTRUCTION_SET}"].worst
        assert worst[0]["ulp"] <= bound


@pytest.mark.parametrize("part", ["log1p", "larger"])
def test_error_of_a_part_is_found(part):
    """One float, half an ulp at least, of 1/2 to 1: one u of it."""
    z = np.linspace(0.01, 2, 2000, dtype=np.float32) * np.float32(-1 if part == "log1p" else 1)
    got = list(call_of(losses.Logits(z, np.zeros_like(z))))
    index, at = 0 if part == "log1p" else 1, 500
    got[index][at] += 4 * np.spacing(got[index][at])
    found = loss_exhaustion.examine(z, z.size, ["fastlogit v3"], [got])
    worst = found.errors[f"{loss_exhaustion.CALL}/{part} fastlogit v3"].worst[0]
    assert float.fromhex(worst["input"]) == z[at]
    assert 3 < worst["ulp"] < 10


# ---- a planted error -------------------------------------------------------------------------------

# A tenth of an ulp of what a loss is made of: of the sum of the others, and of log1p(E).
PLANTED = {
    "cross_entropy": (
        "class_losses.pxd",
        "    return pair(high, low)\n",
        "    return pair(high, low + high * (1.19e-8 if real is float32 else 2.22e-17))\n",
    ),
    "binary_loss": (
        "logistic.pxd",
        "    parts.log1p_tail = muladd64(-s * (s * s), atanh_tail(s * s), rest)\n",
        "    parts.log1p_tail = muladd64(-s * (s * s), atanh_tail(s * s), rest + 2.22e-17 * parts.log1p)\n",
    ),
}
PLANTED_32 = (
    "logistic.pxd",
    "    parts.log1p = (s + s) + muladd32(s * square, q, s_tail + s_tail)\n",
    "    parts.log1p = (s + s) + muladd32(s * square, q, s_tail + s_tail + (s + s) * <float> 1.19e-8)\n",
)
FAMILIES = ("one ahead", "result near zero", "logarithm at a power of two", "usual logits", "every logit")
LENGTHS = (2, 3, 5, 17, 64)
LEAST_SEEN = 0.05


@pytest.fixture(scope="module")
def planted(set_up_changed_package):
    """A folder with fastlogit whose losses are a tenth of an ulp off before they are rounded."""
    kernels = [f"{name}_{INSTRUCTION_SET}" for name in PLANTED]
    return set_up_changed_package([*PLANTED.values(), PLANTED_32], kernels)


def worst_losses(dtype):
    """The largest errors of losses that some families and climbs from them show in the first fastlogit on the
    path.
    """
    libraries = Libraries([builds()[f"fastlogit {INSTRUCTION_SET}"]])
    calls = [f"{function}/labels" for function in losses.KINDS]
    built = loss_tasks.BuiltLosses(f"{dtype} losses built", dtype, 1, SEED, FAMILIES, tuple(calls), LENGTHS)
    total = Findings()
    for chunk in built.chunks:
        total.add(built.compute(chunk, libraries, {}))
    wanted = [f"{call}/loss" for call in calls]
    starts = campaign.row_climb_starts(total, 2, wanted)
    search = loss_tasks.WorstLossesBySearch(f"{dtype} losses search", dtype, starts, 60, SEED)
    for chunk in search.chunks:
        total.add(search.compute(chunk, libraries, {}))
    assert not any(errors.failed for errors in total.errors.values())
    return {name: total.errors[f"{name} fastlogit {INSTRUCTION_SET}"].worst[0]["ulp"] for name in wanted}


@pytest.mark.once
@EVERY_DTYPE
def test_planted_error_in_a_loss_is_found(planted, dtype, monkeypatch):
    """By the processes that compute: they have the planted fastlogit, and this one has the usual."""
    usual = worst_losses(dtype)
    monkeypatch.syspath_prepend(planted)
    found = worst_losses(dtype)
    print(dtype, usual, found)
    for name, ulp in found.items():
        assert usual[name] <= LOSS_BOUND_ULP
        assert ulp > usual[name] + LEAST_SEEN, name
