"""What the losses and their derivatives are off at most: docs/loss-errors.rst, as numbers.

The parts that a machine has proven come from ``docs/measured/proofs.json``; float32 of the binary loss from a
trial of all logits (`ulp.loss_exhaustion`). What is counted by hand stands here, in half units, u, of the
quantity it stands beside: a relative error of e u is e ulp at most, and the last rounding is half an ulp.
"""

import functools

import numpy as np
from loss_reference import (
    GRADIENT_BOUND_ULP,
    HESSIAN_BOUND_ULP,
    LABEL_GRADIENT_BOUND_ULP,
    LOSS_BOUND_ULP,
)

BINARY = "binary_cross_entropy_with_logits"
EVERY_FLOAT32 = 2**32
LAST = 0.5
OTHERS = 0.1  # of the others' sum: its additions, and the quotient with the largest term
P_ALONE = 0.36  # p of exp without its tail, relative to 1 + p
SPLIT_PRODUCT = 0.42  # part times larger without fused multiply-add: abs(p) / (1 + p)
ALL_INPUTS = "all inputs"
FROM_ALL_INPUTS = "derivation from all inputs, docs/loss-errors"
BY_GAPPA = "derivation, its parts by Gappa"
BY_HAND = "derivation, docs/loss-errors"


def contract(quantity):
    """What tests/loss_reference.py demands of a result in every test."""
    _, kind, result = quantity.split("/")
    if result == "loss":
        return LOSS_BOUND_ULP
    if result == "Hessian":
        return HESSIAN_BOUND_ULP
    return LABEL_GRADIENT_BOUND_ULP if kind == "labels" else GRADIENT_BOUND_ULP


def proven(proofs, formula, dtype, arithmetic):
    for row in proofs:
        if (row["formula"], row["dtype"], row["arithmetic"]) == (formula, dtype, arithmetic):
            return row["proven"]
    raise LookupError(f"there is no proof of {formula}, {dtype}, {arithmetic}")


def of_every_logit(results, what, build):
    """The largest error of all float32 logits; a LookupError if these were not all."""
    errors = results["errors"].get(f"float32 {BINARY}/every/{what}", {}).get(build, {"inputs": 0})
    if errors["inputs"] < EVERY_FLOAT32:
        raise LookupError(f"{BINARY}, {what}, {build}: {errors['inputs']:,} inputs are not all of them")
    return errors["worst"][0]["ulp"]


# ---- classes ---------------------------------------------------------------------------------------


@functools.cache
def off_in_small_share(others):
    """How far p = exp(-d) / S of a label that is not the only largest is off, in u of 1, in float64 at most.

    S is 1, or the number of the largest, and the others, which are off by that many u of themselves.
    Roundings: of d, the exponential, the others and S, and the quotient. Over cells of exp(-d) and S, each
    bounded by its corners.
    """
    q = np.append(np.exp2(-np.arange(0, 12, 1 / 64)), 0.0)
    total = np.exp2(np.arange(0, 6, 1 / 64))
    q_high, q_low = q[:-1, np.newaxis], q[1:, np.newaxis]
    low, high = total[:-1], total[1:]
    possible = 1 + q_low <= high
    low = np.maximum(low, 1 + q_low)

    def half_unit(largest):
        """Of numbers up to this, in u of 1."""
        return np.exp2(np.ceil(np.log2(largest)) - 1)

    p = np.minimum(q_high / low, 0.5)
    distance = -np.log(np.maximum(q_low, 2.0**-20))
    of_distance = np.where(q_low >= 1, 0, np.exp2(np.floor(np.log2(np.maximum(distance, 2.0**-60)))))
    of_term = half_unit(q_high) + (0.04 + of_distance * (1 - p)) * q_high
    rest = np.maximum(high - 1, q_high)
    of_total = half_unit(high) + half_unit(rest) + others * rest
    found = of_term / low + p * of_total / low + half_unit(p)
    return float(np.max(np.where(possible, found, 0)))


