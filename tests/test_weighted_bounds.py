"""logsumexp with weights of both signs, whose sum cancels: the sign and 2 ulp, down to 2^-100 of the terms.

The unit is that of the largest of the result, the elements and 2^-26 (``docs/slice-errors.rst``). The exact
results are those of mpmath with 400 bits.
"""

import json

import numpy as np
import pytest
from reference import DTYPES, SLICE_BOUND_ULP, bits

import fastlogit
from fastlogit._build_config import INSTRUCTION_SETS

pytestmark = pytest.mark.once

mpmath = pytest.importorskip("mpmath", reason="the exact results are mpmath's")

SEED = 9
DEEPEST = 100  # of the promise of 2 ulp
DEEPEST_SIGN = 179  # of the promise of the sign
LARGEST_SMALL = 2.0**-26

BOUND_64 = SLICE_BOUND_ULP["weighted logsumexp", "float64"]
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_INSTRUCTION_SET = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)

# Wrong in every digit, or in the sign, while sums had two doubles alone; the exact results are printed by
# mpmath: log(abs(sum(b * exp(a)))) and the sign.
ROWS = [
    (
        [float.fromhex("0x1.4b944df3a1eb3p-2"), 0.0],
        [1.0, float.fromhex("-0x1.61e3c5602ed2cp+0")],
        "-45.663094046734564",
        -1,
    ),
    ([0.0, 0.0, -800.0], [1.0, -1.0, 1.0], "-800", 1),
    ([0.3, 0.3, -900.0, -1700.0, -5000.0], [0.1, -0.1, 0.0, 0.0, -2.0], "-4999.306852819440055", -1),
    ([0.1, 0.1, 0.1], [0.1, 0.2, -0.3], "-38.02309493079699", 1),
]


def exact_sum(x, weights):
    """The sum, and that of the absolute terms."""
    terms = [mpmath.mpf(float(w)) * mpmath.exp(float(v)) for v, w in zip(x, weights, strict=True) if w != 0]
    # mpmath.fsum leaves out what is far below the largest, though that may cancel.
    with mpmath.workprec(8000):
        return sum(terms, start=mpmath.mpf(0)), sum(map(abs, terms), start=mpmath.mpf(0))


def error(got, sign, x, weights):
    """In ulp; the sign has to be right."""
    with mpmath.workprec(400):
        total = exact_sum(x, weights)[0]
        assert sign == mpmath.sign(total), (x, weights)
        exact = mpmath.log(abs(total))
        scale = max(abs(exact), float(np.abs(x[weights != 0]).max()), LARGEST_SMALL)
        unit = mpmath.mpf(2) ** (mpmath.frexp(scale)[1] - 1 - np.finfo(x.dtype).nmant)
        return float(abs(mpmath.mpf(float(got)) - exact) / unit)


def cancelling_row(rng, dtype, depth):
    """Terms of both signs whose sum is about 2^-depth of them: the last ones make good what is left."""
    n = int(rng.choice([1, 2, 3, 7, 30]))
    spread = rng.choice([0.05, 1, 8])
    x = list(rng.normal(rng.choice([0, -3, 5]), spread, n).astype(dtype))
    weights = list(rng.normal(0, 1, n).astype(dtype))
    with mpmath.workprec(400):
        total, absolute = exact_sum(x, weights)
        aim = absolute * mpmath.mpf(2) ** -depth * rng.choice([-1, 1])
        while abs(total - aim) > abs(aim) / 4:
            x.append(np.dtype(dtype).type(rng.normal(x[0], spread)))
            weights.append(np.dtype(dtype).type(float((aim - total) / mpmath.exp(float(x[-1])))))
            total = exact_sum(x, weights)[0]
    order = rng.permutation(len(x))
    return np.array(x, dtype)[order], np.array(weights, dtype)[order]


def cancelling_rows(dtype, depths, count=12):
    """In two arrays, filled up with elements that do not count."""
    rng = np.random.default_rng(SEED)
    rows = [cancelling_row(rng, dtype, depth) for depth in depths for _ in range(count)]
    shape = len(rows), max(len(x) for x, _ in rows)
    scores, factors = np.full(shape, np.nan, dtype), np.zeros(shape, dtype)
    for i, (x, weights) in enumerate(rows):
        scores[i, : len(x)], factors[i, : len(x)] = x, weights
    return scores, factors


