"""xarray, polars, masked arrays, subclasses, quantities and foreign arrays as arguments."""

import numpy as np
import pytest
from reference import same_bits

from fastlogit import expit, log_expit, log_softmax, logit, logsumexp, softmax, softplus

pytestmark = pytest.mark.once

SHARES = pytest.mark.parametrize("call", [softmax, log_softmax])
SCORES = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, 0.0]])
ELEMENTWISE = [logit, expit, log_expit, softplus, lambda x: logit(x, 1e-6)]


# xarray


@pytest.fixture
def scores():
    xarray = pytest.importorskip("xarray", reason="xarray is not installed: its arrays were not tried")
    array = xarray.DataArray(
        SCORES,
        dims=("row", "class"),
        coords={"row": [3, 1], "class": list("abc"), "fold": ("row", [0, 1])},
        name="score",
        attrs={"unit": "nat"},
    )
    array.coords["row"].attrs["origin"] = 1
    return array


@SHARES
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_data_array(call, axis, scores):
    result = call(scores, axis=axis)
    assert result.identical(scores.copy(data=call(SCORES, axis=axis)))
    assert result.coords["row"].attrs == {"origin": 1}
    assert call(scores.variable, axis=axis).identical(result.variable)
    result[0, 0] = 9
    assert scores[0, 0] == 0.5


@SHARES
def test_attributes_follow_the_option_of_xarray(call, scores):
    import xarray

    for keep in (True, False, "default"):
        with xarray.set_options(keep_attrs=keep):
            assert call(scores).attrs == np.exp(scores).attrs
            assert logsumexp(scores, axis=0).attrs == scores.sum("row").attrs


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_of_a_data_array_has_the_dimensions_that_remain(axis, keepdims, scores):
    result = logsumexp(scores, axis=axis, keepdims=keepdims)
    like = np.sum(scores, axis=axis, keepdims=keepdims) if axis is not None or not keepdims else None
    if like is not None:
        assert result.identical(like.copy(data=logsumexp(SCORES, axis=axis, keepdims=keepdims)))
    same_bits(result.values, logsumexp(SCORES, axis=axis, keepdims=keepdims))
    value, sign = logsumexp(scores, axis=axis, keepdims=keepdims, return_sign=True)
    assert value.identical(result)
    assert (sign == 1).all()
    assert sign.dims == result.dims


@SHARES
def test_single_number_of_xarray(call):
    xarray = pytest.importorskip("xarray")
    x = xarray.DataArray(1.5, attrs={"unit": "nat"})
    assert call(x).identical(x.copy(data=call(1.5)))
    assert logsumexp(x).item() == 1.5


@SHARES
def test_other_data_arrays_go_by_dimension(call, scores):
    import xarray

    mask = xarray.DataArray([[True, True], [False, True], [True, False]], dims=("class", "row"))
    same_bits(call(scores, axis=1, where=mask).values, call(SCORES, axis=1, where=mask.values.T))
    of_class = xarray.DataArray([True, False, True], dims=("class",), coords={"class": list("abc")})
    same_bits(call(scores, axis=1, where=of_class).values, call(SCORES, axis=1, where=[True, False, True]))
    b = xarray.DataArray([2.0, 3.0], dims=("row",))
    same_bits(logsumexp(scores, axis=1, b=b).values, logsumexp(SCORES, axis=1, b=[[2.0], [3.0]]))
    with pytest.raises(ValueError, match=r"where has other labels.*\.data to go by position"):
        call(scores, axis=1, where=of_class.isel({"class": [1, 0, 2]}))
    with pytest.raises(ValueError, match="b has the dimension 'time'"):
        logsumexp(scores, b=xarray.DataArray([1.0], dims=("time",)))


@SHARES
def test_dataset(call, scores):
    data = scores.to_dataset().assign(other=("class", [1, 2, 4]))
    result = call(data)
    same_bits(result["score"].values, call(SCORES))
    same_bits(result["other"].values, call(np.array([1, 2, 4])))
    assert result["score"].attrs == scores.attrs
    same_bits(logsumexp(data)["score"].values, np.array(logsumexp(SCORES)))
    with pytest.raises(TypeError, match=f"{call.__name__}: x is an xarray Dataset.*x.map"):
        call(data, axis=0)
    same_bits(data[["score"]].map(lambda v: call(v, axis=1))["score"].values, call(SCORES, axis=1))


