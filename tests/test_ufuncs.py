"""fastlogit.ufuncs: genuine ufuncs, and the containers that speak NumPy's ufunc protocol."""

import copy
import pickle
import re

import numpy as np
import pytest
from reference import EPS, FUNCTIONS, PUBLIC, bits

import fastlogit
from fastlogit import _elementwise, ufuncs

EVERY_UFUNC = pytest.mark.parametrize(
    "ufunc", [f.ufunc for f in FUNCTIONS.values()], ids=list(FUNCTIONS)
)

# fastlogit.logit(x, eps=...) and the rest, and the ufuncs themselves: what containers are passed to.
EVERY_WAY = pytest.mark.parametrize(
    ("call", "plain"),
    [(way, function.call) for function in FUNCTIONS.values() for way in (function.call, function.ufunc)],
    ids=[f"{name}-{way}" for name in FUNCTIONS for way in ("function", "ufunc")],
)

PROBABILITIES = np.array([[0.0, 0.1, 0.3], [0.5, 0.9, 1.0]])


@EVERY_UFUNC
def test_they_are_unary_ufuncs_with_three_loops(ufunc):
    assert type(ufunc) is np.ufunc
    assert (ufunc.nin, ufunc.nout, ufunc.nargs) == (1, 1, 2)
    assert ufunc.types == ["f->f", "d->d", "g->g"]
    assert ufunc.signature is None
    assert ufunc.identity is None


def test_every_ufunc_and_function_is_tested():
    """The list of the tests is complete."""
    assert {name for name, value in vars(ufuncs).items() if isinstance(value, np.ufunc)} == set(PUBLIC)
    assert {name for name in vars(_elementwise) if name in fastlogit.__all__} - {"ufuncs"} == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_names(name):
    ufunc = getattr(ufuncs, name)
    assert ufunc.__name__ == name
    assert repr(ufunc) == f"<ufunc '{name}'>"


@EVERY_UFUNC
@pytest.mark.parametrize(
    ("dtype", "result"),
    [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("g", "g"), ("?", "f8")]
    + [(code, "f8") for code in np.typecodes["AllInteger"]],
)
def test_dtypes(ufunc, dtype, result):
    x = np.array([0, 1, 1, 0], dtype)
    expected = ufunc(x.astype(result))
    assert expected.dtype == result
    for got in (ufunc(x), ufunc(x, out=np.zeros(4, result)), ufunc(x[::2]).repeat(2)[[0, 2, 3, 1]]):
        assert got.dtype == result
        np.testing.assert_array_equal(got, expected)
    assert ufunc(x[1]).dtype == result
    assert ufunc.resolve_dtypes((np.dtype(dtype), None)) == (np.dtype(result), np.dtype(result))


