"""Calls of the losses that try to break their bounds, and ways to change one into a worse one.

cross_entropy gets the rows that are built against the functions of slices (`ulp.rows`), with labels, weights
and targets that are at their worst: targets next to the probabilities, where a gradient cancels, and weights
that bring a product just below a power of two, where the rounding of a sum just above one counts double. The
families of logits do the same for the binary loss.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from reference import ExactSlices, log_odds_cutoffs, log_odds_sample

from ulp import rows
from ulp.inputs import generator
from ulp.losses import Logits, Slices
from ulp.rows import Rows, moved, near

LENGTHS = (
    *(1, 2, 3, 5, rows.QUARTER, rows.QUARTER + 1, rows.BLOCK - 1, rows.BLOCK, rows.BLOCK + 1, 1000),
    *(rows.CHUNK - 1, rows.CHUNK, rows.CHUNK + 1, rows.SEGMENT + 1, 2 * rows.SEGMENT + 1),
)
ELEMENTS = 2**15  # of a family and length at once
MOST_LOGITS = 2**14
LEAST_TARGET = 2.0**-500  # but for 0: products with less lose their tails
# abs(z) where the binary loss changes its arithmetic, and where a result becomes subnormal (logistic.pxd).
SEAMS = {"float32": (0.6931472, 64.0, 87.34, 88.73, 103.28), "float64": (0.6931472, 690.0, 708.4, 745.14)}


def weights_of(rng, shape, real):
    """Between 2^-6 and 2^6, with all digits; some are powers of two."""
    weights = np.exp2(rng.uniform(-6, 6, shape))
    return np.where(rng.random(shape) < 0.125, np.exp2(rng.integers(-6, 7, shape)), weights).astype(real)


def below_power_of_two(rng, exact, real):
    """Factors that bring exact numbers next to a power of two, in most cases just below."""
    size = np.abs(np.where(exact == 0, 1, exact)).astype(np.longdouble)
    digits, _ = np.frexp(np.where(np.isfinite(size), size, 1))
    # Scaled by the digits alone, so that factors stay near 1.
    factor = np.exp2(rng.integers(-3, 3, exact.shape).astype(np.longdouble)) / digits
    return moved(factor.astype(real), rng.integers(-3, 2, exact.shape))


# ---- slices ----------------------------------------------------------------------------------------


def with_label(rng, these):
    """A class of one element, which is the label: the largest, or any other."""
    classes = these.values.shape[1]
    label = int(rng.integers(0, classes))
    if rng.random() < 0.5:
        label = int(np.argmax(these.values[0]))
    if these.counts[label] == 1:
        return these, label
    place = int(rng.choice(np.flatnonzero(these.places == label)))
    places = these.places.copy()
    places[place] = classes
    return Rows(np.hstack([these.values, these.values[:, label : label + 1]]), places), classes


def allowed(t, real):
    t = np.clip(t, 0, 1).astype(real)
    return np.where(t < LEAST_TARGET, 0, t).astype(real)


def probabilities(rng, these, label, real):
    """Targets of every sort, within [0, 1]; some add up to 1."""
    shape, counts = these.values.shape, these.counts
    kind = rng.integers(0, 4)
    if kind == 0:  # next to the probabilities themselves
        t = ExactSlices.of(these.values, 1, counts).softmax()
        return allowed(moved(t.astype(real), rng.integers(-4, 5, shape)), real)
    if kind == 1:  # nearly a label
        t = np.exp2(-rng.uniform(1, 60, shape)) / counts
        t[:, label] = 1 - np.exp2(-rng.uniform(1, 40, shape[0]))
    elif kind == 2:  # a part of them, with much else
        t = rng.random(shape) * (rng.random(shape) < 0.5)
        t /= np.maximum(np.sum(t * counts, axis=1, keepdims=True), 1)
    else:  # probabilities that are further off than the digits
        t = ExactSlices.of(these.values, 1, counts).softmax().astype(float)
        t = t * (1 + np.exp2(-rng.uniform(1, 30, shape)) * rng.choice([-1, 1], shape))
    return allowed(t, real)


def built_slices(kind, family, dtype, n, seed, number):
    """Slices of a family, the same ones whenever they are asked for."""
    rng = generator(seed, "losses", kind, family, dtype, n, number)
    real, size = np.dtype(dtype).type, max(2, min(rows.MOST_ROWS, ELEMENTS // n))
    with np.errstate(over="ignore"):
        if n == 1:
            these = Rows(rows.bases(rng, real, size)[:, np.newaxis].astype(real), np.zeros(1, int))
        else:
            these = rows.FAMILIES[family].rows(rng, real, n, size)
    these, label = with_label(rng, these)
    case = Slices(these, label)
    if kind == "labels":
        return case
    if kind == "targets":
        if rng.random() < 0.75:
            case = replace(case, targets=probabilities(rng, these, label, real))
        if case.targets is None or rng.random() < 0.5:
            case = replace(case, smoothing=float(rng.choice([0.1, 0.5, 1e-3, 2.0**-30, 1e-18])))
        if rng.random() < 0.5:
            return case
    if rng.random() < 0.5:
        case = replace(case, weights=weights_of(rng, these.values.shape[1], real))
    if case.weights is None or rng.random() < 0.5:
        exact = case.exact()
        result = exact.value, exact.grad, exact.hess
        column = int(rng.integers(0, exact.grad.shape[1]))
        chosen = result[int(rng.integers(0, 3))]
        chosen = chosen[:, column if chosen.shape[1] > 1 else 0]
        case = replace(case, samples=below_power_of_two(rng, chosen, real))
    return case


def changed_slice(rng, case, reach):
    """Slices like this one: its elements, its arrangement, and what it is compared with."""
    tried = rows.changed(rng, case.rows, reach, ELEMENTS // 2)
    if tried.counts[case.label] != 1:
        tried = Rows(tried.values, case.rows.places)
    size = len(tried.values)

    def some(values, low, high):
        """Of each slice, some of the numbers moved by floats."""
        values = np.repeat(values, size, axis=0)
        steps = rng.integers(-reach, reach + 1, values.shape)
        chosen = rng.random(values.shape) < rng.choice([0.0, 1 / values.shape[-1], 1.0])
        return np.clip(moved(values, np.where(chosen, steps, 0)), low, high).astype(values.dtype)

    targets, weights, samples = case.targets, case.weights, case.samples
    if targets is not None:
        targets = allowed(some(targets, 0, 1), targets.dtype)
    if samples is not None:
        samples = some(samples[:, np.newaxis], 2.0**-9, 2.0**9)[:, 0]
    if weights is not None and rng.random() < 0.25:
        steps = rng.integers(-reach, reach + 1, weights.shape)
        weights = np.clip(moved(weights, steps), 2.0**-9, 2.0**9).astype(weights.dtype)
    smoothing = case.smoothing
    if smoothing and rng.random() < 0.25:
        smoothing = float(min(smoothing * np.exp2(rng.normal(0, 0.5)), 0.999))
    return replace(case, rows=tried, targets=targets, weights=weights, samples=samples, smoothing=smoothing)


# ---- logits ----------------------------------------------------------------------------------------


def every_logit(rng, real, size):
    name = np.dtype(real).name
    z = log_odds_sample(rng, size, name)
    cutoffs = log_odds_cutoffs(name)
    return np.where(rng.random(size) < 0.25, rng.choice(cutoffs, size), z)


def usual_logits(rng, real, size):
    return rng.uniform(-6, 6, size)


def seams(rng, real, size):
    """Where exp is reduced furthest, and where the arithmetic changes."""
    halves = (rng.integers(-60, 60, size) + 0.5) * np.log(2)
    ends = rng.choice(SEAMS[np.dtype(real).name], size) * rng.choice([-1, 1], size)
    return near(rng, np.where(rng.random(size) < 0.75, halves, ends), real, 16)


def losses_at_powers_of_two(rng, real, size):
    """log1p(exp(z)) = 2^k."""
    power = np.exp2(rng.integers(-40, 6, size).astype(float))
    return near(rng, np.log(np.expm1(power)) * rng.choice([-1, 1], size), real)


def shares_at_powers_of_two(rng, real, size):
    """expit(z), or its product with expit(-z), is next to 2^-k."""
    power = np.exp2(-rng.integers(1, 40, size).astype(float))
    root = np.sqrt(np.maximum(1 - 4 * power, 0))
    share = np.where(rng.random(size) < 0.5, power, 2 * power / (1 + root))
    share = np.minimum(share, 0.5)
    return near(rng, np.log(share / (1 - share)) * rng.choice([-1, 1], size), real)


def subnormal_results(rng, real, size):
    info = np.finfo(real)
    ends = -np.log(float(info.tiny)), -np.log(float(info.smallest_subnormal))
    return rng.uniform(ends[0] - 3, ends[1] + 1, size) * rng.choice([-1, 1], size)


LOGITS: dict[str, Callable] = {
    "every logit": every_logit,
    "usual logits": usual_logits,
    "seams of logits": seams,
    "losses at powers of two": losses_at_powers_of_two,
    "shares at powers of two": shares_at_powers_of_two,
    "subnormal results": subnormal_results,
}


def chances(rng, z, v, real):
    """Targets: anywhere, near 0 or 1, and those at which the gradient cancels."""
    size, nmant = z.size, np.finfo(real).nmant
    w = np.longdouble(1) if v is None else v.astype(np.longdouble)
    with np.errstate(over="ignore"):
        ratio = np.exp(z.astype(np.longdouble))
    cancelling = np.where(np.isfinite(ratio), ratio / (ratio + w), 1)
    cancelling = moved(cancelling.astype(real), rng.integers(-3, 4, size))
    sorts = [
        rng.integers(0, 2, size),
        rng.random(size),
        np.exp2(-rng.uniform(0, 100, size)),
        1 - np.exp2(-rng.uniform(1, nmant + 1, size)),
        cancelling,
    ]
    return allowed(np.choose(rng.integers(0, len(sorts), size), sorts), real)


def built_logits(kind, family, dtype, n, seed, number):
    rng = generator(seed, "losses", kind, family, dtype, n, number)
    real = np.dtype(dtype).type
    with np.errstate(over="ignore"):
        z = LOGITS[family](rng, real, n).astype(real)
    if kind == "labels":
        return Logits(z, rng.integers(0, 2, n).astype(real))
    v = weights_of(rng, n, real) if rng.random() < 0.5 else None
    case = Logits(z, chances(rng, z, v, real), None, v)
    if rng.random() < 0.5:
        exact = case.exact()
        chosen = (exact.value, exact.grad, exact.hess)[int(rng.integers(0, 3))]
        case = replace(case, w=below_power_of_two(rng, chosen[:, 0], real))
    return case


def changed_logit(rng, case, reach):
    """Logits like this one, with other targets and weights; certain targets stay certain."""
    size = MOST_LOGITS // 4

    def some(values, low, high):
        values = np.repeat(values, size)
        steps = np.where(rng.random(size) < 0.5, rng.integers(-reach, reach + 1, size), 0)
        return np.clip(moved(values, steps), low, high).astype(values.dtype)

    y = np.repeat(case.y, size) if case.y[0] in (0, 1) else allowed(some(case.y, 0, 1), case.dtype)
    w, v = (None if a is None else some(a, 2.0**-9, 2.0**9) for a in (case.w, case.v))
    z = some(case.z, -np.inf, np.inf)
    together = rng.random(size) < 0.2
    step = rng.normal(0, 1, size) * np.exp2(rng.uniform(-12, 0, size))
    return Logits(np.where(together, z + step, z).astype(z.dtype), y, w, v)


# ---- both ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossFamily:
    """A family of calls of one loss."""

    function: str
    lengths: tuple
    shortest: int
    built: Callable  # of kind, family, type, length, seed and number


FAMILIES = {
    name: LossFamily("cross_entropy", LENGTHS, family.shortest, built_slices)
    for name, family in rows.FAMILIES.items()
} | {
    name: LossFamily("binary_cross_entropy_with_logits", (MOST_LOGITS,), 1, built_logits) for name in LOGITS
}


def built(call, family, dtype, n, seed, number):
    """The calls of a family with one kind of targets."""
    return FAMILIES[family].built(call.partition("/")[2], family, dtype, n, seed, number)


def lengths_of(family):
    these = FAMILIES[family]
    return [n for n in these.lengths if n >= these.shortest]


def changed(rng, case, reach):
    return changed_slice(rng, case, reach) if isinstance(case, Slices) else changed_logit(rng, case, reach)
