"""pandas objects as arguments, cell by cell of the table in docs/containers.rst."""

import numpy as np
import pytest
from memory import traced_peak
from reference import same_bits

from fastlogit import expit, log_softmax, logit, logsumexp, softmax

pd = pytest.importorskip("pandas", reason="pandas is not installed: none of its objects was tried")
pytestmark = pytest.mark.once

SHARES = pytest.mark.parametrize("call", [softmax, log_softmax])
VALUES = np.array([0.5, -1.0, 2.0, 0.25])
HIDDEN = np.array([False, False, True, False])
# dtype of the argument: of the result, and of the computation
EXTENSIONS = {
    "Float64": ("Float64", "f8"),
    "Float32": ("Float32", "f4"),
    "Int64": ("Float64", "f8"),
    "Int8": ("Float64", "f8"),
    "UInt16": ("Float64", "f8"),
    "boolean": ("Float64", "f8"),
    "float64[pyarrow]": ("double[pyarrow]", "f8"),
    "float32[pyarrow]": ("float[pyarrow]", "f4"),
    "halffloat[pyarrow]": ("float[pyarrow]", "f4"),
    "int64[pyarrow]": ("double[pyarrow]", "f8"),
    "uint8[pyarrow]": ("double[pyarrow]", "f8"),
    "bool[pyarrow]": ("double[pyarrow]", "f8"),
}
EVERY_EXTENSION = pytest.mark.parametrize("dtype", EXTENSIONS)


def values_of(dtype):
    if "bool" in dtype:
        return np.array([True, False, True, True])
    if "nt" in dtype:
        return np.array([5, 1, 2, 0])
    return VALUES


def extension_series(dtype, hidden=HIDDEN):
    values = [pd.NA if h else v for v, h in zip(values_of(dtype).tolist(), hidden, strict=True)]
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    series = pd.Series(values, index=[7, 3, 3, 9], name="score", dtype=dtype)
    series.attrs["source"] = "model"
    return series


@SHARES
@EVERY_EXTENSION
def test_extension_series(call, dtype):
    series = extension_series(dtype)
    before = series.copy(deep=True)
    result = call(series)
    expected_dtype, computed = EXTENSIONS[dtype]
    assert type(result) is pd.Series
    assert str(result.dtype) == expected_dtype
    assert result.index.equals(series.index)
    assert result.name == "score"
    assert result.attrs == {"source": "model"}
    np.testing.assert_array_equal(result.isna(), HIDDEN)
    same_bits(result[~HIDDEN].to_numpy(computed), call(values_of(dtype)[~HIDDEN].astype(computed)))
    pd.testing.assert_series_equal(series, before)


@SHARES
@EVERY_EXTENSION
def test_extension_series_without_missing_values(call, dtype):
    series = extension_series(dtype, np.zeros(4, bool))
    expected_dtype, computed = EXTENSIONS[dtype]
    result = call(series)
    assert str(result.dtype) == expected_dtype
    assert not result.isna().any()
    same_bits(result.to_numpy(computed), call(values_of(dtype).astype(computed)))


@EVERY_EXTENSION
def test_logsumexp_of_an_extension_series(dtype):
    series = extension_series(dtype)
    computed = EXTENSIONS[dtype][1]
    result = logsumexp(series)
    assert type(result) is np.dtype(computed).type
    same_bits(result, logsumexp(values_of(dtype)[~HIDDEN].astype(computed)))
    same_bits(logsumexp(series, keepdims=True), np.array([result]))
    value, sign = logsumexp(series, return_sign=True)
    same_bits((value, sign), (result, np.dtype(computed).type(1)))


def test_a_nan_is_a_number_that_counts():
    series = pd.Series(pd.arrays.FloatingArray(np.array([0.0, np.nan, 1.0]), np.array([False, False, True])))
    result = softmax(series)
    np.testing.assert_array_equal(result.array.isna()[2], True)
    assert np.isnan(result.to_numpy(float, na_value=7)[:2]).all()
    assert np.isnan(softmax(pd.Series([0.0, np.nan]))).all()


@SHARES
def test_all_missing(call):
    series = pd.Series([pd.NA, pd.NA], dtype="Float64")
    assert call(series).isna().all()
    assert logsumexp(series) == -np.inf  # of nothing, as the sum is 0


@SHARES
@pytest.mark.parametrize("values", [["a", "b"], [1, 2]])
def test_categories_are_refused(call, values):
    series = pd.Series(values, dtype="category")
    for function in (call, logsumexp, expit):
        with pytest.raises(TypeError, match=rf"{function.__name__}: .* has dtype category.*cat\.codes"):
            function(series)


