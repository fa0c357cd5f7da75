"""The elementwise functions as the contract has them: values, dtypes, arguments, errors, memory."""

import ctypes
import ctypes.util
import tracemalloc

import golden
import numpy as np
import pytest
from floating_point import CONTROL_WORD, EVERYTHING, FLAGS, FLUSH, ROUND_UP
from layouts import VIEWS
from memory import MEGABYTE, needs_linux
from reference import (
    DTYPES,
    FUNCTIONS,
    OF_LOG_ODDS,
    PUBLIC,
    bits,
    clamp_bounds,
    longdouble_is_wider,
    longdouble_reason,
    mpmath_value,
    same_bits,
    ulp_error,
)

import fastlogit
from fastlogit import expit, log_expit, logit

inf, nan = np.inf, np.nan

EVERY_PUBLIC = pytest.mark.parametrize("call", [FUNCTIONS[name].call for name in PUBLIC], ids=PUBLIC)
EVERY_FUNCTION = pytest.mark.parametrize(
    "call", [f.call for f in FUNCTIONS.values()], ids=list(FUNCTIONS)
)
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)

PROBABILITIES = np.array([[0.0, 0.1, 0.25, 0.5], [0.75, 0.9, 0.99, 1.0]])

# Values


@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    x, expected = np.array(FUNCTIONS[name].special).T.astype(dtype)
    same_bits(FUNCTIONS[name].call(x), expected)
    for value, result in zip(x, expected, strict=True):
        same_bits(FUNCTIONS[name].call(value), result)


@EVERY_DTYPE
def test_logit_at_the_ends_of_its_domain(dtype):
    real = np.dtype(dtype).type
    zero, one = real(0), real(1)
    inside = np.array([np.nextafter(zero, one), np.nextafter(one, zero)])
    outside = np.array([np.nextafter(zero, -one), np.nextafter(one, real(2))])
    assert np.isfinite(logit(inside)).all()
    assert np.isnan(logit(outside)).all()


@EVERY_DTYPE
def test_results_that_are_not_representable_have_the_right_sign(dtype):
    """Less than half the smallest subnormal number is 0; log_expit has the 0 of negative numbers."""
    largest = np.finfo(dtype).max
    same_bits(expit(np.array([-largest], dtype)), np.zeros(1, dtype))
    same_bits(log_expit(np.array([largest], dtype)), -np.zeros(1, dtype))
    same_bits(log_expit(np.array([-largest], dtype)), np.array([-largest], dtype))


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
@pytest.mark.parametrize("name", PUBLIC)
def test_longdouble_has_the_precision_of_longdouble(name):
    pytest.importorskip("mpmath", reason="only mpmath is finer than long double")
    inputs = FUNCTIONS[name].inputs(1000, "float64")
    inputs = inputs[(inputs != 0) & (inputs != 1)][::7]
    exact = np.array([mpmath_value(name, float(x)) for x in inputs]).astype(np.longdouble)
    got = FUNCTIONS[name].call(inputs.astype(np.longdouble))
    assert ulp_error(got, exact).max() < 4
    same_bits(got[::-3], FUNCTIONS[name].call(inputs.astype(np.longdouble)[::-3]))


# dtypes


@EVERY_PUBLIC
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
    for shape in [(), (2,), (2, 1), (0, 3), (5000,)]:
        x = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(dtype)
        expected = call(x.astype(result))
        assert expected.dtype == result
        same_bits(call(x), expected)
        same_bits(call(x, out=np.zeros(shape, result)), expected)
    same_bits(call([0, 1]), call(np.array([0.0, 1.0])))
    assert call(np.dtype(dtype).type(1)).dtype == result


@EVERY_PUBLIC
def test_float16_keeps_its_value_in_float32(call):
    x = np.array([0.1, 0.3, 0.7, 6e-8], np.float16)
    same_bits(call(x), call(x.astype(np.float32)))


