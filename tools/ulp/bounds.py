"""The table of proven bounds beside the worst that was found: from ``results.json`` and ``proofs.json``.

A cell without a proof, or without a trial of all inputs, of the present code raises an error instead.
"""

import json
import sys

import numpy as np
from reference import CORRECTLY_ROUNDED
from reference import PUBLIC as ELEMENTWISE

from ulp import ROOT
from ulp.libraries import ROW_FUNCTIONS

PROOFS = ROOT / "docs" / "measured" / "proofs.json"
ARITHMETICS = {"fused": ("fastlogit v3", "v3, v4, Arm"), "unfused": ("fastlogit v2", "v2")}
CLAIMS = {"log_expit": "log_expit, softplus", "softplus": "log_expit, softplus"}
EVERY_FLOAT32 = 2**32


def proofs_module(name):
    """A module of tools/proofs, which are no package."""
    folder = str(ROOT / "tools" / "proofs")
    sys.path.insert(0, folder)
    try:
        return __import__(name)
    finally:
        sys.path.remove(folder)


def code_of_functions():
    """Digests of what the elementwise functions are evaluated by."""
    digest = proofs_module("digest")
    return {
        f"{dtype} {name}": digest.of_function(name, dtype)
        for dtype in ("float32", "float64")
        for name in ELEMENTWISE
    }


def rounded_up(bound, digits=4):
    return f"{np.ceil(bound * 10**digits - 1e-9) / 10**digits:.{digits}f}"


def by_proof(proofs, function, dtype, arithmetic):
    """The bound and what it is by; log_softmax and its like rest on a derivation beside the proofs."""
    name = CLAIMS.get(function, function)
    for row in proofs:
        if (row["formula"], row["dtype"], row["arithmetic"]) == (name, dtype, arithmetic):
            by = "derivation, its parts by Gappa" if function in ROW_FUNCTIONS else "Gappa and Sollya"
            return row["proven"], by
    raise LookupError(f"there is no proof of {function}, {dtype}, {arithmetic}")


def by_exhaustion(results, function, dtype, build):
    """softplus(x) is -log_expit(-x), of the same code: all inputs of one are all of the other."""
    tried = "log_expit" if function == "softplus" else function
    errors = results["errors"][f"{dtype} {tried}"][build]
    if errors["inputs"] < EVERY_FLOAT32:
        raise LookupError(f"{function}, {dtype}, {build}: {errors['inputs']:,} inputs are not all of them")
    if (function, dtype) in CORRECTLY_ROUNDED:
        if errors["misrounded"]:
            raise LookupError(f"{function}, {dtype}, {build} is not correctly rounded")
        return 0.5, "all inputs: correctly rounded" + f", as {tried}" * (tried != function)
    return errors["worst"][0]["ulp"], "all inputs"


def rows(results, proofs):
    """function, type, arithmetic, bound, by what, where the worst is, its error, its part of the bound."""
    for function in (*ELEMENTWISE, *ROW_FUNCTIONS):
        for dtype in ("float32", "float64"):
            for arithmetic, (build, label) in ARITHMETICS.items():
                if function in ELEMENTWISE and dtype == "float32":
                    bound, by = by_exhaustion(results, function, dtype, build)
                else:
                    bound, by = by_proof(proofs, function, dtype, arithmetic)
                worst = results["errors"][f"{dtype} {function}"][build]["worst"][0]
                if worst["ulp"] > bound:
                    raise LookupError(f"{function}, {dtype}, {build}: {worst['ulp']} is beyond {bound}")
                yield function, dtype, label, bound, by, worst


def lines(results, proofs, table, row_of):
    heads = ["function", "type", "build", "bound, ulp", "by", "worst found, ulp", "part of the bound", "at"]
    cells = [
        [
            f"``{function}``",
            dtype,
            label,
            rounded_up(bound),
            by,
            rounded_up(worst["ulp"]),
            f"{worst['ulp'] / bound:.0%}",
            row_of(worst) if "row" in worst else f"``{worst['input']}``",
        ]
        for function, dtype, label, bound, by, worst in rows(results, proofs)
    ]
    return table("Proven bounds, and the worst that was found", heads, cells)


def stale(results, proofs):
    """What is of other code than that of today."""
    code = code_of_functions()
    for function in ELEMENTWISE:
        key = f"float32 {'log_expit' if function == 'softplus' else function}"
        if results.get("code", {}).get(key) != code[key]:
            yield f"{key} has changed since all its inputs were tried"
    claims = {(claim.formula, claim.dtype): claim for claim in proofs_module("claims").claims()}
    for row in proofs:
        claim = claims.get((row["formula"], row["dtype"]))
        if claim is None or claim.digest() != row["code"]:
            yield f"{row['formula']}, {row['dtype']}, has changed since it was proven"


def saved_proofs():
    return json.loads(PROOFS.read_text("utf-8"))
