"""The binary loss of all float32 logits, with its derivatives, and the parts that they are made of.

Labels are 0: a label of 1 has the results of 0 at -z, the sign of the gradient apart. A formula in float64 is
the judge, within 2^-28 ulp, and MPFR of the worst. The parts (kernels/logistic.pxd) can be seen where abs(z) is
at most 64: log(1 + E) and E / (1 + E) as loss and gradient of a negative logit, 1 / (1 + E) as the gradient of
another one. What they are off is kept relative to themselves, in u = 2^-24: what other targets and weights make
of them are sums and products in float64.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ulp import mpfr
from ulp.findings import Errors, Findings
from ulp.inputs import EveryFloat32
from ulp.losses import RESULTS, Logits
from ulp.loss_tasks import results_of
from ulp.tasks import hexadecimal, same_bits

CALL = "binary_cross_entropy_with_logits/every"
PARTS = ("log1p", "lesser", "larger")
FURTHEST = 64.0  # of the parts in float32
HALF_UNIT = 2.0**-24
EXPONENT = np.uint64(0x7FF0000000000000)
KEYS = tuple(f"{CALL}/{name}" for name in (*RESULTS, *PARTS))


def exact(z):
    """Loss, gradient and Hessian of finite logits with the label 0, in float64."""
    z = z.astype(np.float64)
    small = np.exp(-np.abs(z))
    larger = 1 / (1 + small)
    lesser = small * larger
    return np.maximum(z, 0) + np.log1p(small), np.where(z > 0, larger, lesser), lesser * larger


def units(values):
    """In the last place of float32, of results that are not negative."""
    powers = (values.view(np.uint64) & EXPONENT).view(np.float64)
    return np.maximum(powers * 2.0**-23, 2.0**-149)


def worst(name, inputs, x, got, error, relative_to=None):
    """The findings of one result; by MPFR for the worst."""
    found = Errors(inputs=inputs, finite=x.size)
    if not x.size:
        return found
    failed = ~np.isfinite(got)
    if failed.any():
        found.failed, found.failed_at = int(np.count_nonzero(failed)), hexadecimal(x[failed.argmax()])
        error = np.where(failed, 0, error)
    found.sum = float(error.sum())
    top = int(error.argmax())
    value = mpfr.binary_loss(float(x[top]), 0.0, 1.0, 1.0)[name]
    ulp = mpfr.distance(value, got[top], got.dtype)
    if relative_to is not None:
        ulp *= 2.0 ** mpfr.unit_in_last_place(value, got.dtype) / relative_to[top] / HALF_UNIT
    z = hexadecimal(x[top])
    entry = {"input": z, "got": hexadecimal(got[top]), "exact": f"{value:.18e}", "ulp": float(ulp)}
    found.worst = [entry | {"want": hexadecimal(float(value)), "row": f"{z}; target 0", "element": None}]
    return found


def examine(x, builds, results):
    """``results`` has those of each build, in its order."""
    finite = np.isfinite(x)
    z = x[finite]
    wanted, findings, known = exact(z), Findings(), {}
    for name, got in zip(builds, results, strict=True):
        same = next((other for other, first in known.items() if all(map(np.array_equal, first, got))), None)
        known[name] = got
        if same is not None:
            for key in KEYS:
                findings.errors[f"{key} {name}"] = replace(findings.errors[f"{key} {same}"])
            continue
        near = {"log1p": z <= 0, "lesser": z <= 0, "larger": z > 0}
        for result, values, of in zip(RESULTS, got, wanted, strict=True):
            difference = np.abs(values - of)
            key = f"{CALL}/{result} {name}"
            findings.errors[key] = worst(result, x.size, z, values, difference / units(of))
            for part in {"loss": PARTS[:1], "gradient": PARTS[1:]}.get(result, ()):
                there = near[part] & (np.abs(z) <= FURTHEST)
                chosen = z[there], values[there], difference[there] / (of[there] * HALF_UNIT)
                errors = worst(result, x.size, *chosen, relative_to=of[there])
                findings.errors[f"{CALL}/{part} {name}"] = errors
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
            case, finite = Logits(x, np.zeros_like(x)), np.isfinite(x)
            results = []
            for name in builds:
                results.append([values[finite] for values in results_of(libraries, name, case)])
            findings.add(examine(x, builds, results))
            if {"fastlogit v3", "fastlogit v4"} <= set(builds):
                v3, v4 = (np.concatenate(results[builds.index(f"fastlogit {name}")]) for name in ("v3", "v4"))
                compared = same_bits(np.tile(x[finite], len(RESULTS)), v4, v3)
                findings.add(Findings(comparisons={f"{CALL}: the bits of v4 and v3": compared}))
        return findings
