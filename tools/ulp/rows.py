"""Rows that try to break the bounds of functions of slices, and ways to change one into a worse one.

docs/slice-errors.rst derives what the error is made of: terms, the sum, the last roundings. Each family below
brings one of these to its worst place, at lengths where the algorithm changes. A row is a few different
elements and the places where they stand, so that the exact result of 4096 elements takes two exponentials,
and what a row is can be written down.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ulp.inputs import generator

# Of the algorithm (kernels/expsum.pxd, blocks.pxd, terms.pxd).
QUARTER, BLOCK, CHUNK, SEGMENT = 16, 64, 4096, 16384
MOST_ABOVE = {"float32": (20.0,), "float64": (8.0, 12.0)}  # the reference, before sums are added again
RANGE = {"float32": 130.0, "float64": 789.0}  # of terms that count; twice that, and elements are shifted
HEADROOM = {"float32": 64.0, "float64": 120.0}  # the exponent of two of the reference's term

LENGTHS = (
    *(2, 3, 4, 5, 8, QUARTER - 1, QUARTER, QUARTER + 1, 31, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1),
    *(1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 1, SEGMENT - 1, SEGMENT, SEGMENT + 1),
    *(SEGMENT + CHUNK + 1, 2 * SEGMENT + 1, 4 * SEGMENT + 1),
)
ELEMENTS = 2**16  # of a family and length at once
MOST_ROWS = 2**12
CLASSES = 8  # different elements of a row at most, but for short ones
PRINTED_RUNS = 64  # of a row that is written down whole


def moved(x, steps):
    """Each number by so many floats up or down, not beyond the largest ones."""
    integers = x.view({4: np.int32, 8: np.int64}[x.itemsize])
    lowest = np.iinfo(integers.dtype).min
    order = np.where(integers < 0, lowest - integers, integers)
    last = np.finfo(x.dtype).max.view(integers.dtype)
    order = np.clip(order + np.asarray(steps).astype(integers.dtype), -last, last)
    return np.where(order < 0, lowest - order, order).view(x.dtype)


@dataclass(frozen=True)
class Rows:
    """Rows of one arrangement.

    Attributes
    ----------
    values : array of shape (rows, classes)
        The elements of each row that may differ.
    places : array of integers
        The class that stands at each position. Each class has one at least.
    """

    values: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, x):
        """Any rows, each element a class of its own."""
        return cls(x, np.arange(x.shape[1]))

    @cached_property
    def first(self):
        """Where each class stands first."""
        return np.unique(self.places, return_index=True)[1]

    @cached_property
    def counts(self):
        return np.bincount(self.places)

    @cached_property
    def whole(self):
        return self.values[:, self.places]

    def row(self, index):
        return Rows(self.values[index : index + 1], self.places)

    def text(self, index):
        """One row, written down: ``0x1p+0, 0x1.8p+1 x 4095``; None if that is long."""
        ends = np.flatnonzero(np.diff(self.places, append=-1))
        if ends.size > PRINTED_RUNS:
            return None
        lengths = np.diff(ends, prepend=-1)
        elements = (float(x).hex() for x in self.values[index, self.places[ends]])
        return ", ".join(
            f"{x} x {n}" if n > 1 else x for x, n in zip(elements, lengths.tolist(), strict=True)
        )


def arranged(rng, counts, in_order=False):
    """Places of classes with so many elements each: in runs, the order of which is random."""
    counts = np.asarray(counts)
    runs = [[kind, count] for kind, count in enumerate(counts.tolist())]
    if not in_order:
        for run in list(runs):
            if run[1] > 1 and rng.random() < 0.5:
                part = int(rng.integers(1, run[1]))
                run[1] -= part
                runs.append([run[0], part])
        rng.shuffle(runs)
    return np.repeat(*np.transpose(runs))


def shares_of(rng, n, classes):
    """How many of n elements each class has, one at least."""
    classes = min(n, classes)
    return 1 + rng.multinomial(n - classes, np.full(classes, 1 / classes))


# ---- families --------------------------------------------------------------------------------------


def bases(rng, real, size):
    """Elements of every size: usual scores, seams of the reduction by ln 2, small ones, far ones.

    Of the far ones some are shifted, and the others have the largest multiples of ln 2 taken off.
    """
    usual = rng.uniform(-20, 20, size)
    seams = (rng.integers(-30, 30, size) + 0.5) * np.log(2)
    small = np.exp2(rng.uniform(-12, 3, size)) * rng.choice([-1, 1], size)
    far = rng.uniform(0.25, 2.5, size) * RANGE[np.dtype(real).name] * rng.choice([-1, 1], size)
    kind = rng.choice(4, size, p=[0.4, 0.2, 0.2, 0.2])
    return np.choose(kind, [usual, seams, small, far])


def near(rng, values, real, reach=4):
    """The numbers in the type, some floats up or down."""
    values = np.ascontiguousarray(np.broadcast_to(values, np.broadcast(values).shape), real)
    return moved(values, rng.integers(-reach, reach + 1, values.shape))


def columns(*values):
    return np.stack(np.broadcast_arrays(*values), axis=1)


def neighbours(rng, real, n, size):
    """All elements within a few floats of each other."""
    counts = shares_of(rng, n, CLASSES)
    base = bases(rng, real, size).astype(real)
    steps = rng.integers(-8, 9, (size, counts.size))
    return Rows(moved(np.repeat(base[:, np.newaxis], counts.size, 1), steps), arranged(rng, counts))


def copies_and_one(rng, real, n, size):
    others = bases(rng, real, size)
    values = columns(others, others + rng.uniform(-12, 12, size))
    return Rows(values.astype(real), arranged(rng, [n - 1, 1]))


def copies_and_two(rng, real, n, size):
    others = bases(rng, real, size)
    values = columns(others, others + rng.uniform(-12, 12, size), others + rng.uniform(-6, 12, size))
    return Rows(values.astype(real), arranged(rng, [n - 2, 1, 1]))


def one_ahead(rng, real, n, size):
    """By 5 to 25: the sum of the others is small beside the largest."""
    others = bases(rng, real, size)
    return Rows(columns(others, others + rng.uniform(5, 25, size)).astype(real), arranged(rng, [n - 1, 1]))


def one_ahead_of_similar(rng, real, n, size):
    counts = [1, *shares_of(rng, n - 1, CLASSES)]
    others = bases(rng, real, size)
    similar = others[:, np.newaxis] + rng.normal(0, 1e-3, (size, len(counts) - 1))
    values = np.hstack([(others + rng.uniform(5, 25, size))[:, np.newaxis], similar])
    return Rows(values.astype(real), arranged(rng, counts))


def result_near_zero(rng, real, n, size):
    """The largest is near minus the logarithm that logsumexp adds to it."""
    ahead = rng.uniform(0, 25, size)
    largest = -np.log1p((n - 1) * np.exp(-ahead))
    largest += np.exp2(-rng.uniform(1, np.finfo(real).nmant, size)) * rng.choice([-1, 0, 1], size)
    return Rows(near(rng, columns(largest, largest - ahead), real), arranged(rng, [1, n - 1]))


def two_classes(rng, real, n, size):
    """Two elements on a fine grid, so many of each."""
    ones = int(rng.choice([1, n // 2, rng.integers(1, n)]))
    step = 2.0 ** -int(rng.integers(4, 12))
    values = step * columns(rng.integers(-2 / step, 2 / step, size), rng.integers(-3 / step, 3 / step, size))
    return Rows(values.astype(real), arranged(rng, [ones, n - ones]))


def share_at_power_of_two(rng, real, n, size):
    """One element's share is next to a power of two: below it a relative error counts double."""
    extras = int(n > 2 and rng.random() < 0.5)
    others, extra = bases(rng, real, size), rng.uniform(-3, 8, size)
    rest = (n - 1 - extras) + extras * np.exp(extra)
    share = np.exp2(-rng.integers(1, 30, size))
    values = columns(others, others + np.log(share / (1 - share) * rest), others + extra)
    counts = [n - 1 - extras, 1, extras][: 2 + extras]
    return Rows(near(rng, values[:, : 2 + extras], real), arranged(rng, counts))


