"""The losses take logits, targets and weights in any container; gradients go to NumPy arrays."""

import numpy as np
import pytest
from reference import same_bits

from fastlogit import binary_cross_entropy_with_logits, cross_entropy

pytestmark = pytest.mark.once

Z = np.array([0.5, -1.0, 2.0, 0.25])
Y = np.array([1, 0, 1, 1])
W = np.array([1.0, 2.0, 0.5, 0.0])
SCORES = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, 0.0]])
LABELS = np.array([2, 0])
OF_SAMPLES = np.array([0.5, 2.0])
OF_CLASSES = np.array([1.0, 2.0, 0.5])
EVERY_REDUCTION = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def series(dtype=None):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    if dtype and "pyarrow" in dtype:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return lambda values: pandas.Series(values).astype(dtype or values.dtype)


def data_array():
    return pytest.importorskip("xarray", reason="xarray is not installed").DataArray


def polars_series():
    return pytest.importorskip("polars", reason="polars is not installed").Series


def tensor():
    return pytest.importorskip("torch", reason="PyTorch is not installed").from_numpy


def arrow_array():
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed").array


CONTAINERS = {
    "Series": series,
    "Series, Float64": lambda: series("Float64"),
    "Series, Arrow": lambda: series("float64[pyarrow]"),
    "DataArray": data_array,
    "polars": polars_series,
    "tensor": tensor,
    "pyarrow": arrow_array,
    "masked array": lambda: np.ma.MaskedArray,
    "list": lambda: np.ndarray.tolist,
}


@EVERY_REDUCTION
@pytest.mark.parametrize("container", CONTAINERS)
def test_binary_loss(container, reduction):
    make = CONTAINERS[container]()
    grads = np.empty_like(Z), np.empty_like(Z)
    plain = binary_cross_entropy_with_logits(Z, Y, W, pos_weight=W + 1, reduction=reduction, grad=grads[0])
    arguments = [make(values) for values in (Z, Y, W, W + 1)]
    got = binary_cross_entropy_with_logits(
        *arguments[:3], pos_weight=arguments[3], reduction=reduction, grad=grads[1]
    )
    same_bits(np.asarray(got, float), plain)
    same_bits(grads[1], grads[0])
    for i in range(4):  # one of them alone
        mixed = [Z, Y, W, W + 1]
        mixed[i] = arguments[i]
        got = binary_cross_entropy_with_logits(*mixed[:3], pos_weight=mixed[3], reduction=reduction)
        same_bits(np.asarray(got, float), plain)
    if reduction != "none":
        assert type(got) is np.float64


@EVERY_REDUCTION
@pytest.mark.parametrize("container", [name for name in CONTAINERS if name not in ("polars", "pyarrow")])
def test_cross_entropy(container, reduction):
    make = CONTAINERS[container]()
    logits = SCORES
    if container.startswith("Series"):
        import pandas

        dtype = {"Series": "float64", "Series, Float64": "Float64"}.get(container, "float64[pyarrow]")
        logits = pandas.DataFrame(SCORES).astype(dtype)
    elif container != "list":
        logits = make(SCORES)
    labels = make(LABELS) if container == "Series" else series("Int64")(LABELS)
    grads = np.empty_like(SCORES), np.empty_like(SCORES)
    plain = cross_entropy(
        SCORES, LABELS, OF_CLASSES, sample_weight=OF_SAMPLES, reduction=reduction, grad=grads[0]
    )
    got = cross_entropy(
        logits, labels, make(OF_CLASSES), sample_weight=make(OF_SAMPLES), reduction=reduction, grad=grads[1]
    )
    same_bits(np.asarray(got, float), plain)
    same_bits(grads[1], grads[0])


def test_losses_have_the_labels_of_the_logits():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    z = pandas.Series(Z, list("pqrs"), name="score")
    loss = binary_cross_entropy_with_logits(z, Y, reduction="none")
    pandas.testing.assert_series_equal(
        loss, pandas.Series(binary_cross_entropy_with_logits(Z, Y, reduction="none"), z.index, name="score")
    )
    frame = pandas.DataFrame(SCORES, index=["p", "q"], columns=list("abc"))
    of_rows = cross_entropy(frame, LABELS, reduction="none")
    pandas.testing.assert_series_equal(
        of_rows, pandas.Series(cross_entropy(SCORES, LABELS, reduction="none"), frame.index)
    )
    of_columns = cross_entropy(frame, [0, 1, 1], axis=0, reduction="none")
    assert of_columns.index.equals(frame.columns)
    whole = binary_cross_entropy_with_logits(frame, SCORES > 1, reduction="none")
    assert whole.columns.equals(frame.columns)
    assert whole.index.equals(frame.index)