@EVERY_UFUNC
@pytest.mark.parametrize("x", [1j, "a", None, np.array(["2024-01-01"], "M8[D]")], ids=repr)
def test_what_has_no_loop(ufunc, x):
    with pytest.raises(TypeError):
        ufunc(x)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_as_the_function(name, dtype):
    """Contiguous and strided, short runs and those that use threads."""
    function = FUNCTIONS[name]
    x = function.inputs(60_000, dtype)
    for view in (x, x[::-3], x[:5], x[: x.size // 4 * 4].reshape(4, -1).T, x[5], x[:0]):
        np.testing.assert_array_equal(bits(function.ufunc(view)), bits(function.call(view)))
        out = np.empty_like(view)
        assert function.ufunc(view, out) is out
        np.testing.assert_array_equal(bits(out), bits(function.call(view)))
    expected = function.call(x)
    assert function.ufunc(x, out=x) is x
    np.testing.assert_array_equal(bits(x), bits(expected))


@EVERY_UFUNC
@pytest.mark.parametrize("dtype", ["f4", "f8", "g"])
def test_where_writes_the_masked_elements_and_no_others(ufunc, dtype):
    x = np.linspace(0, 1, 100_001, dtype=dtype)
    for mask in (np.arange(x.size) % 3 == 0, np.arange(x.size) % 30_000 > 100):
        out = np.full_like(x, 7)
        assert ufunc(x, out=out, where=mask) is out
        np.testing.assert_array_equal(out, np.where(mask, ufunc(x), np.asarray(7, dtype)))


@EVERY_UFUNC
def test_methods_of_a_unary_ufunc(ufunc):
    x = np.array([0.1, 0.2, 0.3, 0.4])
    expected = ufunc(x)
    ufunc.at(x, [0, 2])
    np.testing.assert_array_equal(x, [expected[0], 0.2, expected[2], 0.4])
    with pytest.raises(ValueError, match="binary"):
        ufunc.reduce(x)


@EVERY_UFUNC
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_and_copy_give_the_same_object(ufunc, protocol):
    assert pickle.loads(pickle.dumps(ufunc, protocol)) is ufunc
    assert copy.copy(ufunc) is ufunc
    assert copy.deepcopy(ufunc) is ufunc


@pytest.mark.parametrize("eps", [0.0, 5e-324, 1e-6, 0.1, 0.5])
def test_clamped_logit_is_cached_and_pickled_into_another_process(eps, run_python):
    ufunc = ufuncs.clamped_logit(eps)
    assert ufuncs.clamped_logit(eps) is ufunc
    assert (ufunc.nin, ufunc.nout) == (1, 1)
    printed = run_python(
        "import pickle\n"
        "import numpy as np\n"
        f"ufunc = pickle.loads({pickle.dumps(ufunc)!r})\n"
        "print(ufunc(np.array([0.0, 0.25, 1.0])).tobytes().hex())\n"
    )
    assert printed.strip() == ufunc(np.array([0.0, 0.25, 1.0])).tobytes().hex()


def test_clamped_logit_of_another_eps_is_another_ufunc():
    assert ufuncs.clamped_logit(1e-6) is not ufuncs.clamped_logit(1e-7)
    assert ufuncs.clamped_logit(0.25)([0.0, 1.0]).tolist() == [-1.0986122886681098, 1.0986122886681098]


@pytest.mark.parametrize("eps", [-0.1, 0.6, np.nan, np.inf])
def test_clamped_logit_out_of_range(eps):
    with pytest.raises(ValueError, match=r"0 <= eps <= 0\.5"):
        ufuncs.clamped_logit(eps)


@pytest.mark.parametrize("eps", ["0.1", None, 1j, np.zeros(2)])
def test_clamped_logit_of_no_number(eps):
    with pytest.raises(TypeError):
        ufuncs.clamped_logit(eps)


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "logit(x, eps=",
        "logit(x, eps=)",
        "logit(x, eps=zz)",
        "logit(x, eps=1e-6",
        "logit(x, eps=10e-7)",
        "logit(x, eps=1)",
        "logit(x, eps=nan)",
        "expit(x, eps=1e-6)",
    ],
)
def test_attributes_that_do_not_exist(name):
    with pytest.raises(AttributeError, match=re.escape(name)):
        getattr(ufuncs, name)


# Containers


@EVERY_WAY
def test_masked_array(call, plain):
    masked = np.ma.array(PROBABILITIES, mask=[[True, False, False], [False, False, True]])
    result = call(masked)
    assert type(result) is np.ma.MaskedArray
    np.testing.assert_array_equal(result.mask, masked.mask)
    np.testing.assert_array_equal(result.compressed(), plain(PROBABILITIES)[~masked.mask])
    np.testing.assert_array_equal(masked.data, PROBABILITIES)


