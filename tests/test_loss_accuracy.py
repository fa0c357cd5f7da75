"""Losses, gradients and Hessians are within their bounds of the exact ones, on every instruction set.

A gradient that is the difference of two numbers is measured in units of the larger. ``pytest -s`` prints the
largest errors found.
"""

import functools
import sys
import zlib

import numpy as np
import pytest
from loss_calls import NEEDS_WIDE, binary_everything, classes_everything
from loss_literals import BINARY, CLASSES
from loss_reference import (
    GRADIENT_BOUND_ULP,
    HESSIAN_BOUND_ULP,
    LABEL_GRADIENT_BOUND_ULP,
    LOSS_BOUND_ULP,
    decimals,
    exact_binary,
    exact_cross_entropy,
    longdoubles,
    mpmath_binary,
    mpmath_slice_loss,
)
from reference import (
    DTYPES,
    bits,
    log_odds_cutoffs,
    log_odds_sample,
    logsumexp_error,
    long_rows,
    row_families,
    ulp_error,
)

from fastlogit import cross_entropy
from fastlogit._build_config import INSTRUCTION_SETS

pytestmark = pytest.mark.once

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
EVERY_INSTRUCTION_SET = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
BOUNDS = {
    "loss": LOSS_BOUND_ULP,
    "gradient": GRADIENT_BOUND_ULP,
    "gradient of labels": LABEL_GRADIENT_BOUND_ULP,
    "Hessian": HESSIAN_BOUND_ULP,
}


def fits(numbers, dtype):
    with np.errstate(all="ignore"):
        return np.array_equal(np.array(numbers).astype(dtype).astype("f8"), numbers)


def of_each_dtype(literals):
    """Parameters of a test; an input that float32 cannot hold is for float64 alone."""
    for arguments, exact in literals:
        numbers = [x for argument in arguments[:3] for x in np.atleast_1d(argument)]
        for dtype in DTYPES:
            if fits(numbers, dtype):
                yield pytest.param(arguments, exact, dtype, id=f"{arguments}-{dtype}")


def errors(got, exact):
    """Largest, by name; `exact` has what loss_reference gives."""
    loss, grad, hess = got
    return {
        "loss": ulp_error(loss, exact.value).max(initial=0),
        "gradient": logsumexp_error(grad, exact.grad, exact.size).max(initial=0),
        "Hessian": ulp_error(hess, exact.hess).max(initial=0),
    }


# Literals


@NEEDS_WIDE
@pytest.mark.parametrize(("arguments", "exact", "dtype"), [*of_each_dtype(BINARY)])
def test_literals_of_the_binary_loss(arguments, exact, dtype):
    z, y, w, v = (np.array([number], dtype) for number in arguments)
    got = binary_everything(z, y, w, pos_weight=v, reduction="none")
    size = exact_binary(z, y, w, pos_weight=v, reduction="none").size
    loss, grad, hess = (np.array([text]).astype(np.longdouble) for text in exact)
    assert ulp_error(got[0], loss)[0] <= LOSS_BOUND_ULP
    assert logsumexp_error(got[1], grad, size)[0] <= GRADIENT_BOUND_ULP
    assert ulp_error(got[2], hess)[0] <= HESSIAN_BOUND_ULP


@NEEDS_WIDE
@pytest.mark.parametrize(("arguments", "exact", "dtype"), [*of_each_dtype(CLASSES)])
def test_literals_of_cross_entropy(arguments, exact, dtype):
    z, t, weight, label_smoothing = arguments
    z, t, weight = (np.array(numbers, dtype) for numbers in (z, t, weight))
    options = {"label_smoothing": label_smoothing, "reduction": "none"}
    size = exact_cross_entropy(z, t, weight, **options).size
    loss, grad, hess = (np.array(text).astype(np.longdouble) for text in exact)
    targets = [t]
    if set(t.tolist()) == {0, 1}:
        targets.append(int(np.argmax(t)))
    for target in targets:
        got = classes_everything(z, target, weight, **options)
        assert ulp_error(np.asarray(got[0]), loss) <= LOSS_BOUND_ULP
        assert logsumexp_error(got[1], grad, size).max() <= GRADIENT_BOUND_ULP
        assert ulp_error(got[2], hess).max() <= HESSIAN_BOUND_ULP


def test_literals_are_what_mpmath_gives():
    pytest.importorskip("mpmath", reason="the literals were made with mpmath")
    for arguments, exact in BINARY:
        assert tuple(decimals(list(mpmath_binary(*arguments)[:3]))) == exact
    for (z, t, w, eps), exact in CLASSES:
        assert tuple(decimals(list(mpmath_slice_loss(z, t, w, eps=eps)[:3]))) == exact