@EVERY_PUBLIC
@pytest.mark.parametrize("integer", [np.int8, np.uint64, np.int64])
def test_integers_are_converted_to_float64_at_both_ends_of_their_range(call, integer):
    ends = np.array([np.iinfo(integer).min, np.iinfo(integer).max], integer)
    same_bits(call(ends), call(ends.astype(np.float64)))


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4"])
def test_other_byte_order(call, dtype):
    native = PROBABILITIES.astype(dtype)
    swapped = native.astype(np.dtype(dtype).newbyteorder())
    before = swapped.tobytes()
    result = call(swapped)
    same_bits(result, call(native))
    assert result.dtype.isnative
    assert swapped.tobytes() == before
    if dtype in ("f4", "f8"):
        assert call(swapped, out=swapped) is swapped
        np.testing.assert_array_equal(swapped, call(native))


@EVERY_FUNCTION
@EVERY_DTYPE
def test_unaligned(call, dtype):
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(8 * itemsize + 1, np.uint8)
    x = memory[1:].view(dtype).reshape(2, 4)
    assert not x.flags.aligned
    x[...] = PROBABILITIES
    expected = call(PROBABILITIES.astype(dtype))
    same_bits(call(x), expected)
    assert call(x, out=x) is x
    same_bits(x, expected)


@EVERY_FUNCTION
def test_field_of_a_structured_array(call):
    records = np.zeros(8, [("tag", "u1"), ("p", "f8"), ("note", "S3")])
    records["tag"], records["p"], records["note"] = 7, PROBABILITIES.ravel(), b"abc"
    call(records["p"], out=records["p"])
    same_bits(records["p"], call(PROBABILITIES.ravel()))
    assert (records["tag"] == 7).all()
    assert (records["note"] == b"abc").all()


@EVERY_FUNCTION
@pytest.mark.parametrize(
    ("scalar", "result"),
    [
        (0.25, np.float64),
        (1, np.float64),
        (True, np.float64),
        (np.float16(0.25), np.float32),
        (np.float32(0.25), np.float32),
        (np.float64(0.25), np.float64),
        (np.longdouble(0.25), np.longdouble),
        (np.int8(1), np.float64),
        (np.bool(True), np.float64),
        (np.array(0.25), np.float64),
        (np.array(0.25, "f4"), np.float32),
        (np.array(0.25, np.dtype("f8").newbyteorder()), np.float64),
    ],
)
def test_scalars_give_numpy_scalars(call, scalar, result):
    got = call(scalar)
    assert type(got) is result
    same_bits(got, call(np.array([scalar], result))[0])


@EVERY_FUNCTION
@pytest.mark.parametrize(
    "empty", [[], np.zeros((0, 3)), np.zeros((4, 0, 2), "f4"), np.zeros((0,), "i8")]
)
def test_empty(call, empty):
    result = call(empty)
    assert result.shape == np.shape(empty)
    assert result.dtype == (np.float32 if getattr(empty, "dtype", None) == np.float32 else np.float64)
    assert call(result, out=result) is result


@EVERY_FUNCTION
def test_sequences_and_objects_with_an_array_interface(call):
    expected = call(PROBABILITIES)
    same_bits(call(PROBABILITIES.tolist()), expected)
    same_bits(call(tuple(map(tuple, PROBABILITIES.tolist()))), expected)
    same_bits(call(memoryview(PROBABILITIES)), expected)

    class Holder:
        def __array__(self, dtype=None, copy=None):
            return PROBABILITIES

    same_bits(call(Holder()), expected)


