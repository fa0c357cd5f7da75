"""What the exact results are, how far a result is from them, and where to look.

Two references stand behind every accuracy test. The formulas below evaluate in long double, fast enough
for millions of inputs; `mpmath_value` evaluates one input to 400 bits and is what they are checked
against (test_accuracy.py). Run as a script, this file prints the table of ``literals.py``.

`FUNCTIONS` is the list of the elementwise functions that all tests and tools read.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from operator import attrgetter

import numpy as np
from literals import LITERALS

import fastlogit
from fastlogit import ufuncs

inf, nan = np.inf, np.nan

EPS = 1e-6  # of the clamped logit in all tests that do not ask for a special one
DTYPES = ("float32", "float64")
BITS = {"float32": np.uint32, "float64": np.uint64}

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


def exact_logit(x, wide=np.longdouble):
    """Long double is precise here to 2^-61: 2 x - 1 is exact, and nothing else cancels."""
    x = x.astype(wide)
    with np.errstate(all="ignore"):
        centre = np.log1p((2 * x - 1) / (1 - x))
        return np.where((0.25 < x) & (x < 0.75), centre, np.log(x) - np.log1p(-x))


def exact_clamped_logit(x):
    return exact_logit(np.clip(x, *clamp_bounds(EPS, x.dtype)))


def exact_expit(x, wide=np.longdouble):
    """The range of long double leaves the subnormal results of float64 all their bits."""
    x = x.astype(wide)
    with np.errstate(all="ignore"):
        small = np.exp(-np.abs(x))
        return np.where(x < 0, small, 1) / (1 + small)


def exact_log_expit(x, wide=np.longdouble):
    x = x.astype(wide)
    with np.errstate(all="ignore"):
        return np.minimum(x, -0.0) - np.log1p(np.exp(-np.abs(x)))


def exact_softplus(x, wide=np.longdouble):
    x = x.astype(wide)
    with np.errstate(all="ignore"):
        return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def negated(text):
    return f"-{text}".removeprefix("--")


def same_bits(got, expected):
    """Equal in every bit, the payload of a NaN aside."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(
        np.signbit(got) & ~np.isnan(got), np.signbit(expected) & ~np.isnan(expected)
    )


def unit_in_last_place(exact, dtype):
    """The distance of the floats of `dtype` in the binade of each element, which is not rounded before."""
    info = np.finfo(dtype)
    exponent = np.frexp(exact)[1] - (info.nmant + 1)
    smallest = info.minexp - info.nmant
    return np.ldexp(np.longdouble(1), np.where(exact == 0, smallest, np.maximum(exponent, smallest)))


def ulp_error(got, exact):
    """Distance of each element of `got` from `exact`, in units in the last place of `exact`.

    NaN and infinities have the distance 0 from themselves and inf from all else. Below the smallest
    normal number the unit is the smallest subnormal one.
    """
    with np.errstate(invalid="ignore"):
        error = np.abs(got - exact) / unit_in_last_place(exact, got.dtype)
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
class Domain:
    """What a function is of, and so where to look."""

    name: str
    sample: Callable
    cutoffs: Callable


PROBABILITIES = Domain("probabilities", probability_sample, probability_cutoffs)
LOG_ODDS = Domain("log odds", log_odds_sample, log_odds_cutoffs)


@dataclass(frozen=True)
class Spellings:
    """How other libraries spell a function; SciPy has it by its own name, if it has it."""

    pytorch: str  # takes out=
    jax: str
    numexpr: str  # an expression of x
    numpy: Callable  # of an array
    numpy_in_place: Callable
    numba: Callable  # gives, for 0 and 1 of the type to compute in, a formula


@dataclass(frozen=True)
class Function:
    """An elementwise function: one row of the tests, of what tools/ulp measures, and of the benchmarks."""

    name: str
    call: Callable  # the public function of an array, and out=
    ufunc: np.ufunc
    domain: Domain
    value: Callable  # of mpmath or gmpy2 and a number of theirs
    exact: Callable  # of an array, and the type to compute in
    special: list  # x and the exact result; what does not depend on the dtype
    spellings: Spellings | None
    range: tuple = (-np.inf, np.inf)
    eps: float | None = None
    bound: float = 1.0  # the contract: the largest error in ulp stays below this
    # The largest error known in float32 and float64, rounded up: of all inputs, and of the worst that a
    # search has seen. A larger one is news, though the promise is kept: a formula has become worse, or an
    # input is.
    largest: tuple[float, float] = (1.0, 1.0)
    literals: list = ()  # x and the exact result, as text

    def inputs(self, n, dtype):
        """The literals, the cutoffs and `n` random numbers, the same ones in every run."""
        literals = [float.fromhex(x) for x, _ in self.literals]
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), np.dtype(dtype).itemsize])
        domain = self.domain
        return np.concatenate([literals, domain.cutoffs(dtype), domain.sample(rng, n, dtype)], dtype=dtype)