def test_strings_in_xarray_are_named():
    xarray = pytest.importorskip("xarray")
    words = xarray.DataArray(["a"], dims="x")
    for function in (softmax, logsumexp, *ELEMENTWISE[1:4]):
        with pytest.raises(TypeError, match=rf"^{function.__name__}: .*has dtype <U1"):
            function(words)
    with pytest.raises(TypeError, match=r"^logit: x is a xarray Dataset, whose variable 'w' has dtype <U1"):
        logit(words.to_dataset(name="w"), 1e-6)


# polars


@pytest.fixture
def polars():
    return pytest.importorskip("polars", reason="polars is not installed: its Series were not tried")


POLARS_DTYPES = ["Float64", "Float32", "Int8", "Int16", "Int64", "UInt8", "UInt16", "UInt64", "Boolean"]
EVERY_POLARS_DTYPE = pytest.mark.parametrize("dtype", POLARS_DTYPES)


def polars_series(polars, dtype):
    values = [True, None, False] if dtype == "Boolean" else [1, None, 0]
    return polars.Series("z", values, dtype=getattr(polars, dtype))


@SHARES
@EVERY_POLARS_DTYPE
def test_nulls_of_polars_stay_and_do_not_count(call, dtype, polars):
    series = polars_series(polars, dtype)
    result = call(series)
    assert result.name == "z"
    assert result.dtype == (polars.Float32 if dtype == "Float32" else polars.Float64)
    assert result.is_null().to_list() == [False, True, False]
    computed = "f4" if dtype == "Float32" else "f8"
    same_bits(result.drop_nulls().to_numpy(), call(np.array([1, 0], computed)))
    same_bits(logsumexp(series), logsumexp(np.array([1, 0], computed)))
    assert series.null_count() == 1


@EVERY_POLARS_DTYPE
@pytest.mark.parametrize("call", ELEMENTWISE)
def test_elementwise_functions_of_polars_have_the_dtype_of_the_contract(call, dtype, polars):
    result = call(polars_series(polars, dtype))
    computed = "f4" if dtype == "Float32" else "f8"
    assert result.dtype == (polars.Float32 if dtype == "Float32" else polars.Float64)
    assert result.name == "z"
    assert result.is_null().to_list() == [False, True, False]
    same_bits(result.drop_nulls().to_numpy(), call(np.array([1, 0], computed)))


@SHARES
def test_frame_of_polars(call, polars):
    frame = polars.DataFrame({"a": [0.5, None, 2.0], "b": [1, 2, None], "c": [True, False, True]})
    result = call(frame, axis=1)
    assert isinstance(result, polars.DataFrame)
    assert result.columns == frame.columns
    masked = np.ma.MaskedArray(
        frame.fill_null(0).to_numpy().astype(float), np.column_stack([c.is_null() for c in frame])
    )
    expected = call(masked, axis=1)
    np.testing.assert_array_equal(np.column_stack([c.is_null() for c in result]), masked.mask)
    same_bits(result.fill_null(7).to_numpy(), expected.filled(7))
    same_bits(logsumexp(frame, axis=1), logsumexp(masked, axis=1).filled(7))


def test_polars_without_numbers(polars):
    for series in (
        polars.Series("z", ["a", "b"]),
        polars.Series("z", ["a", "b"], dtype=polars.Categorical),
        polars.Series("z", ["1.5"]).cast(polars.Decimal(10, 2)),
    ):
        for name, function in (("softmax", softmax), ("logsumexp", logsumexp)):
            with pytest.raises(TypeError, match=rf"^{name}: .*'z'.* has dtype|^{name}: .*\('z'\) have dtype"):
                function(series)
    with pytest.raises(TypeError, match=r"^logit: x is a polars Series.* \('z'\) have dtype String"):
        logit(polars.Series("z", ["a"]), 1e-6)


def test_expressions_of_polars(polars):
    frame = polars.DataFrame({"z": [0.5, None, 0.25]})
    for call in (expit, lambda x: logit(x, 1e-6)):
        result = frame.select(call(polars.col("z")))["z"]
        assert result.equals(call(frame["z"]))
    mapped = polars.col("z").map_batches(softmax, return_dtype=polars.Float64)
    assert frame.select(mapped)["z"].equals(softmax(frame["z"]))
    assert frame.lazy().select(mapped).collect()["z"].equals(softmax(frame["z"]))
    for x in (polars.col("z"), frame.lazy()):
        for function in (softmax, logsumexp):
            with pytest.raises(TypeError, match=rf"^{function.__name__}: .* not computed yet.*map_batches"):
                function(x)