@NEEDS_WIDE
def test_reference_is_fifty_times_finer_than_the_bound():
    """In units of float64, for which long double has the fewest bits to spare."""
    pytest.importorskip("mpmath", reason="the reference in long double is checked against mpmath")

    def distance(exact, truth, size=None):
        unit = np.abs(truth if size is None else size)
        unit = np.spacing(np.maximum(unit, np.finfo("f8").tiny).astype("f8"))
        assert (np.abs(exact - truth) / unit).max() < LOSS_BOUND_ULP / 50

    rng = np.random.default_rng(1)
    for z in rng.choice(log_odds_sample(rng, 1000, "float64"), 100):
        for y in (0, 1, rng.random()):
            w, v = rng.uniform(0.1, 3, 2)
            exact = exact_binary(z, y, w, pos_weight=v, reduction="none")
            loss, grad, hess, size = longdoubles(mpmath_binary(z, y, w, v))
            distance(exact.value, loss)
            distance(exact.grad, grad, size)
            distance(exact.hess, hess)
    for classes in (1, 2, 3, 7):
        for spread in (0.1, 8, 300):
            for eps in (0, 1e-18, 0.1):
                z = rng.normal(0, spread, classes)
                t = np.zeros(classes) if classes > 2 else rng.random(classes)
                t[rng.integers(classes)] = 1
                w, s = rng.uniform(0.1, 3, classes), rng.uniform(0.1, 3)
                options = {"sample_weight": s, "label_smoothing": eps, "reduction": "none"}
                exact = exact_cross_entropy(z, t, w, **options)
                loss, *rest = mpmath_slice_loss(z, t, w, s, eps)
                grad, hess, size = (longdoubles(values) for values in rest)
                distance(exact.value, longdoubles([loss])[0])
                distance(exact.grad, grad, size)
                distance(exact.hess, hess)


# Random and chosen inputs, on every instruction set


def binary_families(dtype):
    """Name: logits, target, weight, weight of positives."""
    rng = np.random.default_rng(2)
    z = np.concatenate([log_odds_cutoffs(dtype), log_odds_sample(rng, 20_000, dtype)])
    nmant = np.finfo(dtype).nmant
    targets = {
        "0": np.zeros(z.size),
        "1": np.ones(z.size),
        "anywhere": rng.random(z.size),
        "near 0": np.exp2(-rng.uniform(0, 100, z.size)),
        "near 1": 1 - np.exp2(-rng.uniform(1, nmant + 1, z.size)),
    }
    for name, y in targets.items():
        yield f"target {name}", (z, y.astype(dtype), None, None)
        w, v = np.exp2(rng.uniform(-6, 6, (2, z.size))).astype(dtype)
        yield f"target {name}, weights", (z, y.astype(dtype), w, None)
        yield f"target {name}, weights of positives", (z, y.astype(dtype), None, v)
        yield f"target {name}, both weights", (z, y.astype(dtype), w, v)


# The rows that broke softmax and log_softmax once: a sum with an error that all its terms have.
HARD_ROWS = [
    "0x1.66664cp-2 0x1.666642p-2 0x1.666644p-2 0x1.66664cp-2",
    "0x1.0c7e1ap+4 0x1.f31782p+3" + 2000 * " 0x1.04ffc2p+4",
    "-0x1.46b99a7cde0ddp+4 -0x1.9fba12145f535p+4" + 1032 * " -0x1.524035df4cb27p+4",
    "0x0p+0" + 4095 * " -0x1.03aa2db532aebp+4",
    "-0x1.89f179ddab2dbp-13" + 4095 * " -0x1.0344a57bbc23dp+4",
    "-0x1.30f73p+4 -0x1.b60c42p+4",
    16 * "0x1.2p+0 " + 4080 * " 0x1.ap-4",
]


def class_families(dtype):
    """Name: logits, target, class weights, label smoothing."""
    rng = np.random.default_rng(3)
    rows = {name: x[:40] for name, x in row_families(rng, dtype).items()}
    for i, text in enumerate(HARD_ROWS):
        rows[f"hard row {i}"] = np.array([[float.fromhex(x) for x in text.split()]]).astype(dtype)
    rows |= {name: x[:, :50_000] for name, x in long_rows(rng, dtype, 50_000).items()}
    for name, z in rows.items():
        n, classes = z.shape
        seed = zlib.crc32(name.encode())
        rng = np.random.default_rng(seed)
        likely, any_label = np.argmax(z, axis=1), rng.integers(0, classes, n)
        weight = rng.uniform(0.1, 3, classes).astype(dtype)
        soft = rng.random(z.shape) * (rng.random(z.shape) < 0.5)
        soft = (soft / np.maximum(soft.sum(axis=1, keepdims=True), 1)).astype(dtype)
        yield f"{name}, the likeliest label", (z, likely, None, 0.0)
        yield f"{name}, any label", (z, any_label, None, 0.0)
        variants = [
            ("weights", (z, any_label, weight, 0.0)),
            ("smoothed", (z, likely, None, 0.1)),
            ("smoothed next to nothing", (z, likely, None, 1e-20)),
            ("probabilities", (z, soft, None, 0.0)),
            ("everything", (z, soft, weight, 0.25)),
        ]
        variant, case = variants[seed % len(variants)]
        yield f"{name}, {variant}", case


