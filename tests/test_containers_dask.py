"""dask arrays and DataFrames, and DataArrays of dask: lazy, in the chunks that they have."""

import weakref

import numpy as np
import pytest
from reference import exact_log_softmax, exact_softmax, longdouble_is_wider, same_bits, ulp_error

from fastlogit import expit, log_expit, log_softmax, logit, logsumexp, softmax, softplus

da = pytest.importorskip("dask.array", reason="dask is not installed: its arrays were not tried")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.once

CALLS = pytest.mark.parametrize("call", [softmax, log_softmax, logsumexp])
SHARES = pytest.mark.parametrize("call", [softmax, log_softmax])
EVERY_DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "float16", "bool"])
ELEMENTWISE = [logit, expit, log_expit, softplus, lambda x: logit(x, 1e-6)]
CHUNKS = (4, 2, 3)


def scores(dtype="float64"):
    return np.random.default_rng(3).normal(0, 3, (6, 5, 8)).astype(dtype)


def unreadable(dtype="float64", chunks=CHUNKS, shape=(6, 5, 8)):
    """A dask array that cannot be computed."""

    def fail(block):
        raise AssertionError("computed")

    return da.zeros(shape, chunks=chunks, dtype=dtype).map_blocks(fail, dtype=dtype, meta=np.empty(0, dtype))


@CALLS
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_nothing_is_computed_and_dtype_and_chunks_are_known(call, dtype, axis):
    lazy = unreadable(dtype)
    for options in ({}, {"where": unreadable("bool")}):
        result = call(lazy, axis=axis, **options)
        whole = call(scores(dtype), axis=axis)
        assert isinstance(result, da.Array)
        assert result.dtype == whole.dtype
        assert result._meta.dtype == whole.dtype
        assert result.shape == np.shape(whole)
        if call is not logsumexp:
            assert result.chunks == lazy.chunks


@pytest.mark.skipif(not longdouble_is_wider, reason="long double is the reference")
@SHARES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_along_a_chunked_axis(call, dtype, axis):
    x = scores(dtype)
    exact = {"softmax": exact_softmax, "log_softmax": exact_log_softmax}[call.__name__](x, axis)
    result = call(da.from_array(x, chunks=CHUNKS), axis=axis).compute(scheduler="synchronous")
    assert result.dtype == dtype
    assert ulp_error(result, exact).max() <= 1.7  # kernels/parts.pyx


@CALLS
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [1, (1, 2)])
def test_bits_are_those_of_the_array_where_slices_are_whole(call, dtype, axis):
    x = scores(dtype)
    lazy = da.from_array(x, chunks=(4, 5, 8))
    same_bits(call(lazy, axis=axis).compute(), call(x, axis=axis))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_logsumexp_of_chunked_slices(axis, keepdims):
    x = scores()
    result = logsumexp(da.from_array(x, chunks=CHUNKS), axis=axis, keepdims=keepdims)
    expected = logsumexp(x, axis=axis, keepdims=keepdims)
    assert result.shape == np.shape(expected)
    got = result.compute()
    assert (np.abs(got - expected) <= 2 * np.spacing(np.maximum(np.abs(expected), x.max()))).all()


@SHARES
def test_bits_do_not_depend_on_the_scheduler(call):
    lazy = da.from_array(scores(), chunks=CHUNKS)
    first = call(lazy, axis=0).compute(scheduler="synchronous")
    for _ in range(5):
        same_bits(call(lazy, axis=0).compute(scheduler="threads", num_workers=4), first)


@CALLS
def test_masks_are_lazy(call):
    x, mask = scores(), scores() > 0
    lazy = da.from_array(x, chunks=CHUNKS)
    whole = da.from_array(x, chunks=-1)
    for where in (mask, da.from_array(mask, chunks=(3, 5, 1)), mask[0], da.from_array(mask[0], chunks=2)):
        expected = call(x, axis=1, where=np.broadcast_to(np.asarray(where), x.shape))
        np.testing.assert_allclose(call(lazy, axis=1, where=where).compute(), expected, rtol=1e-15)
        same_bits(call(whole, axis=1, where=where).compute(), expected)
    with pytest.raises(TypeError, match="where has dtype float64 and must be boolean"):
        call(lazy, where=x)


