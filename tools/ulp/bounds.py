"""The table of proven bounds beside the worst that was found: from ``results.json`` and ``proofs.json``.

A cell without a proof, or without a trial of all inputs, of the present code raises an error instead.
"""

import json
import re
import sys

import numpy as np
from reference import CORRECTLY_ROUNDED
from reference import PUBLIC as ELEMENTWISE

from ulp import ROOT, derived
from ulp.libraries import ROW_FUNCTIONS
from ulp.losses import QUANTITIES

PROOFS = ROOT / "docs" / "measured" / "proofs.json"
ARITHMETICS = {"fused": ("fastlogit v3", "v3, v4, Arm"), "unfused": ("fastlogit v2", "v2")}
CLAIMS = {"log_expit": "log_expit, softplus", "softplus": "log_expit, softplus"}
EVERY_FLOAT32 = 2**32
LOGISTIC = "float32 binary_cross_entropy_with_logits/every/loss"


def proofs_module(name):
    """A module of tools/proofs, which are no package."""
    folder = str(ROOT / "tools" / "proofs")
    sys.path.insert(0, folder)
    try:
        return __import__(name)
    finally:
        sys.path.remove(folder)


def code_of_functions():
    """Digests of what results are evaluated by, by type and function."""
    digest = proofs_module("digest")
    logistic = code_of_logistic(digest)
    code = {LOGISTIC: logistic}
    for dtype in ("float32", "float64"):
        code |= {f"{dtype} {name}": digest.of_function(name, dtype) for name in ELEMENTWISE}
        claims = {claim.formula: claim for claim in proofs_module("claims").claims() if claim.dtype == dtype}
        code |= {f"{dtype} {name}": claims[name].digest() for name in ROW_FUNCTIONS}
        for quantity in QUANTITIES:
            of_classes = not quantity.startswith(derived.BINARY)
            code[f"{dtype} {quantity}"] = claims["cross_entropy"].digest() if of_classes else logistic
    return code


def code_of_logistic(digest):
    """Of the source's lines without comments and docstrings, and of the exponential."""
    text = (ROOT / "src" / "fastlogit" / "kernels" / "logistic.pxd").read_text("utf-8")
    text = re.sub(r'^ *""".*?"""\n', "", text, flags=re.DOTALL | re.MULTILINE)
    lines = (line.partition("#")[0] if line.lstrip().startswith("#") else line for line in text.splitlines())
    exponentials = [digest.of_formula("exp_parts", dtype) for dtype in ("float32", "float64")]
    return digest.combined(exponentials, "\n".join(line.rstrip() for line in lines if line.strip()))


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


def worst_of(results, quantity, dtype, build):
    """The worst of the search, or of all float32 logits, whose label of 0 is as bad as one of 1."""
    tried = [f"{dtype} {quantity}"]
    if quantity.startswith(f"{derived.BINARY}/labels/") and dtype == "float32":
        tried.append(tried[0].replace("/labels/", "/every/"))
    found = [results["errors"].get(key, {}).get(build, {}).get("worst") for key in tried]
    if not all(found):
        raise LookupError(f"{quantity}, {dtype}, {build}: nothing was searched")
    return max((entries[0] for entries in found), key=lambda entry: entry["ulp"])


def loss_rows(results, proofs):
    """The same as `rows` of the results of the losses."""
    for quantity in QUANTITIES:
        for dtype in ("float32", "float64"):
            for arithmetic, (build, label) in ARITHMETICS.items():
                bound, by = derived.bound(quantity, dtype, arithmetic, proofs, results, build)
                worst = worst_of(results, quantity, dtype, build)
                if worst["ulp"] > bound:
                    raise LookupError(f"{quantity}, {dtype}, {build}: {worst['ulp']} is beyond {bound}")
                yield quantity, dtype, label, bound, by, worst


def cells(found, row_of):
    return [
        [
            *(f"``{part}``" if i == 0 else part for i, part in enumerate(function.split("/"))),
            dtype,
            label,
            rounded_up(bound),
            by,
            rounded_up(worst["ulp"]),
            f"{worst['ulp'] / bound:.0%}",
            row_of(worst) if "row" in worst else f"``{worst['input']}``",
        ]
        for function, dtype, label, bound, by, worst in found
    ]


def lines(results, proofs, table, row_of):
    heads = ["type", "build", "bound, ulp", "by", "worst found, ulp", "part of the bound", "at"]
    of_functions = cells(rows(results, proofs), row_of)
    of_losses = cells(loss_rows(results, proofs), row_of)
    title = "Proven bounds, and the worst that was found"
    return "\n".join(
        [
            table(title, ["function", *heads], of_functions),
            table(f"{title}: losses", ["loss", "targets", "result", *heads], of_losses),
        ]
    )


def stale(results, proofs):
    """What is of other code than that of today."""
    code = code_of_functions()
    for function in ELEMENTWISE:
        key = f"float32 {'log_expit' if function == 'softplus' else function}"
        if results.get("code", {}).get(key) != code[key]:
            yield f"{key} has changed since all its inputs were tried"
    if results.get("code", {}).get(LOGISTIC) != code[LOGISTIC]:
        yield f"{LOGISTIC} has changed since all its inputs were tried"
    claims = {(claim.formula, claim.dtype): claim for claim in proofs_module("claims").claims()}
    for row in proofs:
        claim = claims.get((row["formula"], row["dtype"]))
        if claim is None or claim.digest() != row["code"]:
            yield f"{row['formula']}, {row['dtype']}, has changed since it was proven"


def saved_proofs():
    return json.loads(PROOFS.read_text("utf-8"))
