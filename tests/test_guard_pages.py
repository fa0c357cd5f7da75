"""Nothing is read or written but the elements.

Arrays end where a page ends that is followed by a forbidden one, or begin where one begins: a byte too far
ends the process. All other bytes on the pages, those between the elements of a strided view too, have a
pattern which must not change. The suite runs a part; ``pytest -m slow tests/test_guard_pages.py`` runs all.
"""

import itertools

import numpy as np
import pytest
from memory import bytes_between_forbidden_pages, needs_linux
from reference import FUNCTIONS

import fastlogit

pytestmark = [needs_linux, pytest.mark.usefixtures("restored_threads")]

PATTERN = 0xA5
PAGES = 40
# All remainders of a vector, of two, of a block of 64, and of a chunk of 1024.
LENGTHS = [*range(10), *(n + d for n in (16, 32, 64, 128) for d in (-1, 0, 1))]
ALL_LENGTHS = [*range(300), *(n + d for n in (512, 1024, 2048) for d in range(-3, 18))]
STRIDES = (1, 2, -1, -3)  # in elements
SLICES = (1, 3, 33, 64, 65)  # a panel has 32 or 64
ALL_SLICES = (*range(1, 10), *(n + d for n in (16, 32, 64) for d in (-1, 0, 1)))
SLICE_LENGTHS = (1, 2, 5, 17, 64, 65)
ALL_SLICE_LENGTHS = (*range(1, 34), 63, 64, 65, 66, 100)
PLACES = tuple(itertools.product((False, True), (0, 1)))  # at the end, and so many bytes away from it

OF_SLICES = {
    "softmax": fastlogit.softmax,
    "log_softmax": fastlogit.log_softmax,
    "logsumexp": fastlogit.logsumexp,
}


class Memory:
    """Pages between forbidden ones, and one view of them at a time."""

    def __init__(self, pages=PAGES):
        self.bytes = bytes_between_forbidden_pages(pages)
        self.bytes[:] = PATTERN
        self.of_view = self.bytes[:0]  # each byte of the view

    def place(self, values, strides, at_end, away):
        """The values as a view with these strides, at one end of the pages."""
        self.of_view[...] = PATTERN
        reach = [(n - 1) * stride if n else 0 for n, stride in zip(values.shape, strides, strict=True)]
        lowest = sum(min(0, step) for step in reach)
        extent = sum(map(abs, reach)) + values.itemsize if values.size else 0
        start = self.bytes.size - extent - away if at_end else away
        itemsize = values.itemsize
        self.of_view = np.ndarray(
            (*values.shape, itemsize), np.uint8, self.bytes, start - lowest, (*strides, 1)
        )
        view = np.ndarray(values.shape, values.dtype, self.bytes, start - lowest, strides)
        view[...] = values
        return view

    def others_are_untouched(self):
        """Whether all bytes but those of the view have the pattern: the view gets it, too."""
        self.of_view[...] = PATTERN
        return bool((self.bytes == PATTERN).all())


def plain_bits(array):
    """Of a long double not the bytes that mean nothing, which no copy keeps."""
    array = np.asarray(array)
    return (array.astype("f8") if array.dtype == np.longdouble else np.ascontiguousarray(array)).tobytes()


def check(call, x, out, memories):
    """The call gives what it gives on a copy, and changes nothing else."""
    before = plain_bits(x)
    copy = np.array(x, order="C")
    expected = plain_bits(call(copy, copy.copy() if out is x else np.empty_like(out, subok=False)))
    result = call(x, out)
    assert result is out
    assert plain_bits(out) == expected
    assert out is x or plain_bits(x) == before
    for memory in memories:
        assert memory.others_are_untouched()


def strides_in_bytes(shape, order, itemsize, step):
    """Of axes in an order, the innermost first, with gaps of ``step`` elements in that."""
    strides = [0] * len(shape)
    extent = step * itemsize
    for axis in order:
        strides[axis] = extent
        extent = abs(extent) * max(shape[axis], 1)
    return tuple(strides)


@pytest.fixture(scope="module")
def memories():
    return Memory(), Memory(), Memory()


def elementwise_cases(memories, name, way, dtype, lengths):
    function = FUNCTIONS[name]
    compute = function.call if way == "call" else function.ufunc
    itemsize = np.dtype(dtype).itemsize
    values = np.resize(function.inputs(500, "float64"), max(lengths) + 1).astype(dtype)
    for n, step, (at_end, away) in itertools.product(lengths, STRIDES, PLACES):
        x = memories[0].place(values[:n], (step * itemsize,), at_end, away)
        yield compute, x, x, memories[:1]
        for out_step in (step, 1, 2):
            x = memories[0].place(values[:n], (step * itemsize,), at_end, away)
            out = memories[1].place(np.zeros_like(values[:n]), (out_step * itemsize,), at_end, away)
            yield compute, x, out, memories[:2]


def check_elementwise(*arguments):
    for compute, x, out, touched in elementwise_cases(*arguments):
        check(lambda x, out, compute=compute: compute(x, out=out), x, out, touched)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
