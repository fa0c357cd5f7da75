"""Sizes that only the speed depends on: the same bits with all of them."""

import pytest

from fastlogit import _tuning

pytestmark = pytest.mark.once

# A prefetch beyond the end of an array is none. Everything streamed, and nothing; all terms computed
# again, and none.
SETTINGS = [
    "ahead=0 streamed=0 kept=0 waking=0",
    "ahead=1000000000 streamed=999999999999 kept=999999999999 waking=999999999999",
]
HASHES = """
import hashlib
import numpy as np
import fastlogit
import slice_corpus

generator = np.random.default_rng(11)
results = []
for dtype in ("float32", "float64"):
    for shape, axis in [((300, 700), 0), ((300, 700), 1), ((5000, 16), 0), ((40000, 3), 0), ((3, 70001), 1)]:
        x = generator.normal(0, 3, shape).astype(dtype)
        x[-1, -1] = 50
        for function in (fastlogit.softmax, fastlogit.log_softmax, fastlogit.logsumexp):
            results.append(function(x, axis))
            results.append(function(np.repeat(x, 2, axis=1)[:, ::2], axis))
        results.append(fastlogit.expit(x))
        results.append(fastlogit.logit(fastlogit.expit(x), out=x))
        grad = np.empty_like(x)
        fastlogit.cross_entropy(x, np.zeros(len(x), int), grad=grad)
        results.append(grad)
digest = hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest()
print(digest, slice_corpus.hashes())
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_bits_do_not_depend_on_them(setting, run_python):
    assert run_python(HASHES, FASTLOGIT_TUNING=setting) == run_python(HASHES, FASTLOGIT_TUNING="")


def test_show_config_tells_them(run_python):
    printed = run_python("import fastlogit; fastlogit.show_config()", FASTLOGIT_TUNING="kept=5")
    assert f"ahead={_tuning.DEFAULTS['ahead']} streamed={_tuning.DEFAULTS['streamed']} kept=5 " in printed


@pytest.mark.parametrize(
    "setting", ["kept", "kept=", "kept=-1", "kept=1.5", "keeps=1", f"kept=1{'0' * 18}", "=1"]
)
def test_what_is_no_size(setting):
    with pytest.raises(
        ImportError, match=r"is no size; write, for example, 'ahead=4096 streamed=3145728 kept="
    ):
        _tuning.read(f"ahead=1 {setting}")


def test_some_are_given():
    assert _tuning.read("kept=7") == {**_tuning.DEFAULTS, "kept": 7}
    assert _tuning.read("") == _tuning.DEFAULTS
