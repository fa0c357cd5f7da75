"""What the exact results are, how far a result is from them, and where to look.

Two references stand behind every accuracy test. The formulas below evaluate in long double, fast enough
for millions of inputs; `mpmath_value` evaluates one input to 400 bits and is what they are checked
against (test_accuracy.py). Run as a script, this file prints the table of ``literals.py``.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from literals import LITERALS

import fastlogit
from fastlogit import ufuncs

EPS = 1e-6  # of the clamped logit in all tests that do not ask for a special one
DTYPES = ("float32", "float64")
BITS = {"float32": np.uint32, "float64": np.uint64}

# The contract: the largest error, in units in the last place of the exact result, stays below this.
BOUND_ULP = {
    ("logit", "float32"): 1.0,
    ("logit", "float64"): 1.0,
    ("clamped_logit", "float32"): 1.0,
    ("clamped_logit", "float64"): 1.0,
    ("expit", "float32"): 1.0,
    ("expit", "float64"): 1.0,
    ("log_expit", "float32"): 1.0,
    ("log_expit", "float64"): 1.0,
}

# Only where long double has more bits than float64 can it be the judge of float64.
longdouble_is_wider = np.finfo(np.longdouble).nmant >= 63
longdouble_reason = "long double has no more bits than float64 here, so it cannot be the reference"


def clamp_bounds(eps, dtype):
    """eps and 1 - eps as the dtype has them; for eps > 0 neither is 0 or 1."""
    real = np.dtype(dtype).type
    lower, upper = real(eps), real(1) - real(eps)
    if eps > 0:
        lower = max(lower, np.nextafter(real(0), real(1)))
        upper = min(upper, np.nextafter(real(1), real(0)))
    return lower, upper


def exact_logit(x):
    """Long double is precise here to 2^-61: 2 x - 1 is exact, and nothing else cancels."""
    x = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        centre = np.log1p((2 * x - 1) / (1 - x))
        return np.where((0.25 < x) & (x < 0.75), centre, np.log(x) - np.log1p(-x))


def exact_clamped_logit(x):
    return exact_logit(np.clip(x, *clamp_bounds(EPS, x.dtype)))


def exact_expit(x):
    """The range of long double leaves the subnormal results of float64 all their bits."""
    x = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        small = np.exp(-np.abs(x))
        return np.where(x < 0, small, 1) / (1 + small)


def exact_log_expit(x):
    x = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        return np.minimum(x, -0.0) - np.log1p(np.exp(-np.abs(x)))


def ulp_error(got, exact):
    """Distance of each element of `got` from `exact`, in units in the last place of `exact`.

    NaN and infinities have the distance 0 from themselves and inf from all else. Below the smallest
    normal number the unit is the smallest subnormal one.
    """
    info = np.finfo(got.dtype)
    exponent = np.frexp(exact)[1] - (info.nmant + 1)
    smallest = info.minexp - info.nmant
    unit = np.ldexp(np.longdouble(1), np.where(exact == 0, smallest, np.maximum(exponent, smallest)))
    with np.errstate(invalid="ignore"):
        error = np.abs(got - exact) / unit
        same = (got == exact) | (np.isnan(got) & np.isnan(exact))
    return np.where(same, 0, np.where(np.isfinite(exact) & np.isfinite(got), error, np.inf))


def bits(array):
    """The bit patterns, so that NaN equals itself and -0.0 does not equal 0.0."""
    array = np.asarray(array, order="C")
    return array.view(BITS[array.dtype.name])


def neighbours(points, dtype, reach=2):
    """The points rounded to the dtype and the next `reach` numbers on both sides of each."""
    above = below = np.asarray(points, dtype=dtype)
    found = [above]
    for _ in range(reach):
        above = np.nextafter(above, np.inf, dtype=dtype)
        below = np.nextafter(below, -np.inf, dtype=dtype)
        found += [above, below]
    return np.unique(np.concatenate(found))


def probability_sample(rng, n, dtype):
    """Everywhere in [0, 1], and with every distance from 0, 1/2 and 1 that the dtype can have."""
    one = np.ones((), dtype)
    patterns = rng.integers(0, bits(one), n // 4, dtype=BITS[dtype]).view(dtype)
    nmant = np.finfo(dtype).nmant
    from_one = np.exp2(-rng.uniform(0, nmant + 1, n // 4))
    from_half = np.exp2(-rng.uniform(1, nmant + 2, n // 4)) * rng.choice([-1, 1], n // 4)
    everywhere = rng.random(n - 3 * (n // 4))
    return np.concatenate([patterns, 1 - from_one, 0.5 + from_half, everywhere], dtype=dtype)


def log_odds_sample(rng, n, dtype):
    """Every size and sign, every result that is subnormal, every seam of the reduction by ln 2."""
    largest, subnormal = (110, (-104.5, -87)) if dtype == "float32" else (760, (-746.5, -708))
    limit = bits(np.asarray(1000, dtype))
    patterns = rng.integers(0, limit, n // 5, dtype=BITS[dtype]).view(dtype)
    patterns *= rng.choice([-1, 1], n // 5).astype(dtype)
    tail = rng.uniform(*subnormal, n // 5)
    usual = rng.normal(0, 8, n // 5)
    seams = rng.integers(-2 * largest, 2 * largest, n // 5) * (np.log(2) / 2)
    seams *= 1 + rng.integers(-4, 5, n // 5) * np.finfo(dtype).eps
    everywhere = rng.uniform(-largest, largest, n - 4 * (n // 5))
    return np.concatenate([patterns, tail, usual, seams, everywhere], dtype=dtype)


def probability_cutoffs(dtype):
    """Where the reduction of logit changes, and the powers of two at both ends and around 1/2."""
    powers = np.exp2(np.arange(np.finfo(dtype).minexp - np.finfo(dtype).nmant, 0.0))
    odds = np.exp2(np.arange(-60.0, 60.0))
    seams = [1 / (1 + ratio * odds) for ratio in (2 / 3, 3 / 4, 2**0.5, 4 / 3, 3 / 2)]
    near_half = np.exp2(-np.arange(2.0, 56.0))
    points = np.concatenate(
        [powers, 1 - powers, 0.5 + near_half, 0.5 - near_half, *seams, [EPS, 1 - EPS]]
    )
    points = neighbours(points, dtype)
    return points[(0 <= points) & (points <= 1)]


def log_odds_cutoffs(dtype):
    """The seams of the reduction by ln 2, where results turn subnormal or 0, where 1 - v is 1."""
    halves = np.arange(-2200.0, 2201.0) * (np.log(2) / 2)
    ends = np.array(
        [746, 745.14, 744.45, 709.79, 709.09, 708.4, 104, 103.98, 103.28, 88.73, 88.03, 87.34]
    )
    powers = np.exp2(np.arange(-140.0, 11.0))
    return neighbours(np.concatenate([halves, ends, -ends, powers, -powers, [0.0]]), dtype)


@dataclass(frozen=True)
class Function:
    """One row of the test matrix."""

    name: str
    call: Callable  # the public function of an array, and out=
    ufunc: np.ufunc
    exact: Callable
    sample: Callable
    cutoffs: Callable

    def inputs(self, n, dtype):
        """The literals, the cutoffs and `n` random numbers, the same ones in every run."""
        literals = [float.fromhex(x) for x, _ in LITERALS[self.name.removeprefix("clamped_")]]
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), np.dtype(dtype).itemsize])
        return np.concatenate([literals, self.cutoffs(dtype), self.sample(rng, n, dtype)], dtype=dtype)


FUNCTIONS = {
    function.name: function
    for function in [
        Function(
            "logit", fastlogit.logit, ufuncs.logit, exact_logit, probability_sample, probability_cutoffs
        ),
        Function(
            "clamped_logit",
            partial(fastlogit.logit, eps=EPS),
            ufuncs.clamped_logit(EPS),
            exact_clamped_logit,
            probability_sample,
            probability_cutoffs,
        ),
        Function("expit", fastlogit.expit, ufuncs.expit, exact_expit, log_odds_sample, log_odds_cutoffs),
        Function(
            "log_expit",
            fastlogit.log_expit,
            ufuncs.log_expit,
            exact_log_expit,
            log_odds_sample,
            log_odds_cutoffs,
        ),
    ]
}


def mpmath_value(name, x):
    """The exact result as a decimal with 25 significant digits."""
    import mpmath

    with mpmath.workprec(400):
        x = mpmath.mpf(x)
        if name == "logit":
            value = mpmath.log(x / (1 - x))
        elif name == "expit":
            value = 1 / (1 + mpmath.exp(-x))
        else:
            value = -mpmath.log1p(mpmath.exp(-x))
        return mpmath.nstr(value, 25, min_fixed=0, max_fixed=0)


if __name__ == "__main__":
    for name, rows in LITERALS.items():
        print(f'    "{name}": [')
        for x, _ in rows:
            print(f'        ("{x}", "{mpmath_value(name, float.fromhex(x))}"),')
        print("    ],")