# Masked arrays


@pytest.fixture
def masked():
    return np.ma.MaskedArray(
        [[1.0, 7.0, 3.0], [0.5, np.nan, 2.0], [0.0, 0.0, 0.0]], [[0, 1, 0], [0, 1, 0], [1, 1, 1]],
        fill_value=-9.0, hard_mask=True,
    )


@SHARES
def test_masked_array_comes_back_as_it_was(call, masked):
    result = call(masked, axis=1)
    like = np.exp(masked)
    assert type(result) is type(like)
    assert result.fill_value == like.fill_value == -9.0
    assert result.hardmask
    np.testing.assert_array_equal(result.mask, masked.mask)
    same_bits(result.data[:2, ::2], call(masked.data[:2, ::2].copy(), axis=1))
    result.soften_mask()
    result.mask[0, 1] = False
    assert masked.mask[0, 1]
    plain = np.ma.MaskedArray(SCORES)
    assert call(plain).mask is np.ma.nomask
    whole = np.ma.MaskedArray([1, 2, 3], [0, 0, 1])
    assert call(whole).dtype == np.float64
    assert call(whole).fill_value == np.exp(whole).fill_value


def test_single_masked_numbers():
    assert softmax(np.ma.MaskedArray(1.0, True)) is np.ma.masked is np.exp(np.ma.MaskedArray(1.0, True))
    assert logsumexp(np.ma.MaskedArray(1.0, True)) is np.ma.masked
    assert type(softmax(np.ma.MaskedArray(1.0))) is type(np.exp(np.ma.MaskedArray(1.0)))


def test_logsumexp_of_masked_rows(masked):
    for options in ({}, {"keepdims": True}):
        result, like = logsumexp(masked, axis=1, **options), np.sum(masked, axis=1, **options)
        assert type(result) is type(like)
        np.testing.assert_array_equal(result.mask, like.mask)
        assert result.mask.any()
        same_bits(
            result.data.ravel()[:2], logsumexp(masked.data[:2, ::2].copy(), axis=1)
        )
    assert logsumexp(masked[2]) is np.sum(masked[2]) is np.ma.masked
    same_bits(logsumexp(masked[0]), logsumexp([1.0, 3.0]))
    value, sign = logsumexp(masked, axis=1, return_sign=True)
    np.testing.assert_array_equal(sign.mask, value.mask)
    b = np.ma.MaskedArray([1.0, 2.0, 5.0], [0, 0, 1])
    same_bits(logsumexp(SCORES, axis=1, b=b), logsumexp(SCORES[:, :2].copy(), axis=1, b=[1.0, 2.0]))


@SHARES
def test_masked_out(call, masked):
    out = np.ma.MaskedArray(np.zeros((3, 3)))
    assert call(masked, axis=1, out=out) is out
    np.testing.assert_array_equal(out.mask, masked.mask)
    same_bits(out.data[:2, ::2], call(masked.data[:2, ::2].copy(), axis=1))


# Subclasses


class Labelled(np.ndarray):
    label = None

    def __array_finalize__(self, other):
        self.label = getattr(other, "label", None)


@SHARES
def test_subclasses(call):
    x = SCORES.view(Labelled)
    x.label = "score"
    result = call(x, axis=1)
    assert type(result) is type(np.exp(x)) is Labelled
    assert result.label == np.exp(x).label == "score"
    same_bits(result.view(np.ndarray), call(SCORES, axis=1))
    for axis in (0, None):
        total, like = logsumexp(x, axis=axis), np.sum(x, axis=axis)
        assert type(total) is type(like) is Labelled
        assert total.label == "score"
        same_bits(total.view(np.ndarray), np.asarray(logsumexp(SCORES, axis=axis)))
        assert total.ndim == like.ndim


@SHARES
def test_matrix(call):
    matrix = SCORES.view(np.matrix)
    assert type(call(matrix, axis=1)) is np.matrix
    same_bits(call(matrix, axis=1), call(SCORES, axis=1))
    for axis in (0, 1, None):
        total, like = logsumexp(matrix, axis=axis), np.sum(matrix, axis=axis)
        assert type(total) is type(like)
        assert total.shape == like.shape


