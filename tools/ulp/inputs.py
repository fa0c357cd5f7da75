"""Which inputs are tried, in blocks that go through the memory of the second-level cache.

A source has a number of `chunks`, of about a million inputs, and `blocks(chunk)` gives them one by one:
the same ones whenever it is asked, whatever has been asked before.
"""

import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
import reference as formulas

BLOCK = 2**17
BLOCKS_IN_CHUNK = 128  # of float32 patterns: a chunk is 1/256 of them


def generator(seed, *names):
    """A random generator for each purpose, so that no chunk depends on another."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


@dataclass(frozen=True)
class EveryFloat32:
    """All 2^32 float32, NaN included, in the order of their bit patterns.

    A block ends with the first input of the next one, so that each input meets both its neighbours.
    ``fraction`` below 1 takes that part of the blocks, drawn at random but evenly from the chunks.
    """

    fraction: Fraction = Fraction(1)
    seed: int = 0
    overlap = 1

    @cached_property
    def _chosen(self):
        blocks = 2**32 // BLOCK
        count = max(1, int(blocks * self.fraction))
        edges = np.linspace(0, blocks, count + 1).astype(np.int64)
        return generator(self.seed, "float32").integers(edges[:-1], edges[1:])

    @cached_property
    def chunks(self):
        return [int(chunk) for chunk in np.unique(self._chosen // BLOCKS_IN_CHUNK)]

    def blocks(self, chunk):
        for block in self._chosen[self._chosen // BLOCKS_IN_CHUNK == chunk]:
            patterns = np.arange(BLOCK + 1, dtype=np.uint64) + np.uint64(block * BLOCK)
            yield patterns.astype(np.uint32).view(np.float32)


def _probability_edges():
    """Where a stratum of logit ends and the next one begins: in [0, 1], finest around 1/2."""
    subnormal = np.exp2(np.arange(-1074.0, -60.0, 16))
    small = np.exp2(np.arange(-60.0, -2.0, 0.5))
    near_half = np.exp2(np.arange(-53.0, -1.5, 0.5))
    near_one = np.exp2(np.arange(-53.0, -1.5, 0.5))
    return np.unique(
        np.concatenate([subnormal, small, 0.5 - near_half, [0.5], 0.5 + near_half, 1 - near_one, [1.0]])
    )


def _log_odds_edges():
    """Strata of one sign of log odds: by exponent, then as long as ln 2, then the rest."""
    tiny = np.exp2(np.arange(-1074.0, -60.0, 16))
    small = np.exp2(np.arange(-60.0, -1.0, 0.5))
    reduced = np.arange(1.0, 2 * 1080) * (np.log(2) / 2)
    large = np.exp2(np.arange(11.0, 1024.0, 64))
    return np.unique(np.concatenate([tiny, small, reduced, large, [np.finfo(np.float64).max]]))


@dataclass(frozen=True)
class Strata:
    """Random float64, as many from each stratum of the inputs of a function.

    A stratum is a range of bit patterns, all equally probable: so every exponent has its share. Inputs
    come in runs of neighbours, which shows where two results are in the wrong order.
    """

    function: str
    points: int
    seed: int = 0
    run: int = 4
    overlap = 0

    @cached_property
    def _strata(self):
        """First and last bit pattern of each, and the sign."""
        of_probabilities = formulas.FUNCTIONS[self.function].domain is formulas.PROBABILITIES
        edges = formulas.bits(_probability_edges() if of_probabilities else _log_odds_edges())
        signs = (1.0,) if of_probabilities else (1.0, -1.0)
        return [(int(first), int(last), sign) for sign in signs for first, last in pairwise(edges)]

    @cached_property
    def _size_and_rounds(self):
        share = max(self.run, self.points // len(self._strata))
        rounds = -(-share // BLOCK)
        return share // rounds, rounds

    @cached_property
    def _strata_in_chunk(self):
        size, _ = self._size_and_rounds
        return max(1, 2**20 // size)

    @property
    def chunks(self):
        _, rounds = self._size_and_rounds
        return range(-(-len(self._strata) * rounds // self._strata_in_chunk))

    def blocks(self, chunk):
        size, rounds = self._size_and_rounds
        first = chunk * self._strata_in_chunk
        for index in range(first, min(first + self._strata_in_chunk, len(self._strata) * rounds)):
            low, high, sign = self._strata[index % len(self._strata)]
            if high - low < size:
                patterns = np.arange(low, high + 1)
            else:
                rng = generator(self.seed, self.function, index)
                starts = rng.integers(low, high - self.run + 2, size // self.run)
                patterns = np.unique((starts[:, np.newaxis] + np.arange(self.run)).ravel())
            yield sign * patterns.astype(np.uint64).view(np.float64)


@dataclass(frozen=True)
class Neighbourhoods:
    """The float64 next to every cutoff, end of an interval, power of two and special value."""

    function: str
    reach: int = 32
    overlap = 0

    @cached_property
    def _points(self):
        function = formulas.FUNCTIONS[self.function]
        special = np.array([0.0, 0.5, 1.0, np.finfo(np.float64).max, np.finfo(np.float64).tiny])
        points = np.concatenate([function.domain.cutoffs("float64"), special, -special])
        with np.errstate(over="ignore"):  # beyond the largest float
            near = formulas.neighbours(points, "float64", self.reach)
        near = np.insert(near, np.searchsorted(near, 0.0), -0.0)
        return np.concatenate([[np.nan, -np.inf], near[np.isfinite(near)], [np.inf, np.nan]])

    @property
    def chunks(self):
        return range(-(-self._points.size // (4 * BLOCK)))

    def blocks(self, chunk):
        for start in range(chunk * 4 * BLOCK, min((chunk + 1) * 4 * BLOCK, self._points.size), BLOCK):
            yield self._points[start : start + BLOCK]


@dataclass(frozen=True)
class Climb:
    """A local search: ever narrower samples around the input with the largest error so far.

    The error of a float64 result depends on where the input lies, through the approximation and the
    exponents, and on its last bits, through the roundings: a climb narrows down the first and draws from
    the second. The patterns are drawn within 2^48 of the best one (a sixteenth of a binade) at first, and
    within 2^8 at last.
    """

    starts: tuple = field(default=())  # (library whose error is climbed, input)
    seed: int = 0
    reaches: tuple = tuple(2.0 ** (48 - 4 * step) for step in range(11))
    size: int = 2**15
    overlap = 0

    @property
    def chunks(self):
        return range(len(self.starts))

    def around(self, chunk, best, reach):
        """The sample of one step."""
        rng = generator(self.seed, chunk, reach)
        pattern = int(formulas.bits(np.abs(best)))
        low, high = max(0, int(pattern - reach)), int(pattern + reach)
        patterns = np.unique(rng.integers(low, high + 1, self.size)).astype(np.uint64)
        x = np.copysign(patterns.view(np.float64), best)
        return x[np.isfinite(x)]
