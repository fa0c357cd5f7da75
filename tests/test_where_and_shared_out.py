"""A mask without out, as NumPy has it; and an out whose elements share memory."""

import warnings

import numpy as np
import pytest
from floating_point import known
from numpy.lib.stride_tricks import as_strided
from reference import DTYPES, FUNCTIONS, same_bits

import fastlogit
from fastlogit import log_softmax, softmax

EVERY_FUNCTION = pytest.mark.parametrize("call", [f.call for f in FUNCTIONS.values()], ids=list(FUNCTIONS))
EVERY_WAY = pytest.mark.parametrize(
    "call",
    [way for f in FUNCTIONS.values() for way in (f.call, f.ufunc)],
    ids=[f"{name}-{way}" for name in FUNCTIONS for way in ("function", "ufunc")],
)

X = np.array([0.25, 0.5, 0.75, 0.125])
MASK = np.array([True, False, True, True])


def warned(call, x, **options):
    """What is said, and of which file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(x, **options)
    return [(warning.category, str(warning.message), warning.filename) for warning in caught]


@EVERY_FUNCTION
@pytest.mark.parametrize("x", [X, X.astype("f4"), X.astype("g"), [0, 1, 1, 0], X[::-1]], ids=str)
def test_mask_without_out_warns_as_numpy_does(call, x):
    """From NumPy 2.4 on that is so."""
    assert warned(call, x, where=MASK) == warned(np.exp, x, where=MASK)
    assert warned(call, x, where=MASK, out=None) == warned(np.exp, x, where=MASK, out=None) == []
    assert warned(call, x) == warned(call, x, out=None) == warned(call, x, where=True) == []
    assert warned(call, x, where=MASK, out=np.zeros(4)) == []


@EVERY_FUNCTION
def test_mask_without_out_computes_where_it_says(call):
    got = call(X, where=MASK, out=None)
    same_bits(got[MASK], call(X)[MASK])
    same_bits(call(0.25, where=True), call(0.25))


def test_the_default_of_out_reads_as_none():
    import inspect

    for name in FUNCTIONS:
        function = getattr(fastlogit, name, fastlogit.logit)
        assert "out=None" in str(inspect.signature(function))
        assert "out=None" in function.__doc__


def shared(kind, n, dtype):
    """An out of n elements that share memory with each other, or of rows that are all one."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(n, dtype)
    if kind == "one element":
        return memory, as_strided(memory, (n,), (0,))
    if kind == "half an element further":
        return memory, as_strided(memory, (n,), (itemsize // 2,))
    if kind == "one row":
        return memory, as_strided(memory, (n // 100, 100), (0, itemsize))
    return memory, as_strided(memory, (n // 100, 100), (itemsize, itemsize))


SHARED = ["one element", "half an element further", "one row", "sliding rows"]
# A half of x87's long double is in part of the bytes that have no meaning.
HAVE_HALVES = pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (kind, dtype)
        for kind in SHARED
        for dtype in (*DTYPES, "longdouble")
        if (kind, dtype) != (SHARED[1], "longdouble")
    ],
)


@EVERY_WAY
@HAVE_HALVES
def test_elements_of_out_that_share_memory(call, kind, dtype, restored_threads):
    """The last one that is written stays, as with any ufunc; threads raced for it."""
    fastlogit.set_num_threads(2)
    n = 60_000
    memory, out = shared(kind, n, dtype)
    x = np.linspace(0.01, 0.99, n, dtype=dtype).reshape(out.shape)
    expected, wanted = shared(kind, n, dtype)
    np.positive(call(x), out=wanted)
    for _ in range(20):
        memory[...] = 0
        assert call(x, out=out) is out
        assert known(memory) == known(expected)


@pytest.mark.parametrize("call", [softmax, log_softmax])
@HAVE_HALVES
def test_elements_of_out_of_a_slice_that_share_memory(call, kind, dtype, restored_threads):
    fastlogit.set_num_threads(2)
    n = 60_000
    x = (np.linspace(0, 9, n) % 3).astype(dtype)
    memory, out = shared(kind, n, call(x[:1]).dtype)
    x = x.reshape(out.shape)
    expected, wanted = shared(kind, n, call(x).dtype)
    np.copyto(wanted, call(x, axis=-1))
    for _ in range(5):
        memory[...] = 0
        assert call(x, axis=-1, out=out) is out
        assert known(memory) == known(expected)


@EVERY_WAY
@pytest.mark.parametrize("dtype", [*DTYPES, "longdouble"])
def test_x_and_out_are_the_same_repeated_element(call, dtype):
    memory = np.full(1, 0.25, dtype)
    repeated = as_strided(memory, (5000,), (0,))
    call(repeated, out=repeated)
    same_bits(memory, call(np.full(1, 0.25, dtype)))