@CALLS
def test_chunks_without_elements_and_empty_arrays(call):
    x = scores()
    lazy = da.from_array(x, chunks=((0, 4, 0, 2), (5,), (8, 0)))
    np.testing.assert_allclose(call(lazy, axis=0).compute(), call(x, axis=0), rtol=1e-15)
    empty = da.zeros((0, 3), chunks=2)
    for axis in (0, 1):
        same_bits(call(empty, axis=axis).compute(), call(np.zeros((0, 3)), axis=axis))


@CALLS
def test_single_numbers_and_no_axes(call):
    single = da.from_array(np.array(1.5))
    result = call(single)
    assert result.shape == ()
    same_bits(result.compute(), np.asarray(call(1.5)))
    x = scores()
    result = call(da.from_array(x, chunks=CHUNKS), axis=())
    assert result.dtype == x.dtype
    same_bits(result.compute(), call(x, axis=()))


@CALLS
def test_special_values_in_other_chunks(call):
    for row in ([np.inf, 0.0], [0.0, np.nan], [-np.inf, -np.inf], [-np.inf, 3.0], [-0.0, 0.0]):
        lazy = da.from_array(np.array(row), chunks=1)
        same_bits(call(lazy).compute(), np.asarray(call(np.array(row))))


@CALLS
def test_unknown_chunks_and_long_double_are_gathered(call):
    x = scores()[:, 0, :]
    lazy = da.from_array(x, chunks=(2, 8))
    unknown = lazy[lazy[:, 0] > -100]
    assert np.isnan(unknown.chunks[0][0])
    same_bits(call(unknown, axis=1).compute(), call(x, axis=1))
    wide = da.from_array(x.astype("g"), chunks=(2, 3))
    result = call(wide, axis=1)
    assert result.dtype == np.longdouble
    same_bits(result.compute(), call(x.astype("g"), axis=1))


@CALLS
def test_masked_chunks(call):
    x = np.ma.MaskedArray(scores()[:, 0, :], scores()[:, 1, :] > 1)
    lazy = da.from_array(x, chunks=(2, 3))
    result = call(lazy, axis=1).compute()
    expected = call(x, axis=1)
    np.testing.assert_array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(expected))
    same_bits(result.filled(7), expected.filled(7))


def test_tasks_of_a_chunked_axis():
    """Each chunk is read once and written once, and nothing of its size goes anywhere."""
    lazy = da.from_array(scores(), chunks=(1, 5, 8))
    chunks = lazy.npartitions
    assert len(logsumexp(lazy, axis=0).__dask_graph__().to_dict()) <= 5 * chunks
    assert len(softmax(lazy, axis=0).__dask_graph__().to_dict()) <= 6 * chunks


class Source:
    """Chunks that are made when asked for, and how many of them there are at most at one time."""

    def __init__(self, chunks):
        self.chunks, self.now, self.most, self.read = chunks, 0, 0, 0

    def array(self):
        chunks = ((1000,) * self.chunks, (8,))
        return da.map_blocks(self.chunk, chunks=chunks, dtype=float, meta=np.empty((0, 0)))

    def chunk(self, block_id=None):
        self.now += 1
        self.read += 1
        self.most = max(self.most, self.now)
        made = np.random.default_rng(block_id[0]).normal(size=(1000, 8))
        weakref.finalize(made, self.forget)
        return made

    def forget(self):
        self.now -= 1


@CALLS
def test_no_more_than_a_few_chunks_are_in_memory(call):
    """Along the chunked axis of an array that is never in memory whole."""
    source = Source(32)
    result = call(source.array(), axis=0)
    x = np.concatenate([Source(32).chunk((i,)) for i in range(32)])
    same = result.sum(axis=0) if call is not logsumexp else result
    expected = call(x, axis=0)
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_allclose(
            same.compute(), expected.sum(axis=0) if call is not logsumexp else expected, rtol=1e-12
        )
    assert source.most <= 3
    assert source.read == (32 if call is logsumexp else 64)


@SHARES
def test_what_is_computed_is_computed_once(call):
    source = Source(8)
    with dask.config.set(scheduler="synchronous"):
        call(expit(source.array()), axis=0).compute()
    assert source.read == 8
    persisted = source.array().persist(scheduler="synchronous")
    call(persisted, axis=0).compute(scheduler="synchronous")
    assert source.read == 16


