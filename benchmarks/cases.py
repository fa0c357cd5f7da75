"""The functions that are compared, and the input that each is meant for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

EPS = 1e-6


class Case(NamedTuple):
    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    of_slices: bool = False
    reduces: bool = False  # one number for each slice


def odds(generator, shape):
    return generator.normal(0, 3, shape)


def probabilities(generator, shape):
    return generator.uniform(0, 1, shape)


ELEMENTWISE = [
    Case("expit", odds),
    Case("logit", probabilities),
    Case("logit, eps", probabilities),
    Case("log_expit", odds),
]
OF_SLICES = [
    Case("softmax", odds, of_slices=True),
    Case("log_softmax", odds, of_slices=True),
    Case("logsumexp", odds, of_slices=True, reduces=True),
]
CASES = ELEMENTWISE + OF_SLICES
