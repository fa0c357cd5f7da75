"""A user's script, never run: every function with what users have. ``assert_type`` says what comes back."""

from collections.abc import Sequence
from typing import Any, assert_type

import numpy as np
import pandas as pd
import polars as pl
import xarray as xr
from numpy.typing import NDArray

import fastlogit
from fastlogit import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    expit,
    log_expit,
    log_softmax,
    logit,
    logsumexp,
    softmax,
    softplus,
    ufuncs,
)

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.longdouble]


def twice_the_probability(logits: Doubles) -> Doubles:
    return expit(logits) * 2


def twice_the_probability_of_singles(logits: Singles) -> Singles:
    return expit(logits) * 2


def twice_a_number(x: float) -> float:
    return expit(x) * 2


def average(models: Sequence[Doubles]) -> Doubles:
    total = np.zeros_like(models[0])
    for probabilities in models:
        total += logit(probabilities, 1e-6)
    total /= len(models)
    return expit(total, out=total)


def any_array(x: NDArray[Any]) -> NDArray[Any]:
    return softplus(x)


def bare_array(x: np.ndarray) -> np.ndarray:
    return log_softmax(x, axis=-1)


def surprise(logits: Doubles) -> Doubles:
    return softmax(logits, axis=-1) * -log_softmax(logits, axis=-1)


def elementwise(singles: Singles, doubles: Doubles, longs: Longs) -> None:
    assert_type(expit(0.5), np.float64)
    assert_type(expit(1), np.float64)
    assert_type(logit(np.float32(0.5)), np.float32)
    assert_type(logit(np.longdouble(0.5), 1e-6), np.longdouble)
    assert_type(softplus(np.float16(0.5)), np.float32)
    assert_type(log_expit(singles), Singles)
    assert_type(log_expit(doubles), Doubles)
    assert_type(logit(longs, eps=1e-6), Longs)
    assert_type(expit(singles.astype(np.float16)), Singles)
    assert_type(expit(np.arange(3)), np.ndarray[tuple[int], np.dtype[np.float64]])
    assert_type(expit(doubles > 0), Doubles)
    assert_type(logit([0.25, 0.5]), Doubles)
    assert_type(logit([[0, 1], [1, 0]], eps=1e-6), Doubles)
    assert_type(logit((np.float32(0.5), 0.25)), Doubles)
    assert_type(expit(doubles, out=doubles), Doubles)
    assert_type(expit(doubles, doubles), Doubles)
    assert_type(expit(doubles, (singles,), casting="same_kind"), Singles)
    assert_type(logit(doubles, 1e-6, out=doubles, where=doubles > 0), Doubles)
    assert_type(logit(doubles, None, out=None, where=[True, False]), Doubles)
    assert_type(expit(singles, dtype=np.float64), Doubles)
    assert_type(expit(0.5, dtype=np.float32), np.float32)
    assert_type(expit(singles, dtype=np.dtype(np.longdouble)), Longs)


def along_an_axis(singles: Singles, doubles: Doubles, mask: NDArray[np.bool]) -> None:
    assert_type(softmax(singles), Singles)
    assert_type(softmax(doubles, axis=(0, 1), where=mask), Doubles)
    assert_type(log_softmax([1.0, 2.0]), Doubles)
    assert_type(softmax(singles, axis=1, out=doubles), Doubles)
    assert_type(logsumexp(doubles), np.float64)
    assert_type(logsumexp([1.0, 2.0]), np.float64)
    assert_type(logsumexp(np.arange(3)), np.float64)
    assert_type(logsumexp(singles), np.float32)
    assert_type(logsumexp(singles, axis=0), Singles)
    assert_type(logsumexp(doubles, 0), Doubles)
    assert_type(logsumexp(doubles, keepdims=True), Doubles)
    assert_type(logsumexp(doubles, axis=0, b=singles), Doubles)
    assert_type(logsumexp(doubles, axis=0, b=[1.0, 0.5], where=mask), Doubles)
    assert_type(logsumexp(doubles, axis=0, return_sign=True), tuple[Doubles, Doubles])
    assert_type(logsumexp(doubles, b=singles, return_sign=True), tuple[np.float64, np.float64])
    assert_type(logsumexp(doubles, axis=0, out=singles), Singles)


def losses(singles: Singles, doubles: Doubles, labels: NDArray[np.intp]) -> None:
    assert_type(binary_cross_entropy_with_logits(singles, labels), np.float64)
    assert_type(binary_cross_entropy_with_logits(doubles, doubles, pos_weight=3.0, grad=doubles), np.float64)
    assert_type(binary_cross_entropy_with_logits(doubles, labels, reduction="none", hess=doubles), Doubles)
    assert_type(binary_cross_entropy_with_logits(singles, labels, reduction="none"), Singles)
    assert_type(binary_cross_entropy_with_logits(0.5, 1, reduction="none"), np.float64)
    assert_type(binary_cross_entropy_with_logits(doubles, 1, reduction="none", out=doubles), Doubles)
    assert_type(cross_entropy(singles, labels, reduction="sum", grad=singles), np.float64)
    assert_type(cross_entropy(doubles, labels, doubles, label_smoothing=0.1, reduction="none"), Doubles)
    assert_type(cross_entropy(singles, labels, axis=0, ignore_index=-1, reduction="none"), Singles)


def containers(
    series: "pd.Series[float]",
    frame: pd.DataFrame,
    column: pl.Series,
    cube: xr.DataArray,
    cubes: xr.Dataset,
    masked: "np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]",
) -> None:
    assert_type(expit(series), "pd.Series[float]")
    assert_type(logit(series, 1e-6), "pd.Series[float]")
    assert_type(softmax(series), "pd.Series[float]")
    assert_type(softplus(frame), pd.DataFrame)
    assert_type(softmax(frame, axis=1), pd.DataFrame)
    assert_type(expit(column), pl.Series)
    assert_type(expit(pl.col("logits")), pl.Expr)
    assert_type(log_softmax(column), pl.Series)
    assert_type(log_expit(cube), xr.DataArray)
    assert_type(expit(cubes), xr.Dataset)
    assert_type(softmax(cube, axis=0), xr.DataArray)
    assert_type(expit(masked), "np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]")
    assert_type(binary_cross_entropy_with_logits(series, series), np.float64)
    assert_type(binary_cross_entropy_with_logits(series, series, reduction="none"), "pd.Series[float]")
    assert_type(cross_entropy(frame, series), np.float64)
    logsumexp(frame, axis=1)


def the_rest(doubles: Doubles) -> str:
    fastlogit.set_num_threads(2)
    with fastlogit.num_threads(1):
        assert_type(fastlogit.get_num_threads(), int)
    fastlogit.show_config()
    np.testing.assert_equal(ufuncs.expit(doubles), ufuncs.clamped_logit(1e-6)(doubles))
    return fastlogit.__version__
