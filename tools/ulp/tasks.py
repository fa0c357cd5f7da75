"""What is measured, cut into chunks that can be computed in any order, by any process, and again."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import reference as formulas

from ulp import mpfr, rows
from ulp.findings import Comparison, Errors, Findings
from ulp.inputs import Climb, generator
from ulp.libraries import ROW_FUNCTIONS
from ulp.oracle import WIDER, Oracle

CLAMPS = {  # the eps with which the clamped logit is compared with logit of the clamped input
    "float32": (0.0, 2.0**-149, 1e-8, 1e-6, 0.01, 0.5),
    "float64": (0.0, 2.0**-1074, 1e-17, 1e-6, 0.01, 0.5),
}
FUNCTIONS = tuple(formulas.PUBLIC)
PROFILE_BLOCKS = 4  # float32 blocks to one entry of the profile: 2^19 inputs, a sixteenth of a binade
LONGEST_MPFR_ROW = 2**12


def hexadecimal(x):
    return float(x).hex()


def ends_of_plateaus(candidates, got):
    """The first and the last of neighbouring candidates with the same result.

    The inputs are in order and the functions monotone, so the exact results move away from that
    result towards both ends: none of the errors between is the largest. Without this, the many inputs close
    to 0 at which expit is 1/2 and log_expit -log(2), all with nearly the same error, would all go to MPFR.
    """
    differs = got[candidates[1:]] != got[candidates[:-1]]
    return candidates[np.concatenate([[True], differs]) | np.concatenate([differs, [True]])]


def measure(oracle, got, threshold):
    """The errors of the results `got`, inputs in order; those above `threshold` and their inputs by MPFR.

    Also the largest estimate, and its input.
    """
    estimate = oracle.error(got)
    found = Errors(inputs=got.size)
    failed = np.isinf(estimate)
    if failed.any():
        found.failed = int(np.count_nonzero(failed))
        found.failed_at = hexadecimal(oracle.x[failed.argmax()])
        estimate[failed] = 0
    found.finite = int(np.count_nonzero(np.isfinite(oracle.nearest)))
    both_nan = np.isnan(got) & np.isnan(oracle.nearest)
    found.misrounded = int(np.count_nonzero((got != oracle.nearest) & ~both_nan))
    found.sum = float(estimate.sum())
    top = int(estimate.argmax())

    limit = threshold - oracle.uncertainty
    candidates = np.flatnonzero(estimate > max(limit, 0))
    if candidates.size:
        candidates = ends_of_plateaus(candidates, got)
    candidates = candidates[np.argsort(-estimate[candidates], kind="stable")]
    for index in candidates:
        if estimate[index] + oracle.uncertainty <= max(threshold, found.threshold()):
            break
        x = oracle.x[index]
        entry = {
            "input": hexadecimal(x),
            "got": hexadecimal(got[index]),
            "want": hexadecimal(oracle.nearest[index]),
            "exact": mpfr.digits(oracle.name, x),
            "ulp": mpfr.error(oracle.name, x, got[index]),
        }
        found.add(Errors(worst=[entry]))
    return found, float(estimate[top]), hexadecimal(oracle.x[top])


def count_unordered(x, got):
    """Neighbours whose results are in the wrong order; x ascends or descends."""
    after, before = (got[:-1], got[1:]) if x[0] > x[-1] else (got[1:], got[:-1])
    return int(np.count_nonzero(after < before))


def same_bits(x, got, want):
    """As bits, except that a NaN is a NaN."""
    differing = formulas.bits(got) != formulas.bits(want)
    if differing.any():
        differing &= ~(np.isnan(got) & np.isnan(want))
    count = int(np.count_nonzero(differing))
    return Comparison(x.size, count, None, hexadecimal(x[differing.argmax()]) if count else None)


def examine(function, x, overlap, libraries, thresholds, rng):
    """The findings of a block; its last ``overlap`` inputs are there for the order alone."""
    tried = x[: x.size - overlap]
    oracle = Oracle(function, tried, rng)
    findings = Findings(control_error=oracle.control_error)
    calls = [(function, {})]
    clamps = CLAMPS[x.dtype.name] if function == "logit" else ()
    bounds = {
        (name, eps): libraries.logit_of_bounds(name, x.dtype, eps)
        for name in libraries.builds()
        for eps in clamps
    }
    clamped_calls = [("clamped_logit", {"eps": eps}) for eps in clamps]
    shared = libraries.share(x)
    results = {}
    for name in libraries.of(function):
        is_fastlogit = name in libraries.builds()
        got, *clamped = libraries.compute(name, shared, *calls, *(clamped_calls if is_fastlogit else ()))
        results[name] = got
        errors, estimate, where = measure(oracle, got[: tried.size], thresholds.get(name, -np.inf))
        errors.unordered = count_unordered(x, got)
        findings.errors[name] = errors
        if np.isfinite(tried[0]) and np.isfinite(tried[-1]):
            part = [hexadecimal(tried[0]), hexadecimal(tried[-1]), estimate, where]
            findings.profile[name] = [part]
        if is_fastlogit:
            for eps, result in zip(clamps, clamped, strict=True):
                want = clamped_logit(x, got, *bounds[name, eps])
                phrase = f"logit(x, {eps:.3g}) and logit of the clamped x: {name}"
                findings.comparisons[phrase] = same_bits(x, result, want)
    if {"fastlogit v3", "fastlogit v4"} <= results.keys():
        compared = same_bits(x, results["fastlogit v4"], results["fastlogit v3"])
        findings.comparisons[f"{function}: the bits of v4 and v3"] = compared
    return findings


def clamped_logit(x, logit, bounds, logit_of_bounds):
    """logit of the clamped x, from logit of x: logit(x, eps) has to be this bit for bit, and so its
    errors are those of logit.
    """
    clamped = np.where(x < bounds[0], logit_of_bounds[0], logit)
    return np.where(x > bounds[1], logit_of_bounds[1], clamped)


def merge_profile(parts):
    """One entry for neighbouring parts: the largest error of all."""
    top = max(parts, key=lambda part: part[2])
    return [parts[0][0], parts[-1][1], *top[2:]]


def raise_thresholds(thresholds, findings):
    """What the list of the worst inputs would drop need not go to MPFR."""
    for name, errors in findings.errors.items():
        thresholds[name] = max(thresholds.get(name, -np.inf), errors.threshold())


@dataclass(frozen=True)
class ErrorsOf:
    """The errors of one function at the inputs of a source."""

    name: str
    function: str
    dtype: str
    inputs: Any
    seed: int
    profile: bool = True
    kind: ClassVar[str] = "errors"

    @property
    def chunks(self):
        return self.inputs.chunks

    def compute(self, chunk, libraries, thresholds):
        findings = Findings()
        rng = generator(self.seed, "controls", self.name, chunk)
        thresholds = dict(thresholds)
        for x in self.inputs.blocks(chunk):
            findings.add(examine(self.function, x, self.inputs.overlap, libraries, thresholds, rng))
            raise_thresholds(thresholds, findings)
        if not self.profile:
            findings.profile.clear()
        if self.dtype == "float32":
            for name, parts in findings.profile.items():
                starts = range(0, len(parts), PROFILE_BLOCKS)
                merged = [merge_profile(parts[start : start + PROFILE_BLOCKS]) for start in starts]
                findings.profile[name] = merged
        return findings


@dataclass(frozen=True)
class WorstBySearch:
    """The errors along climbs that start at the worst inputs of the strata."""

    name: str
    function: str
    dtype: str
    inputs: Climb
    seed: int
    kind: ClassVar[str] = "errors"

    @property
    def chunks(self):
        return self.inputs.chunks

    def compute(self, chunk, libraries, thresholds):
        findings = Findings()
        rng = generator(self.seed, "controls", self.name, chunk)
        thresholds = dict(thresholds)
        climbed, start = self.inputs.starts[chunk]
        best, largest = np.float64(float.fromhex(start)), 0.0
        for reach in self.inputs.reaches:
            x = self.inputs.around(chunk, best, reach)
            found = examine(self.function, x, self.inputs.overlap, libraries, thresholds, rng)
            ((_, _, estimate, where),) = found.profile.pop(climbed)
            if estimate > largest:
                best, largest = np.float64(float.fromhex(where)), estimate
            found.profile.clear()  # would only draw again what the strata have drawn
            findings.add(found)
            raise_thresholds(thresholds, findings)
        return findings


# Identities between results


def reflected_expit(call, x):
    """expit(-x) against 1 - expit(x), in units in the last place of 1/2 ... 1."""
    x = x[(0 <= x) & np.isfinite(x)]
    wide = WIDER[x.dtype]
    above, below = call("expit", x), call("expit", -x)
    difference = np.abs((above.astype(wide) - 1) + below) / np.finfo(x.dtype).epsneg
    return {"expit(-x) and 1 - expit(x)": (x, 1 - above != below, difference)}


def reflected_logit(call, p):
    """logit(1 - p) against -logit(p), where 1 - p is exact."""
    p = p[(0 < p) & (p < 1)]
    p = p[1 - (1 - p) == p]
    left, right = call("logit", p), -call("logit", 1 - p)
    difference = np.abs(left - right) / np.spacing(np.abs(left))
    return {"logit(1 - p) and -logit(p), 1 - p exact": (p, left != right, difference)}


def round_trip(call, p):
    """expit(logit(p)) against p: in the tails a unit in the last place of logit is many of p."""
    p = p[(0 < p) & (p < 1)]
    odds = call("logit", p)
    back = call("expit", odds)
    difference = np.abs(back - p) / np.spacing(p)
    # What the rounding of logit(p) alone can move: half a unit, times the slope p (1 - p) of expit.
    carried = np.spacing(np.abs(odds)) * (1 - p) * (p / np.spacing(p))
    usual = (0.01 <= p) & (p <= 0.99)
    differs = back != p
    return {
        "expit(logit(p)) and p": (p, differs, difference),
        "expit(logit(p)) and p, beyond a unit of logit(p)": (p, differs, np.maximum(difference - carried, 0)),
        "expit(logit(p)) and p, 0.01 <= p <= 0.99": (p[usual], differs[usual], difference[usual]),
    }


@dataclass(frozen=True)
class Identities:
    """What the results of every build of fastlogit have to do with each other."""

    name: str
    dtype: str
    inputs: Any
    identities: tuple
    kind: ClassVar[str] = "identities"

    @property
    def chunks(self):
        return self.inputs.chunks

    def compute(self, chunk, libraries, thresholds):
        findings = Findings()
        for x in self.inputs.blocks(chunk):
            for identity in self.identities:
                for name in libraries.builds():
                    self._compare(identity, name, x[: x.size - self.inputs.overlap], libraries, findings)
        return findings

    @staticmethod
    def _compare(identity, name, x, libraries, findings):
        def call(function, x):
            (result,) = libraries.compute(name, libraries.share(x), (function, {}))
            return result.copy()

        for phrase, (inputs, differs, difference) in identity(call, x).items():
            if inputs.size:
                top = difference.argmax()
                compared = Comparison(
                    inputs.size,
                    int(np.count_nonzero(differs)),
                    float(difference[top]),
                    hexadecimal(inputs[top]),
                )
                findings.add(Findings(comparisons={f"{phrase}: {name}": compared}))


# Rows


def examine_rows(these, functions, label, libraries, only_builds=True):
    """The findings of rows of one arrangement; `label` says where they come from."""
    findings = Findings()
    shared = libraries.share(these.whole)
    exact = exact_rows(these)
    for function in functions:
        builds = {}
        for name in libraries.builds() if only_builds else libraries.of(function):
            (got,) = libraries.compute(name, shared, (function, {}))
            builds[name] = got = got.reshape(len(these.values), -1)
            errors, worst_row, estimate = measure_rows(function, these, got, exact, label)
            key = f"{function} {name}"
            findings.errors[key] = errors
            findings.profile[key] = [[label, label, estimate, worst_row]]
        if {"fastlogit v3", "fastlogit v4"} <= builds.keys():
            compared = same_bits(got.ravel(), builds["fastlogit v4"].ravel(), builds["fastlogit v3"].ravel())
            findings.comparisons[f"{function}: the bits of v4 and v3"] = compared
    return findings


def exact_rows(these):
    """The classes of each row in long double, from which the exact results follow."""
    return formulas.ExactSlices.of(these.values, 1, these.counts)


def errors_of_rows(function, these, got, exact):
    """The exact results of the classes of each row, and the errors; the unit of logsumexp is its bound's.

    Equal elements of a row that have different results have no result: their error is infinite.
    """
    wide = getattr(exact, function)()
    if function == "logsumexp":
        return wide, formulas.logsumexp_error(got, wide, exact.largest).astype(np.float64)
    of_classes = got[:, these.first]
    error = formulas.ulp_error(of_classes, wide).astype(np.float64)
    if these.places.size > these.first.size:
        same = formulas.bits(got) == formulas.bits(np.ascontiguousarray(of_classes))[:, these.places]
        rows, positions = np.nonzero(~same)
        error[rows, these.places[positions]] = np.inf
    return wide, error


def count_errors(inputs, counts, exact, error, label):
    """What is counted of the results of rows; infinite errors, which are failures, become 0."""
    found = Errors(inputs=inputs, finite=int(np.sum(counts * np.isfinite(exact))))
    failed = np.isinf(error)
    if failed.any():
        row, _ = np.unravel_index(error.argmax(), error.shape)
        found.failed, found.failed_at = int(np.sum(counts * failed)), f"{label}, row {row}"
        error[failed] = 0
    found.sum = float(np.sum(counts * error))
    return found


def worst_entry(label, row, position, got, exact, ulp):
    """How a result of a row is listed among the worst."""
    return {
        "input": f"{label}, row {row}, element {position}",
        "got": hexadecimal(got),
        "want": hexadecimal(exact.astype(got.dtype)),
        "exact": np.format_float_scientific(exact, unique=False, precision=18),
        "ulp": ulp,
    }


def add_with_worst_row(findings, found, family, n, chunk):
    """Add what was found of one length to the findings of a chunk, whose profile has its worst row."""
    for key, ((_, _, estimate, row),) in found.profile.items():
        part = [family, [n, chunk], estimate, row]
        largest = findings.profile.get(key, [part])[0]
        findings.profile[key] = [max(largest, part, key=lambda one: one[2])]
    found.profile.clear()
    findings.add(found)


def measure_rows(function, these, got, exact, label):
    """The errors of the results of rows, the worst by MPFR; its row, and the largest estimate."""
    wide, error = errors_of_rows(function, these, got, exact)
    counts = 1 if function == "logsumexp" else these.counts
    found = count_errors(got.size, counts, wide, error, label)
    row, index = (int(i) for i in np.unravel_index(error.argmax(), error.shape))
    estimate = largest = float(error[row, index])
    position = 0 if function == "logsumexp" else int(these.first[index])
    if these.values.shape[1] <= LONGEST_MPFR_ROW and np.isfinite(wide[row, index]) and largest > 0:
        value = mpfr.row_value(function, these.values[row], these.counts, index)
        unit_of = max(value, float(exact.largest[row, 0]), key=abs) if function == "logsumexp" else value
        largest = mpfr.distance(value, got[row, position], got.dtype, unit_of)
    worst = worst_entry(label, row, position, got[row, position], wide[row, index], largest)
    found.worst = [worst | {"row": these.text(row), "element": position}]
    return found, row, estimate


@dataclass(frozen=True)
class RandomRows:
    """The families of rows of the test suite, most of them random.

    The formulas in long double judge float64 to 0.04 ulp (tests/test_axis_accuracy.py); the
    worst element of a row of up to `LONGEST_MPFR_ROW` is decided by MPFR.
    """

    name: str
    dtype: str
    rounds: int
    seed: int
    families: tuple = (formulas.row_families, formulas.long_rows)
    kind: ClassVar[str] = "rows"

    @property
    def chunks(self):
        return range(len(self.families) * self.rounds)

    def compute(self, chunk, libraries, thresholds):
        family_of_rows = self.families[chunk % len(self.families)]
        findings = Findings()
        for family, x in family_of_rows(generator(self.seed, self.name, chunk), self.dtype).items():
            these, label = rows.Rows.of(x), f"{family}, chunk {chunk}"
            found = examine_rows(these, ROW_FUNCTIONS, label, libraries, only_builds=False)
            found.profile.clear()
            findings.add(found)
        return findings


@dataclass(frozen=True)
class BuiltRows:
    """The rows that are built to break fastlogit's bounds (`ulp.rows`): a family at all lengths in a chunk.

    The profile has, for each function and library, the worst row of the chunk: family, [length, chunk],
    error, row.
    """

    name: str
    dtype: str
    rounds: int
    seed: int
    families: tuple = tuple(rows.FAMILIES)
    lengths: tuple = rows.LENGTHS
    kind: ClassVar[str] = "rows"

    @property
    def chunks(self):
        return range(len(self.families) * self.rounds)

    def compute(self, chunk, libraries, thresholds):
        family = self.families[chunk % len(self.families)]
        findings = Findings()
        for n in self.lengths:
            if n < rows.FAMILIES[family].shortest:
                continue
            these = rows.built(family, self.dtype, n, self.seed, chunk)
            found = examine_rows(these, ROW_FUNCTIONS, f"{family}, {n} of them, chunk {chunk}", libraries)
            add_with_worst_row(findings, found, family, n, chunk)
        return findings


@dataclass(frozen=True)
class RowStart:
    """A built row from which a climb starts, and whose error is climbed."""

    function: str
    library: str
    family: str
    length: int
    chunk: int
    row: int


@dataclass(frozen=True)
class WorstRowsBySearch:
    """Climbs over whole rows: the worst of many that differ in a few elements from it is the next."""

    name: str
    dtype: str
    starts: tuple
    steps: int
    seed: int
    kind: ClassVar[str] = "rows"

    @property
    def chunks(self):
        return range(len(self.starts))

    def compute(self, chunk, libraries, thresholds):
        start = self.starts[chunk]
        these = rows.built(start.family, self.dtype, start.length, self.seed, start.chunk)
        best, largest = these.row(start.row), 0.0
        rng = generator(self.seed, self.name, chunk)
        for step in range(self.steps):
            tried = rows.changed(rng, best, rows.reach_of(step, self.dtype))
            shared = libraries.share(tried.whole)
            (got,) = libraries.compute(start.library, shared, (start.function, {}))
            got = got.reshape(len(tried.values), -1)
            _, error = errors_of_rows(start.function, tried, got, exact_rows(tried))
            row = int(error.max(axis=1).argmax())
            if error[row].max() > largest:
                best, largest = tried.row(row), float(error[row].max())
        label = f"climb {chunk} from {start.family}, {start.length} of them"
        findings = examine_rows(best, (start.function,), label, libraries)
        findings.profile.clear()
        return findings
