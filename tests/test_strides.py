"""The bits of a result depend on the value alone: not on shape, strides, alignment, place or threads.

Each element of a pool is computed by a call of its own, once; what an array of pool values becomes is
then known bit for bit, however the array lies in memory.
"""

import math
import threading
from functools import cache

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from layouts import laid_out, random_layout, random_shape
from memory import bytes_between_forbidden_pages, needs_linux
from reference import BITS, DTYPES, FUNCTIONS, bits

import fastlogit

POOL_SIZE = 4096
CASES_PER_FUNCTION_AND_DTYPE = 1250  # 10,000 over all of them
SPECIAL = [0.0, -0.0, 1.0, 0.5, -1.0, 2.0, np.inf, -np.inf, np.nan]

CASES = pytest.mark.parametrize(
    ("name", "dtype"), [(name, dtype) for name in FUNCTIONS for dtype in DTYPES]
)


@cache
def pool(name, dtype):
    """Inputs with all special values among them, and the result of each from a call of its own."""
    function = FUNCTIONS[name]
    values = np.array(SPECIAL, dtype)
    values = np.concatenate([values, function.inputs(POOL_SIZE, dtype)[-(POOL_SIZE - values.size) :]])
    alone = np.concatenate([function.call(values[i : i + 1]) for i in range(POOL_SIZE)])
    return values, bits(alone)


@CASES
def test_random_cases_equal_one_element_at_a_time(name, dtype):
    """And nothing beside the elements of out is written: the whole memory is compared.

    A fresh result is copied into such memory too.
    """
    values, alone = pool(name, dtype)
    call = FUNCTIONS[name].call
    itemsize = np.dtype(dtype).itemsize
    rng = np.random.default_rng([7, itemsize, *name.encode()])
    for case in range(CASES_PER_FUNCTION_AND_DTYPE):
        kind = ("in place", "other out", "new")[case % 3]
        threads = int(rng.integers(1, 6))
        shape = random_shape(rng)
        x_layout = random_layout(rng, shape, itemsize, repeat=kind != "in place")
        out_layout = x_layout if kind == "in place" else random_layout(rng, shape, itemsize)
        # Laid out as x is, because elements that share memory have one index.
        _, index = laid_out(x_layout, shape, BITS[dtype])
        index[...] = rng.integers(0, POOL_SIZE, shape)
        x_memory, x = laid_out(x_layout, shape, dtype)
        x[...] = values[index]
        x_memory_before = x_memory.copy()
        memory, out = (x_memory, x) if kind == "in place" else laid_out(out_layout, shape, dtype)
        expected_memory, expected = laid_out(out_layout, shape, BITS[dtype])
        expected[...] = alone[index]
        message = (
            f"case {case}: {kind}, shape {shape}, x {x_layout}, out {out_layout}, {threads} threads"
        )
        with fastlogit.num_threads(threads):
            if kind == "new":
                out[...] = call(x)
            else:
                assert call(x, out=out) is out, message
        np.testing.assert_array_equal(memory, expected_memory, message)
        if kind != "in place":
            np.testing.assert_array_equal(x_memory, x_memory_before, message)


@st.composite
def views(draw):
    """(shape, order of axes, index): what makes a view of an array, 0-d ones among them."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=30))
    hypothesis.assume(math.prod(shape) <= 100_000)
    axes = draw(st.permutations(range(len(shape))))
    transposed = tuple(shape[axis] for axis in axes)
    index = draw(hnp.basic_indices(transposed, allow_newaxis=True, allow_ellipsis=False, max_dims=8))
    return shape, axes, (*(index if isinstance(index, tuple) else (index,)), ...)


@CASES
@hypothesis.given(view=views(), threads=st.integers(1, 5))
@hypothesis.settings(max_examples=100)
def test_views_equal_one_element_at_a_time(name, dtype, view, threads):
    shape, axes, index = view
    values, alone = pool(name, dtype)
    places = np.arange(math.prod(shape)).reshape(shape) * 1973 % POOL_SIZE
    array = np.asarray(values[places])
    expected = bits(array).copy()
    seen = expected.transpose(axes)[index]
    seen[...] = alone[places].transpose(axes)[index]
    x = array.transpose(axes)[index]
    with fastlogit.num_threads(threads):
        new = np.asarray(FUNCTIONS[name].call(x))
        assert FUNCTIONS[name].call(x, out=x) is x
    np.testing.assert_array_equal(bits(new).reshape(seen.shape), seen)
    np.testing.assert_array_equal(bits(array), expected)


@pytest.mark.parametrize("ndim", [32, 33, 40, 64])
@CASES
def test_as_many_axes_as_numpy_has(name, dtype, ndim):
    """Twelve axes of length 2 that cannot be merged, among axes of length 1."""
    values, alone = pool(name, dtype)
    long_axes = set(np.linspace(0, ndim - 1, 12).astype(int))
    x = np.zeros((3,) * 12, dtype)[(slice(None, None, 2),) * 12]
    x = x.transpose(np.random.default_rng(ndim).permutation(12))
    x = x[tuple(slice(None) if axis in long_axes else None for axis in range(ndim))]
    places = np.arange(x.size).reshape(x.shape) % POOL_SIZE
    x[...] = values[places]
    np.testing.assert_array_equal(bits(FUNCTIONS[name].call(x)), alone[places])
    assert FUNCTIONS[name].call(x, out=x) is x
    np.testing.assert_array_equal(bits(x), alone[places])


@needs_linux
@CASES
def test_nothing_outside_is_read_or_written(name, dtype):
    """Rows whose first element begins a page and rows whose last one ends it; a fault ends the process."""
    values, alone = pool(name, dtype)
    memory = bytes_between_forbidden_pages(4).view(dtype)
    for step in (1, 2, 3, 7):
        for length in [*range(1, 70), 100, 257, memory.size // step]:
            extent = (length - 1) * step + 1
            for part in (memory[:extent], memory[memory.size - extent :]):
                x = part[::step]
                x[...] = values[:length]
                FUNCTIONS[name].call(x, out=x)
                np.testing.assert_array_equal(bits(x), alone[:length], f"{length} elements, step {step}")


@CASES
def test_what_lies_between_may_be_written_meanwhile(name, dtype):
    """Another thread counts in every second element, and no count is lost."""
    values, alone = pool(name, dtype)
    array = np.zeros(2 * POOL_SIZE, dtype)
    x, counts = array[::2], bits(array)[1::2]

    def compute():
        for _ in range(300):
            x[...] = values
            FUNCTIONS[name].call(x, out=x)

    worker = threading.Thread(target=compute)
    worker.start()
    rounds = 0
    while worker.is_alive():
        counts += 1
        rounds += 1
    np.testing.assert_array_equal(bits(x), alone)
    np.testing.assert_array_equal(counts, np.full(POOL_SIZE, rounds, counts.dtype))
