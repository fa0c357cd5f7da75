"""The proofs are about the code: its text, translated and carried out, gives the bits of the kernels.

And what is saved of them is of the code of today, so a formula that changes fails here until it is proven
anew, also where Gappa is not installed.
"""

import importlib
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden import arithmetic as arithmetic_of_kernels

import fastlogit

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
PROOFS = ROOT / "tools" / "proofs"
SAVED = json.loads((ROOT / "docs" / "measured" / "proofs.json").read_text("utf-8"))


def module(name):
    """One of the tool, which is no package."""
    sys.path.insert(0, str(PROOFS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(PROOFS))


@pytest.fixture(scope="module")
def proofs():
    return module("arithmetic"), module("source")


def inputs(name, dtype):
    rng = np.random.default_rng(3)
    if name == "logit":
        small = np.exp2(-rng.uniform(2, 120, 100))
        return np.concatenate([rng.uniform(0.01, 0.99, 200), small]).astype(dtype)
    # Subnormal results of float32 included; those of float64 need exponents below -708.
    ends = (-100, 60) if dtype == "float32" else (-745 if name == "expit" else -600, 600)
    return np.concatenate([rng.uniform(*ends, 200), rng.uniform(-3, 3, 100)]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["logit", "expit", "log_expit"])
def test_translated_source_gives_the_bits_of_the_kernels(name, dtype, proofs):
    arithmetic, source = proofs
    kernels = arithmetic_of_kernels()
    if kernels is None:
        pytest.skip("whether these kernels have fused multiply-add is the compiler's choice here")
    functions = source.functions(arithmetic, fused=kernels == "fused")
    formula = functions[name if name == "expit" else f"{name}_within"][dtype]
    x = inputs(name, dtype)
    got = []
    for value in x:
        number = arithmetic.constant(float(value), dtype)
        result = formula(number, number) if name == "log_expit" else formula(number)
        got.append(float(result.value))
    np.testing.assert_array_equal(np.array(got, dtype), getattr(fastlogit, name)(x))


def test_changed_formula_changes_the_trace(proofs, monkeypatch, tmp_path):
    """A sum in another order is another list of operations, so what Gappa is given is another script."""
    arithmetic, source = proofs

    def trace():
        arithmetic.tracing.nodes.clear()
        arithmetic.tracing.replaced = {
            ("exp_parts", "power"): arithmetic.constant(0.5, "double"),
            ("exp_parts", "k"): arithmetic.constant(1.0, "double"),
        }
        functions = source.functions(arithmetic, fused=True)
        functions["expit"]["float64"](arithmetic.symbol("x", "float64"))
        arithmetic.tracing.replaced = {}
        numbered = {id(node): i for i, node in enumerate(arithmetic.tracing.nodes)}
        return json.dumps(
            [
                (n.operation, [numbered.get(id(o), str(o.value)) for o in n.operands])
                for n in arithmetic.tracing.nodes
            ]
        )

    before = trace()
    for path in [*source.KERNELS.glob("*.pxd"), *source.KERNELS.glob("*.h")]:
        changed = path.read_text().replace("((whole - denominator) + part)", "((whole + part) - denominator)")
        (tmp_path / path.name).write_text(changed)
    monkeypatch.setattr(source, "KERNELS", tmp_path)
    assert trace() != before


# What is saved


def changed_kernels(source, folder, monkeypatch, before, after):
    """The tool reads sources in which one passage is another one."""
    found = 0
    for path in [*source.KERNELS.glob("*.pxd"), *source.KERNELS.glob("*.h")]:
        text = path.read_text()
        found += text.count(before)
        (folder / path.name).write_text(text.replace(before, after))
    assert found
    monkeypatch.setattr(source, "KERNELS", folder)


def stale():
    """What is saved of other code than that of today."""
    digests = {(claim.formula, claim.dtype): claim.digest() for claim in module("claims").claims()}
    keys = {(row["formula"], row["dtype"]): row["code"] for row in SAVED}
    return {key for key in digests.keys() | keys.keys() if digests.get(key) != keys.get(key)}


def test_saved_bounds_are_of_the_present_code():
    assert not stale(), "prove them anew: python tools/proofs --write"


def test_saved_bounds_are_what_is_promised():
    claims = {(claim.formula, claim.dtype): claim for claim in module("claims").claims()}
    for row in SAVED:
        claim = claims[row["formula"], row["dtype"]]
        assert row["proven"] <= row["promised"] == claim.promised
    arithmetics = {(row["formula"], row["dtype"], row["arithmetic"]) for row in SAVED}
    assert len(arithmetics) == len(SAVED) == sum(len(claim.arithmetics) for claim in claims.values())


@pytest.mark.parametrize(
    ("before", "after", "formulas"),
    [
        ("((whole - denominator) + part)", "((whole + part) - denominator)", {"expit"}),
        ("s = numerator * reciprocal", "s = numerator / denominator", {"logit", "log_expit, softplus"}),
        ("q = muladd64(q, r, EXP_2)", "q = muladd64(r, q, EXP_2)", {"softmax", "a term"}),
        ("middle = 0.05, reach = 0.53", "middle = 0.06, reach = 0.53", {"softmax"}),
        ("these.least_part = TWO_MINUS_20", "these.least_part = TWO_MINUS_41", {"logsumexp"}),
        ("exp_double_double(difference, HEADROOM", "exp_double(difference, HEADROOM", {"log_softmax"}),
        ("x - coefficient[LOG_SUM * apart]", "coefficient[LOG_SUM * apart] - x", {"log_softmax"}),
    ],
)
def test_changed_formula_has_to_be_proven_anew(before, after, formulas, proofs, monkeypatch, tmp_path):
    changed_kernels(proofs[1], tmp_path, monkeypatch, before, after)
    assert formulas <= {formula for formula, _ in stale()}


def test_changed_comment_has_not(proofs, monkeypatch, tmp_path):
    changed_kernels(proofs[1], tmp_path, monkeypatch, "# Where high is the smaller one", "# Now")
    assert not stale()


def test_code_of_one_type_does_not_depend_on_that_of_the_other(proofs, monkeypatch, tmp_path):
    digest = module("digest")
    before = {dtype: digest.of_function("expit", dtype) for dtype in ("float32", "float64")}
    changed_kernels(proofs[1], tmp_path, monkeypatch, "one = TWO_MINUS_110", "one = TWO_MINUS_64")
    after = {dtype: digest.of_function("expit", dtype) for dtype in before}
    assert after["float32"] == before["float32"]
    assert after["float64"] != before["float64"]


@pytest.mark.parametrize(("proven", "status"), [(0.9, 0), (1.0, 0), (1.001, 1), (float("nan"), 1)])
def test_status_tells_of_a_bound_beyond_the_promised_one(proven, status, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    claim = replace(next(iter(module("claims").claims())), bound=lambda fused: proven, promised=1.0)
    assert module("command").main([], lambda: [claim]) == status
    assert ("NOT KEPT" in capsys.readouterr().out) == bool(status)


def test_status_tells_that_the_tools_are_missing(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    assert module("command").main([]) == 2
    assert "gappa, sollya" in capsys.readouterr().out


def test_tables_of_the_documentation_are_of_the_saved_bounds():
    text = (ROOT / "docs" / "measured" / "proofs.inc").read_text("utf-8")
    assert text == module("tables").text(SAVED)


def test_page_on_slices_counts_by_hand_what_the_proofs_take():
    """The numbers of slices.py that no machine gives stand in the derivation."""
    page = " ".join((ROOT / "docs" / "slice-errors.rst").read_text("utf-8").split())
    slices = module("slices")
    for name in ("ROUNDINGS_OF_KEPT", "SMALL_CHUNKS", "ROUNDINGS_OF_OTHERS"):
        assert re.search(rf"(?<![\d.]){getattr(slices, name)} u", page), name
    assert f"2\\ :sup:`{round(np.log2(slices.least_part()))}` m" in page
    assert f"m + {slices.ADDITIONS - 1}" in page


def test_function_that_takes_other_steps_than_those_of_the_proof_is_refused(proofs, monkeypatch, tmp_path):
    steps = module("exp_double_double")
    module("traces").formulas.cache_clear()
    steps.first(True)
    step = "    horner_step(r, r_tail, 0.5, 0, &q, &tail)\n"
    changed_kernels(proofs[1], tmp_path, monkeypatch, step, step + step)
    module("traces").formulas.cache_clear()
    try:
        with pytest.raises(ArithmeticError, match="other steps"):
            steps.first(True)
    finally:
        module("traces").formulas.cache_clear()


@pytest.mark.skipif(not (shutil.which("gappa") and shutil.which("sollya")), reason="needs gappa and sollya")
def test_gappa_proves_what_is_saved_and_no_less():
    """The quickest of the proofs; the command has them all."""
    (row,) = (row for row in SAVED if row["formula"] == "residual")
    (claim,) = (claim for claim in module("claims").claims() if claim.formula == "residual")
    assert claim.bound(False) == pytest.approx(row["proven"])


@pytest.mark.skipif(not shutil.which("gappa"), reason="needs gappa")
def test_hint_that_is_no_identity_proves_nothing():
    """Gappa takes it, warns, and gives a bound: that a rounding is 0, here."""
    gappa = module("gappa")
    text = "x = float<53, -4000, ne>(x_); y = float<53, -4000, ne>(x * x);"
    claim = text + "{{ x in [1, 2] -> |y - x * x| in ? }} y - x * x -> {hint};"
    assert gappa.prove(claim.format(hint="y - x * x + (x - x)")) == [pytest.approx(2.0**-52)]
    with pytest.raises(ArithmeticError, match="no identity"):
        gappa.prove(claim.format(hint="x - x"))
