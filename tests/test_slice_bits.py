"""The bits of softmax, log_softmax and logsumexp are those on record, on every processor and build.

One record for all that have fused multiply-add, one for those that have not. `slice_corpus` has the slices,
and the command that makes the record anew when the arithmetic was changed on purpose.
"""

import json

import pytest
import slice_corpus

from fastlogit._build_config import INSTRUCTION_SETS

pytestmark = pytest.mark.once


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_bits_are_those_on_record(instruction_set, threads, skip_unless_supported, run_python):
    skip_unless_supported(instruction_set)
    printed = run_python(
        "import json, golden, slice_corpus\n"
        "print(json.dumps([golden.arithmetic(), slice_corpus.hashes()]))",
        FASTLOGIT_ISA=instruction_set,
        OMP_NUM_THREADS=threads,
        timeout=600,
    )
    arithmetic, found = json.loads(printed)
    if arithmetic is None:
        pytest.skip(f"whether {instruction_set} fuses a * b + c is the compiler's choice here")
    assert found == json.loads(slice_corpus.RECORD.read_text())[arithmetic]


def test_other_scores_give_other_hashes(monkeypatch):
    before = slice_corpus.hashes()
    uniform = slice_corpus.uniform
    monkeypatch.setattr(slice_corpus, "uniform", lambda n, seed: uniform(n, seed + 1))
    assert not set(before.values()) & set(slice_corpus.hashes().values())
