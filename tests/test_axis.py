"""softmax, log_softmax and logsumexp as the contract has them: values, axes, arguments, errors, memory.

How accurate they are is the matter of test_axis_accuracy.py.
"""

import ctypes
import itertools
import math
import tracemalloc

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from floating_point import CONTROL_WORD, EVERYTHING, FLAGS, FLUSH, ROUND_UP
from layouts import VIEWS, laid_out, random_layout, random_shape
from memory import MEGABYTE, needs_linux
from reference import (
    DTYPES,
    SLICE_BOUND_ULP,
    bits,
    exact_log_softmax,
    exact_logsumexp,
    exact_softmax,
    logsumexp_error,
    longdouble_is_wider,
    longdouble_reason,
    same_bits,
    ulp_error,
)

import fastlogit
from fastlogit import log_softmax, logsumexp, softmax

inf, nan = np.inf, np.nan

CALLS = [softmax, log_softmax, logsumexp]
EVERY_FUNCTION = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
NORMALISING = pytest.mark.parametrize("call", CALLS[:2], ids=lambda call: call.__name__)
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)

SCORES = np.array([[1.0, -2.0, 0.5, 3.0], [-700.0, 700.0, 0.0, 699.5], [2.0, 2.0, 2.0, -1e30]])

# One slice, and its softmax, log_softmax and logsumexp: exact, or exact after one rounding.
SPECIAL_SLICES = [
    ([-inf], [nan], [nan], -inf),
    ([inf], [nan], [nan], inf),
    ([nan], [nan], [nan], nan),
    ([5.0], [1], [0], 5),
    ([-1e30], [1], [0], -1e30),
    ([-inf, -inf], [nan, nan], [nan, nan], -inf),
    ([inf, 0], [nan, nan], [nan, -inf], inf),
    ([0, inf, 1], [nan] * 3, [-inf, nan, -inf], inf),
    ([inf, inf], [nan, nan], [nan, nan], inf),
    ([inf, -inf], [nan, nan], [nan, -inf], inf),
    ([nan, 0], [nan, nan], [nan, nan], nan),
    ([0, nan], [nan, nan], [nan, nan], nan),
    ([nan, inf], [nan, nan], [nan, nan], nan),
    ([-inf, nan], [nan, nan], [nan, nan], nan),
    ([inf, -inf, nan], [nan] * 3, [nan] * 3, nan),
    ([-inf, 0], [0, 1], [-inf, 0], 0),
    ([-inf, 5, -inf], [0, 1, 0], [-inf, 0, -inf], 5),
    ([-inf, -1e30], [0, 1], [-inf, 0], -1e30),
    ([1e30, -1e30], [1, 0], [0, -2e30], 1e30),
    ([3, 3], [0.5, 0.5], [-math.log(2)] * 2, 3 + math.log(2)),
    ([0, 0, 0, 0, -inf], [0.25] * 4 + [0], [-math.log(4)] * 4 + [-inf], math.log(4)),
    ([1e30, 1e30], [0.5, 0.5], [-math.log(2)] * 2, 1e30),
    ([0, -20000], [1, 0], [0, -20000], 0),
]

# a, b, and the logarithm and sign of the sum, as SciPy 1.17 gives them; where b is 0, a does not count.
SPECIAL_WEIGHTS = [
    ([inf, 0], [0, 1], 0, 1),
    ([nan, 0], [0, 1], 0, 1),
    ([-inf, 0], [0, 1], 0, 1),
    ([inf, nan], [1, 0], inf, 1),
    ([inf, inf], [1, -1], nan, nan),
    ([inf, inf], [-1, -1], inf, -1),
    ([inf, 0], [-1, 1], inf, -1),
    ([0, 0], [1, -1], -inf, 0),
    ([0, 1], [inf, 1], inf, 1),
    ([0, 1], [-inf, 1], inf, -1),
    ([0, 1], [inf, -inf], nan, nan),
    ([0, 1], [nan, 1], nan, nan),
    ([0, 1], [0, 0], -inf, 0),
    ([inf, nan], [0, 0], -inf, 0),
    ([-inf, 1], [-1, 1], 1, 1),
    ([-inf, 1], [inf, 1], nan, nan),
    ([-inf, -inf], [1, -1], -inf, 0),
    ([-inf, -inf], [-1, -1], -inf, 0),
    ([inf, 1], [inf, 1], inf, 1),
    ([nan, 1], [-1, 1], nan, nan),
    ([0, 0], [-0.0, 2], math.log(2), 1),
    ([0, 0], [1, -3], math.log(2), -1),
    ([1000, 1000], [-1, -1], 1000 + math.log(2), -1),
    ([-1000, 1000], [-1, 0], -1000, -1),
]