def share_near_smallest_normal(rng, real, n, size):
    """A share that is hardly normal, or subnormal."""
    info = np.finfo(real)
    smallest = np.log(float(info.smallest_subnormal))
    distance = rng.uniform(smallest - 1, np.log(float(info.tiny)) + 3, size)
    edge = np.log(float(info.tiny)) + rng.normal(0, 0.01, size)
    distance = np.where(rng.random(size) < 0.5, distance, edge)
    others = rng.uniform(-20, 20, size)
    return Rows(columns(others, others + distance + np.log(n - 1)).astype(real), arranged(rng, [n - 1, 1]))


def logarithm_at_power_of_two(rng, real, n, size):
    """log_softmax of the largest, of one of the others, or logsumexp, is next to a power of two."""
    others = rng.uniform(-4, 4, size)
    power = np.exp2(rng.integers(-24, 4, size))
    ahead = np.log((n - 1) / np.expm1(power))  # log1p((n - 1) exp(-ahead)) = power
    least = np.exp(power) - (n - 1)  # log(n - 1 + exp(behind)) = power, where there is such a distance
    behind = np.log(np.where(least > 0, least, 1))
    distance = np.where((rng.random(size) < 0.5) | (least <= 0), ahead, behind)
    result = power * rng.choice([-1, 1], size)
    summed = result - np.log(n - 1 + np.exp(distance))
    others = np.where(rng.random(size) < 0.5, others, summed)
    return Rows(near(rng, columns(others, others + distance), real), arranged(rng, [n - 1, 1]))


