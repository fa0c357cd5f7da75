"""The losses with their derivatives: what a call is given, what is exact, and how far results are off.

A call is of slices (`Slices`: cross_entropy of rows, `ulp.rows`, with their targets and weights) or of logits
by themselves (`Logits`: binary_cross_entropy_with_logits). Both give a loss, a gradient and a Hessian. The
definitions are those of tests/loss_reference.py, and so is the unit of a gradient, that of the larger of the
two terms whose difference it is. What is subnormal is rounded before a weight makes it larger: no unit is
less than the smallest number times the sum of all factors (`Judged`), but that of a binary loss.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import reference
from loss_reference import Derivatives, exact_binary, product, sum_of_the_others
from reference import ExactSlices, logsumexp_error, unit_in_last_place

from ulp import mpfr
from ulp.rows import Rows

RESULTS = ("loss", "gradient", "Hessian")
KINDS = {  # of targets: a label alone; one with weights; anything, with weights or label smoothing or without
    "cross_entropy": ("labels", "weights", "targets"),
    "binary_cross_entropy_with_logits": ("labels", "targets"),
}
CALLS = tuple(f"{function}/{kind}" for function, kinds in KINDS.items() for kind in kinds)
QUANTITIES = tuple(f"{call}/{result}" for call in CALLS for result in RESULTS)


def parts_of(function, shape, flat):
    """The loss, the gradient and the Hessian as they lie one after the other in a call's results."""
    losses = shape[:1] if function == "cross_entropy" else shape
    size, count = int(np.prod(shape)), int(np.prod(losses))
    grad, hess = flat[count : count + size], flat[count + size :]
    return flat[:count].reshape(losses), grad.reshape(shape), hess.reshape(shape)


def size_of_parts(function, shape):
    size = int(np.prod(shape))
    return 2 * size + (shape[0] if function == "cross_entropy" else size)


def numbers(values):
    return " ".join(float(x).hex() for x in np.atleast_1d(values))


@dataclass(frozen=True)
class Slices:
    """Rows and what they are compared with: the same for all elements of a class of a row.

    Attributes
    ----------
    rows : Rows
    label : int
        The class, which stands at one place, whose element is the label.
    targets : array of shape (rows, classes), optional
        Probabilities in place of the label.
    weights : array of shape (classes,), optional
    samples : array of shape (rows,), optional
        Sample weights.
    smoothing : float
    """

    rows: Rows
    label: int
    targets: np.ndarray | None = None
    weights: np.ndarray | None = None
    samples: np.ndarray | None = None
    smoothing: float = 0.0
    function: ClassVar[str] = "cross_entropy"

    @property
    def dtype(self):
        return self.rows.values.dtype

    @property
    def logits(self):
        return self.rows.whole

    @property
    def options(self):
        places, count = self.rows.places, len(self.rows.values)
        label = np.full(count, self.rows.first[self.label])
        return {
            "target": label if self.targets is None else self.targets[:, places],
            "weight": None if self.weights is None else self.weights[places],
            "sample_weight": self.samples,
            "label_smoothing": self.smoothing,
        }

    def item(self, index):
        """One slice of them."""
        chosen = slice(index, index + 1)
        return replace(
            self,
            rows=self.rows.row(index),
            targets=None if self.targets is None else self.targets[chosen],
            samples=None if self.samples is None else self.samples[chosen],
        )

    @cached_property
    def shares(self):
        """t of each class, of all rows or of each."""
        if self.targets is not None:
            return self.targets.astype(np.longdouble)
        return (np.arange(self.rows.values.shape[1]) == self.label).astype(np.longdouble)[np.newaxis]

    @cached_property
    def factors(self):
        """c of each class of each row."""
        eps, n = np.longdouble(self.smoothing), self.rows.places.size
        q = (1 - eps) * self.shares + eps / n
        if self.weights is not None:
            q = q * self.weights
        samples = np.ones(len(self.rows.values)) if self.samples is None else self.samples
        return samples.astype(np.longdouble)[:, np.newaxis] * q

    def of_others(self, c):
        """The sum of the factors of all places but one of a class, for each class."""
        counts = self.rows.counts
        if (counts == 1).all():
            return sum_of_the_others(c)
        other = np.repeat(counts[:, np.newaxis], counts.size, 1) - np.eye(counts.size, dtype=int)
        return c @ other.astype(np.longdouble)

    def exact(self):
        """Of the classes of each row, in long double; as `loss_reference.exact_slices`."""
        counts, z, c = self.rows.counts, self.rows.values, self.factors
        of = ExactSlices.of(z, 1, counts)
        with np.errstate(all="ignore"):
            cost = of.log_total - of.difference - of.rest
            p = of.terms / of.total
            others = np.where(z == of.largest, np.expm1(of.log_total), of.total - of.terms)
            rest = others / of.total
        loss = np.sum(counts * product(c, cost), axis=1, keepdims=True)
        total = np.sum(counts * c, axis=1, keepdims=True)
        up, down = product(self.of_others(c), p), product(c, rest)
        hess = product(total, p * rest)
        return Derivatives(loss, up - down, hess, np.maximum(np.abs(up), np.abs(down)), total)

    def classes_of(self, result, got):
        """One result of each class, and where another result of the same class differs."""
        if result == "loss":
            return got[:, np.newaxis], np.zeros((len(got), 1), bool)
        first = got[:, self.rows.first]
        same = reference.bits(got) == reference.bits(np.ascontiguousarray(first))[:, self.rows.places]
        differs = np.zeros(first.shape, bool)
        rows, places = np.nonzero(~same)
        differs[rows, self.rows.places[places]] = True
        return first, differs

    def counts_of(self, result):
        return np.ones(1, int) if result == "loss" else self.rows.counts

    def place(self, result, index):
        return 0 if result == "loss" else int(self.rows.first[index])

    def value(self, result, row, index):
        """By MPFR."""
        with mpfr.context():
            c = self.exact_factors(row)
        return mpfr.slice_loss(self.rows.values[row], self.rows.counts, c, index)[result]

    def exact_factors(self, row):
        """c of each class of a row, in the precision of the context."""
        exact, n = mpfr.mpfr, self.rows.places.size
        eps, shares = exact(self.smoothing), self.shares[row if self.targets is not None else 0]
        sample = exact(1 if self.samples is None else float(self.samples[row]))
        weights = np.ones(shares.size) if self.weights is None else self.weights
        return [
            sample * exact(float(w)) * ((1 - eps) * exact(float(t)) + eps / n)
            for w, t in zip(weights, shares, strict=True)
        ]

    def text(self, row):
        """One slice, written down: the logits in their order, what else there is by classes; None if long."""
        written = self.rows.text(row)
        if written is None:
            return None
        said = [written]
        order = [int(k) for k in dict.fromkeys(self.rows.places.tolist())]
        if self.targets is None:
            said.append(f"label {self.rows.first[self.label]}")
        else:
            said.append(f"targets {numbers(self.targets[row, order])}")
        if self.weights is not None:
            said.append(f"weights {numbers(self.weights[order])}")
        if self.samples is not None:
            said.append(f"sample weight {numbers(self.samples[row])}")
        if self.smoothing:
            said.append(f"smoothing {numbers(self.smoothing)}")
        return "; ".join(said)


