"""cross_entropy: the same bits whatever strides and threads, and no memory of its own."""

import tracemalloc

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from layouts import VIEWS, laid_out, random_layout, random_shape
from loss_calls import (
    EVERY_DTYPE,
    EVERY_REDUCTION,
    NEEDS_WIDE,
    classes_sample,
    probabilities,
    same_everything,
)
from loss_calls import classes_everything as everything
from loss_reference import check_losses, exact_cross_entropy
from memory import MEGABYTE, needs_linux
from reference import same_bits

import fastlogit
from fastlogit import cross_entropy

SMOOTHED = pytest.mark.parametrize("label_smoothing", [0.0, 0.1])


@EVERY_DTYPE
@SMOOTHED
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 10, 33, 1000, 5000])
def test_position_does_not_matter(classes, soft, label_smoothing, dtype):
    """One slice alone, among others, along and across."""
    rng = np.random.default_rng([1, classes])
    n = 131
    logits, target, weight, sample_weight = classes_sample(rng, (n, classes), dtype)
    if soft:
        target = probabilities(rng, (n, classes), dtype)
    options = {"label_smoothing": label_smoothing, "reduction": "none"}
    whole = everything(logits, target, weight, sample_weight=sample_weight, **options)
    for i in (0, 1, 63, 64, 130):
        one = slice(i, i + 1)
        alone = everything(logits[one], target[one], weight, sample_weight=sample_weight[one], **options)
        same_everything(alone, [values[one] for values in whole])
        single = everything(logits[i], target[i], weight, sample_weight=sample_weight[i], **options)
        same_everything(single, [values[i] for values in whole])
    for order in ("F", "C"):
        part = slice(3, 130)
        got = everything(
            np.asarray(logits[part], order=order),
            np.asarray(target[part], order=order),
            weight,
            sample_weight=sample_weight[part],
            **options,
        )
        same_everything(got, [values[part] for values in whole])


@EVERY_DTYPE
@EVERY_REDUCTION
@SMOOTHED
@pytest.mark.parametrize("shape", [(5, 3), (3000, 10), (60_000, 7), (300, 1000), (1, 300_001), (2, 70_001)])
def test_threads_do_not_matter(shape, label_smoothing, dtype, reduction, restored_threads):
    logits, labels, weight, sample_weight = classes_sample(np.random.default_rng(2), shape, dtype)
    labels[0] = 1
    options = {"sample_weight": sample_weight, "label_smoothing": label_smoothing, "reduction": reduction}
    results = []
    for threads in (1, 2, 3, 5):
        fastlogit.set_num_threads(threads)
        results.append(everything(logits, labels, weight, **options))
    for other in results[1:]:
        same_everything(other, results[0])


@EVERY_DTYPE
def test_any_layout(dtype):
    """Random strides of every argument: the same bits, and nothing beside the elements is written."""
    rng = np.random.default_rng([3, np.dtype(dtype).itemsize])
    itemsize = np.dtype(dtype).itemsize
    for case in range(150):
        shape = random_shape(rng)
        if not shape or 0 in shape:
            continue
        axis = int(rng.integers(len(shape)))
        logits, target, weight, sample_weight = classes_sample(rng, shape, dtype, axis)
        if case % 2:
            target = probabilities(rng, shape, dtype, axis)
        options = {
            "axis": axis,
            "reduction": ("mean", "sum", "none")[case % 3],
            "label_smoothing": 0.1 * (case % 4 == 0),
        }
        with fastlogit.num_threads(1):
            expected = everything(logits, target, weight, sample_weight=sample_weight, **options)
        laid = []
        for array in (logits, target, weight, sample_weight):
            _, view = laid_out(random_layout(rng, array.shape, array.itemsize), array.shape, array.dtype)
            view[...] = array
            laid.append(view)
        layouts = [random_layout(rng, shape, itemsize) for _ in range(2)]
        (grad_memory, grad), (hess_memory, hess) = (laid_out(layout, shape, dtype) for layout in layouts)
        threads = int(rng.integers(1, 5))
        with fastlogit.num_threads(threads):
            value = cross_entropy(*laid[:3], sample_weight=laid[3], grad=grad, hess=hess, **options)
        message = f"case {case}: {shape}, {options}, {threads} threads"
        same_bits(value, expected[0])
        for memory, layout, result in zip((grad_memory, hess_memory), layouts, expected[1:], strict=True):
            wanted_memory, wanted = laid_out(layout, shape, dtype)
            wanted[...] = result
            np.testing.assert_array_equal(memory, wanted_memory, message)