def of_classes(kind, result, dtype, arithmetic, proofs):
    """Of cross_entropy, in ulp, and by what."""
    double = dtype == "float64"
    if result == "loss":
        formula = "cross_entropy" if kind == "labels" else "cross_entropy, weights"
        bound = proven(proofs, formula, dtype, arithmetic)
        if kind != "labels":
            bound = max(bound, subnormal_loss(dtype, arithmetic, proofs))
        return bound, BY_GAPPA
    others = proven(proofs, "a term, its tail", dtype, arithmetic) + OTHERS
    share = proven(proofs, "softmax", dtype, arithmetic)  # the last rounding included
    before, small = share - LAST, off_in_small_share(others) if double else others / 4
    alone = 2 + others  # the largest share and that of the others, a rounding each
    # Products of weights, in float64 also for float32, where their roundings are nothing.
    weights = {"labels": 0, "weights": 1, "targets": 5}[kind] * double
    if result == "Hessian":
        curvature = max(before + 1.5, alone) if kind == "labels" else max(before + 1.5, 3, alone)
        return LAST + curvature + weights, BY_HAND
    if kind == "labels":
        return max(share, LAST + small, LAST + others), BY_HAND
    if kind == "weights":
        of_label = 2 * (small + LAST) if double else 2 * small
        return LAST + weights + max(before, of_label, others + double), BY_HAND
    # up and down, both as large as the unit: a share in each, in float64 the products and sums of weights.
    return LAST + 2 * (before + 1) + 16 * double, BY_HAND


def subnormal_loss(dtype, arithmetic, proofs):
    """A product with weights that is subnormal, and its tail, are rounded by half a unit each.

    In float64 alone: float32 has its subnormal numbers as usual ones of float64.
    """
    if dtype == "float32":
        return 0.0
    return 1 + (proven(proofs, "a term, its tail", dtype, arithmetic) + OTHERS) / 2 + LAST


# ---- two classes -----------------------------------------------------------------------------------


def of_logits(kind, result, dtype, arithmetic, proofs, results, build):
    """Of the binary loss, in ulp, and by what."""
    if dtype == "float32" and kind == "labels":
        return of_every_logit(results, result, build), ALL_INPUTS
    if dtype == "float32":
        parts = ("log1p",) if result == "loss" else ("lesser", "larger")
        return LAST + sum(of_every_logit(results, part, build) for part in parts), FROM_ALL_INPUTS
    exponential = proven(proofs, "exp_parts", dtype, arithmetic)
    split = SPLIT_PRODUCT * (arithmetic == "unfused")
    of_power = exponential + P_ALONE
    if result == "loss":
        usual = exponential + 0.1  # and the sum in log1p
        # Beyond 690 exp(-abs(z)) itself, whose p has lost its tail; with weights it is rounded before.
        far = exponential + 1.06 if kind == "targets" else 0.75 * exponential + 0.25
        return LAST + max(usual, far), BY_HAND
    of_larger = 1.0  # the rounding of a number of 1/2 to 1
    if kind == "labels" and result == "gradient":
        return LAST + max(of_power / 2 + of_larger, of_power + 0.5) + split, BY_HAND
    if kind == "labels":
        return LAST + 1 + max(2 * of_larger, of_power + 1) + split, BY_HAND
    if result == "gradient":
        return LAST + 4 + 2 * of_larger + 1 + of_power + split, BY_HAND
    return LAST + 5 + max(2 * of_larger, of_power + 1) + split, BY_HAND


def bound(quantity, dtype, arithmetic, proofs, results, build):
    """The bound of one result of one loss in ulp, and by what it is known."""
    function, kind, result = quantity.split("/")
    if function == BINARY:
        return of_logits(kind, result, dtype, arithmetic, proofs, results, build)
    return of_classes(kind, result, dtype, arithmetic, proofs)


def promise(quantity, dtype, build, proofs, results):
    """What a campaign holds a result against: the contract, and the bound where there is one as yet."""
    arithmetic = "unfused" if build == "fastlogit v2" else "fused"
    try:
        derived, _ = bound(quantity, dtype, arithmetic, proofs, results, build)
    except LookupError:
        return contract(quantity)
    return min(derived, contract(quantity))