def scores(n, dtype, seed=0):
    """Everything a kernel treats apart, in a row: ties, a wide spread, -inf where n allows."""
    x = np.random.default_rng([n, seed]).normal(0, 8, n)
    x[n // 2 :: 7] *= 30
    x[n // 3 :: 5] = x[0]
    if n > 3:
        x[2] = -inf
    return x.astype(dtype)


# Values


@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
@pytest.mark.parametrize(("x", "probabilities", "logarithms", "log_of_sum"), SPECIAL_SLICES, ids=str)
def test_special_values(x, probabilities, logarithms, log_of_sum, dtype):
    """Alone, among ordinary slices, contiguous and with a stride, and repeated to a long slice."""
    x = np.array(x).astype(dtype)
    probabilities, logarithms, log_of_sum = (
        np.asarray(values).astype(dtype) for values in (probabilities, logarithms, log_of_sum)
    )
    columns = np.zeros((x.size, 70), dtype)
    columns[:, 33] = x
    unit = max(np.finfo(dtype).eps, 2.0**-52)  # the logarithms above are float64
    for order in "CF":
        laid = np.asarray(columns, order=order)
        for call, expected in ((softmax, probabilities), (log_softmax, logarithms)):
            np.testing.assert_allclose(call(x), expected, rtol=unit, atol=0)
            got = call(laid, axis=0)
            same_bits(got[:, 33], call(x))
            same_bits(got[:, 1], call(np.zeros(x.size, dtype)))
            assert not np.signbit(softmax(x)[~np.isnan(probabilities)]).any()
        np.testing.assert_allclose(logsumexp(x), log_of_sum, rtol=unit, atol=0)
        same_bits(logsumexp(laid, axis=0)[33], logsumexp(x))
    long = np.concatenate([x, np.full(40_000, -inf, dtype)])
    if not np.isnan(probabilities).all():
        same_bits(softmax(long)[: x.size], softmax(x))
        same_bits(log_softmax(long)[: x.size], log_softmax(x))
    np.testing.assert_array_equal(np.isnan(log_softmax(long)[: x.size]), np.isnan(logarithms))
    np.testing.assert_allclose(logsumexp(long), log_of_sum, rtol=unit, atol=0)


@EVERY_DTYPE
@pytest.mark.parametrize("n", [2, 17, 48, 129, 1000, 20_000])
def test_nan_and_infinity_anywhere_in_a_slice(n, dtype):
    for place in {0, 1, n // 2, n - 1}:
        for order in "CF":
            x = np.asarray(np.zeros((3, n), dtype), order=order)
            x[1, place] = nan
            assert np.isnan(softmax(x, axis=1)).all(axis=1).tolist() == [False, True, False]
            assert np.isnan(log_softmax(x, axis=1)).all(axis=1).tolist() == [False, True, False]
            assert np.isnan(logsumexp(x, axis=1)).tolist() == [False, True, False]
            x[1, place] = inf
            expected = np.full(n, -inf, dtype)
            expected[place] = nan
            same_bits(log_softmax(x, axis=1)[1], expected)
            assert np.isnan(softmax(x, axis=1)[1]).all()
            assert logsumexp(x, axis=1)[1] == inf
            x[1] = -inf
            x[1, place] = -3
            expected[:] = 0
            expected[place] = 1
            same_bits(softmax(x, axis=1)[1], expected)
            assert logsumexp(x, axis=1)[1] == -3


def test_log_softmax_keeps_the_digits_near_0():
    """SciPy and PyTorch give 0."""
    assert log_softmax([40.0, 0.0]).tolist() == [-4.248354255291589e-18, -40.0]
    assert log_softmax(np.array([40, 0], "f4")).tolist() == [float(np.float32(-4.2483542e-18)), -40.0]


@EVERY_DTYPE
@pytest.mark.parametrize("value", [0.0, -0.0, 5.0, -1e30, 1e30, 1e-40, -745.0])
def test_slices_of_length_1(value, dtype):
    x = np.full((37, 1), value, dtype)
    same_bits(softmax(x, axis=1), np.ones((37, 1), dtype))
    np.testing.assert_array_equal(log_softmax(x, axis=1), np.zeros((37, 1), dtype))
    np.testing.assert_array_equal(logsumexp(x, axis=1), x[:, 0])
    assert softmax(x[0, 0]) == 1
    assert log_softmax(x[0, 0]) == 0
    assert logsumexp(x[0, 0]) == x[0, 0]


@pytest.mark.parametrize(
    ("shape", "axis", "reduced"),
    [
        ((0,), 0, ()),
        ((0,), None, ()),
        ((0, 3), 0, (3,)),
        ((0, 3), 1, (0,)),
        ((3, 0), 1, (3,)),
        ((3, 0), 0, (0,)),
        ((2, 0, 4), (0, 1), (4,)),
        ((2, 0, 4), (0, 2), (0,)),
        ((2, 0, 4), None, ()),
        ((2, 0, 4), (), (2, 0, 4)),
    ],
)
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble", "int32", "float16"])
def test_empty(shape, axis, reduced, dtype):
    """The sum of nothing is 0; SciPy refuses an empty softmax."""
    x = np.zeros(shape, dtype)
    result_dtype = softmax(np.zeros(1, dtype)).dtype
    for call in (softmax, log_softmax):
        result = call(x, axis=axis)
        assert (result.shape, result.dtype) == (shape, result_dtype)
        assert call(result, axis=axis, out=result) is result
    for b in (None, 2.0, np.zeros(shape, "f4")):
        result, sign = logsumexp(x, axis=axis, b=b, return_sign=True)
        same_bits(result, np.full(reduced, -inf, result.dtype))
        np.testing.assert_array_equal(sign, np.zeros(reduced))


# dtypes


@EVERY_FUNCTION
@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("longdouble", "longdouble"),
        ("bool", "float64"),
        *((code, "float64") for code in np.typecodes["AllInteger"]),
    ],
)
def test_result_dtype(call, dtype, result):
    """Values are those of the input converted to the dtype of the result first."""
    for shape in [(), (2,), (2, 5), (0, 3), (5000,)]:
        x = (np.arange(np.prod(shape, dtype=int)).reshape(shape) * 7 % 5).astype(dtype)
        expected = call(x.astype(result), axis=-1)
        assert expected.dtype == result
        same_bits(call(x, axis=-1), expected)
    assert type(call(np.dtype(dtype).type(1))) is np.dtype(result).type


def test_integers_are_converted_before_anything_is_subtracted():
    """SciPy's softmax of the first is [0, nan]."""
    for dtype, ends in [("i1", [100, -100]), ("u1", [0, 255]), ("i8", [2**63 - 1, -(2**63)])]:
        x = np.array(ends, dtype)
        for call in CALLS:
            same_bits(call(x), call(x.astype(float)))
    assert softmax(np.array([100, -100], "i1")).tolist() == [1.0, 1.3838965267367376e-87]


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4"])
def test_other_byte_order(call, dtype):
    native = np.arange(12).reshape(3, 4).astype(dtype)
    swapped = native.astype(np.dtype(dtype).newbyteorder())
    before = swapped.tobytes()
    result = call(swapped, axis=1)
    same_bits(result, call(native, axis=1))
    assert result.dtype.isnative
    assert swapped.tobytes() == before
    out = np.zeros(result.shape, result.dtype.newbyteorder())
    assert call(native, axis=1, out=out) is out
    np.testing.assert_array_equal(out, result)


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [0, 1, None])
def test_unaligned(call, dtype, axis):
    memory = np.zeros(60 * 70 * np.dtype(dtype).itemsize + 1, np.uint8)
    x = memory[1:].view(dtype).reshape(60, 70)
    assert not x.flags.aligned
    x[...] = scores(60 * 70, dtype).reshape(60, 70)
    expected = call(x.copy(), axis=axis)
    same_bits(call(x, axis=axis), expected)
    if call is not logsumexp:
        assert call(x, axis=axis, out=x) is x
        same_bits(x, expected)


@NORMALISING
@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
def test_longdouble_has_the_precision_of_longdouble(call):
    """float64 results would differ from 1/3 by 2^-54."""
    third = np.longdouble(1) / 3
    expected = third if call is softmax else np.log(third)
    got = call(np.zeros(3, np.longdouble))
    assert np.abs(got - expected).max() < 4 * np.finfo(np.longdouble).eps


@EVERY_FUNCTION
@pytest.mark.parametrize(
    "x",
    [
        1j,
        np.ones(3, np.complex64),
        ["a", "b"],
        None,
        np.array([0.5, None]),
        np.array(["2024-01-01"], "M8[D]"),
        np.array([1], "m8[s]"),
        np.zeros(2, [("p", "f8")]),
    ],
    ids=repr,
)
def test_what_is_not_real_is_refused(call, x):
    out = np.full(np.shape(x), 7.0)
    with pytest.raises(TypeError, match="real numbers"):
        call(x)
    with pytest.raises(TypeError, match="real numbers"):
        call(x, out=out)
    assert (out == 7.0).all()
    if call is logsumexp and x is not None:
        with pytest.raises(TypeError, match="real numbers"):
            logsumexp(np.zeros(np.shape(x)), b=x)


@EVERY_FUNCTION
def test_sequences(call):
    same_bits(call(SCORES.tolist(), axis=1), call(SCORES, axis=1))
    same_bits(call(memoryview(SCORES), 1), call(SCORES, axis=1))
    same_bits(call([1, 2]), call(np.array([1.0, 2.0])))


# Axes


@EVERY_FUNCTION
@EVERY_DTYPE
def test_every_axis_and_every_tuple_of_axes(call, dtype):
    """A tuple is the same as one axis that holds its elements in C order."""
    x = scores(2 * 3 * 5 * 4, dtype).reshape(2, 3, 5, 4)
    for count in range(5):
        for axes in itertools.permutations(range(4), count):
            rest = [axis for axis in range(4) if axis not in axes]
            order = [*rest, *sorted(axes)]
            rows = x.transpose(order).reshape([x.shape[axis] for axis in rest] + [-1]).copy()
            expected = call(rows, axis=-1)
            if call is not logsumexp:
                expected = expected.reshape([x.shape[axis] for axis in order])
                expected = expected.transpose(np.argsort(order))
            negative = tuple(axis - 4 for axis in axes)
            for given in (axes, negative, *axes[: count == 1], *negative[: count == 1]):
                same_bits(call(x, axis=given), expected)
            if count == 4:
                same_bits(call(x), expected)
                same_bits(call(x, None), expected)