# Around the threshold of the sums in fixed point, 1/8, and down to the end of the promise.
DEPTHS = (1, 2, 3, 4, *range(10, DEEPEST + 1, 10))


def results(dtype, depths):
    """Of every row, result and sign: by itself, in rows, in columns, in arrays with gaps and backwards."""
    x, weights = cancelling_rows(dtype, depths)
    alone = [
        fastlogit.logsumexp(row, b=factors, return_sign=True) for row, factors in zip(x, weights, strict=True)
    ]
    apart = np.zeros((*x.shape, 3), dtype)[:, ::-1, 1], np.zeros((2, *x.shape), dtype)[1]
    apart[0][...], apart[1][...] = x, weights
    return [
        np.array(alone, dtype).T,
        np.array(fastlogit.logsumexp(x, axis=1, b=weights, return_sign=True)),
        np.array(fastlogit.logsumexp(x.T.copy(), axis=0, b=weights.T.copy(), return_sign=True)),
        np.array(fastlogit.logsumexp(apart[0], axis=1, b=apart[1], return_sign=True)),
    ]


@pytest.fixture(scope="module")
def results_of(run_python):
    """What a build makes of the rows, as JSON: bits of results and signs by layout."""
    done = {}

    def run(instruction_set, threads, dtype, depths):
        case = instruction_set, threads, dtype, depths
        if case not in done:
            printed = run_python(
                "import json, test_weighted_bounds as test\n"
                f"found = test.results({dtype!r}, {depths!r})\n"
                "print(json.dumps([test.bits(layout).tolist() for layout in found]))\n",
                FASTLOGIT_ISA=instruction_set,
                OMP_NUM_THREADS=str(threads),
                timeout=600,
            )
            kind = bits(np.zeros(1, dtype)).dtype
            done[case] = [np.array(layout, kind).view(dtype) for layout in json.loads(printed)]
        return done[case]

    return run


@EVERY_INSTRUCTION_SET
@EVERY_DTYPE
def test_planned_cancellation(dtype, instruction_set, skip_unless_supported, results_of):
    skip_unless_supported(instruction_set)
    alone, *layouts = results_of(instruction_set, 1, dtype, DEPTHS)
    for layout in layouts + results_of(instruction_set, 2, dtype, DEPTHS):
        np.testing.assert_array_equal(bits(layout), bits(alone))
    worst = max(
        (error(got, sign, x, weights), i)
        for i, (got, sign, x, weights) in enumerate(zip(*alone, *cancelling_rows(dtype, DEPTHS), strict=True))
    )
    assert worst[0] <= SLICE_BOUND_ULP["weighted logsumexp", dtype], worst


@EVERY_DTYPE
def test_v3_and_v4_give_the_same_bits(dtype, skip_unless_supported, results_of):
    skip_unless_supported("v3", "v4")
    np.testing.assert_array_equal(*(bits(results_of(name, 1, dtype, DEPTHS)[0]) for name in ("v3", "v4")))


def test_fixed_point_needs_no_fused_multiply_add(skip_unless_supported, results_of):
    """Integers have the same bits; so have logarithms of this size in float32."""
    skip_unless_supported("v2", "v3")
    deep = DEPTHS[4:]
    np.testing.assert_array_equal(*(bits(results_of(name, 1, "float32", deep)[0]) for name in ("v2", "v3")))


@pytest.mark.parametrize(
    ("dtype", "depth"),
    # float32 has no weights for more.
    [("float32", 110), ("float32", 120), *(("float64", depth) for depth in (*range(110, 171, 10), 176))],
)
def test_sign_of_what_two_ulp_are_not_promised_for(dtype, depth):
    for x, weights in zip(*cancelling_rows(dtype, [depth], 20), strict=True):
        with mpmath.workprec(400):
            total, absolute = exact_sum(x, weights)
        assert abs(total) > absolute * mpmath.mpf(2) ** -DEEPEST_SIGN
        got, sign = fastlogit.logsumexp(x, b=weights, return_sign=True)
        assert sign == mpmath.sign(total)
        assert abs(got - float(mpmath.log(abs(total)))) < 1


