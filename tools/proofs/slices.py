"""The bounds of softmax, log_softmax, logsumexp and the cross-entropy, from those of their parts.

docs/slice-errors.rst has the derivation. What Gappa has proven comes from `terms`, `exp_double` and
`log_positive`, what the code chooses is read from it, and what is counted by hand stands here, in units u of
half a unit in the last place of 1. A relative error of e u is e ulp at most.
"""

import functools
import re
from math import expm1

import exp_double
import log_positive
import source
import terms

LAST = 0.5  # rounding
U = 2.0**-53
# float64, of a sum: the roundings of its second part, where the first begins with an offset.
ROUNDINGS_OF_KEPT = 0.02
SMALL_CHUNKS = 0.03  # eight chunks of terms that the first part does not see, beside one that it does
ROUNDINGS_OF_OTHERS = 0.014
RISES = 1  # of the largest element from one chunk to a later one: each multiplies by an exponential
ROUNDINGS_32 = 2.0**-17  # float32, where the terms are alike
ADDITIONS = 6  # of the m + 5 in m blocks to the sum that has the largest term, for each block, at most
COEFFICIENTS_32 = 2.0**-18  # what they lose as float32, and a logarithm without tails; less in float64
NEAR = 500  # elements up to this size have a smaller part of ln 2 whose square counts for nothing
LOW_NEAR = 2.0**-29.6
SEEN = 2.0**-60  # others that weigh this are not 86 below the largest element, and so not below -1664
LOW_SEEN = 2.0**-27.9
# What others weigh of the largest element; if they weigh less, the result of any but that is at least 4.
MUCH = 2.0**-6


def kernel(name):
    return (source.KERNELS / f"{name}.pxd").read_text()


def kept_tails(form, fused):
    """What a kept term is taken for, in u: above it, or below."""
    text = kernel("slice_functions")
    (wide,) = re.findall(r"middle = ([\d.]+), reach = ([\d.]+)\n", text)
    (narrow,) = re.findall(r"if real is float32 and not FUSED:\n +middle, reach = ([\d.]+), ([\d.]+)\n", text)
    middle, reach = map(float, narrow if form == "float32" and not fused else wide)
    return reach + middle, reach - middle


def least_part():
    """What float32 terms without the largest have to weigh beside it, for each block."""
    text = kernel("expsum")
    (name,) = re.findall(r"these\.least_part = (\w+) \* blocks\n", text)
    (value,) = re.findall(rf"#define {name} (\S+)\n", text)
    return float.fromhex(value)


def of_terms(form, fused, near, weight=0.0):
    largest_low = LOW_NEAR if near else LOW_SEEN if weight >= SEEN else None
    return terms.bounds(form, fused, largest_low if form == "float64" else None)


def of_others(form, fused, near, weight):
    """e: the sum without a largest element is off by e u of itself, if it weighs this part of that or more.

    float32: an addition loses half a unit of the largest term, 2^-53 of it, or of its tail, 2^-49 of the
    term; but of the tails no more than all of them.
    """
    term = of_terms(form, fused, near, weight)
    if form == "float64":
        return term.with_tail + ROUNDINGS_OF_OTHERS + (1 + RISES) * exp_double.bound(fused)
    u, weight = 2.0**-24, max(weight, least_part())
    tails = min(ADDITIONS * 2.0**-49 * term.rounding / weight / u, term.rounding)
    return term.with_tail + tails + ADDITIONS * 2.0**-53 / weight / u + ROUNDINGS_32 + COEFFICIENTS_32


def softmax(form, fused, near=False):
    """Terms that are kept for what their signs say, and their sum.

    The square that makes elements far from 0 worse makes all terms smaller: it counts once.
    """
    term = of_terms(form, fused, True)
    kept = max(max(tail, term.rounding - tail) for tail in kept_tails(form, fused))
    of_sum = ROUNDINGS_OF_KEPT + SMALL_CHUNKS if form == "float64" else ROUNDINGS_32
    far = 0.0 if near else of_terms(form, fused, False).parts - term.parts
    return LAST + term.parts + kept + term.with_tail + of_sum + COEFFICIENTS_32 + far


@functools.cache
def logarithms(form, fused, near):
    """Of ranges of the logarithm c relative to the largest element: the least, and how far it is off, not
    yet rounded.

    All of float32 is beside 2^-29 as in float64, so its numbers are taken for such, with an e that is larger.
    """
    found = []
    for low, high, error in log_positive.pieces(fused):
        e = of_others(form, fused, near, expm1(low))
        found.append((low, (error if form == "float64" else 0.0) - e * U * expm1(-high)))
    return found


def log_softmax(form, fused, near=False):
    """Of the largest element it is the logarithm alone; of any other a difference d is rounded, too."""
    unit, worst = log_positive.unit, 0.0
    for low, error in logarithms(form, fused, near):
        worst = max(worst, error / unit(low))
        for b in range(-60, 12):
            if low <= MUCH and 2.0 ** (b + 1) < 4:
                continue
            of_both = unit(low) / 2 + error + unit(2.0**b) / 2
            worst = max(worst, of_both / unit(low + 2.0**b))
    return LAST + worst


def logsumexp(form, fused):
    """In ulp of M, the larger of the result and the largest element a.

    c is at most 2 M. The sum of a and what makes c is rounded once. Elements far from 0 have an M so large
    that the error of c is nothing beside its unit.
    """
    unit = log_positive.unit
    return LAST + max(error / unit(low / 2) for low, error in logarithms(form, fused, True))


def cross_entropy(form, fused, weighted, near=False):
    """A distance that is not negative, and c; with weights one product more, of the rounded sum in float64.

    Beside a sum s its rounding is half a unit of s, at most u for a power of two, which a distance can make
    of any smaller c.
    """
    found = logarithms(form, fused, near)
    if not weighted or form == "float32":
        return LAST + max(error / log_positive.unit(low) for low, error in found)
    worst = 0.0
    for low, error in found:
        power = 2.0**53 * log_positive.unit(low)  # above c
        for size in (low, power):
            worst = max(worst, (log_positive.unit(size) / 2 + error) / size / U)
    return LAST + worst