@EVERY_FUNCTION
@pytest.mark.parametrize("axis", [None, 0, -1, ()])
def test_axes_of_a_scalar(call, axis):
    expected = {softmax: 1.0, log_softmax: 0.0, logsumexp: 3.0}[call]
    for x in (3.0, np.float64(3), np.array(3.0)):
        got = call(x, axis=axis)
        assert type(got) is np.float64
        assert got == expected


@EVERY_FUNCTION
@pytest.mark.parametrize(
    ("axis", "error", "message"),
    [
        (2, np.exceptions.AxisError, "out of bounds"),
        (-3, np.exceptions.AxisError, "out of bounds"),
        ((0, 2), np.exceptions.AxisError, "out of bounds"),
        ((0, 0), ValueError, "repeated"),
        ((0, -2), ValueError, "repeated"),
        (0.0, TypeError, "float"),
        ("0", TypeError, "str"),
        ((0, 1.0), TypeError, "integer"),
    ],
)
def test_axes_that_do_not_exist(call, axis, error, message):
    x = SCORES.copy()
    out = np.full((3, 4) if call is not logsumexp else (4,), 7.0)
    with pytest.raises(error, match=message):
        call(x, axis=axis, out=out)
    assert (out == 7.0).all()
    same_bits(x, SCORES)


@EVERY_FUNCTION
@pytest.mark.parametrize("axis", [1, -2, 0.0, "0"])
def test_axes_that_a_scalar_does_not_have(call, axis):
    """0.0 is equal to the axis 0, and no axis."""
    with pytest.raises((np.exceptions.AxisError, TypeError)):
        call(3.0, axis=axis)


# out


def outs(shape, dtype):
    """Places for a result that lie in every way, with the memory beside them."""
    rng = np.random.default_rng(shape)
    for _ in range(12):
        layout = random_layout(rng, shape, np.dtype(dtype).itemsize)
        yield layout, *laid_out(layout, shape, dtype)


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(7,), (3, 5), (40, 70), (4, 3, 50)])
def test_out_of_any_strides(call, dtype, shape):
    """PyTorch writes wrong data to an out that is not contiguous; the memory beside it stays."""
    x = scores(math.prod(shape), dtype).reshape(shape)
    before = x.copy()
    for axis in range(len(shape)):
        expected = call(x, axis=axis)
        if expected.ndim == 0:
            expected = np.asarray(expected)
        for layout, memory, out in outs(expected.shape, dtype):
            wanted_memory, wanted = laid_out(layout, expected.shape, dtype)
            wanted[...] = expected
            assert call(x, axis=axis, out=out) is out
            np.testing.assert_array_equal(memory, wanted_memory)
    same_bits(x, before)


@NORMALISING
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [0, 1, None])
def test_in_place_and_fresh_give_the_same_bits(call, dtype, axis):
    base = scores(90 * 110, dtype).reshape(90, 110)
    for view in (np.s_[:], np.s_[::-1, ::3], np.s_[::2, 5:9], np.s_[:1], np.s_[:, ::-1]):
        expected = base.copy()
        expected[view] = call(base[view].copy(), axis=axis)
        array = base.copy()
        seen = array[view]
        assert call(seen, axis=axis, out=seen) is seen
        same_bits(array, expected)
        if axis is not None:
            array = base.copy()
            flipped = array[view].T
            assert call(flipped, axis=1 - axis, out=flipped) is flipped
            same_bits(array, expected)
    zero_d = np.array(0.25, dtype)
    assert call(zero_d, out=zero_d) is zero_d
    assert zero_d == (1 if call is softmax else 0)


@EVERY_FUNCTION
@pytest.mark.parametrize("x_dtype", ["float16", "float32", "float64", "longdouble", "int32", "bool"])
@pytest.mark.parametrize("out_dtype", ["float16", "float32", "float64", "longdouble", ">f8", ">f4"])
def test_out_of_another_dtype(call, x_dtype, out_dtype):
    x = np.array([[0, 1, 1], [1, 0, 0]]).astype(x_dtype)
    expected = call(x, axis=0)
    out = np.zeros(expected.shape, out_dtype)
    assert call(x, axis=0, out=out) is out
    np.testing.assert_array_equal(out, expected.astype(out_dtype))


@EVERY_FUNCTION
def test_out_that_a_result_cannot_be_cast_to(call):
    for dtype in ("int64", "bool"):
        out = np.ones(np.shape(call(SCORES, axis=1)), dtype)
        with pytest.raises(TypeError, match="same_kind"):
            call(SCORES, axis=1, out=out)
        assert (out == 1).all()


@EVERY_FUNCTION
def test_out_by_position_is_no_out(call):
    arguments = (1,) if call is not logsumexp else (1, None, False, False)
    with pytest.raises(TypeError):
        call(SCORES, *arguments, np.empty_like(SCORES))


@EVERY_FUNCTION
@EVERY_DTYPE
def test_read_only_out_names_the_cure(call, dtype):
    x = SCORES.astype(dtype)
    shape = call(x, axis=0).shape
    frozen = np.full(shape, 7, dtype)
    frozen.flags.writeable = False
    repeated = np.broadcast_to(np.zeros(1, dtype), shape)
    for out in (frozen, repeated):
        before = out.copy()
        with pytest.raises(ValueError, match=r"read-only.*copy"):
            call(x, axis=0, out=out)
        same_bits(out, before)
    x.flags.writeable = False
    call(x, axis=0)


@EVERY_FUNCTION
@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (12,), (5,), (1, 4), (3, 1), (), (2, 3, 4), (0, 4)])
def test_wrong_shape_of_out(call, shape):
    """Nor is a result repeated along an axis that only out has."""
    out = np.full(shape, 7.0)
    with pytest.raises(ValueError, match=r"out has shape"):
        call(SCORES, axis=0, out=out)
    assert (out == 7.0).all()


@EVERY_FUNCTION
@pytest.mark.parametrize("out", [[0.0] * 4, 1.0, "out", np.float64(1), Ellipsis], ids=repr)
def test_out_that_is_no_array(call, out):
    with pytest.raises(TypeError, match="out must be an array"):
        call(SCORES, out=out)


@NORMALISING
@EVERY_DTYPE
def test_out_whose_elements_share_memory(call, dtype):
    """What a copy would leave there, as NumPy has it: the last row that is written."""
    x = np.tile(SCORES.astype(dtype)[:1], (5, 1))
    memory = np.zeros(4, dtype)
    out = np.lib.stride_tricks.as_strided(memory, (5, 4), (0, memory.itemsize))
    assert call(x, axis=1, out=out) is out
    same_bits(memory, call(x[0]))
    window = scores(64, dtype)
    source = np.lib.stride_tricks.sliding_window_view(window, 8)
    expected = call(source.copy(), axis=1)
    same_bits(call(source, axis=1), expected)


@NORMALISING
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [0, 1])
def test_overlap_gives_what_a_copy_gives(call, dtype, axis):
    values = scores(60 * 60, dtype).reshape(60, 60)
    views = [
        (np.s_[:-1], np.s_[1:]),
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:, :-1], np.s_[:-1, 1:]),
        (np.s_[::-1], np.s_[:]),
        (np.s_[:, ::-1], np.s_[:]),
        (np.s_[::2, ::2], np.s_[:30, :30]),
        (np.s_[::2], np.s_[1::2]),
    ]
    for source, target in views:
        array, expected = values.copy(), values.copy()
        expected[target] = call(values[source].copy(), axis=axis)
        out = array[target]
        assert call(array[source], axis=axis, out=out) is out
        same_bits(array, expected)
    array = values.copy()
    call(array, axis=axis, out=array.T)
    same_bits(array, call(values, axis=axis).T)
    array = values.copy()
    call(np.broadcast_to(array[3], (60, 60)), axis=axis, out=array)
    same_bits(array, call(np.tile(values[3], (60, 1)), axis=axis))