def logit_value(m, x):
    if not 0 <= x <= 1:
        return x * float("nan")
    return m.log(x / (1 - x)) if x < 1 else x * float("inf")


FUNCTIONS = {
    function.name: function
    for function in [
        Function(
            "logit",
            fastlogit.logit,
            ufuncs.logit,
            PROBABILITIES,
            logit_value,
            exact_logit,
            [
                *((x, -inf) for x in (0.0, -0.0)),
                (0.5, 0.0),
                (1.0, inf),
                *((x, nan) for x in (-1.0, -inf, 1 + 2.0**-23, 2.0, inf, nan)),
            ],
            largest=(0.5, 0.613),
            literals=LITERALS["logit"],
            spellings=Spellings(
                pytorch="torch.logit",
                jax="jax.scipy.special.logit",
                numexpr="log(x / (1 - x))",
                numpy=lambda x: np.log(x / (1 - x)),
                numpy_in_place=lambda x: np.log(np.divide(x, 1 - x, out=x), out=x),
                numba=lambda zero, one: lambda p: math.log(p / (one - p)),
            ),
        ),
        Function(
            "clamped_logit",
            partial(fastlogit.logit, eps=EPS),
            ufuncs.clamped_logit(EPS),
            PROBABILITIES,
            logit_value,
            exact_clamped_logit,
            [(0.5, 0.0), (nan, nan)],
            range=(-14, 14),
            eps=EPS,
            largest=(0.5, 0.613),
            literals=LITERALS["logit"],
            spellings=None,  # those of logit, each with its own way to clamp
        ),
        Function(
            "expit",
            fastlogit.expit,
            ufuncs.expit,
            LOG_ODDS,
            lambda m, x: 1 / (1 + m.exp(-x)),
            exact_expit,
            [(-inf, 0.0), (-1e30, 0.0), (-0.0, 0.5), (0.0, 0.5), (1e30, 1.0), (inf, 1.0), (nan, nan)],
            range=(0, 1),
            largest=(0.966, 0.947),
            literals=LITERALS["expit"],
            spellings=Spellings(
                pytorch="torch.sigmoid",
                jax="jax.nn.sigmoid",
                numexpr="1 / (1 + exp(-x))",
                numpy=lambda x: 1 / (1 + np.exp(-x)),
                numpy_in_place=lambda x: np.reciprocal(
                    np.add(np.exp(np.negative(x, out=x), out=x), 1, out=x), out=x
                ),
                numba=lambda zero, one: lambda z: one / (one + math.exp(-z)),
            ),
        ),
        Function(
            "log_expit",
            fastlogit.log_expit,
            ufuncs.log_expit,
            LOG_ODDS,
            lambda m, x: min(x, type(x)(0)) - m.log1p(m.exp(-abs(x))),  # nothing overflows
            exact_log_expit,
            [(-inf, -inf), (-(2.0**99), -(2.0**99)), (1e30, -0.0), (inf, -0.0), (nan, nan)],
            range=(-inf, -0.0),
            largest=(0.5, 0.8),
            literals=LITERALS["log_expit"],
            spellings=Spellings(
                pytorch="torch._C._nn.log_sigmoid",  # logsigmoid, with out=
                jax="jax.nn.log_sigmoid",
                numexpr="where(x < 0, x, 0) - log1p(exp(-abs(x)))",
                numpy=lambda x: -np.logaddexp(0, -x),
                numpy_in_place=lambda x: np.negative(np.logaddexp(0, np.negative(x, out=x), out=x), out=x),
                numba=lambda zero, one: lambda z: min(z, zero) - math.log1p(math.exp(-abs(z))),
            ),
        ),
        Function(
            "softplus",
            fastlogit.softplus,
            ufuncs.softplus,
            LOG_ODDS,
            lambda m, x: max(x, type(x)(0)) + m.log1p(m.exp(-abs(x))),  # nothing overflows
            exact_softplus,
            [(inf, inf), (2.0**99, 2.0**99), (-1e30, 0.0), (-inf, 0.0), (nan, nan)],
            range=(0, inf),
            largest=(0.5, 0.8),
            literals=[(negated(x), negated(exact)) for x, exact in LITERALS["log_expit"]],
            spellings=Spellings(
                pytorch="torch._C._nn.softplus",  # with out=; x itself beyond a threshold of 20
                jax="jax.nn.softplus",
                numexpr="where(x > 0, x, 0) + log1p(exp(-abs(x)))",
                numpy=lambda x: np.logaddexp(0, x),
                numpy_in_place=lambda x: np.logaddexp(0, x, out=x),
                numba=lambda zero, one: lambda z: max(z, zero) + math.log1p(math.exp(-abs(z))),
            ),
        ),
    ]
}
PUBLIC = [name for name, function in FUNCTIONS.items() if function.eps is None]  # as users call them
OF_LOG_ODDS = [name for name, function in FUNCTIONS.items() if function.domain is LOG_ODDS]
SPELLINGS = {name: FUNCTIONS[name].spellings for name in PUBLIC}
BOUND_ULP = {(name, dtype): function.bound for name, function in FUNCTIONS.items() for dtype in DTYPES}
LARGEST_ULP = {
    (name, dtype): ulp
    for name, function in FUNCTIONS.items()
    for dtype, ulp in zip(DTYPES, function.largest, strict=True)
}
CORRECTLY_ROUNDED = {case for case, ulp in LARGEST_ULP.items() if ulp == 0.5}


