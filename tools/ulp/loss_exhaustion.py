"""The binary loss of all float32 logits, with its derivatives, and the parts that they are made of.

Labels are 0: a label of 1 has the results of 0 at -z, the sign of the gradient apart. A formula in float64
is the judge, within 2^-28 ulp, and MPFR of the worst. The parts (kernels/logistic.pxd) can be seen where
abs(z) is at most 64: log(1 + E) and E / (1 + E) as loss and gradient of a negative logit, 1 / (1 + E) as the
gradient of another one. What they are off is kept relative to themselves, in u = 2^-24: what other targets
and weights make of them are sums and products in float64.
"""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ulp import mpfr
from ulp.findings import Errors, Findings
from ulp.inputs import EveryFloat32
from ulp.loss_tasks import results_of
from ulp.losses import RESULTS, Logits
from ulp.tasks import hexadecimal, same_bits

CALL = "binary_cross_entropy_with_logits/every"
PARTS = ("log1p", "lesser", "larger")
FURTHEST = 64.0  # of the parts in float32
HALF_UNIT = 2.0**-24
EXPONENT = np.uint64(0x7FF0000000000000)
KEYS = tuple(f"{CALL}/{name}" for name in (*RESULTS, *PARTS))


def exact(z):
    """Loss, gradient and Hessian of finite logits with the label 0, in float64; z has one sign."""
    z = z.astype(np.float64)
    small = np.exp(-np.abs(z))
    larger = 1 / (1 + small)
    lesser = small * larger
    loss = np.log1p(small)
    if z[-1] > 0:
        loss += z
    return loss, larger if z[-1] > 0 else lesser, lesser * larger


def units(values):
    """In the last place of float32, of results that are not negative."""
    powers = (values.view(np.uint64) & EXPONENT).view(np.float64)
    powers *= 2.0**-23
    return np.maximum(powers, 2.0**-149, out=powers)


def worst(result, inputs, z, got, error):
    """The findings of one result: its largest error in ulp, by MPFR."""
    found = Errors(inputs=inputs, finite=z.size)
    failed = ~np.isfinite(error)
    if failed.any():
        found.failed, found.failed_at = int(np.count_nonzero(failed)), hexadecimal(z[failed.argmax()])
        error = np.where(failed, 0, error)
    found.sum = float(error.sum())
    top = int(error.argmax())
    value = mpfr.binary_loss(float(z[top]), 0.0, 1.0, 1.0)[result]
    found.worst = [entry_of(z[top], got[top], value, mpfr.distance(value, got[top], got.dtype))]
    return found


def worst_part(result, inputs, z, got, difference, of):
    """The same of a part, in u of itself."""
    relative = difference / of
    top = int(relative.argmax())
    value = mpfr.binary_loss(float(z[top]), 0.0, 1.0, 1.0)[result]
    unit = 2.0 ** mpfr.unit_in_last_place(value, got.dtype)
    off = mpfr.distance(value, got[top], got.dtype) * unit / of[top] / HALF_UNIT
    return Errors(inputs=inputs, finite=z.size, worst=[entry_of(z[top], got[top], value, float(off))])


def entry_of(z, got, value, ulp):
    z = hexadecimal(z)
    return {
        "input": z,
        "got": hexadecimal(got),
        "want": hexadecimal(float(value)),
        "exact": f"{value:.18e}",
        "ulp": ulp,
        "row": f"{z}; target 0",
        "element": None,
    }


def part_of(result, z):
    """What part of the arithmetic a result of these logits is, all of one sign and in order; None if none."""
    if max(abs(z[0]), abs(z[-1])) > FURTHEST:
        return None
    if result == "loss":
        return "log1p" if z[-1] <= 0 else None
    return {"gradient": "larger" if z[-1] > 0 else "lesser"}.get(result)


def examine(z, inputs, builds, results):
    """Of finite logits, all of one sign and in order; ``results`` has those of each build, in its order.

    So many inputs there were. A build that has the results of another one has its findings.
    """
    findings, known = Findings(), {}
    if not z.size:
        for key, name in itertools.product(KEYS, builds):
            findings.errors[f"{key} {name}"] = Errors(inputs=inputs)
        return findings
    wanted = exact(z)
    of_unit = [units(of) for of in wanted]
    for name, got in zip(builds, results, strict=True):
        same = next((other for other, first in known.items() if all(map(np.array_equal, first, got))), None)
        if same is not None:
            for key in KEYS:
                findings.errors[f"{key} {name}"] = replace(findings.errors[f"{key} {same}"])
            continue
        known[name] = got
        for part in PARTS:
            findings.errors[f"{CALL}/{part} {name}"] = Errors(inputs=inputs)
        for result, values, of, unit in zip(RESULTS, got, wanted, of_unit, strict=True):
            difference = values - of
            np.abs(difference, out=difference)
            found = worst(result, inputs, z, values, difference / unit)
            findings.errors[f"{CALL}/{result} {name}"] = found
            if part := part_of(result, z):
                found = worst_part(result, inputs, z, values, difference, of)
                findings.errors[f"{CALL}/{part} {name}"] = found
    return findings


@dataclass(frozen=True)
class EveryLogit:
    """All float32 logits, or a part of them."""

    name: str
    inputs: EveryFloat32
    kind: ClassVar[str] = "losses"

    @property
    def chunks(self):
        return self.inputs.chunks

    def compute(self, chunk, libraries, thresholds):
        findings, builds = Findings(), libraries.builds()
        for block in self.inputs.blocks(chunk):
            x = block[: block.size - self.inputs.overlap]
            # Bit patterns in order: a block has one sign, and what is not finite comes last.
            case, count = Logits(x, np.zeros_like(x)), int(np.count_nonzero(np.isfinite(x)))
            results = []
            for name in builds:
                results.append([values[:count] for values in results_of(libraries, name, case)])
            findings.add(examine(x[:count], x.size, builds, results))
            if {"fastlogit v3", "fastlogit v4"} <= set(builds):
                v3, v4 = (np.concatenate(results[builds.index(f"fastlogit {name}")]) for name in ("v3", "v4"))
                compared = same_bits(np.tile(x[:count], len(RESULTS)), v4, v3)
                findings.add(Findings(comparisons={f"{CALL}: the bits of v4 and v3": compared}))
        return findings
