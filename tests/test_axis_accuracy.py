"""Every element of softmax and log_softmax is within 2 ulp, and logsumexp within its own bound.

For every instruction set, and however long a slice is. ``pytest -s`` prints the largest errors found.
"""

import numpy as np
import pytest
from reference import (
    DTYPES,
    SLICE_BOUND_ULP,
    bits,
    exact_log_softmax,
    exact_logsumexp,
    exact_softmax,
    logsumexp_error,
    long_rows,
    longdouble_is_wider,
    longdouble_reason,
    mpmath_slice,
    row_families,
    ulp_error,
)

import fastlogit
from fastlogit._build_config import INSTRUCTION_SETS

pytestmark = [
    pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason),
    pytest.mark.once,
]

EXACT = {"softmax": exact_softmax, "log_softmax": exact_log_softmax}
NAMES = (*EXACT, "logsumexp")
FAMILIES = {"short": row_families, "long": long_rows}
SEED = 5

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_INSTRUCTION_SET = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)


def largest_error(name, got, x, axis=-1):
    if name == "logsumexp":
        exact, largest = exact_logsumexp(x, axis)
        return float(logsumexp_error(got, exact, largest).max())
    return float(ulp_error(got, EXACT[name](x, axis)).max())


def check(name, dtype, errors, where):
    """`errors` by family; says which is the worst."""
    worst = max(errors, key=errors.get)
    found = f"{name} {dtype} {where}: {errors[worst]:.3f} ulp in {worst}"
    print(found)
    assert errors[worst] <= SLICE_BOUND_ULP[name, dtype], found


# x and 25 digits of the exact result, which is also what mpmath gives (a test below).
LITERALS = [
    ("log_softmax", [40.0, 0.0], ["-4.248354255291588986304978e-18", "-4.000000000000000000424835e1"]),
    ("log_softmax", [1.0, 2.0], ["-1.313261687518222834048995", "-3.132616875182228340489955e-1"]),
    ("log_softmax", [0.0, 0.0], ["-6.931471805599453094172321e-1", "-6.931471805599453094172321e-1"]),
    ("log_softmax", [700.0, 0.0], ["-9.859676543759770856705373e-305", "-7.0e2"]),
    ("softmax", [40.0, 0.0], ["9.999999999999999957516457e-1", "4.248354255291588977280721e-18"]),
    ("softmax", [1.0, 2.0], ["2.689414213699951207488408e-1", "7.310585786300048792511592e-1"]),
    ("softmax", [0.0, 720.0], ["2.032230802424293152866634e-313", "1.0"]),
    ("logsumexp", [40.0, 0.0], ["4.000000000000000000424835e1"]),
    ("logsumexp", [-1000.0, -1001.0], ["-9.99686738312481777165951e2"]),
    ("logsumexp", [1000.0, 1000.0], ["1.000693147180559945309417e3"]),
]
EVERY_LITERAL = pytest.mark.parametrize(("name", "x", "exact"), LITERALS)


@EVERY_LITERAL
def test_literals(name, x, exact):
    got = np.atleast_1d(getattr(fastlogit, name)(np.array(x)))
    assert ulp_error(got, np.array(exact).astype(np.longdouble)).max() <= SLICE_BOUND_ULP[name, "float64"]


@EVERY_LITERAL
def test_literals_are_what_mpmath_gives(name, x, exact):
    pytest.importorskip("mpmath", reason="the literals were made with mpmath")
    truth = mpmath_slice(name, x)
    if name == "logsumexp":
        truth = truth[0]
    np.testing.assert_array_equal(np.array(exact).astype(np.longdouble), np.atleast_1d(truth))