@EVERY_WAY
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_memmap(call, plain, dtype, tmp_path):
    mapped = np.memmap(tmp_path / "probabilities.bin", dtype, mode="w+", shape=(2, 3))
    mapped[...] = PROBABILITIES
    expected = plain(PROBABILITIES.astype(dtype))
    result = call(mapped)
    np.testing.assert_array_equal(result, expected)
    assert type(result) is type(np.exp(mapped))
    assert call(mapped, out=mapped) is mapped
    mapped.flush()
    on_disk = np.fromfile(tmp_path / "probabilities.bin", dtype).reshape(2, 3)
    np.testing.assert_array_equal(on_disk, expected)


@EVERY_WAY
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_pandas(call, plain, dtype):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    values = (PROBABILITIES if dtype != "int64" else PROBABILITIES > 0.5).astype(dtype)
    frame = pandas.DataFrame(
        values, index=["a", "b"], columns=pandas.Index(["x", "y", "z"], name="model")
    )
    expected = pandas.DataFrame(plain(values), index=frame.index, columns=frame.columns)
    pandas.testing.assert_frame_equal(call(frame), expected)
    pandas.testing.assert_series_equal(call(frame["y"]), expected["y"])
    np.testing.assert_array_equal(frame.to_numpy(), values)
    mixed = frame.assign(y=frame["y"].astype("float32"))
    expected["y"] = plain(values[:, 1].astype("float32"))
    pandas.testing.assert_frame_equal(call(mixed), expected)


@EVERY_WAY
def test_pandas_in_place(call, plain):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    series = pandas.Series(PROBABILITIES[1], name="p")
    memory = series.to_numpy()
    memory.flags.writeable = False  # as in pandas 3
    with pytest.raises(ValueError, match="read-only"):
        call(memory, out=memory)
    np.testing.assert_array_equal(series, PROBABILITIES[1])
    copied = series.to_numpy(copy=True)
    assert call(copied, out=copied) is copied
    np.testing.assert_array_equal(copied, plain(PROBABILITIES[1]))


@EVERY_WAY
def test_xarray(call, plain):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    array = xarray.DataArray(
        PROBABILITIES,
        dims=("fold", "model"),
        coords={"model": ["x", "y", "z"]},
        name="p",
        attrs={"unit": "1"},
    )
    result = call(array)
    assert result.equals(array.copy(data=plain(PROBABILITIES)))
    assert result.name == "p"
    np.testing.assert_array_equal(array, PROBABILITIES)


@EVERY_WAY
def test_dask_stays_lazy_and_in_chunks(call, plain):
    dask_array = pytest.importorskip("dask.array", reason="dask is not installed")
    array = dask_array.from_array(PROBABILITIES, chunks=(1, 2))
    result = call(array)
    assert isinstance(result, dask_array.Array)
    assert result.chunks == array.chunks
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result.compute(scheduler="threads"), plain(PROBABILITIES))


@EVERY_WAY
@pytest.mark.parametrize("dtype", ["Float32", "Float64"])
def test_polars(call, plain, dtype):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    series = polars.Series("p", [0.0, None, 0.1, 1.0], dtype=getattr(polars, dtype))
    values = np.array([0.0, 0.1, 1.0], dtype.lower())
    result = call(series)
    assert isinstance(result, polars.Series)
    assert result.name == "p"
    assert result.dtype == series.dtype
    assert result.is_null().to_list() == [False, True, False, False]
    np.testing.assert_array_equal(result.drop_nulls().to_numpy(), plain(values))


def test_the_ufunc_that_containers_meet_is_the_cached_one():
    seen = []

    class Recorder:
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            seen.append((ufunc, method, len(inputs), kwargs))
            return "handled"

    for function in FUNCTIONS.values():
        assert function.call(Recorder()) == "handled"
        out = Recorder()
        assert function.call(PROBABILITIES, out=out, where=False) == "handled"
        assert seen == [
            (function.ufunc, "__call__", 1, {}),
            (function.ufunc, "__call__", 1, {"out": (out,), "where": False}),
        ]
        seen.clear()
    assert FUNCTIONS["clamped_logit"].ufunc is ufuncs.clamped_logit(EPS)