def test_losses_have_the_dimensions_of_the_logits():
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    scores = xarray.DataArray(SCORES, dims=("row", "class"), coords={"row": [3, 1], "class": list("abc")})
    loss = cross_entropy(scores, LABELS, reduction="none")
    assert loss.dims == ("row",)
    assert list(loss.coords) == ["row"]
    same_bits(loss.values, cross_entropy(SCORES, LABELS, reduction="none"))
    whole = binary_cross_entropy_with_logits(scores, SCORES > 1, reduction="none")
    assert whole.coords.equals(scores.coords)


def test_other_labels_are_refused():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    z, y = pandas.Series(Z), pandas.Series(Y)
    for name, options in (("target", (y[::-1],)), ("weight", (y, y[::-1]))):
        with pytest.raises(ValueError, match=rf"binary_cross_entropy_with_logits: {name} has other labels"):
            binary_cross_entropy_with_logits(z, *options)
    binary_cross_entropy_with_logits(z, y[::-1].to_numpy())
    binary_cross_entropy_with_logits(Z, y[::-1])
    frame = pandas.DataFrame(SCORES)
    labels = pandas.Series(LABELS)
    with pytest.raises(ValueError, match="cross_entropy: target has other labels"):
        cross_entropy(frame, labels[::-1])
    with pytest.raises(ValueError, match="cross_entropy: sample_weight has other labels"):
        cross_entropy(frame, labels, sample_weight=pandas.Series(OF_SAMPLES, [1, 0]))


@pytest.mark.parametrize("container", ["Float64", "float64[pyarrow]", "polars", "masked"])
def test_missing_values_are_refused_by_position(container):
    hidden = np.array([False, False, True, False])

    def make(values):
        if container == "masked":
            return np.ma.MaskedArray(values, hidden)
        objects = [None if h else v for v, h in zip(values.tolist(), hidden, strict=True)]
        if container == "polars":
            return polars_series()("z", objects)
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        return pandas.Series(objects, dtype=container)

    for i, name in enumerate(("logits", "target", "weight")):
        arguments = [Z, Y, W]
        arguments[i] = make(arguments[i].astype(float))
        with pytest.raises(ValueError, match=rf"{name} has (missing values|masked elements).*position 2"):
            binary_cross_entropy_with_logits(*arguments)


def test_lazy_arguments_are_refused():
    dask_array = pytest.importorskip("dask.array", reason="dask is not installed")
    lazy = dask_array.from_array(Z, chunks=2)
    for arguments in ((lazy, Y), (Z, lazy), (Z, Y, lazy)):
        with pytest.raises(TypeError, match=r"is a dask Array.*computed at once.*over its blocks"):
            binary_cross_entropy_with_logits(*arguments)
    mapped = dask_array.map_blocks(
        binary_cross_entropy_with_logits, lazy, dask_array.from_array(Y, chunks=2), reduction="none",
        dtype=float,
    )
    same_bits(mapped.compute(), binary_cross_entropy_with_logits(Z, Y, reduction="none"))


def test_results_do_not_go_into_a_series():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    place = pandas.Series(np.zeros(4))
    for options in ({"grad": place}, {"hess": place}, {"out": place, "reduction": "none"}):
        (argument, *_) = options
        with pytest.raises(TypeError, match=f": {argument} is a pandas Series"):
            binary_cross_entropy_with_logits(Z, Y, **options)
    assert (place == 0).all()


def test_quantities_are_refused():
    pint = pytest.importorskip("pint", reason="pint is not installed: its quantities were not tried")
    metres = pint.UnitRegistry().Quantity(Z, "meter")
    with pytest.raises(TypeError, match="logits is a Quantity of pint"):
        binary_cross_entropy_with_logits(metres, Y)
