"""Few slices side by side, whose positions share the rows of a panel; short ones; those that no cache keeps.

All are ways to compute the same: each slice has the bits that it has alone, where it lies contiguous.
"""

import numpy as np
import pytest

import fastlogit

FUNCTIONS = ["softmax", "log_softmax", "logsumexp"]
# Filled and not, as whole rows and gathered; 8 and 4 lanes and fewer are taken one by one.
WIDTHS = [5, 8, 9, 12, 16, 17, 31, 32, 33, 64]
LENGTHS = [63, 64, 65, 127, 4095, 4096, 4100]


def scores(shape, dtype, seed=3):
    generator = np.random.default_rng(seed)
    x = generator.normal(0, 3, shape)
    x[generator.random(shape) < 0.01] = 45  # far above the first of its slice: the scale has to be mended
    x[generator.random(shape) < 0.01] = -np.inf
    return x.astype(dtype)


def alone(function, x):
    """Each column as a slice of its own."""
    return np.stack([getattr(fastlogit, function)(column, 0) for column in x.T.copy()], axis=-1)


def assert_same_bits(result, expected):
    np.testing.assert_array_equal(result.view(np.uint8), np.ascontiguousarray(expected).view(np.uint8))


def columns_of_a_wider_array(x):
    """That array, 7 before and behind them, and the columns, with the values of x."""
    wider = np.full((len(x), x.shape[1] + 3), 7, x.dtype)
    part = wider[:, 1:-2]
    part[...] = x
    return wider, part


def assert_only_columns_written(wider):
    assert (wider[:, 0] == 7).all()
    assert (wider[:, -2:] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_few_columns_have_the_bits_of_slices_alone(function, width, dtype):
    call = getattr(fastlogit, function)
    for n in LENGTHS:
        x = scores((n, width), dtype)
        expected = alone(function, x)
        assert_same_bits(call(x, 0), expected)
        if function != "logsumexp":
            wider, part = columns_of_a_wider_array(x)
            call(part, 0, out=part)
            assert_same_bits(part.copy(), expected)
            assert_only_columns_written(wider)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 8, 16, 63, 64, 65, 100, 129, 1000])
def test_rows_have_the_bits_of_rows_alone(function, n, dtype):
    """Copied by shuffles, by tiles or one by one; added up alone, or as columns with others."""
    call = getattr(fastlogit, function)
    for rows in (1, 2, 7, 8, 9, 16, 17, 33, 64, 65, 131):
        x = scores((rows, n), dtype)
        expected = alone(function, x.T)
        expected = expected if function == "logsumexp" else expected.T
        assert_same_bits(call(x, 1), expected)
        if function != "logsumexp":
            wider, part = columns_of_a_wider_array(x)
            call(x, 1, out=part)
            assert_same_bits(part.copy(), expected)
            assert_only_columns_written(wider)
            call(x, 1, out=x)
            assert_same_bits(x, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_few_columns_with_a_mask(function, dtype):
    x = scores((1000, 12), dtype)
    where = np.random.default_rng(4).random(x.shape) < 0.7
    result = getattr(fastlogit, function)(x, 0, where=where)
    columns = zip(x.T.copy(), where.T.copy(), strict=True)
    expected = [getattr(fastlogit, function)(column, 0, where=counts) for column, counts in columns]
    assert_same_bits(result, np.stack(expected, axis=-1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_nan_and_infinities_stay_in_their_columns(function, dtype):
    x = scores((300, 16), dtype)
    x[7, 3] = np.nan
    x[299, 5] = np.inf
    x[:, 8] = -np.inf
    with np.errstate(invalid="ignore"):
        result, expected = getattr(fastlogit, function)(x, 0), alone(function, x)
    np.testing.assert_array_equal(result, expected)
    assert np.isnan(np.atleast_2d(result)[..., 3]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_middle_axis_of_three(dtype):
    x = scores((7, 200, 16), dtype)
    expected = np.stack([alone("softmax", part) for part in x])
    assert_same_bits(fastlogit.softmax(x, 1), expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("late", [False, True])
def test_terms_that_no_cache_keeps(dtype, threads, late):
    """3 MiB of float32 a slice: stored where it is contiguous, computed once more where it is not.

    ``late``: the largest element comes last, far above the first block.
    """
    n = 3 * 2**18
    row = np.random.default_rng(5).normal(0, 3, n).astype(dtype)
    row[-1] = 60 if late else 0
    exact = row.astype(np.longdouble)
    exact = np.exp(exact - exact.max())
    exact /= exact.sum()
    with fastlogit.num_threads(threads):
        results = [
            fastlogit.softmax(row),
            fastlogit.softmax(row, out=row.copy()),
            fastlogit.softmax(np.stack([row, row], axis=-1), 0)[:, 1].copy(),
            fastlogit.softmax(np.repeat(row, 2)[::2]),
            fastlogit.softmax(np.stack([row] * 40, axis=-1), 0)[:, 39].copy() if dtype == "float32" else None,
        ]
    unit = np.spacing(exact.astype(dtype))
    assert (np.abs(results[0] - exact) <= 1.5 * unit).all()
    for result in results[1:]:
        if result is not None:
            assert_same_bits(result, results[0])
