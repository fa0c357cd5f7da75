"""What is measured of the losses: built calls, and climbs from the worst of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ulp import loss_families, mpfr
from ulp.findings import Findings
from ulp.inputs import generator
from ulp.losses import CALLS, in_units, judged, parts_of
from ulp.rows import reach_of
from ulp.tasks import add_with_worst_row, count_errors, same_bits, worst_entry

LONGEST_MPFR_ROW = 2**12  # classes


def results_of(libraries, name, case):
    """Loss, gradient and Hessian, as one library has them; valid until its next results."""
    shared = libraries.share(case.logits)
    (flat,) = libraries.compute(name, shared, (case.function, case.options))
    return parts_of(case.function, shared.shape, flat)


def examine_calls(case, call, label, libraries):
    """The findings of calls; ``label`` says where they come from.

    The profile has, for each result and library, ``[label, label, largest estimate, its row]``.
    """
    findings, builds = Findings(), {}
    for name in libraries.builds():
        results = results_of(libraries, name, case)
        builds[name] = np.concatenate([values.ravel() for values in results])
        for (result, of), got in zip(judged(case, results).items(), results, strict=True):
            key = f"{call}/{result} {name}"
            findings.errors[key], row, estimate = measure_calls(case, result, got, of, label)
            findings.profile[key] = [[label, label, estimate, row]]
    if {"fastlogit v3", "fastlogit v4"} <= builds.keys():
        first = builds["fastlogit v4"]
        compared = same_bits(np.arange(first.size), first, builds["fastlogit v3"])
        findings.comparisons[f"{call}: the bits of v4 and v3"] = compared
    return findings


def measure_calls(case, result, got, of, label):
    """The errors of one result, `losses.Judged`, the worst by MPFR; its row, and the largest estimate."""
    counts, error = case.counts_of(result), of.error.copy()
    found = count_errors(got.size, counts, of.exact, error, label)
    at = row, index = tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))
    estimate = largest = float(error[at])
    place = case.place(result, index)
    of_row = got[row] if got.ndim == 1 else got[row, place]
    if np.isfinite(of.exact[at]) and largest > 0 and of.exact.shape[1] <= LONGEST_MPFR_ROW:
        value = case.value(result, row, index)
        distance = mpfr.distance(value, of_row, got.dtype, max(value, float(of.size[at]), key=abs))
        largest = float(in_units(distance, of.size[at], of.least[at], got.dtype))
    worst = worst_entry(label, row, place, of_row, of.exact[at], largest)
    found.worst = [worst | {"row": case.text(row), "element": place if of.exact.shape[1] > 1 else None}]
    return found, row, estimate


@dataclass(frozen=True)
class BuiltLosses:
    """The calls that are built to break the bounds (`ulp.loss_families`): a family with all its lengths and
    one kind of targets in a chunk.

    The profile has, for each result and library, the worst row of the chunk: family, [length, chunk], error,
    row.
    """

    name: str
    dtype: str
    rounds: int
    seed: int
    families: tuple = tuple(loss_families.FAMILIES)
    calls: tuple = CALLS
    lengths: tuple | None = None  # all, if none
    kind: ClassVar[str] = "losses"

    @property
    def pairs(self):
        """Of calls and families of their function."""
        function_of = {name: family.function for name, family in loss_families.FAMILIES.items()}
        return [
            (call, family)
            for family in self.families
            for call in self.calls
            if call.startswith(f"{function_of[family]}/")
        ]

    @property
    def chunks(self):
        return range(len(self.pairs) * self.rounds)

    def compute(self, chunk, libraries, thresholds):
        call, family = self.pairs[chunk % len(self.pairs)]
        findings = Findings()
        for n in loss_families.lengths_of(family):
            if self.lengths is not None and n not in (*self.lengths, loss_families.MOST_LOGITS):
                continue
            case = loss_families.built(call, family, self.dtype, n, self.seed, chunk)
            found = examine_calls(case, call, f"{family}, {n} of them, chunk {chunk}", libraries)
            add_with_worst_row(findings, found, family, n, chunk)
        return findings


@dataclass(frozen=True)
class WorstLossesBySearch:
    """Climbs from built calls, for one result each: the worst of many that differ a little is the next.

    A start is a `tasks.RowStart` whose function is a call and a result.
    """

    name: str
    dtype: str
    starts: tuple
    steps: int
    seed: int
    kind: ClassVar[str] = "losses"

    @property
    def chunks(self):
        return range(len(self.starts))

    def compute(self, chunk, libraries, thresholds):
        start = self.starts[chunk]
        call, _, result = start.function.rpartition("/")
        case = loss_families.built(call, start.family, self.dtype, start.length, self.seed, start.chunk)
        best, largest = case.item(start.row), 0.0
        rng = generator(self.seed, self.name, chunk)
        for step in range(self.steps):
            tried = loss_families.changed(rng, best, reach_of(step, self.dtype))
            of = judged(tried, results_of(libraries, start.library, tried))[result]
            of_rows = np.where(np.isinf(of.error), 0, of.error).max(axis=1)
            row = int(of_rows.argmax())
            if of_rows[row] > largest:
                best, largest = tried.item(row), float(of_rows[row])
        label = f"climb {chunk} from {start.family}, {start.length} of them"
        findings = examine_calls(best, call, label, libraries)
        findings.profile.clear()
        return findings
