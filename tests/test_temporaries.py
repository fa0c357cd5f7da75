"""No temporary of the array's size, also where x and out lie in one array, or a dtype has to be converted."""

import numpy as np
import pytest
from memory import MEGABYTE, traced_peak
from reference import DTYPES, FUNCTIONS, bits, same_bits

from fastlogit import log_softmax, logsumexp, softmax
from fastlogit._blocks import MOST_ELEMENTS, blocks

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
NORMALISING = pytest.mark.parametrize("call", [softmax, log_softmax])

KILOBYTES = 2**10
SHAPE = (1024, 1024)

# Blocks of so many bytes for each element, and what Python itself takes meanwhile.
BLOCK = MOST_ELEMENTS
SLACK = 64 * KILOBYTES


def scores(dtype, shape=SHAPE):
    values = np.random.default_rng(5).normal(0, 3, shape)
    return (values > 0 if dtype == "bool" else values).astype(dtype)


# Two views of one array that lie between each other and share no element.
INTERLEAVED = {
    "every second element": lambda base: (base.ravel()[::2], base.ravel()[1::2]),
    "every second row": lambda base: (base[::2], base[1::2]),
    "the halves of the rows": lambda base: (base[:, :512], base[:, 512:]),
    "every third column, in another order": lambda base: (base[:, :1020:3], base[:, 1021:1:-3]),
    "one half backwards": lambda base: (base[:, 511::-1], base[:, 512:]),
    "planes of three axes": lambda base: (
        base.reshape(64, 64, 256)[:, :32, ::2],
        base.reshape(64, 64, 256)[:, 32:, 1::2],
    ),
    "columns, transposed": lambda base: (base[:512, :512].T, base[:512, 512:].T),
}


@EVERY_DTYPE
@pytest.mark.parametrize("views", INTERLEAVED)
@pytest.mark.parametrize("name", [*FUNCTIONS, "softmax", "log_softmax"])
def test_out_that_lies_between_the_elements_of_x(name, views, dtype):
    if name in FUNCTIONS:
        call, base = FUNCTIONS[name].call, np.abs(scores(dtype)) % 1
    else:
        call, base = {"softmax": softmax, "log_softmax": log_softmax}[name], scores(dtype)
    options = {} if name in FUNCTIONS else {"axis": -1}
    x, out = INTERLEAVED[views](base)
    assert x.shape == out.shape
    assert not np.shares_memory(x, out)
    expected = base.copy()
    INTERLEAVED[views](expected)[1][...] = call(x.copy(), **options)
    assert traced_peak(lambda: call(x, out=out, **options)) < 16 * KILOBYTES
    same_bits(base, expected)


@NORMALISING
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("x_dtype", ["f2", "f4", "f8", ">f8", "longdouble", "int8", "int64", "bool"])
@pytest.mark.parametrize("out_dtype", ["float16", "float32", "float64", ">f4", "longdouble"])
def test_out_of_another_dtype_asks_for_blocks(call, x_dtype, out_dtype, axis):
    x = scores(x_dtype)
    out = np.empty(SHAPE, out_dtype)
    with np.errstate(all="ignore"):  # what float16 cannot hold
        expected = call(x, axis=axis).astype(out_dtype)
    wide = call(x[:1, :1]).dtype
    # The block itself; long double has one more for what NumPy computes beside it.
    limit = (3 if x_dtype == "longdouble" else 1) * BLOCK * wide.itemsize + SLACK
    if wide == out_dtype and x_dtype != "longdouble":
        limit = SLACK
    assert traced_peak(lambda: call(x, axis=axis, out=out)) < limit
    np.testing.assert_array_equal(out, expected)


@NORMALISING
@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", "longdouble", "int8", "uint64", "bool"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_new_result_is_all_that_is_asked_for(call, dtype, axis):
    x = scores(dtype) if dtype != "uint64" else np.abs(scores(dtype="i8")).astype(dtype)
    wide = call(x[:1, :1]).dtype
    kept = []
    peak = traced_peak(lambda: kept.append(call(x, axis=axis)))
    assert peak - kept[0].nbytes < (3 * BLOCK * wide.itemsize if dtype == "longdouble" else 0) + SLACK
    same_bits(kept[0], call(x.astype(wide), axis=axis))


@NORMALISING
@pytest.mark.parametrize("axis", [0, 1])
def test_longdouble_in_place_asks_for_blocks(call, axis):
    x = scores("longdouble")
    expected = call(x, axis=axis)
    assert traced_peak(lambda: call(x, axis=axis, out=x)) < 3 * BLOCK * x.itemsize + SLACK
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", "longdouble", "int8", "int64", "bool"])
@pytest.mark.parametrize("masked", [False, True])
def test_logsumexp_of_what_has_to_be_converted(dtype, axis, masked):
    x = scores(dtype)
    where = np.random.default_rng(1).random(SHAPE) < 0.7 if masked else True
    wide = logsumexp(x[:1, :1]).dtype
    expected = logsumexp(x.astype(wide), axis=axis, where=where)
    limit = (3 if dtype == "longdouble" else 1) * BLOCK * wide.itemsize + SLACK
    assert traced_peak(lambda: logsumexp(x, axis=axis, where=where)) < limit
    same_bits(logsumexp(x, axis=axis, where=where), expected)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("x_dtype", "b_dtype"),
    [("float32", "float64"), ("float64", "float32"), ("int8", "int8"), ("float16", "int16"), ("f4", "g")],
)
@pytest.mark.parametrize("b_shape", [SHAPE, (1024, 1), (1024,)])
def test_logsumexp_with_weights_of_another_dtype(x_dtype, b_dtype, b_shape, axis):
    shape = (512, 1024)
    b_shape = tuple(min(length, most) for length, most in zip(b_shape, shape[-len(b_shape) :], strict=True))
    x, b = scores(x_dtype, shape), scores(b_dtype, b_shape)
    wide = np.result_type(logsumexp(x[:1, :1]).dtype, b)
    wide = {"f": wide, "i": np.dtype(float)}[wide.kind]
    full = np.ascontiguousarray(np.broadcast_to(b, shape).astype(wide))
    expected = logsumexp(x.astype(wide), axis=axis, b=full, return_sign=True)
    limit = (5 if b_dtype == "g" else 2) * BLOCK * wide.itemsize + SLACK
    assert traced_peak(lambda: logsumexp(x, axis=axis, b=b)) < limit
    for got, wanted in zip(logsumexp(x, axis=axis, b=b, return_sign=True), expected, strict=True):
        same_bits(got, wanted)


