"""What the losses and their derivatives are off at most (tools/ulp/derived.py), and what is demanded."""

import sys
from pathlib import Path

import numpy as np
import pytest
from reference import DTYPES, longdouble_is_wider, longdouble_reason

pytest.importorskip("gmpy2", reason="the harness judges with MPFR, through gmpy2")
pytest.importorskip("tqdm", reason="the harness shows its progress with tqdm")
pytestmark = [
    pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason),
    pytest.mark.once,
]

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from ulp import bounds, derived, loss_exhaustion, losses, promises  # noqa: E402

BITS_AGREE = {"inputs": 9, "differing": 0, "largest": None, "where": None}


def measured_losses(worst=None, libraries=("fastlogit v2", "fastlogit v3", "fastlogit v4")):
    """Results of all losses, nothing off but ``worst``: (key, library) and ulp."""
    keys = [f"{dtype} {name}" for dtype in DTYPES for name in losses.QUANTITIES]
    keys += [f"float32 {name}" for name in loss_exhaustion.KEYS]
    calls = {"float64": losses.CALLS, "float32": (*losses.CALLS, loss_exhaustion.CALL)}
    row = {"inputs": 2**32, "failed": 0, "unordered": 0, "misrounded": 0}
    off = dict(worst or [])

    def entry(key, library):
        return [{"input": "here", "ulp": off.get((key, library), 0.25)}]

    return {
        "settings": {"parts": ["losses"], "libraries": list(libraries), "functions": []},
        "errors": {key: {name: row | {"worst": entry(key, name)} for name in libraries} for key in keys},
        "comparisons": {
            dtype: {f"{call}: the bits of v4 and v3": BITS_AGREE for call in names}
            for dtype, names in calls.items()
        },
    }


@pytest.mark.parametrize("quantity", losses.QUANTITIES)
@pytest.mark.parametrize("library", ["fastlogit v2", "fastlogit v3"])
def test_loss_beyond_its_bound_breaks_a_promise(quantity, library):
    """float64: what is derived with fused multiply-add or without, or what tests demand if that is less."""
    arithmetic = "unfused" if library == "fastlogit v2" else "fused"
    bound, _ = derived.bound(quantity, "float64", arithmetic, bounds.saved_proofs(), {}, library)
    largest = min(bound, derived.contract(quantity))
    key = f"float64 {quantity}"
    assert promises.broken(measured_losses([((key, library), largest - 1e-3)])) == []
    assert promises.broken(measured_losses([((key, library), largest + 1e-3)])) == [
        f"{quantity} float64, {library}: {largest + 1e-3:.4f} ulp at here"
    ]


def test_label_that_is_worse_than_all_logits_breaks_a_promise():
    """If all float32 logits have 0.25, no other call has more; other targets what comes from the parts."""
    labels, targets = (f"float32 {derived.BINARY}/{kind}/gradient" for kind in ("labels", "targets"))
    results = measured_losses([((labels, "fastlogit v2"), 0.3), ((targets, "fastlogit v3"), 1.01)])
    assert promises.broken(results) == [
        f"{derived.BINARY}/labels/gradient float32, fastlogit v2: 0.3000 ulp at here",
        f"{derived.BINARY}/targets/gradient float32, fastlogit v3: 1.0100 ulp at here",
    ]
    for errors in (results["errors"][f"float32 {name}"] for name in loss_exhaustion.KEYS):
        for row in errors.values():
            row["inputs"] -= 1
    assert promises.broken(results) == []


def test_loss_that_was_not_measured_is_no_promise_kept():
    results = measured_losses()
    del results["errors"]["float64 cross_entropy/weights/loss"]["fastlogit v2"]
    del results["errors"][f"float32 {loss_exhaustion.CALL}/log1p"]["fastlogit v4"]
    del results["comparisons"]["float32"]["cross_entropy/labels: the bits of v4 and v3"]
    assert sorted(promises.broken(results)) == [
        f"{loss_exhaustion.CALL}/log1p float32, fastlogit v4: not measured",
        "cross_entropy/labels float32: the bits of v4 and v3 were not compared",
        "cross_entropy/weights/loss float64, fastlogit v2: not measured",
    ]


def test_page_on_losses_has_the_numbers_of_the_bounds():
    page = " ".join((Path(__file__).parents[1] / "docs" / "loss-errors.rst").read_text("utf-8").split())
    for number in (derived.OTHERS, derived.P_ALONE, derived.SPLIT_PRODUCT):
        assert f"{number} u" in page
    for others in (0.3, 0.45):
        assert derived.off_in_small_share(others) < 1.4


def test_small_share_is_off_by_no_more_than_is_said():
    """1 - p as the kernel computes it (class_gradients.pxd), of exact sums."""
    rng = np.random.default_rng(6)
    largest, distance = rng.uniform(-3, 3, 50_000), np.exp2(rng.uniform(-20, 2, 50_000))
    label = largest - distance
    distance = largest.astype(np.longdouble) - label
    rest = np.where(rng.random(50_000) < 0.5, 0, np.exp2(rng.uniform(-40, 3, 50_000)))
    others = np.exp(-distance) + rest
    exact = 1 - np.exp(-distance) / (1 + others)
    got = 1 - np.exp(-(largest - label)) / (1 + others.astype(float))
    off = np.abs(got - exact) / 2.0**-53
    # NumPy's exponential is off by a unit, and not by 0.04 u.
    assert 0.5 < off.max() < 0.5 + derived.off_in_small_share(0.0) + 0.5