@SHARES
def test_memmap(call, tmp_path):
    mapped = np.memmap(tmp_path / "scores", "f8", "w+", shape=SCORES.shape)
    mapped[...] = SCORES
    assert type(call(mapped, axis=1)) is type(np.exp(mapped))
    assert type(logsumexp(mapped)) is type(np.sum(mapped))
    assert type(logsumexp(mapped, axis=0)) is type(np.sum(mapped, axis=0))
    same_bits(call(mapped, axis=1), call(SCORES, axis=1))


# Units


@pytest.mark.parametrize("unit", ["percent", "meter", "dimensionless"])
@pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp, *ELEMENTWISE])
def test_quantities_are_refused(call, unit):
    pint = pytest.importorskip("pint", reason="pint is not installed: its quantities were not tried")
    x = pint.UnitRegistry().Quantity(np.array([50.0, 20.0]), unit)
    name = getattr(call, "__name__", "").replace("<lambda>", "logit")
    cure = r"to\('dimensionless'\)\.magnitude"
    with pytest.raises(TypeError, match=rf"^{name}: [xa] is a Quantity of pint,.*{cure}"):
        call(x)
    if unit == "percent":
        same_bits(call(x.to("dimensionless").magnitude), call(np.array([50.0, 20.0]) * 0.01))


@pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp, *ELEMENTWISE])
def test_astropy_quantities_are_refused(call):
    units = pytest.importorskip("astropy.units", reason="astropy is not installed")
    x = np.array([50.0, 20.0]) * units.percent
    name = getattr(call, "__name__", "").replace("<lambda>", "logit")
    with pytest.raises(TypeError, match=rf"^{name}: [xa] is a Quantity of astropy,.*unit.*to_value\(''\)"):
        call(x)
    same_bits(call(x.to_value("")), call(np.array([50.0, 20.0]) * 0.01))


# Arrays of other libraries


@pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp, *ELEMENTWISE])
@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_short_floats_are_computed_in_float32(call, name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: bfloat16 was not tried")
    x = np.array([0.25, 0.5, 1.0], getattr(ml_dtypes, name))
    same_bits(call(x), call(x.astype(np.float32)))
    assert np.asarray(call(x)).dtype == np.float32


def test_short_floats_beside_others():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([0.25, 0.5], ml_dtypes.bfloat16)
    same_bits(logsumexp(x, b=x), logsumexp(x.astype("f4"), b=x.astype("f4")))
    out = np.empty(2, "f4")
    assert softmax(x, out=out) is out
    same_bits(out, softmax(x.astype("f4")))
    with pytest.raises(TypeError, match="x has dtype int4"):
        softmax(np.array([1, 2], ml_dtypes.int4))


@pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp, *ELEMENTWISE])
def test_tensors(call):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its tensors were not tried")
    x = torch.tensor([0.25, 0.5], dtype=torch.float32)
    assert isinstance(call(x), np.ndarray | np.float32)
    same_bits(call(x), call(np.array([0.25, 0.5], "f4")))


def test_eps_may_be_a_tensor():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its tensors were not tried")
    number = torch.tensor(1e-6, dtype=torch.float64)
    for eps in (number, number.clone().requires_grad_()):
        same_bits(logit(0.0, eps), logit(0.0, 1e-6))
        same_bits(logit(np.array([0.0, 1.0]), eps), logit(np.array([0.0, 1.0]), 1e-6))
    for wrong in (torch.tensor(True), torch.tensor(1j), torch.tensor([1e-6])):
        with pytest.raises(TypeError, match="eps must be a number, not Tensor"):
            logit(0.3, wrong)
    with pytest.raises(ValueError, match=r"eps is 2\.0"):
        logit(0.3, torch.tensor(2.0))


@SHARES
def test_pyarrow_arrays_are_what_numpy_makes_of_them(call):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: its arrays were not tried")
    for array in (pyarrow.array([0.5, 1.0]), pyarrow.chunked_array([[0.5], [1.0]])):
        assert type(call(array)) is np.ndarray
        same_bits(call(array), call(np.array([0.5, 1.0])))
    assert np.isnan(call(pyarrow.array([0.5, None]))).all()  # a null is NaN to NumPy


@SHARES
def test_dlpack(call):
    class Foreign:
        def __dlpack__(self, **options):
            return SCORES.__dlpack__(**options)

        def __dlpack_device__(self):
            return SCORES.__dlpack_device__()

    same_bits(call(Foreign(), axis=1), call(SCORES, axis=1))
    same_bits(logsumexp(Foreign(), axis=1), logsumexp(SCORES, axis=1))
    same_bits(expit(Foreign()), expit(SCORES))