FAMILIES = {"binary": binary_families, "classes": class_families}


def of_labels(loss, target):
    return target.dtype.kind == "i" or (loss == "binary" and np.isin(target, (0, 1)).all())


def results_of(loss, z, target, weight, option):
    if loss == "binary":
        return binary_everything(z, target, weight, pos_weight=option, reduction="none")
    return classes_everything(z, target, weight, label_smoothing=option, reduction="none")


def write_results(loss, dtype):
    """For a process with another instruction set."""
    for _, case in FAMILIES[loss](dtype):
        for values in results_of(loss, *case):
            sys.stdout.buffer.write(values.tobytes())


@pytest.fixture(scope="module")
def results(run_python):
    """What an instruction set makes of all families: a flat array."""

    @functools.cache
    def of(loss, dtype, instruction_set):
        printed = run_python(
            f"from test_loss_accuracy import write_results\nwrite_results({loss!r}, {dtype!r})",
            text=False,
            timeout=600,
            FASTLOGIT_ISA=instruction_set,
        )
        return np.frombuffer(printed, dtype)

    return of


@NEEDS_WIDE
@EVERY_DTYPE
@EVERY_INSTRUCTION_SET
@pytest.mark.parametrize("loss", FAMILIES)
def test_errors(loss, instruction_set, dtype, results, skip_unless_supported):
    skip_unless_supported(instruction_set)
    flat = results(loss, dtype, instruction_set)
    worst = dict.fromkeys(BOUNDS, (0.0, ""))
    start = 0
    for family, (z, target, weight, option) in FAMILIES[loss](dtype):
        if loss == "binary":
            exact = exact_binary(z, target, weight, pos_weight=option, reduction="none")
        else:
            exact = exact_cross_entropy(z, target, weight, label_smoothing=option, reduction="none")
        got = []
        for values in (exact.value, exact.grad, exact.hess):
            got.append(flat[start : start + values.size].reshape(values.shape))
            start += values.size
        found = errors(got, exact)
        if weight is None and not np.any(option) and of_labels(loss, target):
            found["gradient of labels"] = found["gradient"]
        for name, error in found.items():
            worst[name] = max(worst[name], (float(error), family))
    assert start == flat.size
    report = [f"{name} {error:.3f} ulp in {family}" for name, (error, family) in worst.items()]
    print(f"{loss} {dtype} {instruction_set}:", *report, sep="\n  ")
    assert all(worst[name][0] <= bound for name, bound in BOUNDS.items()), report


@EVERY_DTYPE
@pytest.mark.parametrize("loss", FAMILIES)
def test_v3_and_v4_give_the_same_bits(loss, dtype, results, skip_unless_supported):
    skip_unless_supported("v3", "v4")
    np.testing.assert_array_equal(bits(results(loss, dtype, "v3")), bits(results(loss, dtype, "v4")))


@pytest.mark.parametrize(
    ("distance", "weight"),
    [
        ("0x1.61d1ee197d6e1p+9", "0x1.fdfbf1a5f25b3p+0"),
        ("0x1.6e4a8b5f4d00bp+9", "0x1.d82a1ad4e8e5fp+2"),
        ("0x1.74p+9", "0x1.0p+40"),
        ("0x1.62p+9", "0x1p+0"),
    ],
)
def test_loss_that_is_subnormal_without_its_weight(distance, weight):
    """It was rounded before the weight multiplied it: 2.3 and 4 units."""
    mpmath = pytest.importorskip("mpmath", reason="the exact losses are mpmath's")
    distance, weight = map(float.fromhex, (distance, weight))
    with mpmath.workprec(300):
        exact = mpmath.mpf(weight) * mpmath.log1p(mpmath.exp(-mpmath.mpf(distance)))
        unit = mpmath.mpf(2) ** max(mpmath.frexp(exact)[1] - 53, -1074)
        for kind in ([0], [[1.0, 0.0]]):
            loss = cross_entropy(
                [[distance, 0.0]], np.array(kind), sample_weight=[weight], reduction="sum"
            )
            assert abs(mpmath.mpf(float(loss)) - exact) <= unit
