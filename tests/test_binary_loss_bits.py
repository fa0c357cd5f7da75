"""binary_cross_entropy_with_logits: the same bits whatever strides and threads, and no memory of its own."""

import tracemalloc

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from layouts import VIEWS, laid_out, random_layout, random_shape
from loss_calls import EVERY_DTYPE, EVERY_REDUCTION, NEEDS_WIDE, binary_sample, same_everything
from loss_calls import binary_everything as everything
from loss_reference import check_losses, exact_binary
from memory import MEGABYTE, needs_linux
from reference import same_bits

import fastlogit
from fastlogit import binary_cross_entropy_with_logits


@EVERY_DTYPE
def test_position_and_length_do_not_matter(dtype):
    logits, target, weight, pos_weight = binary_sample(np.random.default_rng(14), 1003, dtype)
    whole = everything(logits, target, weight, pos_weight=pos_weight, reduction="none")
    for i in range(0, 1003, 59):
        one = slice(i, i + 1)
        alone = everything(
            logits[one], target[one], weight[one], pos_weight=pos_weight[one], reduction="none"
        )
        same_everything(alone, [values[one] for values in whole])
    for start, stop in ((0, 1002), (1, 1003), (3, 700), (500, 517)):
        part = slice(start, stop)
        got = everything(
            logits[part], target[part], weight[part], pos_weight=pos_weight[part], reduction="none"
        )
        same_everything(got, [values[part] for values in whole])


@EVERY_DTYPE
@EVERY_REDUCTION
def test_threads_do_not_matter(dtype, reduction, restored_threads):
    for n in (5, 3000, 40_000, 700_001):
        logits, target, weight, pos_weight = binary_sample(np.random.default_rng(15), n, dtype)
        results = []
        for threads in (1, 2, 3, 5):
            fastlogit.set_num_threads(threads)
            results.append(everything(logits, target, weight, pos_weight=pos_weight, reduction=reduction))
        for other in results[1:]:
            same_everything(other, results[0])


@EVERY_DTYPE
def test_any_layout(dtype):
    """Random strides of every argument: the same bits, and nothing beside the elements is written."""
    rng = np.random.default_rng([16, np.dtype(dtype).itemsize])
    itemsize = np.dtype(dtype).itemsize
    for case in range(150):
        shape = random_shape(rng)
        args = binary_sample(rng, shape, dtype)
        reduction = ("mean", "sum", "none")[case % 3]
        with fastlogit.num_threads(1):
            expected = everything(*args[:3], pos_weight=args[3], reduction=reduction)
        laid = []
        for array in args:
            _, view = laid_out(random_layout(rng, shape, itemsize), shape, dtype)
            view[...] = array
            laid.append(view)
        layouts = [random_layout(rng, shape, itemsize) for _ in range(2)]
        (grad_memory, grad), (hess_memory, hess) = (laid_out(layout, shape, dtype) for layout in layouts)
        threads = int(rng.integers(1, 5))
        with fastlogit.num_threads(threads):
            value = binary_cross_entropy_with_logits(
                *laid[:3], pos_weight=laid[3], reduction=reduction, grad=grad, hess=hess
            )
        message = f"case {case}: {shape}, {reduction}, {threads} threads"
        same_bits(value, expected[0])
        for memory, layout, result in zip((grad_memory, hess_memory), layouts, expected[1:], strict=True):
            wanted_memory, wanted = laid_out(layout, shape, dtype)
            wanted[...] = result
            np.testing.assert_array_equal(memory, wanted_memory, message)


@st.composite
def calls(draw):
    dtype = draw(st.sampled_from(["f4", "f8", "f2", "i2", ">f8"]))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits, target, weight, pos_weight = binary_sample(rng, shape, "f4", draw(st.sampled_from([0.1, 8, 100])))
    logits = np.asarray(logits).astype(dtype).transpose(draw(st.permutations(range(len(shape)))))
    steps = draw(st.lists(st.sampled_from([1, -1, 2, -2]), min_size=logits.ndim, max_size=logits.ndim))
    logits = logits[(*(slice(None, None, step) for step in steps), ...)]
    cut = draw(st.integers(0, logits.ndim))
    target = np.resize(target, logits.shape).astype("f4")
    weight = draw(st.none() | st.just(np.resize(weight, logits.shape[cut:])))
    pos_weight = draw(st.none() | st.just(np.resize(pos_weight, logits.shape[cut:])))
    return logits, target, weight, pos_weight, draw(st.sampled_from(["mean", "sum", "none"]))


@NEEDS_WIDE
@hypothesis.given(case=calls(), threads=st.integers(1, 3))
def test_any_call_is_within_the_bound_of_the_reference(case, threads):
    logits, target, weight, pos_weight, reduction = case
    with fastlogit.num_threads(threads), np.errstate(all="raise"):
        got = everything(logits, target, weight, pos_weight=pos_weight, reduction=reduction)
    exact = exact_binary(logits, target, weight, pos_weight=pos_weight, reduction=reduction)
    check_losses(exact, *got, reduction)


# No temporary of the array's size


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", ["same", "bool", "int64", "float32", "float64"])
def test_in_place_asks_for_no_memory(kind, view, dtype, reduction):
    logits = VIEWS[view](np.full((1024, 1024), 0.25, dtype))
    target = np.ones(logits.shape, dtype if kind == "same" else kind)
    weight = np.full(logits.shape, 0.5, dtype)
    options = {"out": np.empty(logits.shape, dtype)} if reduction == "none" else {}
    tracemalloc.start()
    try:
        binary_cross_entropy_with_logits(logits, target, weight, reduction=reduction, grad=logits, **options)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**10
    finally:
        tracemalloc.stop()


@needs_linux
@EVERY_DTYPE
def test_in_place_does_not_raise_the_peak_of_resident_memory(dtype, run_python):
    grew, size = run_python(
        f"""if True:
    import numpy as np
    from fastlogit import binary_cross_entropy_with_logits
    from memory import resident_peak

    logits = np.full((4096, 2048), 0.25, {dtype!r})
    target = np.ones((4096, 2048), bool)
    weight = np.full((4096, 1), 0.5)

    def call(part):
        z = logits[part]
        binary_cross_entropy_with_logits(z, target[part], weight[part], pos_weight=2.0, grad=z)

    call(slice(0, 64))  # after this the threads have their stacks
    before = resident_peak()
    call(slice(None))
    print(resident_peak() - before, logits.nbytes)
    """
    ).split()
    assert int(size) >= 32 * MEGABYTE
    assert int(grew) < MEGABYTE