def ties(rng, real, n, size):
    """Several largest elements, and others down to where they hardly count."""
    largest = int(rng.integers(2, n))
    base = bases(rng, real, size)
    return Rows(
        columns(base, base - np.exp2(rng.uniform(-20, 5, size))).astype(real),
        arranged(rng, [largest, n - largest]),
    )


def largest_is_three_quarters(rng, real, n, size):
    """Above 3/4 of the sum softmax knows the share of the largest better (slice_functions.pxd)."""
    base = bases(rng, real, size)
    values = columns(base, base - np.log(3 * (n - 1)) + rng.normal(0, 1e-3, size))
    return Rows(near(rng, values, real), arranged(rng, [1, n - 1]))


def sum_between_powers_of_two(rng, real, n, size):
    """The logarithm of 1.5 2^k is where the reduction of that changes (`nearest_power`)."""
    base = bases(rng, real, size)
    total = 1.5 * np.exp2(rng.integers(0, max(1, int(np.log2(n))), size))
    ahead = np.log((n - 1) / (total - 1))
    return Rows(near(rng, columns(base, base - ahead), real), arranged(rng, [1, n - 1]))


def reference_far_below(rng, real, n, size):
    """The first block has none of the largest: the terms are scaled for a small one, or once more."""
    limit = rng.choice(MOST_ABOVE[np.dtype(real).name], size)
    low = bases(rng, real, size)
    values = columns(low, low + limit + rng.uniform(-2, 0, size) * rng.integers(0, 2, size))
    return Rows(near(rng, values, real), arranged(rng, [n - 1, 1], in_order=True))


def shifted_or_not(rng, real, n, size):
    """Elements as large as where a difference is taken first (`exp_range`)."""
    limit = 2 * RANGE[np.dtype(real).name] * rng.choice([-1, 1], size)
    values = columns(limit, limit - np.exp2(rng.uniform(-20, 5, size)))
    return Rows(near(rng, values, real), arranged(rng, [1, n - 1]))


def far_from_zero(rng, real, n, size):
    """As far as goes without a shift: the roundings of k ln 2 are largest there."""
    counts = shares_of(rng, n, 3)
    base = 2 * RANGE[np.dtype(real).name] * rng.uniform(0.3, 1, (size, 1)) * rng.choice([-1, 1], (size, 1))
    distances = np.exp2(rng.uniform(-8, 5, (size, counts.size))) * rng.integers(0, 2, (size, counts.size))
    return Rows((base - distances).astype(real), arranged(rng, counts))