@pytest.mark.parametrize(("x", "weights", "exact", "sign"), ROWS)
@EVERY_INSTRUCTION_SET
def test_rows(x, weights, exact, sign, instruction_set, skip_unless_supported, run_python):
    skip_unless_supported(instruction_set)
    printed = run_python(
        "import fastlogit\n"
        f"for value in fastlogit.logsumexp({x}, b={weights}, return_sign=True):\n"
        "    print(float(value).hex())\n",
        FASTLOGIT_ISA=instruction_set,
    )
    got, got_sign = (float.fromhex(value) for value in printed.split())
    assert got_sign == sign
    assert error(got, got_sign, np.array(x), np.array(weights)) <= BOUND_64
    with mpmath.workprec(400):
        total = exact_sum(x, weights)[0]
        assert abs(mpmath.log(abs(total)) - mpmath.mpf(exact)) < abs(mpmath.mpf(exact)) * 1e-15


@EVERY_DTYPE
def test_opposite_weights_of_equal_elements_leave_nothing(dtype):
    """Then the others count, however small; each 2200 below the last ones are a pass of their own."""
    x = np.array([3, 3, 3, -800, -800, -4000, -4000, -9000], dtype)
    for weights, exact, exact_sign in (
        ([1, 2, -3, 0, 0, 0, 0, 0], -np.inf, 0),
        ([1, 2, -3, 1, 1, 0, 0, 0], -800 + np.log(2), 1),
        ([1, 2, -3, 1, -1, -1, -1, 5], -4000 + np.log(2), -1),
        ([1, 2, -3, 1, -1, 1, -1, -5], -9000 + np.log(5), -1),
        ([1, 2, -3, 1, -1, 1, -1, 0], -np.inf, 0),
    ):
        weights = np.array(weights, dtype)
        for order in (slice(None), slice(None, None, -1)):
            got, sign = fastlogit.logsumexp(x[order], b=weights[order], return_sign=True)
            assert (got, sign) == (np.dtype(dtype).type(exact), exact_sign)
            without_sign = fastlogit.logsumexp(x[order], b=weights[order])
            np.testing.assert_equal(without_sign, np.nan if exact_sign < 0 else got)


def test_weights_of_all_sizes_cancel():
    """From the smallest subnormal to the largest number, beside elements that make good for it.

    The largest element may have the smallest term: nothing within the range of weights may be left out.
    """
    rng = np.random.default_rng(SEED)
    for _ in range(200):
        x = rng.uniform(-1400, 1400, 3)
        weights = np.ldexp(rng.uniform(1, 2, 3), -np.clip(np.rint(x / np.log(2)), -1020, 1070).astype(int))
        x, weights = np.repeat(x, 2), np.repeat(weights, 2)
        weights[1::2] = -np.nextafter(weights[1::2], 0)
        got, sign = fastlogit.logsumexp(x, b=weights, return_sign=True)
        assert error(got, sign, x, weights) <= BOUND_64


def test_small_results_of_large_weights():
    """With a result below 1/4 the unit is small, and what an exponential is wrong by counts often."""
    rng = np.random.default_rng(SEED)
    worst = 0.0
    for size in np.exp2(np.arange(0, 12, 0.25)):
        for _ in range(8):
            x = rng.uniform(-0.24, 0.24, rng.integers(3, 9))
            weights = size * rng.normal(0, 1, x.size)
            rest = np.exp(rng.uniform(-0.2, 0.2)) - np.sum((weights * np.exp(x))[1:])
            weights[0] = rest * np.exp(-x[0])
            got, sign = fastlogit.logsumexp(x, b=weights, return_sign=True)
            worst = max(worst, error(got, sign, x, weights))
    assert worst <= BOUND_64


def test_infinities_and_nan_beside_what_cancels():
    for extra, weight, exact, exact_sign in (
        (np.inf, 1, np.inf, 1),
        (np.inf, -2, np.inf, -1),
        (np.inf, 0, -np.inf, 0),
        (-np.inf, 3, -np.inf, 0),
        (np.nan, 1, np.nan, np.nan),
        (np.nan, 0, -np.inf, 0),
        (0.0, np.inf, np.inf, 1),
        (0.0, np.nan, np.nan, np.nan),
    ):
        got = fastlogit.logsumexp([2.0, 2.0, extra], b=[1, -1, weight], return_sign=True)
        np.testing.assert_equal(got, (exact, exact_sign))