@st.composite
def calls(draw):
    dtype = draw(st.sampled_from(["f4", "f8", "f2", "i2", ">f8"]))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sample = classes_sample(rng, shape, "f4", axis, draw(st.sampled_from([0.1, 8, 100])))
    logits, target, weight, sample_weight = sample
    # Another order in memory, and gaps.
    order = draw(st.permutations(range(len(shape))))
    wide = np.zeros([2 * shape[i] for i in order], dtype)
    place = wide[tuple(slice(None, None, 2) for _ in order)].transpose(np.argsort(order))
    place[...] = logits
    if draw(st.booleans()):
        target = probabilities(rng, shape, "f4", axis)
    options = {
        "axis": axis,
        "weight": draw(st.none() | st.just(weight)),
        "sample_weight": draw(st.none() | st.just(sample_weight)),
        "label_smoothing": draw(st.sampled_from([0.0, 1e-30, 0.25, 1.0])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
    }
    return place, target, options


@NEEDS_WIDE
@hypothesis.given(case=calls(), threads=st.integers(1, 3))
def test_any_call_is_within_the_bound_of_the_reference(case, threads):
    logits, target, options = case
    with fastlogit.num_threads(threads), np.errstate(all="raise"):
        got = everything(logits, target, **options)
    check_losses(exact_cross_entropy(logits, target, **options), *got, options["reduction"])


# No temporary of the array's size


@EVERY_DTYPE
@EVERY_REDUCTION
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("view", VIEWS)
def test_in_place_asks_for_no_memory(view, axis, soft, dtype, reduction):
    logits = VIEWS[view](np.full((1024, 1024), 0.25, dtype))
    kept = np.delete(logits.shape, axis)
    target = np.full(logits.shape, 0.5, dtype) if soft else np.ones(kept, np.int8)
    weight = np.full(logits.shape[axis], 0.5, dtype)
    sample_weight = np.ones(kept, dtype)
    options = {"out": np.empty(kept, dtype)} if reduction == "none" else {}
    tracemalloc.start()
    try:
        cross_entropy(
            logits,
            target,
            weight,
            axis=axis,
            sample_weight=sample_weight,
            label_smoothing=0.1,
            reduction=reduction,
            grad=logits,
            **options,
        )
        # What there is for each slice may be converted, what there is for each logit may not.
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**10 + 32 * sample_weight.size
    finally:
        tracemalloc.stop()


@needs_linux
@EVERY_DTYPE
@pytest.mark.parametrize("axis", [0, 1])
def test_in_place_does_not_raise_the_peak_of_resident_memory(axis, dtype, run_python):
    grew, size = run_python(
        f"""if True:
    import numpy as np
    from fastlogit import cross_entropy
    from memory import resident_peak

    logits = np.full((4096, 2048), 0.25, {dtype!r})
    labels = np.ones(4096 if {axis} else 2048, np.uint8)

    def call(z):
        cross_entropy(z, labels[: z.shape[1 - {axis}]], axis={axis}, grad=z)

    call(logits[:64])  # after this the threads have their stacks
    before = resident_peak()
    call(logits)
    print(resident_peak() - before, logits.nbytes)
    """
    ).split()
    assert int(size) >= 32 * MEGABYTE
    assert int(grew) < MEGABYTE