def smallest_that_counts(rng, real, n, size):
    """Others at the end of the range of terms."""
    base = rng.uniform(-20, 20, size)
    values = columns(base, base - RANGE[np.dtype(real).name])
    return Rows(near(rng, values, real), arranged(rng, [1, n - 1]))


def least_weight(real, n):
    """What the others have to weigh beside the largest to settle a sum of n terms (`take_off_largest`).

    float32: as a part of the largest term; float64: on the scale of terms, with what its sums begin with.
    """
    if real == np.float32:
        return 2.0**-24, 2.0 ** HEADROOM["float32"]
    blocks = 2.0 ** np.ceil(np.log2(max(1, min(n, CHUNK) / BLOCK)))
    offset = 1.5 * (2.0**125 if n <= BLOCK else 2.0**136 * blocks)
    return (2.0**-41 * blocks**2 + 2.0**-36) * offset, offset


def distance_for(real, n, base, weight):
    """How far below the largest element the others weigh so much together."""
    exponent = base / np.log(2)
    term = 1 if real == np.float32 else np.exp2(HEADROOM["float64"] + exponent - np.rint(exponent))
    return np.log((min(n, CHUNK) - 1) * term / weight)


def settled_or_not(rng, real, n, size):
    """The others weigh just what lets a sum stand, or some more, or just less (`take_off_largest`).

    Beside them the tail of the largest term is large, and takes part in the additions of tails.
    """
    base = rng.uniform(-20, 20, size)
    distance = distance_for(real, n, base, least_weight(real, n)[0])
    more = np.choose(
        rng.integers(0, 3, size), [np.zeros(size), rng.normal(0, 1e-2, size), rng.uniform(0, 4, size)]
    )
    return Rows(near(rng, columns(base, base - distance + more), real), arranged(rng, [1, n - 1]))


