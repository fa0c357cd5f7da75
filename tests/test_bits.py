"""The same bits everywhere: digests of results on fixed inputs, whatever the processor and the build."""

import json

import golden
import pytest

from fastlogit._build_config import INSTRUCTION_SETS

SAVED = json.loads(golden.SAVED.read_text())


def test_every_case_has_a_digest_for_both_arithmetics():
    cases = {f"{name}, {dtype}" for name in golden.CASES for dtype in golden.DTYPES}
    assert {arithmetic: found.keys() for arithmetic, found in SAVED.items()} == {
        "fused": cases,
        "unfused": cases,
    }


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_results_have_the_digests(instruction_set, skip_unless_supported, run_python):
    skip_unless_supported(instruction_set)
    printed = run_python(
        "import json, golden\nprint(json.dumps([golden.arithmetic(), golden.digests()]))",
        FASTLOGIT_ISA=instruction_set,
    )
    arithmetic, found = json.loads(printed)
    if arithmetic is None:
        pytest.skip("whether these kernels have fused multiply-add is the compiler's choice here")
    assert found == SAVED[arithmetic]


def test_digest_sees_one_bit(monkeypatch):
    function, inputs = golden.CASES["expit"]

    def off_by_one_bit(x):
        result = function(x)
        result.view("u4")[golden.SIZE // 3] ^= 1
        return result

    before = golden.digest("expit", "float32")
    monkeypatch.setitem(golden.CASES, "expit", (off_by_one_bit, inputs))
    assert golden.digest("expit", "float32") != before