def named(path):
    """What a dotted name stands for; the first part is a package that is imported."""
    package, _, attributes = path.partition(".")
    return attrgetter(attributes)(import_module(package))


def mpmath_value(name, x):
    """The exact result as a decimal with 25 significant digits."""
    import mpmath

    with mpmath.workprec(400):
        value = FUNCTIONS[name].value(mpmath, mpmath.mpf(x))
        return mpmath.nstr(value, 25, min_fixed=0, max_fixed=0)


# ---- softmax, log_softmax, logsumexp ----------------------------------------------------------------

SLICE_BOUND_ULP = {  # of the exact element; of the larger of result and largest element for logsumexp
    ("softmax", "float32"): 2.0,
    ("softmax", "float64"): 1.5,
    ("log_softmax", "float32"): 1.5,
    ("log_softmax", "float64"): 1.5,
    ("logsumexp", "float32"): 2.0,
    ("logsumexp", "float64"): 2.0,
    ("weighted logsumexp", "float32"): 2.0,
    ("weighted logsumexp", "float64"): 2.0,
}
# The largest errors that a search has seen (tools/ulp), rounded up. A larger one is news, though the promise
# is kept.
LARGEST_ROW_ULP = {
    ("softmax", "float32"): 1.35,
    ("softmax", "float64"): 1.32,
    ("log_softmax", "float32"): 1.3,
    ("log_softmax", "float64"): 1.3,
    ("logsumexp", "float32"): 1.5,
    ("logsumexp", "float64"): 1.22,
}


@dataclass(frozen=True)
class ExactSlices:
    """The slices of an array along some axes, in long double, which judges float64 to 0.01 ulp.

    The difference to the largest element is kept as a sum of two numbers: at -700 the rounding of one
    long double would already be a quarter of an ulp of the exponential in float64. The largest element
    is left out of the sum, as log1p wants it. Without a finite largest element nothing is subtracted.
    ``counts`` says how often each element is there.
    """

    largest: np.ndarray
    shift: np.ndarray
    difference: np.ndarray
    rest: np.ndarray
    terms: np.ndarray
    total: np.ndarray
    log_total: np.ndarray

    @classmethod
    def of(cls, x, axis=None, counts=1):
        x = np.asarray(x).astype(np.longdouble)
        with np.errstate(all="ignore"):
            largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
            finite = np.isfinite(largest)
            shift = np.where(finite, largest, 0)
            difference = x - shift
            part = difference - x
            rest = (x - (difference - part)) - (shift + part)
            rest = np.where(np.isfinite(rest), rest, 0)
            terms = np.exp(difference) * (1 + rest)
            is_largest = finite & (x == largest)
            others = np.sum(np.where(is_largest, 0, counts * terms), axis=axis, keepdims=True)
            others += np.sum(counts * is_largest, axis=axis, keepdims=True) - np.where(finite, 1, 0)
            log_total = np.where(finite, np.log1p(others), np.log(others))
        return cls(largest, shift, difference, rest, terms, others + finite, log_total)

    def softmax(self):
        with np.errstate(all="ignore"):
            return np.where(np.isfinite(self.largest), self.terms / self.total, np.nan)

    def log_softmax(self):
        with np.errstate(all="ignore"):
            return (self.difference - self.log_total) + self.rest

    def logsumexp(self):
        """With the reduced axes kept."""
        with np.errstate(all="ignore"):
            return self.shift + self.log_total