@pytest.mark.parametrize("kind", ["str", "datetime64[ns]", "object", "complex128"])
@pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp, expit, lambda x: logit(x, 1e-6)])
def test_the_message_names_column_and_function(call, kind):
    column = {"str": ["x"], "datetime64[ns]": [0], "object": [[]], "complex128": [1j]}[kind]
    frame = pd.DataFrame({"good": [1.0], "bad": pd.Series(column, dtype=kind)})
    name = getattr(call, "__name__", "").replace("<lambda>", "logit")
    dtype = frame["bad"].dtype
    with pytest.raises(TypeError) as caught:
        call(frame)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert f"column 'bad' has dtype {dtype}" in message
    assert "eps=" not in message
    with pytest.raises(TypeError, match=f"^{name}: .* has dtype {dtype.name[:6]}".replace("[", r"\[")):
        call(frame["bad"])


@SHARES
def test_sparse_becomes_dense(call):
    series = pd.Series([0.0, 1.0, 0.0]).astype("Sparse[float64]")
    result = call(series)
    assert result.dtype == np.float64
    same_bits(result.to_numpy(), call(np.array([0.0, 1.0, 0.0])))


@SHARES
@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(4, name="n"),
        pd.Index([1.0, 2.0, 0.5], name="n"),
        pd.Index([3, 1], name="n"),
        pd.Index([1.0, 2.0], dtype="Float64", name="n"),
    ],
    ids=["RangeIndex", "float64", "int64", "Float64"],
)
def test_index(call, index):
    result = call(index)
    like = np.exp(index)
    assert type(result) is type(like) is pd.Index
    assert result.dtype == like.dtype
    assert result.name == "n"
    same_bits(result.to_numpy(float), call(index.to_numpy().astype(float)))
    same_bits(logsumexp(index), logsumexp(index.to_numpy().astype(float)))


def test_indexes_without_numbers():
    for index in (pd.MultiIndex.from_tuples([(1, 2)]), pd.Index(["a"]), pd.DatetimeIndex(["2024-01-01"])):
        with pytest.raises(TypeError, match="softmax: x has dtype"):
            softmax(index)


@SHARES
def test_extension_arrays(call):
    for array in (pd.array([0.5, None, 1.0]), pd.array([1, None, 3]), pd.array([1.0, 2.0], dtype="Float32")):
        result = call(array)
        assert type(result) is type(np.exp(array))
        assert result.dtype == np.exp(array).dtype
        pd.testing.assert_extension_array_equal(result, call(pd.Series(array)).array)
    plain = pd.arrays.NumpyExtensionArray(np.array([1.0, 2.0]))
    assert type(call(plain)) is type(plain)
    same_bits(call(plain).to_numpy(), call(np.array([1.0, 2.0])))


# DataFrames


def mixed_frame():
    frame = pd.DataFrame(
        {
            "nullable": pd.array([0.5, None, 2.0], dtype="Float64"),
            "plain": [1.0, -1.0, 0.25],
            "flag": [True, False, True],
            "short": np.array([3, 1, 2], "f4"),
            "whole": pd.array([None, 4, 5], dtype="Int64"),
        },
        index=pd.Index([5, 1, 1], name="row"),
    )
    frame.attrs["source"] = "model"
    return frame


def as_masked(frame):
    missing = frame.isna().to_numpy()
    values = np.column_stack([frame[c].to_numpy(float, na_value=0) for c in frame])
    return np.ma.MaskedArray(values, missing)


@SHARES
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)])
def test_mixed_frame(call, axis):
    frame = mixed_frame()
    before = frame.copy(deep=True)
    result = call(frame, axis=axis)
    expected = call(as_masked(frame), axis=axis)
    assert list(result.dtypes.astype(str)) == ["Float64", "float64", "float64", "float64", "Float64"]
    assert result.columns.equals(frame.columns)
    assert result.index.equals(frame.index)
    assert result.index.name == "row"
    assert result.attrs == frame.attrs
    np.testing.assert_array_equal(result.isna(), expected.mask)
    same_bits(as_masked(result).filled(7), expected.filled(7))
    pd.testing.assert_frame_equal(frame, before)