@EVERY_DTYPE
def test_logsumexp_into_its_own_input(dtype):
    values = scores(40 * 50, dtype).reshape(40, 50)
    for axis, out_view in ((1, np.s_[:, 3]), (0, np.s_[7]), (1, np.s_[0, :40])):
        array, expected = values.copy(), values.copy()
        expected[out_view] = logsumexp(values, axis=axis)
        out = array[out_view]
        assert logsumexp(array, axis=axis, out=out) is out
        same_bits(array, expected)


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble", "float16", "int16", ">f8"])
def test_input_is_not_modified(call, dtype):
    x = np.tile(np.array([0, 1, 1, 0]).astype(dtype), 5000).reshape(200, 100)
    before = x.tobytes()
    for axis in (0, 1, None):
        result = call(x, axis=axis)
        call(x, axis=axis, out=np.empty(result.shape))
    if call is logsumexp:
        weights = x.copy()
        logsumexp(x, axis=1, b=weights, return_sign=True)
        assert weights.tobytes() == before
    assert x.tobytes() == before


# The options of logsumexp


@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
@pytest.mark.parametrize(("a", "b", "expected", "expected_sign"), SPECIAL_WEIGHTS, ids=str)
def test_special_weights(a, b, expected, expected_sign, dtype):
    a, b = np.array(a).astype(dtype), np.array(b).astype(dtype)
    unit = max(np.finfo(dtype).eps, 2.0**-52)  # the logarithms above are float64
    result, sign = logsumexp(a, b=b, return_sign=True)
    np.testing.assert_allclose(result, np.dtype(dtype).type(expected), rtol=2 * unit, atol=0)
    np.testing.assert_array_equal(sign, expected_sign)
    same_bits(logsumexp(a, b=b), nan * result if sign < 0 else result)
    # Among ordinary slices, on both axes.
    many_a, many_b = np.zeros((70, a.size), dtype), np.ones((70, a.size), dtype)
    many_a[33], many_b[33] = a, b
    for got, got_sign in (
        logsumexp(many_a, axis=1, b=many_b, return_sign=True),
        logsumexp(many_a.T, axis=0, b=many_b.T, return_sign=True),
    ):
        same_bits(got[33], result)
        np.testing.assert_array_equal(got_sign[33], sign)
        np.testing.assert_array_equal(got_sign[:33], 1)


@EVERY_DTYPE
def test_weights_broadcast_both_ways(dtype):
    a = scores(4 * 6, dtype).reshape(4, 6)
    a[a == -inf] = 0
    rng = np.random.default_rng(1)
    for shape in ((), (1,), (6,), (4, 1), (4, 6), (3, 4, 6), (5, 1, 1)):
        b = np.asarray(rng.normal(0, 1, shape)).astype(dtype)
        whole_a, whole_b = (array.copy() for array in np.broadcast_arrays(a, b))
        for axis in (None, 0, -1, (0, 1)):
            got = logsumexp(a, axis=axis, b=b, return_sign=True)
            expected = logsumexp(whole_a, axis=axis, b=whole_b, return_sign=True)
            for one, other in zip(got, expected, strict=True):
                same_bits(one, other)
    same_bits(logsumexp(a[0, 0], b=np.ones((2, 3), dtype)), logsumexp(np.full((2, 3), a[0, 0])))
    with pytest.raises(ValueError, match="broadcast"):
        logsumexp(a, b=np.ones(5))


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        ("f4", 2, "f4"),
        ("f4", 2.5, "f4"),
        ("f4", np.float32(2), "f4"),
        ("f4", np.ones(3, "f4"), "f4"),
        ("f4", np.ones(3, "f8"), "f8"),
        ("f8", np.ones(3, "f4"), "f8"),
        ("f4", np.ones(3, "f2"), "f4"),
        ("f2", 2, "f4"),
        ("f8", True, "f8"),
        ("i4", np.ones(3, "f4"), "f8"),
        ("i4", np.ones(3, "i4"), "f8"),
        ("f8", np.ones(3, "g"), "g"),
        ("g", 2, "g"),
    ],
    ids=repr,
)
def test_dtype_with_weights(a, b, result):
    """That of NumPy's product of the two: a Python number does not widen float32."""
    got, sign = logsumexp(np.ones(3, a), b=b, return_sign=True)
    assert got.dtype == sign.dtype == result
    expected = 1 + math.log(3 * np.max(b))
    np.testing.assert_allclose(got, expected, rtol=2 * np.finfo(np.dtype(result)).eps + 1e-15)


@EVERY_DTYPE
@pytest.mark.parametrize("b", [None, 2.0, np.array([1, -2, 3, 1.0])], ids=str)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), ()])
def test_keepdims_and_return_sign_and_out_only_change_the_form(dtype, b, axis):
    x = scores(2 * 3 * 4, dtype).reshape(2, 3, 4)
    if b is not None:
        b = np.asarray(b, dtype)
    result = logsumexp(x, axis=axis, b=b)
    kept = logsumexp(x, axis=axis, b=b, keepdims=True)
    assert kept.shape == np.sum(x, axis=axis, keepdims=True).shape
    same_bits(kept.reshape(result.shape), result)
    with_sign, sign = logsumexp(x, axis=axis, b=b, return_sign=True)
    same_bits(np.where(sign < 0, np.array(nan, dtype), with_sign), result)
    assert sign.dtype == with_sign.dtype == dtype
    assert sign.shape == with_sign.shape == result.shape
    kept_with_sign = logsumexp(x, axis=axis, b=b, keepdims=True, return_sign=True)
    for one, other in zip(kept_with_sign, (with_sign, sign), strict=True):
        same_bits(one.reshape(result.shape), other)
        assert one.shape == kept.shape
    for keepdims, expected in ((False, result), (True, kept)):
        out = np.empty(expected.shape, dtype)
        assert logsumexp(x, axis=axis, b=b, keepdims=keepdims, out=out) is out
        same_bits(out, expected)
    out = np.empty(result.shape, dtype)
    got, got_sign = logsumexp(x, axis=axis, b=b, return_sign=True, out=out)
    assert got is out
    same_bits(out, with_sign)
    same_bits(got_sign, sign)


def test_positional_arguments_are_those_of_scipy():
    same_bits(logsumexp(SCORES, 1, [[2.0]], True), logsumexp(SCORES, axis=1, b=2.0, keepdims=True))
    result, sign = logsumexp(SCORES, 1, -1, False, True)
    assert (sign == -1).all()
    same_bits(result, logsumexp(SCORES, axis=1))


@EVERY_DTYPE
@pytest.mark.parametrize("keepdims", [False, True])
def test_out_of_logsumexp_lies_anywhere(dtype, keepdims):
    """The short way to it, for what has the dtype and the shape, gives what the long one does."""
    x = np.random.default_rng(5).normal(size=(6, 4, 5)).astype(dtype)
    expected = logsumexp(x, axis=1, keepdims=keepdims)
    memory = np.zeros(2 * expected.nbytes + 1, np.uint8)
    outs = [
        np.empty_like(expected),
        np.empty_like(expected.T).T,
        np.empty((*expected.shape[:-1], 2 * expected.shape[-1]), dtype)[..., ::-2],
        memory[1 : 1 + expected.nbytes].view(dtype).reshape(expected.shape),
        np.empty_like(expected, dtype=np.dtype(dtype).newbyteorder()),
        np.empty(expected.shape, np.longdouble),
    ]
    for out in outs:
        assert logsumexp(x, axis=1, keepdims=keepdims, out=out) is out
        same_bits(out.astype(dtype), expected)
    kept = x[:, :1] if keepdims else x[:, 0]
    assert logsumexp(x, axis=1, keepdims=keepdims, out=kept) is kept
    same_bits(kept, expected)
    number = np.empty((), dtype)
    assert logsumexp(x, out=number) is number
    same_bits(number, logsumexp(x))
    number.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        logsumexp(x, out=number)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_as_scipy(axis, keepdims, weighted):
    """On what SciPy is accurate for: moderate numbers, positive weights; near 0 its digits are few."""
    special = pytest.importorskip("scipy.special", reason="SciPy is what these results are compared to")
    rng = np.random.default_rng(4)
    x = rng.normal(0, 5, (6, 7, 8))
    for call in (softmax, log_softmax):
        reference = getattr(special, call.__name__)
        got = call(x, axis=axis)
        np.testing.assert_allclose(got, reference(x, axis=axis), rtol=1e-13, atol=1e-15)
    b = rng.exponential(1, (7, 1)) if weighted else None
    options = {"axis": axis, "b": b, "keepdims": keepdims, "return_sign": True}
    for got, expected in zip(logsumexp(x, **options), special.logsumexp(x, **options), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=0)