@dataclass(frozen=True)
class Logits:
    """Logits, each with a target of its own, and with weights or without."""

    z: np.ndarray
    y: np.ndarray
    w: np.ndarray | None = None
    v: np.ndarray | None = None
    function: ClassVar[str] = "binary_cross_entropy_with_logits"

    @property
    def dtype(self):
        return self.z.dtype

    @property
    def logits(self):
        return self.z

    @property
    def options(self):
        return {"target": self.y, "weight": self.w, "pos_weight": self.v}

    def item(self, index):
        chosen = slice(index, index + 1)
        w, v = (None if values is None else values[chosen] for values in (self.w, self.v))
        return Logits(self.z[chosen], self.y[chosen], w, v)

    def exact(self):
        exact = exact_binary(self.z, self.y, self.w, pos_weight=self.v, reduction="none")
        columns = (exact.value, exact.grad, exact.hess, exact.size, exact.scale)
        return Derivatives(*(values[:, np.newaxis] for values in columns))

    def classes_of(self, result, got):
        return got[:, np.newaxis], np.zeros((got.size, 1), bool)

    def counts_of(self, result):
        return np.ones(1, int)

    def place(self, result, index):
        return 0

    def of(self, row):
        """z, y, w and v of one element."""
        return [1.0 if a is None else float(a[row]) for a in (self.z, self.y, self.w, self.v)]

    def value(self, result, row, index):
        return mpfr.binary_loss(*self.of(row))[result]

    def text(self, row):
        z, y, w, v = (numbers(x) for x in self.of(row))
        weights = f"; weight {w}" * (self.w is not None) + f"; weight of positives {v}" * (self.v is not None)
        return f"{z}; target {y}{weights}"


@dataclass(frozen=True)
class Judged:
    """One result of all calls: arrays of rows and classes.

    `size` is what else than the result has a unit that counts, `least` the least unit in units of the
    smallest number, and `error` is in units.
    """

    exact: np.ndarray
    size: np.ndarray
    least: np.ndarray
    error: np.ndarray


def in_units(ulp, size, least, dtype):
    """An error in units of the last place of ``size``, as one in units that are not less than the least."""
    unit = unit_in_last_place(size, dtype)
    return ulp * np.minimum(1, unit / (least * np.finfo(dtype).smallest_subnormal.astype(np.longdouble)))


def judged(case, results):
    """By the name of a result.

    Equal elements of a slice whose targets are equal and whose results are not have no result: their error is
    infinite.
    """
    exact, found = case.exact(), {}
    scale = np.maximum(exact.scale, 1)
    of_loss = scale if case.function == "cross_entropy" else np.ones_like(scale)
    wanted = {
        "loss": (exact.value, exact.value, of_loss),
        "gradient": (exact.grad, exact.size, scale),
        "Hessian": (exact.hess, exact.hess, scale),
    }
    for (name, (value, size, least)), got in zip(wanted.items(), results, strict=True):
        of_classes, differs = case.classes_of(name, got)
        size = np.maximum(np.abs(size), np.abs(value))
        least = np.broadcast_to(least, value.shape)
        error = in_units(logsumexp_error(of_classes, value, size), size, least, case.dtype)
        found[name] = Judged(value, size, least, np.where(differs, np.inf, error).astype(np.float64))
    return found