@SHARES
def test_arrow_frame(call):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = pd.DataFrame({"a": [0.5, None, 2.0], "b": [1, 2, 3]}).astype(
        {"a": "float64[pyarrow]", "b": "int64[pyarrow]"}
    )
    result = call(frame, axis=1)
    assert list(result.dtypes.astype(str)) == ["double[pyarrow]"] * 2
    same_bits(as_masked(result).filled(7), call(as_masked(frame), axis=1).filled(7))
    assert str(logsumexp(frame, axis=1).dtype) == "double[pyarrow]"


@SHARES
def test_labels_of_every_kind(call):
    columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2)], names=["x", "y"])
    frame = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=columns, index=[0, 0])
    for one in (frame, frame.astype("Float64")):
        result = call(one, axis=1)
        assert result.columns.equals(columns)
        assert result.columns.names == ["x", "y"]
        assert result.index.equals(frame.index)
        same_bits(result.to_numpy(float), call(frame.to_numpy(), axis=1))
        assert logsumexp(one, axis=0).index.equals(columns)


@SHARES
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("dtype", ["float32", "Float64"])
def test_empty_frames(call, shape, dtype):
    frame = pd.DataFrame(np.zeros(shape)).astype(dtype)
    result = call(frame, axis=1)
    assert result.shape == shape
    assert result.index.equals(frame.index)
    assert result.columns.equals(frame.columns)
    if shape[1]:
        assert (result.dtypes == dtype).all()
    assert len(logsumexp(frame, axis=1)) == shape[0]
    assert call(pd.Series([], dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "Float32", "Float64"])
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_logsumexp_has_the_labels_that_remain(dtype, axis):
    values = np.array([[1, 2, 4], [0, 5, 3]])
    frame = pd.DataFrame(values, index=list("pq"), columns=list("abc")).astype(dtype)
    frame.attrs["source"] = "model"
    result = logsumexp(frame, axis=axis)
    computed = "f4" if dtype.endswith("32") else "f8"
    labels = frame.columns if axis in (0, -2) else frame.index
    expected = pd.Series(
        logsumexp(values.astype(computed), axis=axis), labels,
        dtype=dtype if dtype[0] in "fF" else "float64",
    )
    pd.testing.assert_series_equal(result, expected, check_exact=True)
    assert result.attrs == frame.attrs
    value, sign = logsumexp(frame, axis=axis, return_sign=True)
    pd.testing.assert_series_equal(value, expected, check_exact=True)
    assert (sign == 1).all()
    assert sign.index.equals(labels)
    same_bits(logsumexp(frame), logsumexp(values.astype(computed)))
    kept = logsumexp(frame, axis=axis, keepdims=True)
    same_bits(kept, logsumexp(values.astype(computed), axis=axis, keepdims=True))
    assert kept.ndim == 2


def test_logsumexp_of_missing_rows():
    frame = pd.DataFrame({"a": [1.0, None, None], "b": [2.0, 3.0, None]}, dtype="Float64")
    result = logsumexp(frame, axis=1)
    assert result.dtype == "Float64"
    assert not result.isna().any()
    same_bits(result.to_numpy(float), [logsumexp([1.0, 2.0]), 3.0, -np.inf])


@SHARES
def test_subclasses_stay_subclasses(call):
    class Scores(pd.DataFrame):
        @property
        def _constructor(self):
            return Scores

        @property
        def _constructor_sliced(self):
            return Score

    class Score(pd.Series):
        @property
        def _constructor(self):
            return Score

    scores = Scores({"a": [1.0, 2.0], "b": [0.5, 0.25]})
    assert type(call(scores, axis=1)) is type(np.exp(scores)) is Scores
    assert type(call(scores["a"])) is type(np.exp(scores["a"])) is Score
    assert type(logsumexp(scores, axis=1)) is type(scores.sum(axis=1)) is Score
    with pytest.raises(TypeError, match="out is a pandas Score"):
        call(scores["a"], out=scores["a"])
    with pytest.raises(ValueError, match="where has other labels"):
        call(scores["a"], where=Score([True, False], [1, 0]))


# Several arguments


def test_other_labels_are_refused():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]})
    mask = frame > 0.4
    for where in (mask[["b", "a"]], mask.iloc[::-1]):
        with pytest.raises(ValueError, match=r"softmax: where has other labels.*to_numpy\(\)"):
            softmax(frame, axis=1, where=where)
    same_bits(
        softmax(frame, axis=1, where=mask).to_numpy(),
        softmax(frame.to_numpy(), axis=1, where=mask.to_numpy()),
    )
    series = frame["a"]
    with pytest.raises(ValueError, match="logsumexp: b has other labels"):
        logsumexp(series, b=series.iloc[::-1])
    same_bits(logsumexp(series, b=series), logsumexp(series.to_numpy(), b=series.to_numpy()))
    weights = pd.Series([2.0, 3.0], ["a", "b"])
    same_bits(
        logsumexp(frame, axis=1, b=weights).to_numpy(),
        logsumexp(frame.to_numpy(), axis=1, b=weights.to_numpy()),
    )
    with pytest.raises(ValueError, match="logsumexp: b has other labels"):
        logsumexp(frame, axis=1, b=weights.iloc[::-1])