@EVERY_FUNCTION
@pytest.mark.parametrize(
    "x",
    [
        1j,
        np.ones(3, np.complex64),
        "0.5",
        ["a", "b"],
        np.array([b"0.5"]),
        None,
        np.array([0.5, None]),
        [0.25, Ellipsis],
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


# eps


def test_eps_bounds_are_computed_in_the_dtype_of_the_array():
    """1 - eps is 0x1.ffffdep-1 in float32: 1.01e-6 below 1."""
    assert logit(np.array([0, 1], np.float32), 1e-6).astype(str).tolist() == ["-13.81551", "13.802318"]
    assert logit(np.array([0.0, 1.0]), 1e-6).tolist() == [-13.815509557963773, 13.815509557935018]


@EVERY_DTYPE
@pytest.mark.parametrize("eps", [0.5, 0.3, 1e-3, 1e-6, 1e-8, 1e-17, 1e-40, 1e-300, 5e-324])
def test_eps_above_0_makes_every_result_finite(dtype, eps):
    lower, upper = clamp_bounds(eps, dtype)
    assert 0 < lower <= upper < 1
    x = np.array([-inf, -1, -0.0, 0, lower, upper, 1, 2, inf], dtype)
    low, high = logit(np.array([lower, upper], dtype))
    assert np.isfinite([low, high]).all()
    for result in (logit(x, eps), logit(x, eps, out=x)):
        same_bits(result, np.array([low] * 5 + [high] * 4, dtype))


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
def test_eps_in_longdouble():
    result = logit(np.array([0, 1], np.longdouble), 1e-6)
    eps = np.longdouble(1e-6)
    np.testing.assert_array_equal(result, logit(np.array([eps, 1 - eps])))
    assert np.isfinite(logit(np.array([0, 1], np.longdouble), 5e-324)).all()


@EVERY_DTYPE
def test_eps_0_brings_into_the_closed_interval(dtype):
    x = np.array([-inf, -1, -0.0, 0, 0.25, 1, 2, inf, nan], dtype)
    quarter = logit(np.array(0.25, dtype))
    same_bits(logit(x, 0), np.array([-inf] * 4 + [quarter] + [inf] * 3 + [nan], dtype))


@EVERY_DTYPE
def test_eps_of_a_half_makes_every_result_0(dtype):
    same_bits(logit(np.array([-1, 0, 0.3, 0.5, 1, 7], dtype), 0.5), np.zeros(6, dtype))


@EVERY_DTYPE
def test_eps_keeps_nan_and_leaves_what_lies_between_the_bounds(dtype):
    x = np.linspace(0.01, 0.99, 999, dtype=dtype)
    same_bits(logit(x, 0.01), logit(np.clip(x, *clamp_bounds(0.01, dtype))))
    assert np.isnan(logit(np.array([nan], dtype), 0.1)).all()


@pytest.mark.parametrize(
    "eps",
    [
        0,
        0.01,
        np.float64(0.01),
        np.float32(0.01),
        np.float16(0.01),
        np.array(0.01),
        np.array(0),
        np.int8(0),
    ],
    ids=repr,
)
def test_eps_is_any_real_number(eps):
    same_bits(logit(PROBABILITIES, eps), logit(PROBABILITIES, float(eps)))
    same_bits(logit(PROBABILITIES, eps=eps), logit(PROBABILITIES, float(eps)))


@pytest.mark.parametrize(
    "eps", [-1e-9, -5e-324, 0.5000000001, 1, inf, -inf, nan, np.array(nan)], ids=repr
)
def test_eps_out_of_range(eps):
    out = np.full(PROBABILITIES.shape, 7.0)
    with pytest.raises(ValueError, match=r"0 <= eps <= 0\.5"):
        logit(PROBABILITIES, eps, out=out)
    assert (out == 7.0).all()


@pytest.mark.parametrize("eps", [np.zeros((2, 4)), np.array([0.1]), [0.1], (0.1,)], ids=repr)
def test_an_array_in_the_place_of_eps_is_told_about_out(eps):
    with pytest.raises(TypeError, match="out="):
        logit(PROBABILITIES, eps)


@pytest.mark.parametrize("eps", ["0.1", b"0.1", 1j, np.array("0.1"), np.array(1j), Ellipsis], ids=repr)
def test_eps_that_is_no_real_number(eps):
    with pytest.raises(TypeError, match="eps must be a number"):
        logit(PROBABILITIES, eps)


@EVERY_PUBLIC
def test_x_is_positional_and_options_are_keywords(call):
    with pytest.raises(TypeError):
        call(x=PROBABILITIES)
    with pytest.raises(TypeError):
        call()
    with pytest.raises(TypeError):
        call(PROBABILITIES, None, True)
    with pytest.raises(TypeError):
        call(PROBABILITIES, axis=0)


# out, where, and the other options of a ufunc


@EVERY_FUNCTION
@EVERY_DTYPE
def test_out_is_returned_itself(call, dtype):
    x = PROBABILITIES.astype(dtype)
    expected = call(x)
    for out in (np.empty_like(x), np.empty((2, 4), dtype, order="F"), np.empty((4, 8), dtype).T[::4]):
        assert call(x, out=out) is out
        same_bits(out, expected)
        out[...] = 0
        assert call(x, out=(out,)) is out
        same_bits(out, expected)
    same_bits(x, PROBABILITIES.astype(dtype))
    assert call(x, out=x) is x
    same_bits(x, expected)
    zero_d = np.array(0.25, dtype)
    assert call(zero_d, out=zero_d) is zero_d
    same_bits(zero_d, call(np.array([0.25], dtype)).reshape(()))


def test_out_is_the_second_argument_of_functions_of_log_odds():
    for call in (FUNCTIONS[name].call for name in OF_LOG_ODDS):
        out = np.empty_like(PROBABILITIES)
        assert call(PROBABILITIES, out) is out
        same_bits(out, call(PROBABILITIES))


@EVERY_FUNCTION
@pytest.mark.parametrize("x_dtype", ["float16", "float32", "float64", "longdouble", "int32", "bool"])
@pytest.mark.parametrize(
    "out_dtype", ["float16", "float32", "float64", "longdouble", "complex128", ">f8", ">f4"]
)
def test_out_of_another_dtype(call, x_dtype, out_dtype):
    """Computed as without out, then converted."""
    x = np.array([0, 1, 1, 0]).astype(x_dtype)
    out = np.zeros(4, out_dtype)
    assert call(x, out=out) is out
    np.testing.assert_array_equal(out, call(x).astype(out_dtype))


@EVERY_FUNCTION
def test_out_that_a_result_cannot_be_cast_to(call):
    x = np.array([0.25, 0.75])
    for dtype in ("int64", "bool"):
        out = np.ones(2, dtype)
        with pytest.raises(TypeError, match="same_kind"):
            call(x, out=out)
        assert (out == 1).all()
    integers = np.full(2, 9)
    assert call(x, out=integers, casting="unsafe") is integers
    np.testing.assert_array_equal(integers, call(x).astype(int))
    single = np.full(2, 9, np.float32)
    with pytest.raises(TypeError, match="safe"):
        call(x, out=single, casting="safe")
    assert (single == 9).all()


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("in_place", [False, True])
def test_where(call, dtype, in_place):
    """The mask decides element by element; SciPy 1.17 writes others and crashes."""
    rng = np.random.default_rng(3)
    x = rng.random((40, 300)).astype(dtype)
    mask = rng.random((40, 300)) < 0.5
    expected = np.where(mask, call(x), x if in_place else np.asarray(7, dtype))
    for view in (np.s_[:], np.s_[::-1, ::3], np.s_[::2, 5:9]):
        source = x.copy()
        out = source if in_place else np.full_like(x, 7)
        seen = out[view]
        assert call(source[view], out=seen, where=mask[view]) is seen
        same_bits(seen, expected[view])
        rest = np.ones(x.shape, bool)
        rest[view] = False
        same_bits(out[rest], (x if in_place else np.full_like(x, 7))[rest])


@EVERY_FUNCTION
def test_where_broadcasts(call):
    out = np.zeros((2, 4))
    call(PROBABILITIES, out=out, where=np.array([True, False, True, False]))
    same_bits(out, np.where([True, False, True, False], call(PROBABILITIES), 0.0))
    out = np.zeros((3, 2, 4))
    mask = np.array([True, False, True]).reshape(3, 1, 1)
    assert call(PROBABILITIES, out=out, where=mask) is out
    same_bits(out, np.where(mask, call(PROBABILITIES), 0.0))
    out = np.ones((2, 4))
    assert call(PROBABILITIES, out=out, where=False) is out
    assert (out == 1).all()
    with pytest.raises(TypeError):
        call(PROBABILITIES, out=out, where=np.ones((2, 4)))
    with pytest.raises(ValueError, match="broadcast"):
        call(PROBABILITIES, out=out, where=np.ones(3, bool))


@EVERY_FUNCTION
def test_x_broadcasts_to_out(call):
    out = np.empty((3, 2, 4), np.float32)
    assert call(PROBABILITIES.astype("f4"), out=out) is out
    same_bits(out, np.broadcast_to(call(PROBABILITIES.astype("f4")), out.shape))
    out = np.empty(3)
    assert call(0.25, out=out) is out
    same_bits(out, np.repeat(call(0.25), 3))


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_dtype_is_that_of_the_computation(call, dtype):
    x = PROBABILITIES.astype("f2")
    same_bits(call(x, dtype=dtype), call(x.astype(dtype)))
    integers = np.array([0, 1])
    same_bits(call(integers, dtype=dtype, casting="unsafe"), call(integers.astype(dtype)))
    same_bits(call(PROBABILITIES, dtype="f4"), call(PROBABILITIES.astype("f4")))


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", ["int64", "complex128", "U4"])
def test_dtype_that_has_no_loop(call, dtype):
    with pytest.raises(TypeError):
        call(PROBABILITIES, dtype=dtype)


@EVERY_FUNCTION
def test_casting_no_refuses_a_conversion(call):
    with pytest.raises(TypeError, match="no"):
        call(np.array([0, 1]), casting="no")
    same_bits(call(PROBABILITIES, casting="no"), call(PROBABILITIES))


@EVERY_FUNCTION
@EVERY_DTYPE
def test_order_of_a_new_array(call, dtype):
    fortran = np.asfortranarray(PROBABILITIES.astype(dtype))
    expected = call(PROBABILITIES.astype(dtype))
    for order, strides in [("K", "F"), ("A", "F"), ("C", "C"), ("F", "F")]:
        result = call(fortran, order=order)
        same_bits(result, expected)
        assert result.flags[f"{strides}_CONTIGUOUS"]
    cube = np.ones((2, 3, 4), dtype).transpose(1, 2, 0) / 3
    assert call(cube).strides == np.exp(cube).strides


class Labelled(np.ndarray):
    pass


@EVERY_FUNCTION
def test_subok(call):
    x = PROBABILITIES.copy().view(Labelled)
    assert type(call(x)) is Labelled
    assert type(call(x, subok=False)) is np.ndarray
    same_bits(np.asarray(call(x)), call(PROBABILITIES))
    assert call(x, out=x) is x
    same_bits(np.asarray(x), call(PROBABILITIES))


# Errors: clear, and nothing written


@EVERY_FUNCTION
@EVERY_DTYPE
def test_read_only_out_names_the_cure(call, dtype):
    x = PROBABILITIES.astype(dtype)
    x.flags.writeable = False
    for out in (x, np.broadcast_to(np.zeros(4, dtype), (2, 4))):
        before = out.copy()
        with pytest.raises(ValueError, match=r"read-only.*copy"):
            call(x, out=out)
        same_bits(out, before)
    same_bits(x, PROBABILITIES.astype(dtype))
    call(x)


@EVERY_FUNCTION
@pytest.mark.parametrize("shape", [(4, 2), (2, 3), (8,), (4,), (1, 4), (), (2, 4, 1), (0, 4)])
def test_wrong_shape_of_out(call, shape):
    out = np.full(shape, 7.0)
    with pytest.raises(ValueError, match=r"out has shape"):
        call(PROBABILITIES, out=out)
    assert (out == 7.0).all()


@EVERY_FUNCTION
@pytest.mark.parametrize("out", [[0.0] * 4, 1.0, "out", np.float64(1), Ellipsis], ids=repr)
def test_out_that_is_no_array(call, out):
    with pytest.raises(TypeError, match="out must be an array"):
        call(PROBABILITIES[0], out=out)


@EVERY_FUNCTION
def test_tuple_of_two_outs(call):
    outs = np.full((2, 2, 4), 7.0)
    with pytest.raises(ValueError, match="one array"):
        call(PROBABILITIES, out=tuple(outs))
    assert (outs == 7.0).all()


@EVERY_FUNCTION
@pytest.mark.parametrize("option", [{"order": "X"}, {"casting": "X"}, {"dtype": "X"}], ids=str)
def test_options_that_do_not_exist(call, option):
    out = np.full((2, 4), 7.0)
    with pytest.raises((TypeError, ValueError)):
        call(PROBABILITIES, out=out, **option)
    assert (out == 7.0).all()


@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble", "float16", "int16", ">f8"])
def test_input_is_not_modified(call, dtype):
    x = np.tile(np.array([0, 1, 1, 0]).astype(dtype), 5000)
    before = x.tobytes()
    call(x)
    call(x, out=np.empty(x.shape))
    call(x[::-2], where=np.arange(10000) % 2 == 0, out=np.zeros(10000))
    assert x.tobytes() == before


# The floating-point environment

@EVERY_FUNCTION
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_warning_and_no_error(call, dtype, threads):
    with np.errstate(all="ignore"):
        x = np.tile(np.array(EVERYTHING).astype(dtype), 2000)
    with fastlogit.num_threads(threads), np.errstate(all="raise"):
        call(x)
        call(x[:27])
        call(x[::-2])
        call(x, where=np.ones(x.shape, bool), out=np.empty_like(x))
        for value in x[:27]:
            call(value)
        call(x, out=x)


@EVERY_FUNCTION
@EVERY_DTYPE
def test_no_flag_is_raised(call, dtype, libm):
    """NumPy looks at the flags only after a ufunc; the direct way must leave them alone as well."""
    with np.errstate(all="ignore"):
        x = np.array(EVERYTHING).astype(dtype)
    out = np.empty_like(x)
    libm.feclearexcept(FLAGS)
    call(x, out=out)
    raised = libm.fetestexcept(FLAGS)
    assert raised == 0


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("control", [FLUSH, ROUND_UP], ids=["flush", "round-up"])
def test_bits_do_not_depend_on_the_floating_point_state_of_the_caller(call, dtype, control, libm):
    """Other libraries switch subnormal numbers off for a whole process."""
    with np.errstate(all="ignore"):
        x = np.tile(np.array(EVERYTHING).astype(dtype), 1000)
    expected = call(x)
    got, strided = np.empty_like(x), np.empty_like(x)[::2]
    caller = (ctypes.c_uint32 * 8)()
    libm.fegetenv(caller)
    changed = (ctypes.c_uint32 * 8)(*caller)
    changed[CONTROL_WORD] |= control
    libm.fesetenv(changed)
    try:
        call(x, out=got)
        call(x[::2], out=strided)
        after = (ctypes.c_uint32 * 8)()
        libm.fegetenv(after)
    finally:
        libm.fesetenv(caller)
    np.testing.assert_array_equal(bits(got), bits(expected))
    np.testing.assert_array_equal(bits(strided), bits(expected)[::2])
    assert after[CONTROL_WORD] & (FLUSH | ROUND_UP) == control


@pytest.mark.parametrize("name", FUNCTIONS)
@EVERY_DTYPE
@pytest.mark.parametrize("sign", [1, -1])
def test_nan_has_the_same_bits_wherever_it_lies(name, dtype, sign):
    """Some elements go through vectors, others do not, and compilers may negate them in another way."""
    if dtype == "float64" and name in ("expit", "clamped_logit") and golden.arithmetic() != "fused":
        pytest.skip("the sign is the compiler's choice there, see docs/reliability.rst")
    call = FUNCTIONS[name].call
    given = np.copysign(np.array(nan, dtype), sign)
    expected = bits(np.array(nan, dtype) if name == "logit" else given)
    for n in (1, 2, 7, 16, 33, 64, 127, 200):
        for position in range(n):
            x = np.full(n, 0.25, dtype)
            x[position] = given
            assert bits(call(x))[position] == expected


@pytest.mark.parametrize(
    ("dtype", "eps"), [("float64", 5e-324), ("float64", 1e-310), ("float32", 1e-40)]
)
def test_subnormal_eps_keeps_the_result_finite_where_the_caller_has_no_subnormals(dtype, eps, libm):
    x = np.array([0, 1], dtype)
    expected = logit(x, eps)
    caller = (ctypes.c_uint32 * 8)()
    libm.fegetenv(caller)
    changed = (ctypes.c_uint32 * 8)(*caller)
    changed[CONTROL_WORD] |= FLUSH
    libm.fesetenv(changed)
    try:
        got = logit(x, eps)
    finally:
        libm.fesetenv(caller)
    same_bits(got, expected)


# Overlap of x and out


@EVERY_FUNCTION
@EVERY_DTYPE
@pytest.mark.parametrize("n", [7, 3000])
@pytest.mark.parametrize("x_step", [1, 2, -1, -3])
@pytest.mark.parametrize("out_step", [1, 2, -1, -3])
def test_overlap_gives_what_a_copy_gives(call, dtype, n, x_step, out_step):
    """All shifts by few elements or by almost the whole length, and by parts of an element."""
    itemsize = np.dtype(dtype).itemsize
    reach = 3 * n + 16
    values = np.random.default_rng(n).random(2 * reach).astype(dtype)

    def view(memory, start, step):
        first = start * itemsize if step > 0 else (start + (n - 1) * -step) * itemsize
        return np.ndarray((n,), dtype, memory, int(first), (step * itemsize,))

    for shift in (0, 1, 2, 3, 8, n // 2, n - 1, 0.25, 1.5, n - 0.25):
        for x_start, out_start in ((0, shift), (shift, 0)):
            memory = values.copy()
            x = view(memory, x_start, x_step)
            out = view(memory, out_start, out_step)
            expected = values.copy()
            view(expected, out_start, out_step)[...] = call(x.copy())
            assert call(x, out=out) is out
            same_bits(memory, expected)


@EVERY_FUNCTION
@EVERY_DTYPE
def test_overlap_in_two_dimensions(call, dtype):
    values = np.random.default_rng(2).random((60, 60)).astype(dtype)
    views = [
        (np.s_[:-1], np.s_[1:]),
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[1:, :-1], np.s_[:-1, 1:]),
        (np.s_[::-1], np.s_[:]),
        (np.s_[:, ::-1], np.s_[:]),
        (np.s_[::2, ::2], np.s_[:30, :30]),
        (np.s_[::2], np.s_[1::2]),
    ]
    for source, target in views:
        array, expected = values.copy(), values.copy()
        expected[target] = call(values[source])
        call(array[source], out=array[target])
        same_bits(array, expected)
    array = values.copy()
    call(array, out=array.T)
    same_bits(array, call(values).T)
    array = values.copy()
    call(np.broadcast_to(array[3], (60, 60)), out=array)
    same_bits(array, np.broadcast_to(call(values[3]), (60, 60)))
    array = values.copy()
    call(array[3, 5], out=array)
    same_bits(array, np.full((60, 60), call(values[3, 5])))


@EVERY_FUNCTION
def test_out_over_the_bytes_of_an_input_of_another_type(call):
    memory = np.arange(8000.0) % 2
    integers = memory.view(np.int64)[:4000]
    integers[...] = np.arange(4000) % 2
    expected = call(np.arange(4000.0) % 2)
    single = memory.view(np.float32)[1000:5000]
    call(integers, out=single)
    same_bits(single, expected.astype(np.float32))


# No temporary of the array's size

@EVERY_DTYPE
@EVERY_FUNCTION
@pytest.mark.parametrize("view", VIEWS)
def test_in_place_asks_for_no_memory(call, dtype, view):
    base = np.full((1024, 1024), 0.25, dtype)
    x = VIEWS[view](base)
    assert np.shares_memory(x, base)
    tracemalloc.start()
    try:
        call(x, out=x)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024
        tracemalloc.reset_peak()
        call(x)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes + 16 * 1024
    finally:
        tracemalloc.stop()


@needs_linux
@EVERY_DTYPE
@pytest.mark.parametrize("view", VIEWS)
def test_in_place_does_not_raise_the_peak_of_resident_memory(dtype, view, run_python):
    """tracemalloc sees what NumPy allocates; the operating system sees everything."""
    grew, view_bytes = run_python(
        f"""if True:
    import numpy as np
    from layouts import VIEWS
    from memory import resident_peak
    from reference import FUNCTIONS

    base = np.full((4096, 4096), 0.25, {dtype!r})
    x = VIEWS[{view!r}](base)
    for function in FUNCTIONS.values():  # after this the threads have their stacks
        function.call(base[:16], out=base[:16])
    before = resident_peak()
    for function in FUNCTIONS.values():
        function.call(x, out=x)
    print(resident_peak() - before, x.nbytes)
    """
    ).split()
    assert int(view_bytes) >= 8 * MEGABYTE
    assert int(grew) < MEGABYTE


@needs_linux
def test_peak_of_resident_memory_shows_a_temporary(run_python):
    """What the test above would see if there were one."""
    grew = run_python(
        """if True:
    import numpy as np
    from memory import resident_peak

    base = np.full((4096, 4096), 0.25)
    before = resident_peak()
    base[:, :512] = np.exp(base[:, :512])
    print(resident_peak() - before)
    """
    )
    assert int(grew) > 8 * MEGABYTE