@pytest.mark.parametrize("way", ["call", "ufunc"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementwise(memories, name, way, dtype):
    check_elementwise(memories, name, way, dtype, LENGTHS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
@pytest.mark.parametrize("way", ["call", "ufunc"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementwise_of_all_lengths(memories, name, way, dtype):
    check_elementwise(memories, name, way, dtype, ALL_LENGTHS)


def check_slices(memories, name, dtype, counts, lengths):
    call = OF_SLICES[name]
    itemsize = np.dtype(dtype).itemsize
    pool = (np.random.default_rng(23).normal(size=20_000) * 20).astype(dtype)
    for count, n, axis in itertools.product(counts, lengths, (0, 1)):
        shape = (count, n) if axis else (n, count)
        kept = () if name != "logsumexp" else (count,)
        values = np.resize(pool, shape)
        allowed = np.resize(pool[:999] < 25, shape)
        for order, step, (at_end, away) in itertools.product(((1, 0), (0, 1)), (1, 2, -1), PLACES):
            strides = strides_in_bytes(shape, order, itemsize, step)

            def place(strides=strides, values=values, at_end=at_end, away=away):
                return memories[0].place(values, strides, at_end, away)

            def place_out(step, shape=shape, order=order, kept=kept, at_end=at_end, away=away):
                result = np.zeros(kept or shape, dtype)
                out_order = (0,) if kept else order
                return memories[1].place(
                    result, strides_in_bytes(result.shape, out_order, itemsize, step), at_end, away
                )

            if not kept:
                x = place()
                check(lambda x, out, axis=axis: call(x, axis, out=out), x, x, memories[:1])
            check(lambda x, out, axis=axis: call(x, axis, out=out), place(), place_out(step), memories[:2])
            mask = memories[2].place(allowed, strides_in_bytes(shape, order, 1, step), at_end, away)
            check(
                lambda x, out, axis=axis, mask=mask: call(x, axis, out=out, where=mask),
                place(), place_out(1), memories,
            )  # fmt: skip
            if kept and step == 1:
                weights = memories[2].place(values[::-1], strides, at_end, away)
                check(
                    lambda x, out, axis=axis, b=weights: call(x, axis, b, out=out),
                    place(), place_out(1), memories,
                )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OF_SLICES)
def test_slices(memories, name, dtype):
    check_slices(memories, name, dtype, SLICES, SLICE_LENGTHS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OF_SLICES)
def test_slices_of_all_lengths(memories, name, dtype):
    check_slices(memories, name, dtype, ALL_SLICES, ALL_SLICE_LENGTHS)


def losses(call):
    """As a function whose result is the gradient."""

    def compute(x, out, *others, **options):
        call(x, *others, grad=out, reduction="sum", **options)
        return out

    return compute


def check_losses(memories, dtype, counts, lengths):
    """Gradients of logits, targets and weights that all end, or begin, beside forbidden pages."""
    itemsize = np.dtype(dtype).itemsize
    pool = (np.random.default_rng(29).normal(size=20_000) * 8).astype(dtype)
    binary = losses(fastlogit.binary_cross_entropy_with_logits)
    classes = losses(fastlogit.cross_entropy)
    for count, n, axis in itertools.product(counts, lengths, (0, 1)):
        shape = (count, n) if axis else (n, count)
        values = np.resize(pool, shape)
        kinds = {
            "i1": np.resize(np.arange(n), count).astype("i1"),
            "i8": np.resize(np.arange(n), count).astype("i8"),
            dtype: np.abs(values) % 1,
        }
        for (target_type, y), step, (at_end, away) in itertools.product(kinds.items(), (1, 2, -1), PLACES):
            size = np.dtype(target_type).itemsize
            order = (1, 0)
            strides = strides_in_bytes(shape, order, itemsize, step)
            y_order = order if y.ndim == 2 else (0,)
            y_strides = strides_in_bytes(y.shape, y_order, size, step)

            def place(at_end=at_end, away=away, values=values, strides=strides):
                return memories[0].place(values, strides, at_end, away)

            def place_target(at_end=at_end, away=away, y=y, y_strides=y_strides):
                return memories[2].place(y, y_strides, at_end, away)

            def place_out(at_end=at_end, away=away, values=values, order=order):
                out_strides = strides_in_bytes(values.shape, order, itemsize, 1)
                return memories[1].place(np.zeros_like(values), out_strides, at_end, away)

            target = place_target()
            call = lambda x, out, y=target, axis=axis: classes(x, out, y, axis=axis)  # noqa: E731
            x = place()
            check(call, x, x, memories[:1])
            check(call, place(), place_out(), memories)
            if y.ndim == 2:
                target = place_target()
                call = lambda x, out, y=target: binary(x, out, y, y, pos_weight=y)  # noqa: E731
                x = place()
                check(call, x, x, memories[:1])
                check(call, place(), place_out(), memories)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses(memories, dtype):
    check_losses(memories, dtype, SLICES, SLICE_LENGTHS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_of_all_lengths(memories, dtype):
    check_losses(memories, dtype, ALL_SLICES, ALL_SLICE_LENGTHS)


@pytest.fixture(scope="module")
def long_memories():
    return Memory(3000), Memory(3000)


# Results of float64, and of the second also of float32, are written past the caches.
@pytest.mark.parametrize("shape", [(7, 40_003), (1101, 2003), (220_007, 5)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_threads(long_memories, dtype, shape):
    fastlogit.set_num_threads(3)
    calls = [lambda x, out, f=f: f.call(x, out=out) for f in FUNCTIONS.values()]
    calls += [lambda x, out, f=f, axis=axis: f(x, axis, out=out)
              for f in (fastlogit.softmax, fastlogit.log_softmax) for axis in (0, 1, None)]  # fmt: skip
    values = np.resize(FUNCTIONS["logit"].inputs(5000, dtype), shape)
    strides = values.strides
    values = values[: long_memories[0].bytes.size // values[0].nbytes - 1]
    for call, (at_end, away) in itertools.product(calls, ((True, 0), (False, 1))):
        x = long_memories[0].place(values, strides, at_end, away)
        check(call, x, x, long_memories[:1])
        x = long_memories[0].place(values, strides, at_end, away)
        out = long_memories[1].place(np.zeros_like(values), strides, at_end, away)
        check(call, x, out, long_memories)