def exact_softmax(x, axis=None):
    return ExactSlices.of(x, axis).softmax()


def exact_log_softmax(x, axis=None):
    return ExactSlices.of(x, axis).log_softmax()


def exact_logsumexp(x, axis=None):
    """With the reduced axes kept, and the largest elements, whose size the bound refers to."""
    exact = ExactSlices.of(x, axis)
    return exact.logsumexp(), exact.largest


def logsumexp_error(got, exact, largest):
    """Distance in units in the last place of the larger of result and largest element."""
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(exact), np.abs(largest))
        error = np.abs(got - exact) / unit_in_last_place(scale, got.dtype)
    same = (got == exact) | (np.isnan(got) & np.isnan(exact))
    return np.where(same, 0, np.where(np.isfinite(exact) & np.isfinite(got), error, np.inf))


def mpmath_slice(name, values, weights=None):
    """The exact results of one slice, as long doubles; logsumexp gives (log of the size, sign)."""
    import mpmath

    def longdouble(value):
        """NumPy warns of what is too small for a long double."""
        if abs(value) < mpmath.mpf("1e-4900"):
            return np.longdouble(0)
        return np.longdouble(mpmath.nstr(value, 25, min_fixed=0, max_fixed=0))

    with mpmath.workprec(4000):
        x = [mpmath.mpf(float(value)) for value in values]
        factors = [1] * len(x) if weights is None else [mpmath.mpf(float(w)) for w in weights]
        total = mpmath.fsum(w * mpmath.exp(value) for w, value in zip(factors, x, strict=True))
        if name == "logsumexp":
            size = longdouble(mpmath.log(abs(total))) if total else np.longdouble(-np.inf)
            return size, int(mpmath.sign(total))
        if name == "softmax":
            return np.array([longdouble(mpmath.exp(value) / total) for value in x])
        return np.array([longdouble(value - mpmath.log(total)) for value in x])


def row_families(rng, dtype):
    """Rows of scores by name: what makes normalisation lose digits, short and long."""
    real = np.dtype(dtype).type
    far = 1e30 if dtype == "float64" else 1e10
    rows = {}
    for n in (1, 2, 3, 5, 16, 31, 47, 48, 100, 129, 1000):
        for spread in (0.01, 0.3, 3, 30, 300):
            rows[f"normal spread {spread}, {n} of them"] = rng.normal(0, spread, (200, n))
        for offset in (-far, -1e5, -700, -90, 90, 700, 1e5, far):
            unit = np.spacing(real(abs(offset))).astype(float)
            steps = rng.integers(-20, 21, (60, n)) * np.maximum(unit, 0.125)
            rows[f"offset {offset:g}, {n} of them"] = offset + steps
        rows[f"ties, {n} of them"] = rng.integers(0, 3, (200, n)) * rng.choice([0.0, 0.1, 40], (200, 1))
        equal = np.repeat(rng.normal(0, 50, (50, 1)), n, axis=1)
        rows[f"all equal, {n} of them"] = equal
        if n > 1:
            ahead = rng.normal(0, 0.1, (800, n))
            ahead[np.arange(800), rng.integers(0, n, 800)] += np.arange(1, 801)
            rows[f"one ahead by 1 to 800, {n} of them"] = ahead
    return {name: np.asarray(row).astype(dtype) for name, row in rows.items()}


def long_rows(rng, dtype, n=2**20):
    rows = {
        f"normal spread {spread}, {n} of them": rng.normal(0, spread, (1, n))
        for spread in (0.01, 3, 300)
    }
    for ahead in (5, 20, 40, 700):
        row = rng.normal(0, 0.1, (1, n))
        row[0, n // 3] += ahead
        rows[f"one of {n} ahead by {ahead}"] = row
    rows[f"all {n} equal"] = np.full((1, n), 0.1)
    rows[f"falling, {n} of them"] = -np.arange(n)[np.newaxis] / (n / 50)
    return {name: row.astype(dtype) for name, row in rows.items()}


if __name__ == "__main__":
    for name, rows in LITERALS.items():
        print(f'    "{name}": [')
        for x, _ in rows:
            print(f'        ("{x}", "{mpmath_value(name, float.fromhex(x))}"),')
        print("    ],")