@CALLS
def test_options_without_a_lazy_meaning_are_refused(call):
    lazy = unreadable()
    with pytest.raises(TypeError, match=f"{call.__name__}: .* dask Array.* computed at once"):
        call(lazy, out=np.empty(lazy.shape if call is not logsumexp else ()))
    if call is logsumexp:
        for options in ({"b": 2.0}, {"return_sign": True}):
            with pytest.raises(TypeError, match=r"logsumexp: (b|return_sign) does not go with a dask"):
                call(lazy, **options)
    with pytest.raises(np.exceptions.AxisError):
        call(lazy, axis=3)
    with pytest.raises(TypeError, match="has dtype complex128"):
        call(lazy.astype(complex))


# DataFrames of dask


@pytest.fixture
def frames():
    pd = pytest.importorskip("pandas", reason="pandas is not installed: no DataFrame of dask was tried")
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
    frame = pd.DataFrame({"a": [0.1, 0.2, 0.3], "b": [1.0, 2.0, 3.0]}, index=[3, 4, 5])
    return frame, dd.from_pandas(frame, npartitions=2)


@CALLS
def test_rows_of_a_dask_frame_are_lazy(call, frames):
    import pandas as pd

    frame, lazy = frames
    for axis in (1, -1):
        result = call(lazy, axis=axis)
        assert type(result).__module__.startswith("dask")
        expected = call(frame, axis=axis)
        if call is logsumexp:
            assert result.dtype == expected.dtype
            pd.testing.assert_series_equal(result.compute(), expected)
        else:
            assert list(result.dtypes) == list(expected.dtypes)
            pd.testing.assert_frame_equal(result.compute(), expected)


@CALLS
def test_what_goes_across_partitions_is_refused(call, frames):
    _, lazy = frames
    for x, axis in ((lazy, None), (lazy, 0), (lazy, (0, 1)), (lazy["a"], None), (lazy["a"], 0)):
        with pytest.raises(TypeError, match=rf"{call.__name__}: .*partitions.*to_dask_array\(lengths=True\)"):
            call(x, axis=axis)
    with pytest.raises(TypeError, match="where does not go with a dask DataFrame"):
        call(lazy, axis=1, where=np.ones((3, 2), bool))
    array = lazy.to_dask_array(lengths=True)
    np.testing.assert_allclose(call(array).compute(), call(frames[0].to_numpy()), rtol=1e-15)


@pytest.mark.parametrize("call", ELEMENTWISE)
def test_elementwise_functions_of_dask_frames(call, frames):
    import pandas as pd

    frame, lazy = frames
    result = call(lazy)
    assert type(result) is type(np.exp(lazy))
    pd.testing.assert_frame_equal(result.compute(), call(frame))
    pd.testing.assert_series_equal(call(lazy["a"]).compute(), call(frame["a"]))


# DataArrays of dask


@CALLS
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2)])
def test_data_array_of_dask_stays_lazy(call, axis):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    array = xarray.DataArray(
        unreadable(), dims=("x", "y", "z"), coords={"x": np.arange(6)}, attrs={"unit": "nat"}, name="score"
    )
    result = call(array, axis=axis)
    assert isinstance(result, xarray.DataArray)
    assert isinstance(result.data, da.Array)
    assert result.attrs == (np.exp(array) if call is not logsumexp else np.sum(array)).attrs
    like = array if call is not logsumexp else array.isel(dict.fromkeys(array.dims, slice(0, 1))).sum(
        None if axis is None else [array.dims[i] for i in np.atleast_1d(axis)]
    )
    assert result.dims == like.dims
    known = array.copy(data=da.from_array(scores(), chunks=CHUNKS))
    np.testing.assert_allclose(call(known, axis=axis).compute(), call(scores(), axis=axis), rtol=1e-14)
    lazy_set = known.to_dataset()
    result = call(lazy_set)
    assert isinstance(result["score"].data, da.Array)


def test_elementwise_functions_of_lazy_data_arrays():
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    for call in ELEMENTWISE:
        assert isinstance(call(xarray.DataArray(unreadable())).data, da.Array)