@pytest.mark.parametrize("b", [2, 2.0, np.float32(2), np.array(2.0, "f4"), True])
def test_a_single_weight_is_converted_once(b):
    x = scores("float32")
    assert traced_peak(lambda: logsumexp(x, axis=1, b=b)) < SLACK
    same_bits(logsumexp(x, axis=1, b=b), logsumexp(x, axis=1, b=np.full(SHAPE, b, "f4")))


@NORMALISING
@EVERY_DTYPE
def test_data_frame_takes_the_result_as_it_is(call, dtype):
    pandas = pytest.importorskip("pandas", reason="tests what pandas gets back")
    frame = pandas.DataFrame(scores(dtype))
    kept = []
    peak = traced_peak(lambda: kept.append(call(frame, axis=1)))
    assert peak < frame.to_numpy().nbytes + 1.5 * SLACK
    same_bits(kept[0].to_numpy(), call(frame.to_numpy(), axis=1))


@NORMALISING
def test_out_in_part_over_x_of_another_dtype(call):
    """Then, and only then, the whole is copied; blocks would overwrite what they have yet to read."""
    memory = np.zeros(3 * 2**18)
    x = memory.view("f4")[: 2**18].reshape(512, 512)
    x[...] = scores("f4", (512, 512))
    expected = call(x, axis=1).astype(float)
    out = memory[1000 : 1000 + 2**18].reshape(512, 512)
    assert np.shares_memory(x, out)
    call(x, axis=1, out=out)
    same_bits(out, expected)


# The blocks


def cut(shape, axes, most, order="C"):
    """How often each element is in a block, and the blocks."""
    counts = np.zeros(shape, int, order=order)
    parts = list(blocks(counts, axes, most))
    for index in parts:
        counts[index] += 1
    return counts, parts


def test_blocks_hold_each_slice_once_and_whole():
    rng = np.random.default_rng(8)
    for _ in range(500):
        shape = tuple(rng.integers(1, 9, rng.integers(0, 5)).tolist())
        axes = tuple(axis for axis in range(len(shape)) if rng.random() < 0.4)
        most = int(rng.integers(1, 200))
        counts, parts = cut(shape, axes, most, rng.choice(["C", "F"]))
        assert (counts == 1).all()
        length = int(np.prod([shape[axis] for axis in axes]))
        sizes = [counts[index].size for index in parts]
        assert max(sizes) == sizes[0] <= max(most, length)
        assert min(sizes) % length == 0
        for index in parts:
            assert all(counts[index].shape[axis] == shape[axis] for axis in axes)


def test_blocks_of_a_large_array_are_large():
    counts, parts = cut((1000, 1000), (1,), 65536)
    assert len(parts) == 16
    assert cut((1000, 1000), (), 65536, "F")[1][0][0] == slice(0, 1000)
    assert len(cut((1000, 1000), (0, 1), 65536)[1]) == 1
    assert counts[parts[0]].shape == (65, 1000)


def test_bits_are_those_of_the_whole_for_slices_longer_than_a_block():
    x = scores("int8", (3, 2 * MOST_ELEMENTS + 5))
    for axis in (0, 1, None):
        for call in (softmax, log_softmax, logsumexp):
            out = np.empty(call(x, axis=axis).shape, "f4")
            call(x, axis=axis, out=out)
            np.testing.assert_array_equal(bits(out), bits(call(x.astype(float), axis=axis).astype("f4")))
    assert x.nbytes < MEGABYTE


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 130, 1000])
def test_longdouble_slices_have_the_bits_of_one_alone(n):
    """However they lie: NumPy's sums alone do not have that."""
    x = (np.random.default_rng(n).normal(0, 3, (12, n)).astype("g") / 3).astype("g")
    b = np.random.default_rng(n).normal(0, 1, (12, n)).astype("g")
    layouts = [x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1].copy()[::-1]]
    for row in range(12):
        alone = [call(x[row]) for call in (softmax, log_softmax, logsumexp)]
        alone.append(logsumexp(x[row], b=b[row]))
        for laid in layouts:
            for wide in (laid, np.broadcast_to(laid[row], (5, n))):
                at = row if wide is laid else 3
                same_bits(softmax(wide, axis=1)[at], alone[0])
                same_bits(log_softmax(wide.T, axis=0)[:, at], alone[1])
                same_bits(logsumexp(wide, axis=1)[at], alone[2])
            same_bits(logsumexp(laid.T, axis=0, b=b.T)[row], alone[3])
