"""Slices whose results are NaN: as whole slices, wherever they lie; the sign of a NaN is not promised.

The arithmetic of rows and of panels meets the same NaN in another order, and which of two NaN an operation
hands on, sign and payload, IEEE 754 leaves open. All other bits are the same.
"""

import numpy as np
import pytest
from loss_calls import EVERY_DTYPE
from reference import bits

import fastlogit

INF, NAN = np.inf, np.nan
SPECIAL = [(INF,), (-INF,), (NAN,), (INF, -INF), (INF, NAN), (-NAN,), (INF, INF), ()]


def gradient(x, axis):
    grad = np.empty_like(x)
    fastlogit.cross_entropy(x, np.zeros(np.delete(x.shape, axis), int), axis=axis, reduction="sum", grad=grad)
    return grad


CALLS = {
    "softmax": fastlogit.softmax,
    "log_softmax": fastlogit.log_softmax,
    "logsumexp": lambda x, axis: fastlogit.logsumexp(x, axis, keepdims=True),
    "cross_entropy": gradient,
}


def without_sign_of_nan(array):
    return np.where(np.isnan(array), 0, bits(array))


@EVERY_DTYPE
@pytest.mark.parametrize("n", [2, 3, 17, 64, 1500, 5000])
@pytest.mark.parametrize("name", CALLS)
def test_rows_columns_and_single_slices_agree(name, n, dtype):
    rng = np.random.default_rng(n)
    x = rng.normal(0, 5, (80, n)).astype(dtype)
    for k, row in enumerate(x):
        special = SPECIAL[k % len(SPECIAL)]
        row[rng.choice(n, len(special), replace=False)] = special
    x[9] = -INF
    call = CALLS[name]
    along = call(x, 1)
    across = call(np.ascontiguousarray(x.T), 0).T
    alone = np.concatenate([call(row[np.newaxis].copy(), 1) for row in x])
    np.testing.assert_array_equal(without_sign_of_nan(across), without_sign_of_nan(along))
    np.testing.assert_array_equal(without_sign_of_nan(alone), without_sign_of_nan(along))
    for row, result in zip(x, along, strict=True):
        # An infinity is larger than all others by inf - inf; the largest element of nothing is -inf.
        if np.isnan(row).any():
            assert np.isnan(result).all()
        elif name == "softmax":
            assert np.isnan(result).any() == (row == INF).any() or (row == -INF).all()