# The floating-point environment


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_warning_and_no_error(call, dtype, threads):
    with np.errstate(all="ignore"):
        x = np.tile(np.array(EVERYTHING).astype(dtype), 400).reshape(-1, 100)
        weights = np.roll(x, 7)
    with fastlogit.num_threads(threads), np.errstate(all="raise"):
        for axis in (0, 1, None):
            call(x, axis=axis)
            call(x[:3, ::-2], axis=axis)
        for value in x[0, :27]:
            call(value)
        if call is logsumexp:
            logsumexp(x, axis=0, b=weights)
            logsumexp(x, axis=1, b=weights, return_sign=True)
        else:
            call(x, axis=1, out=x)


@EVERY_FUNCTION
@EVERY_DTYPE
def test_no_flag_is_raised(call, dtype, libm):
    with np.errstate(all="ignore"):
        x = np.tile(np.array(EVERYTHING).astype(dtype), 30).reshape(30, 27)
    shape = call(x, axis=1).shape
    out = np.empty(shape, dtype)
    columns = np.asfortranarray(x)
    libm.feclearexcept(FLAGS)
    call(x, axis=1, out=out)
    call(columns, axis=1, out=out)
    raised = libm.fetestexcept(FLAGS)
    assert raised == 0


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("control", [FLUSH, ROUND_UP], ids=["flush", "round-up"])
def test_bits_do_not_depend_on_the_floating_point_state_of_the_caller(call, dtype, control, libm):
    x = scores(90 * 70, dtype).reshape(90, 70)
    weights = scores(90 * 70, dtype, seed=1).reshape(90, 70)
    calls = [
        lambda: call(x, axis=1),
        lambda: call(x, axis=0),
        lambda: call(x[::2, ::3], axis=None),
        lambda: logsumexp(x, axis=1, b=weights),
    ]
    expected = [again() for again in calls]
    caller = (ctypes.c_uint32 * 8)()
    libm.fegetenv(caller)
    changed = (ctypes.c_uint32 * 8)(*caller)
    changed[CONTROL_WORD] |= control
    libm.fesetenv(changed)
    try:
        got = [again() for again in calls]
        after = (ctypes.c_uint32 * 8)()
        libm.fegetenv(after)
    finally:
        libm.fesetenv(caller)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(bits(one), bits(other))
    assert after[CONTROL_WORD] & (FLUSH | ROUND_UP) == control


# The same bits for a slice however it lies, wherever, and with any number of threads

LENGTHS = [1, 2, 3, *range(15, 18), *range(47, 50), *range(63, 66), *range(127, 130)]
LENGTHS += [1000, 16384, 16385, 40_000, 300_000]


