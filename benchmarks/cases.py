"""The functions that are compared, and the input that each is meant for.

The elementwise ones are those of the tests (tests/reference.py).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastlogit

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from reference import EPS, FUNCTIONS, PROBABILITIES, SPELLINGS, named

__all__ = ["CASES", "ELEMENTWISE", "EPS", "OF_SLICES", "SPELLINGS", "Case", "named"]


class Case(NamedTuple):
    name: str
    call: Callable[..., Any]  # of an array, the axis for slices, and out=
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    of_slices: bool = False
    reduces: bool = False  # one number for each slice


def odds(generator, shape):
    return generator.normal(0, 3, shape)


def probabilities(generator, shape):
    return generator.uniform(0, 1, shape)


ELEMENTWISE = [
    Case(
        function.name if function.eps is None else "logit, eps",
        function.call,
        probabilities if function.domain is PROBABILITIES else odds,
    )
    for function in FUNCTIONS.values()
]
OF_SLICES = [
    Case("softmax", fastlogit.softmax, odds, of_slices=True),
    Case("log_softmax", fastlogit.log_softmax, odds, of_slices=True),
    Case("logsumexp", fastlogit.logsumexp, odds, of_slices=True, reduces=True),
]
CASES = ELEMENTWISE + OF_SLICES