@EVERY_DTYPE
@pytest.mark.parametrize("name", NAMES)
def test_reference_is_fifty_times_finer_than_the_bound(name, dtype):
    pytest.importorskip("mpmath", reason="the reference in long double is checked against mpmath")
    # In units of float64 for both: there long double has the fewest bits to spare.
    for family, rows in row_families(np.random.default_rng(SEED), dtype).items():
        if rows.shape[1] in (2, 5, 16):
            for row in rows[:: rows.shape[0] // 2]:
                exact = mpmath_slice(name, row)
                if name == "logsumexp":
                    got, largest = exact_logsumexp(row)
                    scale = np.maximum(np.abs(exact[0]), np.abs(largest)).astype(np.float64)
                    error = np.abs(got - exact[0]) / np.spacing(scale)
                else:
                    exact = exact.astype(np.longdouble)
                    unit = np.spacing(np.maximum(np.abs(exact), 2.0**-1022).astype(np.float64))
                    error = np.abs(EXACT[name](row) - exact) / unit
                assert np.max(error) < SLICE_BOUND_ULP[name, dtype] / 50, family


class Results:
    """What each instruction set makes of the rows of `families`, on the last axis and on the first."""

    def __init__(self, name, dtype, length, run_python):
        self.name, self.dtype, self.length, self.run_python = name, dtype, length, run_python
        self.rows = FAMILIES[length](np.random.default_rng(SEED), dtype)
        self.results = {}

    def of(self, instruction_set):
        if instruction_set not in self.results:
            printed = self.run_python(
                "import sys\n"
                "import fastlogit\n"
                "import numpy as np\n"
                "from test_axis_accuracy import FAMILIES\n"
                f"call = fastlogit.{self.name}\n"
                f"rows = FAMILIES[{self.length!r}](np.random.default_rng({SEED}), {self.dtype!r})\n"
                "for x in rows.values():\n"
                "    sys.stdout.buffer.write(call(x, axis=1).tobytes())\n"
                "    sys.stdout.buffer.write(call(np.asfortranarray(x), axis=1).tobytes())\n",
                text=False,
                FASTLOGIT_ISA=instruction_set,
            )
            self.results[instruction_set] = np.frombuffer(printed, self.dtype)
        return self.results[instruction_set]

    def by_family(self, instruction_set):
        """(family, rows, their results along contiguous rows, the same for rows with a stride)."""
        flat = self.of(instruction_set)
        start = 0
        for family, x in self.rows.items():
            shape = (len(x), 1) if self.name == "logsumexp" else x.shape
            size = shape[0] * shape[1]
            contiguous, strided = flat[start : start + 2 * size].reshape(2, size)
            yield family, x, contiguous.reshape(shape), strided.reshape(shape)
            start += 2 * size
        assert start == flat.size


@pytest.fixture(
    scope="module",
    params=[(name, dtype, length) for name in NAMES for dtype in DTYPES for length in FAMILIES],
    ids=lambda case: "-".join(case),
)
def results(request, run_python):
    return Results(*request.param, run_python)


@EVERY_INSTRUCTION_SET
def test_error_is_within_the_bound(results, instruction_set, skip_unless_supported):
    skip_unless_supported(instruction_set)
    errors = {}
    for family, x, contiguous, strided in results.by_family(instruction_set):
        errors[family] = largest_error(results.name, contiguous, x)
        np.testing.assert_array_equal(bits(strided), bits(contiguous), family)
    check(results.name, results.dtype, errors, instruction_set)


def test_v3_and_v4_give_the_same_bits(results, skip_unless_supported):
    skip_unless_supported("v3", "v4")
    np.testing.assert_array_equal(bits(results.of("v3")), bits(results.of("v4")))


@EVERY_INSTRUCTION_SET
@EVERY_DTYPE
def test_axis_0_of_many_rows(dtype, instruction_set, skip_unless_supported, run_python):
    """A running sum down the rows is 1,063 ulp off here."""
    skip_unless_supported(instruction_set)
    shape = (100_001, 3)
    code = (
        "import sys\n"
        "import fastlogit\n"
        "import numpy as np\n"
        f"x = np.random.default_rng(1).normal(0, 1, {shape}).astype({dtype!r})\n"
    )
    x = np.random.default_rng(1).normal(0, 1, shape).astype(dtype)
    for name in NAMES:
        printed = run_python(
            f"{code}sys.stdout.buffer.write(fastlogit.{name}(x, axis=0).tobytes())\n",
            text=False,
            FASTLOGIT_ISA=instruction_set,
        )
        got = np.frombuffer(printed, dtype).reshape(-1, 3).T
        errors = {"100,001 rows": largest_error(name, got, np.ascontiguousarray(x.T))}
        check(name, dtype, errors, f"{instruction_set} axis 0")


@EVERY_INSTRUCTION_SET
@pytest.mark.parametrize("spread", [0.01, 5])
def test_row_of_16_million_float32(instruction_set, spread, skip_unless_supported, run_python):
    """float64 is fine enough to judge float32, and the bound does not move with the length."""
    skip_unless_supported(instruction_set)
    n = 2**24
    code = f"np.random.default_rng(2).normal(0, {spread}, {n}).astype(np.float32)"
    x = np.random.default_rng(2).normal(0, spread, n).astype(np.float32)
    largest = float(x.max())
    terms = np.exp(x.astype(np.float64) - largest)
    assert np.count_nonzero(x == x.max()) == np.count_nonzero(terms == 1)
    total = terms.sum()
    log_total = np.log(total)
    assert total > 2  # so that the plain logarithm is right
    for name in NAMES:
        printed = run_python(
            "import sys\n"
            "import fastlogit\n"
            "import numpy as np\n"
            f"x = {code}\n"
            f"sys.stdout.buffer.write(fastlogit.{name}(x).tobytes())\n",
            text=False,
            FASTLOGIT_ISA=instruction_set,
        )
        got = np.frombuffer(printed, np.float32)
        if name == "logsumexp":
            errors = [logsumexp_error(got, largest + log_total, largest).max()]
        else:
            errors = []
            for start in range(0, n, 2**20):
                part = slice(start, start + 2**20)
                exact = (
                    terms[part] / total
                    if name == "softmax"
                    else (x[part].astype(np.float64) - largest) - log_total
                )
                errors.append(ulp_error(got[part], exact).max())
        check(name, "float32", {f"{n} of them": float(max(errors))}, f"{instruction_set} spread {spread}")


@EVERY_DTYPE
def test_length_does_not_let_the_error_grow(dtype):
    """Equal elements: each is exactly 1 / n, and the logarithm of n is known."""
    for n in (2, 3, 127, 128, 129, 1000, 2**14, 2**14 + 1, 100_001, 2**21):
        x = np.full(n, 0.1, dtype)
        errors = {
            f"{n} equal": max(
                float(ulp_error(fastlogit.softmax(x), np.longdouble(1) / n).max()),
                float(ulp_error(fastlogit.log_softmax(x), -np.log(np.longdouble(n))).max()),
            )
        }
        check("softmax", dtype, errors, "equal elements")


# Weights


def weighted_cases():
    rng = np.random.default_rng(9)
    cases = {}
    for n in (1, 2, 3, 17, 200):
        for spread in (0.1, 5, 300):
            cases[f"positive weights, {n} spread {spread}"] = (
                rng.normal(0, spread, n),
                rng.exponential(1, n),
            )
            cases[f"both signs, {n} spread {spread}"] = rng.normal(0, spread, n), rng.normal(0, 1, n)
    for gap in (1e-3, 1e-9, 2.0**-52):
        cases[f"cancelling to {gap}"] = [1.0, 1.0 + gap], [1.0, -1.0]
        cases[f"cancelling to {gap}, large"] = [900.0, 900.0 * (1 + gap)], [-1.0, 1.0]
    cases["tiny weights"] = [3.0, 2.0], [1e-300, 1e-305]
    cases["subnormal weights"] = [0.0, 1.0], [5e-324, 1e-320]
    cases["large weights"] = [3.0, -2.0], [1e300, 1e305]
    cases["weights against the exponent"] = [500.0, -500.0], [1e-300, 1e300]
    cases["largest with weight 0"] = [700.0, 1.0, 2.0], [0.0, 1.0, 1.0]
    return cases


@EVERY_INSTRUCTION_SET
@EVERY_DTYPE
def test_weighted_logsumexp(dtype, instruction_set, skip_unless_supported, run_python):
    """Also where almost everything cancels; the unit is that of the largest element or term."""
    pytest.importorskip("mpmath", reason="cancelling sums need more bits than long double has")
    skip_unless_supported(instruction_set)
    printed = run_python(
        "import sys\n"
        "import fastlogit\n"
        "import numpy as np\n"
        "from test_axis_accuracy import weighted_cases\n"
        "for x, weights in weighted_cases().values():\n"
        "    with np.errstate(all='ignore'):\n"
        f"        x, weights = np.array(x, {dtype!r}), np.array(weights).astype({dtype!r})\n"
        "    if np.isfinite(weights).all():\n"
        "        pair = fastlogit.logsumexp(x, b=weights, return_sign=True)\n"
        "        sys.stdout.buffer.write(np.array(pair).tobytes())\n",
        text=False,
        FASTLOGIT_ISA=instruction_set,
    )
    pairs = iter(np.frombuffer(printed, dtype).reshape(-1, 2))
    errors = {}
    for case, (x, weights) in weighted_cases().items():
        with np.errstate(all="ignore"):
            x, weights = np.array(x, dtype), np.array(weights).astype(dtype)
            terms = x + np.log(np.abs(weights).astype(np.float64))
        if not np.isfinite(weights).all():
            continue  # float32 has no such weights
        got, sign = next(pairs)
        exact, exact_sign = mpmath_slice("logsumexp", x, weights)
        assert sign == exact_sign, case
        scale = max(np.abs(x[weights != 0]).max(initial=0), abs(terms.max()) if exact_sign else 0)
        errors[case] = float(logsumexp_error(got, exact, scale))
    check("weighted logsumexp", dtype, errors, instruction_set)