@EVERY_DTYPE
@pytest.mark.parametrize("n", LENGTHS)
def test_a_slice_has_the_same_bits_alone_and_in_any_array(n, dtype, restored_threads):
    slices = max(2, min(70, 40_000 // n))
    rows = np.stack([scores(n, dtype, seed) for seed in range(slices)])
    fastlogit.set_num_threads(1)
    alone = {call: np.stack([np.asarray(call(row)) for row in rows]) for call in CALLS}
    wide = np.empty((slices, 2 * n), dtype)
    wide[:, ::2] = rows
    tall = np.empty((n, 3 * slices), dtype)
    tall[:, ::3] = rows.T
    backwards = rows[:, ::-1].copy()[:, ::-1]
    layouts = {
        "contiguous": rows,
        "axis 0 of a C array": np.asfortranarray(rows),
        "every second": wide[:, ::2],
        "axis 0, every third": tall[:, ::3].T,
        "backwards": backwards,
        "in reversed order": rows[::-1].copy()[::-1],
        "unaligned": None,
    }
    memory = np.zeros(rows.nbytes + 1, np.uint8)
    layouts["unaligned"] = memory[1:].view(dtype).reshape(rows.shape)
    layouts["unaligned"][...] = rows
    for threads in range(1, 6):
        fastlogit.set_num_threads(threads)
        for layout, x in layouts.items():
            for call in CALLS:
                message = f"{call.__name__}, {layout}, {threads} threads"
                np.testing.assert_array_equal(bits(call(x, axis=1)), bits(alone[call]), message)
            one = x[slices // 2]
            np.testing.assert_array_equal(bits(softmax(one)), bits(alone[softmax][slices // 2]))
            if threads in (1, 2):
                for call in CALLS[:2]:
                    array = np.empty_like(x)
                    array[...] = x
                    assert call(array, axis=1, out=array) is array
                    np.testing.assert_array_equal(bits(array), bits(alone[call]), layout)
        # As two axes that cannot be merged, where n has a divisor.
        if n % 2 == 0:
            pairs = np.empty((slices, 2, n // 2 + 1), dtype)[:, :, : n // 2]
            pairs[...] = rows.reshape(pairs.shape)
            for call in CALLS:
                got = call(pairs, axis=(1, 2)).reshape(alone[call].shape)
                np.testing.assert_array_equal(bits(got), bits(alone[call]))


@EVERY_DTYPE
@pytest.mark.parametrize("n", [1, 3, 17, 130, 20_000])
def test_weighted_slices_have_the_same_bits_alone_and_in_any_array(n, dtype, restored_threads):
    slices = max(2, min(40, 40_000 // n))
    rows = np.stack([scores(n, dtype, seed) for seed in range(slices)])
    weights = np.random.default_rng(n).normal(0, 1, rows.shape).astype(dtype)
    alone = np.array([logsumexp(x, b=b, return_sign=True) for x, b in zip(rows, weights, strict=True)]).T
    for threads in range(1, 6):
        fastlogit.set_num_threads(threads)
        for x, b in itertools.product((rows, np.asfortranarray(rows)), (weights, np.asfortranarray(weights))):
            got = logsumexp(x, axis=1, b=b, return_sign=True)
            np.testing.assert_array_equal(bits(np.array(got)), bits(alone))


# A slice is summed in chunks of 4096, each scaled by an element of its own; terms of softmax that do not fit
# 32 KiB stand in the result meanwhile.
LONG = 2 * 4096 + 37


def long_slices(dtype):
    """By name: where the largest element is, and what else is in the way of merging the chunks."""
    rng = np.random.default_rng(11)
    rows = {f"largest in chunk {chunk}": rng.normal(0, 2, LONG) for chunk in range(3)}
    for chunk, row in enumerate(rows.values()):
        row[4096 * chunk + 5] = 30
    rows["falling"] = -np.arange(LONG) / 100
    rows["rising"] = np.arange(LONG) / 100
    rows["ties in all chunks"] = np.where(np.arange(LONG) % 1000 == 7, 3.0, rng.normal(-5, 1, LONG))
    rows["far apart"] = np.repeat([-800.0, 0.0, 800.0], [4096, 4096, 37])
    rows["large offset"] = 1e5 + rng.integers(-20, 21, LONG)
    rows["a chunk of -inf"] = np.where(np.arange(LONG) < 4096, -inf, rng.normal(0, 2, LONG))
    rows["all -inf but the last"] = np.full(LONG, -inf)
    rows["all -inf but the last"][-1] = 2
    return {name: row.astype(dtype) for name, row in rows.items()}


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@EVERY_DTYPE
def test_chunks_of_a_slice_are_merged_within_the_bound(dtype):
    for name, x in long_slices(dtype).items():
        for call, exact in ((softmax, exact_softmax), (log_softmax, exact_log_softmax)):
            assert ulp_error(call(x), exact(x)).max() <= SLICE_BOUND_ULP[call.__name__, dtype], (name, call)
        exact, largest = exact_logsumexp(x)
        error = logsumexp_error(logsumexp(x, keepdims=True), exact, largest)
        assert error <= SLICE_BOUND_ULP["logsumexp", dtype], name


@EVERY_DTYPE
@pytest.mark.parametrize("at", [0, 4095, 4096, LONG - 1])
@pytest.mark.parametrize("other", [-inf, 0.0, inf])
def test_nan_in_any_chunk_reaches_every_result(dtype, at, other):
    x = np.full(LONG, other, dtype)
    x[at] = nan
    for call in CALLS:
        assert np.isnan(call(x)).all()


@EVERY_DTYPE
@pytest.mark.parametrize("at", [0, 4096, LONG - 1])
def test_infinity_in_any_chunk(dtype, at):
    x = np.zeros(LONG, dtype)
    x[at] = inf
    assert logsumexp(x) == inf
    logarithms = log_softmax(x)
    assert np.isnan(logarithms[at])
    assert (np.delete(logarithms, at) == -inf).all()
    assert np.isnan(softmax(x)).all()


@NORMALISING
@EVERY_DTYPE
@pytest.mark.parametrize("n", [4096, 4097, 8192, 8193, 16385, 70000])
def test_long_slices_have_the_same_bits_in_place_across_and_one_by_one(call, dtype, n, restored_threads):
    x = np.random.default_rng(n).normal(0, 3, (3, n)).astype(dtype)
    expected = np.stack([call(row) for row in x])
    in_place = x.copy()
    call(in_place, axis=1, out=in_place)
    same_bits(in_place, expected)
    same_bits(call(np.asfortranarray(x), axis=1), expected)
    for threads in (1, 2, 3):
        fastlogit.set_num_threads(threads)
        same_bits(call(x, axis=1), expected)
        strided = np.zeros((3, 2 * n), dtype)[:, ::2]
        same_bits(call(x, axis=1, out=strided), expected)


@NORMALISING
@EVERY_DTYPE
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((2200, 1003), 1), ((140_000, 16), 1), ((230_000, 10), 1), ((1003, 2200), 0), ((1024, 2176), 0)],
)
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_results_that_no_cache_keeps_have_the_same_bits(call, dtype, shape, axis, offset):
    """They are written past the caches, whole lines at once, wherever a line begins in them."""
    x = np.random.default_rng(5).normal(0, 3, shape).astype(dtype)
    memory = np.zeros(x.size + 32, dtype)
    out = memory[offset : offset + x.size].reshape(shape)
    assert call(x, axis=axis, out=out) is out
    in_place = x.copy()
    same_bits(call(in_place, axis=axis, out=in_place), out)
    assert not memory[:offset].any()
    assert not memory[offset + x.size :].any()


# Exponentials are scaled by the largest of the first 64 elements, and the largest of all is added with the
# others and taken off again; where that is not good enough, a slice is added once more.
SIZES_OF_KINDS = [64, 65, 130, 1000, 4096, 4160, 9000, 20_000]


def kinds_of_slices(n, dtype):
    """By name: with the first elements near the largest or not, and others that weigh much or little."""
    rng = np.random.default_rng(n)
    position = np.arange(n)
    rest = rng.normal(0, 2, n)
    range_of_terms, above = (150, 20) if dtype == np.float32 else (800, 12)
    kinds = {
        "ordinary": rest,
        "just within reach of the first 64": np.where(position == n - 1, rest[:64].max() + above, rest - 1),
        "just out of it": np.where(position == n - 1, rest[:64].max() + above + 0.001, rest - 1),
        "far above": np.where(position == n - 1, 300.0, rest),
        "rising out of range": position * (4.0 * range_of_terms / n) - 2 * range_of_terms,
        "falling out of range": 2 * range_of_terms - position * (4.0 * range_of_terms / n),
        "first 64 out of range": np.where(position < 64, -3.0 * range_of_terms, rest),
        "first 64 are -inf": np.where(position < 64, -inf, rest),
        "shifted": rest + 4096 * 4,
        "shifted down": rest - 4096 * 4,
        "shifted, but not the first 64": np.where(position < 64, 0.0, rest + 4 * range_of_terms),
        "all equal": np.full(n, -3.25),
        "all equal and shifted": np.full(n, 1e4),
        "half of them tied": np.where(position % 2 == 0, 2.0, -40.0),
        "nothing but the largest": np.where(position == n // 2, 0.0, -inf),
    }
    for weight in (-5, -8, -11, -13, -16, -19, -22, -25, -40, -70, -100):
        others = 1.5 + weight + 0.01 * rest
        kinds[f"others weigh exp({weight})"] = np.where(position == n // 3, 1.5, others)
        kinds[f"others weigh exp({weight}), ahead in the first block"] = np.where(position == 9, 1.5, others)
    return {name: x.astype(dtype) for name, x in kinds.items()}


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@EVERY_DTYPE
@pytest.mark.parametrize("n", SIZES_OF_KINDS)
def test_every_kind_of_slice_is_within_the_bound(n, dtype):
    for name, x in kinds_of_slices(n, dtype).items():
        for call, exact in ((softmax, exact_softmax), (log_softmax, exact_log_softmax)):
            assert ulp_error(call(x), exact(x)).max() <= SLICE_BOUND_ULP[call.__name__, dtype], (name, call)
        exact, largest = exact_logsumexp(x)
        error = logsumexp_error(logsumexp(x, keepdims=True), exact, largest)
        assert error <= SLICE_BOUND_ULP["logsumexp", dtype], name


@EVERY_DTYPE
@pytest.mark.parametrize("n", SIZES_OF_KINDS)
def test_kinds_of_slices_side_by_side_have_the_bits_of_one_alone(n, dtype, restored_threads):
    rows = np.stack(list(kinds_of_slices(n, dtype).values()))
    rows = np.concatenate([rows, rows[::-1], rows[::3]])
    fastlogit.set_num_threads(1)
    alone = {call: np.stack([np.asarray(call(row)) for row in rows]) for call in CALLS}
    for threads in (1, 2, 3):
        fastlogit.set_num_threads(threads)
        for x in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]):
            for call in CALLS:
                same_bits(call(x, axis=1), alone[call])
                if call is not logsumexp:
                    in_place = x.copy(order="K")
                    same_bits(call(in_place, axis=1, out=in_place), alone[call])
                    strided = np.empty((len(rows), 3 * n), dtype)[:, ::3]
                    same_bits(call(x, axis=1, out=strided), alone[call])


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("n", [*range(2, 20), 31, 32, 33, 62, 63, 64, 65])
def test_short_slices_side_by_side_have_the_bits_of_one_alone(call, dtype, n):
    for lanes in (1, 2, 7, 8, 9, 31, 33, 63, 64, 65, 130):
        x = np.random.default_rng(lanes).normal(0, 3, (lanes, n)).astype(dtype)
        x[lanes // 2, n // 2] = -inf
        same_bits(call(x, axis=1), np.stack([call(row) for row in x]))


@NORMALISING
@EVERY_DTYPE
def test_random_cases(call, dtype):
    """Random axes, strides and threads: nothing beside the elements of out is written."""
    rng = np.random.default_rng([11, np.dtype(dtype).itemsize, *call.__name__.encode()])
    itemsize = np.dtype(dtype).itemsize
    for case in range(400):
        in_place = case % 2 == 0
        shape = random_shape(rng)
        axes = tuple(int(axis) for axis in np.flatnonzero(rng.random(len(shape)) < 0.5))
        values = rng.normal(0, 10, shape).astype(dtype)
        if case % 5 == 0:
            values = np.where(rng.random(shape) < 0.05, rng.choice([inf, -inf, nan], shape), values)
            values = values.astype(dtype)
        x_layout = random_layout(rng, shape, itemsize, repeat=not in_place)
        out_layout = x_layout if in_place else random_layout(rng, shape, itemsize)
        memory, x = laid_out(x_layout, shape, dtype)
        x[...] = values
        plain = np.array(x, order="C")
        with fastlogit.num_threads(1):
            result = call(plain, axis=axes)
        out_memory, out = (memory, x) if in_place else laid_out(out_layout, shape, dtype)
        expected_memory, expected = laid_out(out_layout, shape, dtype)
        expected[...] = result
        threads = int(rng.integers(1, 6))
        message = f"case {case}: {shape}, axis {axes}, x {x_layout}, out {out_layout}, {threads} threads"
        with fastlogit.num_threads(threads):
            if not in_place:
                same_bits(call(x, axis=axes), np.asarray(result)[()])
            assert call(x, axis=axes, out=out) is out, message
        same_bits(out, np.asarray(result))
        # The bytes of a NaN may differ; all others are compared.
        out[np.isnan(out)] = expected[np.isnan(expected)] = 0
        np.testing.assert_array_equal(out_memory, expected_memory, message)


ELEMENTS = st.one_of(
    st.floats(-800, 800),
    st.sampled_from([0.0, -0.0, 1.0, 40.0, -745.0, 1e30, -1e30, inf, -inf, nan, 5e-324]),
)


@st.composite
def arrays_and_axes(draw):
    dtype = draw(st.sampled_from(["f4", "f8", "f2", "i1", ">f4", ">f8"]))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
    array = np.array(draw(st.lists(ELEMENTS, min_size=1, max_size=40)))
    if dtype == "i1":
        array = np.nan_to_num(array, nan=0, posinf=127, neginf=-128).clip(-128, 127)
    with np.errstate(over="ignore"):
        array = np.resize(array, shape).astype(dtype)
    array = array.transpose(draw(st.permutations(range(len(shape)))))
    steps = draw(st.lists(st.sampled_from([1, -1, 2, -2]), min_size=len(shape), max_size=len(shape)))
    array = array[(*(slice(None, None, step) for step in steps), ...)]
    axes = draw(st.none() | st.lists(st.integers(0, max(len(shape) - 1, 0)), unique=True).map(tuple))
    if not shape:
        axes = None
    return array, axes


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@hypothesis.given(case=arrays_and_axes(), threads=st.integers(1, 3))
def test_any_array_is_within_the_bound_of_the_reference(case, threads):
    x, axes = case
    converted = x.astype(softmax(x.reshape(-1)[:0]).dtype)
    with fastlogit.num_threads(threads), np.errstate(all="raise"):
        got = [np.asarray(call(x, axis=axes)) for call in CALLS[:2]]
        total = np.asarray(logsumexp(x, axis=axes, keepdims=True))
    computed = "float64" if converted.dtype == np.float64 else "float32"
    for call, result, exact in zip(CALLS, got, (exact_softmax, exact_log_softmax), strict=False):
        assert result.shape == x.shape
        bound = SLICE_BOUND_ULP[call.__name__, computed]
        assert ulp_error(result, exact(converted, axes)).max(initial=0) <= bound
    with np.errstate(all="ignore"):
        exact, largest = exact_logsumexp(converted, axes)
    assert total.shape == exact.shape
    assert logsumexp_error(total, exact, largest).max(initial=0) <= SLICE_BOUND_ULP["logsumexp", computed]


# No temporary of the array's size

KILOBYTES = 2**10


@EVERY_DTYPE
@NORMALISING
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("axis", [0, -1, None])
def test_in_place_asks_for_no_memory(call, dtype, view, axis):
    base = np.full((1024, 1024), 0.25, dtype)
    x = VIEWS[view](base)
    tracemalloc.start()
    try:
        call(x, axis=axis, out=x)
        assert tracemalloc.get_traced_memory()[1] < 16 * KILOBYTES
        tracemalloc.reset_peak()
        call(x, axis=axis)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes + 16 * KILOBYTES
    finally:
        tracemalloc.stop()


@EVERY_DTYPE
@pytest.mark.parametrize("view", VIEWS)
def test_logsumexp_asks_for_the_memory_of_its_result(dtype, view):
    x = VIEWS[view](np.full((1024, 1024), 0.25, dtype))
    weights = np.full(x.shape[-1], 2, dtype)
    tracemalloc.start()
    try:
        for b in (None, 2.0, weights):
            tracemalloc.reset_peak()
            result = logsumexp(x, axis=-1, b=b)
            assert tracemalloc.get_traced_memory()[1] < 3 * result.nbytes + 16 * KILOBYTES
            del result
    finally:
        tracemalloc.stop()


@needs_linux
@EVERY_DTYPE
@pytest.mark.parametrize("view", VIEWS)
def test_in_place_does_not_raise_the_peak_of_resident_memory(dtype, view, run_python):
    """The operating system sees also what NumPy does not allocate."""
    grew, view_bytes = run_python(
        f"""if True:
    import fastlogit
    import numpy as np
    from layouts import VIEWS
    from memory import resident_peak

    calls = fastlogit.softmax, fastlogit.log_softmax
    base = np.full((4096, 4096), 0.25, {dtype!r})
    x = VIEWS[{view!r}](base)
    for axis in (0, -1, None):  # after this the threads have their stacks
        for call in calls:
            call(base[:64], axis=axis, out=base[:64])
    before = resident_peak()
    for axis in (0, -1, None):
        for call in calls:
            call(x, axis=axis, out=x)
    print(resident_peak() - before, x.nbytes)
    """
    ).split()
    assert int(view_bytes) >= 8 * MEGABYTE
    assert int(grew) < MEGABYTE


# Containers


@NORMALISING
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)])
def test_data_frame_keeps_its_labels_and_axis_is_that_of_numpy(call, dtype, axis):
    pandas = pytest.importorskip("pandas", reason="tests what pandas gets back")
    frame = pandas.DataFrame(SCORES.astype(dtype), index=list("xyz"), columns=list("abcd"))
    before = frame.copy(deep=True)
    result = call(frame, axis=axis)
    expected = call(SCORES.astype(dtype), axis=axis)
    pandas.testing.assert_frame_equal(
        result, pandas.DataFrame(expected, index=frame.index, columns=frame.columns), check_exact=True
    )
    pandas.testing.assert_frame_equal(frame, before)
    series = frame.loc["x"]
    pandas.testing.assert_series_equal(
        call(series),
        pandas.Series(call(series.to_numpy()), index=series.index, name="x"),
        check_exact=True,
    )


@EVERY_DTYPE
@pytest.mark.parametrize("axis", [0, 1])
def test_logsumexp_of_a_data_frame(dtype, axis):
    pandas = pytest.importorskip("pandas", reason="tests what pandas gets back")
    frame = pandas.DataFrame(SCORES.astype(dtype), columns=list("abcd"))
    np.testing.assert_array_equal(
        np.asarray(logsumexp(frame, axis=axis)), logsumexp(SCORES.astype(dtype), axis=axis)
    )


@NORMALISING
def test_data_frame_of_several_dtypes(call):
    pandas = pytest.importorskip("pandas", reason="tests what pandas gets back")
    frame = pandas.DataFrame({"a": [1, 2], "b": np.array([0.5, 2], "f4")})
    result = call(frame, axis=1)
    assert list(result.columns) == ["a", "b"]
    same_bits(result.to_numpy(), call(np.array([[1, 0.5], [2, 2]]), axis=1))


@NORMALISING
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_data_array_keeps_its_dims(call, dtype, axis):
    xarray = pytest.importorskip("xarray", reason="tests what xarray gets back")
    x = xarray.DataArray(
        SCORES.astype(dtype), dims=("row", "class"), coords={"row": [3, 1, 2]}, attrs={"unit": "nat"}
    )
    before = x.copy(deep=True)
    result = call(x, axis=axis)
    assert isinstance(result, xarray.DataArray)
    assert result.dims == x.dims
    np.testing.assert_array_equal(result.coords["row"], x.coords["row"])
    same_bits(result.to_numpy(), call(SCORES.astype(dtype), axis=axis))
    xarray.testing.assert_identical(x, before)


@NORMALISING
@EVERY_DTYPE
def test_mapped_file_in_place_asks_for_no_memory(call, dtype, tmp_path):
    x = np.memmap(tmp_path / "scores", dtype, "w+", shape=(1000, 100))
    x[...] = np.random.default_rng(2).normal(0, 3, x.shape)
    expected = np.array(call(x, axis=1))  # also imports what a call on a subclass needs
    tracemalloc.start()
    try:
        assert call(x, axis=1, out=x) is x
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    same_bits(x, expected)
    assert peak < x.nbytes / 10


@NORMALISING
@EVERY_DTYPE
def test_polars_series_keeps_its_name(call, dtype):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    x = np.array([1.0, -2.0, 0.5], dtype)
    result = call(polars.Series("score", x))
    assert isinstance(result, polars.Series)
    assert result.name == "score"
    same_bits(result.to_numpy(), call(x))


@NORMALISING
@EVERY_DTYPE
def test_masked_elements_do_not_count_and_stay_masked(call, dtype):
    values = np.array([[1.0, 7.0, 3.0], [0.5, nan, 2.0]], dtype)
    x = np.ma.MaskedArray(values, [[0, 1, 0], [0, 1, 0]])
    result = call(x, axis=1)
    assert isinstance(result, np.ma.MaskedArray)
    np.testing.assert_array_equal(result.mask, x.mask)
    same_bits(result.data[:, ::2], call(values[:, ::2].copy(), axis=1))
    integers = np.ma.MaskedArray([1, 9, 3], [0, 1, 0])
    same_bits(softmax(integers).compressed(), softmax(np.array([1.0, 3.0])))


def test_masked_elements_do_not_count_in_a_sum():
    x = np.ma.MaskedArray([[1.0, 7.0, 3.0], [0.5, nan, 2.0]], [[0, 1, 0], [0, 1, 0]])
    same_bits(logsumexp(x, axis=1), logsumexp(x.data[:, ::2].copy(), axis=1))


# Elements that do not count


MASKED_SHAPES = [
    ((5, 7), 1),
    ((5, 7), 0),
    ((80,), 0),
    ((70, 100), 1),
    ((100, 70), 0),
    ((2, 3, 300), (0, 2)),
    ((5000, 3), 0),
    ((3, 5000), 1),
    ((1, 40_000), 1),
    ((6000,), None),
]


def hidden(x, mask):
    """The same scores, with something else where they do not count."""
    other = x.copy()
    other[~mask] = np.resize([nan, inf, -inf, 1e30, 0], np.count_nonzero(~mask))
    return other


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize(("shape", "axis"), MASKED_SHAPES)
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.9, 1.0])
def test_what_does_not_count_is_as_minus_infinity(call, dtype, shape, axis, fraction, restored_threads):
    rng = np.random.default_rng(3)
    x = rng.normal(0, 5, shape).astype(dtype)
    mask = rng.random(shape) < fraction
    expected = call(np.where(mask, x, -inf).astype(dtype), axis=axis)
    for threads in (1, 2):
        fastlogit.set_num_threads(threads)
        for laid in (mask, np.asfortranarray(mask), np.flip(np.flip(mask).copy())):
            same_bits(call(hidden(x, mask), axis=axis, where=laid), expected)
            same_bits(call(np.asfortranarray(hidden(x, mask)), axis=axis, where=laid), expected)
            if call is not logsumexp:
                in_place = hidden(x, mask)
                assert call(in_place, axis=axis, out=in_place, where=laid) is in_place
                same_bits(in_place, expected)


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble", "float16", "int32"])
def test_masks_broadcast_for_every_dtype(call, dtype):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for mask in ([True, False, True, True], [[[True]], [[False]]], np.array(True), [[True], [False], [True]]):
        full = np.broadcast_to(mask, x.shape)
        wide = x.astype(call(x, axis=1).dtype)
        same_bits(call(x, axis=1, where=mask), call(np.where(full, wide, -inf).astype(wide.dtype), axis=1))


@EVERY_DTYPE
def test_masks_with_weights(dtype):
    rng = np.random.default_rng(4)
    x, b = rng.normal(0, 5, (40, 30)).astype(dtype), rng.normal(0, 1, (40, 30)).astype(dtype)
    mask = rng.random((40, 30)) < 0.5
    for axis in (0, 1, None):
        got = logsumexp(hidden(x, mask), axis=axis, b=b, return_sign=True, where=mask)
        expected = logsumexp(x, axis=axis, b=np.where(mask, b, 0).astype(dtype), return_sign=True)
        same_bits(np.array(got), np.array(expected))


@EVERY_FUNCTION
def test_masks_that_are_refused_leave_out_as_it_is(call):
    x = np.zeros((3, 4))
    out = np.full(x.shape if call is not logsumexp else (3,), 7.0)
    for mask, error, message in (
        (np.ones((3, 4)), TypeError, "where has dtype float64 and must be boolean"),
        ([1, 0, 1, 1], TypeError, "where has dtype int"),
        (np.ones((4, 3), bool), ValueError, r"where has shape \(4, 3\), which does not broadcast"),
        (np.ones((2, 3, 4), bool), ValueError, r"where has shape \(2, 3, 4\), which does not broadcast"),
    ):
        with pytest.raises(error, match=f"{call.__name__}: {message}"):
            call(x, axis=1, out=out, where=mask)
        assert (out == 7).all()


@NORMALISING
def test_mask_in_the_memory_of_out(call):
    x = np.random.default_rng(0).normal(size=(8, 8))
    out = np.zeros_like(x)
    mask = out.view(bool)[:, :8]
    mask[...] = np.random.default_rng(1).random((8, 8)) < 0.7
    same_bits(call(x, axis=1, where=mask.copy()), call(x, axis=1, out=out, where=mask))


@NORMALISING
@EVERY_DTYPE
def test_masks_ask_for_no_memory(call, dtype):
    x = np.random.default_rng(0).normal(size=(1024, 1024)).astype(dtype)
    mask = np.ones(1024, bool)
    for axis in (0, 1, None):
        call(x, axis=axis, out=x, where=mask)
        tracemalloc.start()
        try:
            call(x, axis=axis, out=x, where=mask)
            assert tracemalloc.get_traced_memory()[1] < MEGABYTE / 8
        finally:
            tracemalloc.stop()