def additions_round_alike(rng, real, n, size):
    """All additions to the sum with the largest term lose nearly half a unit, in the same direction.

    The largest stands first, its term just above a power of two; of the equal others, which weigh hardly what
    lets the sum stand, four terms end next to the middle between two floats of the sum.
    """
    tries = max(16, ELEMENTS // size)
    base = (rng.integers(-25, 26, (size, 1)) * np.log(2) + rng.uniform(0, 0.05, (size, 1))).astype(real)
    weight, begun = least_weight(real, n)
    others = base - distance_for(real, n, base, weight * rng.uniform(1, 2, (size, tries)))
    others = np.unique(others.astype(real), axis=1)
    exponent = HEADROOM[np.dtype(real).name] - np.rint(base / np.log(2))
    terms = np.ldexp(np.exp(others.astype(np.longdouble)), exponent.astype(int)).astype(real)
    unit = np.spacing(begun)
    lost = np.mod(4 * terms.astype(np.float64), unit) / unit
    from_middle = np.abs(lost - rng.choice([0.47, 0.53], (size, 1)))
    best = np.take_along_axis(others, from_middle.argmin(axis=1)[:, np.newaxis], 1)
    return Rows(np.hstack([base, best]), arranged(rng, [1, n - 1], in_order=True))


def seams(rng, real, n, size):
    """Every element is where the reduced argument is largest."""
    counts = shares_of(rng, n, 4)
    halves = rng.integers(-20, 20, (size, 1)) - rng.integers(0, 4, (size, counts.size)) + 0.5
    return Rows(near(rng, halves * np.log(2), real, 16), arranged(rng, counts))


def falling(rng, real, n, size):
    """Each some way below the one before: a sum of many sizes."""
    classes = min(n, BLOCK)
    counts = shares_of(rng, n, classes)
    steps = np.exp2(rng.uniform(-6, 2, size))[:, np.newaxis]
    values = bases(rng, real, size)[:, np.newaxis] - steps * np.arange(classes)
    return Rows(values.astype(real), arranged(rng, counts, in_order=rng.random() < 0.5))


def chunks_apart(rng, real, n, size):
    """Each chunk has a largest element of its own, above or below that of the sum so far."""
    counts = np.diff([*range(0, n, CHUNK), n])
    values = rng.uniform(-5, 5, (size, 1)) + rng.normal(0, 4, (size, counts.size))
    return Rows(values.astype(real), arranged(rng, counts, in_order=True))


@dataclass(frozen=True)
class Family:
    rows: Callable  # of a random generator, a type, a length and a number of rows
    shortest: int = 2


FAMILIES = {
    "neighbours": Family(neighbours),
    "copies and one": Family(copies_and_one),
    "copies and two": Family(copies_and_two, 3),
    "one ahead": Family(one_ahead),
    "one ahead of similar": Family(one_ahead_of_similar),
    "result near zero": Family(result_near_zero),
    "two classes": Family(two_classes),
    "share at a power of two": Family(share_at_power_of_two),
    "share near the smallest normal": Family(share_near_smallest_normal),
    "logarithm at a power of two": Family(logarithm_at_power_of_two),
    "ties": Family(ties, 3),
    "largest is three quarters": Family(largest_is_three_quarters),
    "sum between powers of two": Family(sum_between_powers_of_two),
    "reference far below": Family(reference_far_below, BLOCK + 1),
    "shifted or not": Family(shifted_or_not),
    "far from zero": Family(far_from_zero),
    "smallest that counts": Family(smallest_that_counts),
    "settled or not": Family(settled_or_not),
    "additions round alike": Family(additions_round_alike, 8),
    "seams": Family(seams),
    "falling": Family(falling),
    "chunks apart": Family(chunks_apart, CHUNK + 1),
}


def built(family, dtype, n, seed, number):
    """Rows of a family, the same ones whenever they are asked for; ``number`` tells samples apart."""
    rng = generator(seed, family, dtype, n, number)
    size = max(2, min(MOST_ROWS, ELEMENTS // n))
    with np.errstate(over="ignore"):  # float32 of a far element
        return FAMILIES[family].rows(rng, np.dtype(dtype).type, n, size)


# ---- a climb ---------------------------------------------------------------------------------------

STAGES = 12  # reaches, from the widest to one float; then from the widest again


def reach_of(step, dtype):
    """How many floats an element may go at this step: up to about an eighth of itself."""
    widest = np.finfo(dtype).nmant - 3
    return 2 ** round(widest * (1 - step % STAGES / (STAGES - 1)))


def changed_arrangement(rng, places):
    """One element more or less of a class, or two runs that change places."""
    kind = int(rng.integers(0, 3))
    position = int(rng.integers(0, places.size))
    if kind == 0:
        return np.insert(places, position, places[position])
    if kind == 1 and np.bincount(places)[places[position]] > 1:
        return np.delete(places, position)
    return np.roll(places, position)


def changed(rng, row, reach, elements=ELEMENTS):
    """Rows like this one: one or more of its elements changed by floats, by steps, or all by the same."""
    places = changed_arrangement(rng, row.places) if rng.random() < 0.125 else row.places
    size = max(8, min(MOST_ROWS, elements // places.size))
    values = np.repeat(row.values, size, axis=0)
    classes = values.shape[1]
    chosen = rng.random(values.shape) < rng.choice([1 / classes, 2 / classes, 1.0], (size, 1))
    chosen[np.arange(size), rng.integers(0, classes, size)] = True
    by_floats = moved(values, np.where(chosen, rng.integers(-reach, reach + 1, values.shape), 0))
    step = rng.normal(0, 1, values.shape) * np.exp2(rng.uniform(-12, 0, (size, 1)))
    by_steps = (values + np.where(chosen, step, 0)).astype(values.dtype)
    together = (values + step[:, :1]).astype(values.dtype)
    change = rng.choice(3, (size, 1), p=[0.6, 0.2, 0.2])
    return Rows(np.choose(change, [by_floats, by_steps, together]), places)
