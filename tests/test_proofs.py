"""The proofs are about the code: its text, translated and carried out, gives the bits of the kernels."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from golden import arithmetic as arithmetic_of_kernels

import fastlogit

pytestmark = pytest.mark.once

PROOFS = Path(__file__).parents[1] / "tools" / "proofs"


@pytest.fixture(scope="module")
def proofs():
    """The modules arithmetic and source of the tool, which are no package."""
    sys.path.insert(0, str(PROOFS))
    try:
        import arithmetic
        import source
    finally:
        sys.path.remove(str(PROOFS))
    return arithmetic, source


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
