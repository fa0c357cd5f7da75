"""Arbitrary arguments: an answer that does not depend on where they lie, or an error of the contract.

``tools/fuzz_arguments.py`` looks for more of them, for as long as one likes.
"""

import collections

import hypothesis
import hypothesis.strategies as st
import pytest
from argument_pool import FUNCTIONS, arbitrary, check

pytestmark = pytest.mark.once

EXAMPLES = 8000


def test_arbitrary_arguments():
    """Each function answers, and refuses by type and by value: else the arguments are too much alike."""
    seen = collections.Counter()

    @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.data())
    def draw_and_check(data):
        case = arbitrary(lambda choices: choices[data.draw(st.integers(0, len(choices) - 1))])
        seen[case.name, check(case)] += 1

    draw_and_check()
    assert sum(seen.values()) >= EXAMPLES
    for name in FUNCTIONS:
        for kind in ("answered", "TypeError", "ValueError"):
            assert seen[name, kind] > 10, (name, kind)