def test_missing_weights_do_not_count():
    a = np.array([1.0, 2.0, 3.0])
    b = pd.Series([0.5, None, 2.0], dtype="Float64")
    for values in (a, pd.Series(a)):
        same_bits(logsumexp(values, b=b), logsumexp(a[::2].copy(), b=[0.5, 2.0]))
    with pytest.raises(TypeError, match="where has dtype object"):
        softmax(a, where=pd.array([True, None, False]))


# In place


def clamped(x, out=None):
    return logit(x, 1e-6, out=out)


@pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp, expit, logit, clamped])
@pytest.mark.parametrize("kind", ["series", "frame", "nullable", "array and series"])
def test_out_is_no_series(call, kind):
    made = pd.Series([0.25, 0.5], name="p")
    made = {"frame": made.to_frame(), "nullable": made.astype("Float64")}.get(kind, made)
    before = made.copy(deep=True)
    x = np.array([0.25, 0.5]) if kind == "array and series" else made
    with pytest.raises(TypeError, match=r"out is a pandas.*out\[:\] = .*to_numpy\(copy=True\)"):
        call(x, out=made)
    assert made.equals(before)


@SHARES
def test_an_array_as_out_has_nan_for_what_is_missing(call):
    series = extension_series("Float64")
    out = np.full(4, 7.0)
    assert call(series, out=out) is out
    same_bits(out[~HIDDEN], call(VALUES[~HIDDEN]))
    assert np.isnan(out[HIDDEN]).all()
    total = np.array(7.0)
    assert logsumexp(series, out=total) is total
    same_bits(total, np.array(logsumexp(series)))


def writeable(series):
    """The memory of a Series that nothing else looks at: pandas 3 hands it out read-only."""
    array = series.to_numpy()
    array.flags.writeable = True
    return array


@pytest.mark.parametrize("call", [expit, softmax, clamped])
def test_in_place_without_a_copy(call):
    """The idiom of docs/containers.rst."""
    values = np.random.default_rng(3).random(200_000)
    series = pd.Series(values.copy(), copy=False)
    expected = call(values.copy(), out=np.empty_like(values))

    def in_place():
        array = writeable(series)
        assert call(array, out=array) is array

    assert traced_peak(in_place) < values.nbytes / 10
    same_bits(series.to_numpy(), expected)


def test_results_share_no_memory_with_the_argument():
    plain = pd.DataFrame(np.arange(6.0).reshape(2, 3), copy=False)
    for x in (pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0], dtype="Float64"), plain, mixed_frame()):
        before = x.copy(deep=True)
        result = softmax(x)
        assert x.equals(before)
        result.iloc[0] = 99.0
        assert x.equals(before)


# Memory


@SHARES
@pytest.mark.parametrize("kind", ["one block", "several blocks", "several dtypes", "nullable", "series"])
def test_one_result_and_no_more(call, kind):
    n = 100_000
    values = np.random.default_rng(0).normal(size=(n, 6))
    frame = pd.DataFrame(values)
    if kind == "several blocks":
        frame = pd.concat([frame[[0, 1, 2]], pd.DataFrame(values[:, 3:], columns=[3, 4, 5])], axis=1)
    elif kind == "several dtypes":
        frame = frame.astype({0: "float32", 3: "int64"})
    elif kind == "nullable":
        frame = frame.astype("Float64")
    x, axis = (frame[0], None) if kind == "series" else (frame, 1)
    nbytes = 8 * x.size
    kept = []
    call(x, axis=axis)
    peak = traced_peak(lambda: kept.append(call(x, axis=axis)))
    # Masks of what is missing have a byte for eight of the result.
    allowed = {"nullable": 1.4, "several dtypes": 1.3}.get(kind, 1.05)
    assert nbytes <= peak < allowed * nbytes


def test_no_library_is_imported(run_python):
    names = ["pandas", "xarray", "dask", "polars", "pyarrow", "torch", "scipy"]
    code = f"import sys, fastlogit; fastlogit.softmax([1.0]); print([n for n in {names} if n in sys.modules])"
    assert run_python(code).strip() == "[]"
