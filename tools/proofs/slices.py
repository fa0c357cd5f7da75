"""The bounds of softmax, log_softmax, logsumexp and the cross-entropy, from those of their parts.

docs/slice-errors.rst has the derivation. What Gappa has proven comes from `terms`, `exp_double` and
`log_positive`, what the code chooses is read from it, and what is counted by hand stands here, in units u of
half a unit in the last place of 1. A relative error of e u is e ulp at most.
"""

import functools
import re
from math import expm1, log

import exp_double
import exp_double_double
import log_positive
import source
import terms

LAST = 0.5  # rounding
U = 2.0**-53
# float64, of a sum: the roundings of its second part, where the first begins with an offset.
ROUNDINGS_OF_KEPT = 0.02
SMALL_CHUNKS = 0.03  # eight chunks of terms that the first part does not see, beside one that it does
ROUNDINGS_OF_OTHERS = 0.014
MOST = 2.0**50  # elements of a slice
ROUNDINGS_OF_MERGES = 2.0**-12  # of at most 2^38 chunks, 2^-50 each
ROUNDINGS_32 = 2.0**-17  # float32, where the terms are alike
ADDITIONS = 6  # of the m + 5 in m blocks to the sum that has the largest term, for each block, at most
# What they lose as float32; and what exponential, quotient, reciprocal and logarithm lose as one double each,
# 2^-50 of themselves at most, 2^-26 u. Less in float64.
COEFFICIENTS_32 = 2.0**-18
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


def rules():
    """How log_softmax subtracts, and what multiplies sums: this is about no other text."""
    (difference,) = re.findall(r"function == LOG_SOFTMAX:\n +#.*\n((?: +.*\n){2})", kernel("slice_functions"))
    (factor,) = re.findall(r"(exp_\w+)\(difference, HEADROOM, &factor, &factor_tail\)", kernel("expsum"))
    return difference.split(), factor


def rises(fused):
    """Of sums that are multiplied by an exponential wherever the largest element rises, in any order, in u.

    The sum T of N elements relative to its largest is off by c log(N / T) u at most, beside what its parts
    are. For that is so of a part, where it is nothing. And a part that weighs w_i of a merged sum, exp(-d_i)
    T_i of T, is off by c log(N_i / T_i) + c d_i = c log(N_i / (w_i T)), and the mean of these by Jensen's
    inequality no more than c log(N / T). The others are such parts, of T_i >= 1, multiplied once more.
    """
    return (
        exp_double_double.growth(fused) * log(MOST) + exp_double_double.bound(fused) + ROUNDINGS_OF_MERGES
    )


def of_others(form, fused, weight):
    """e: the sum without a largest element is off by e u of itself, if it weighs this part of that or more.

    float32: an addition loses half a unit of the largest term, 2^-53 of it, or of its tail, 2^-49 of the
    term; but of the tails no more than all of them.
    """
    term = terms.bounds(form, fused)
    if form == "float64":
        return term.with_tail + ROUNDINGS_OF_OTHERS + exp_double.bound(fused) + rises(fused)
    u, weight = 2.0**-24, max(weight, least_part())
    tails = min(ADDITIONS * 2.0**-49 * term.rounding / weight / u, term.rounding)
    return term.with_tail + tails + ADDITIONS * 2.0**-53 / weight / u + ROUNDINGS_32 + COEFFICIENTS_32


def softmax(form, fused):
    """Terms that are kept for what their signs say, and their sum."""
    term = terms.bounds(form, fused)
    kept = max(max(tail, term.rounding - tail) for tail in kept_tails(form, fused))
    of_sum = ROUNDINGS_OF_KEPT + SMALL_CHUNKS if form == "float64" else ROUNDINGS_32
    return LAST + term.parts + kept + term.with_tail + of_sum + COEFFICIENTS_32


@functools.cache
def logarithms(form, fused):
    """Of ranges of the logarithm c relative to the largest element: the least, and how far it is off, not
    yet rounded.

    All of float32 is beside 2^-29 as in float64, so its numbers are taken for such, with an e that is larger.
    """
    found = []
    for low, high, error in log_positive.pieces(fused):
        e = of_others(form, fused, expm1(low))
        found.append((low, (error if form == "float64" else 0.0) - e * U * expm1(-high)))
    return found


def log_softmax(form, fused):
    """Of the largest element it is the logarithm alone, in two parts.

    Of any other a difference d is rounded, and the tail of the logarithm c subtracted first. That is off by
    the tail at most, half a unit of c, since d is a number of the type; and by half a unit of d, or a whole
    one where a tail of more than 1.5 units leads beyond a power of two.
    """
    unit, worst = log_positive.unit, 0.0
    for low, error in logarithms(form, fused):
        worst = max(worst, error / unit(low))
        for b in range(-60, 12):
            if low <= MUCH and 2.0 ** (b + 1) < 4:
                continue
            of_d, of_c = unit(2.0**b), unit(low)
            of_tail = min(of_c, of_d) / 2 if of_c <= 3 * of_d else of_d
            worst = max(worst, (of_d / 2 + of_tail + error) / unit(low + 2.0**b))
    return LAST + worst


def logsumexp(form, fused):
    """In ulp of M, the larger of the result and the largest element a.

    c is at most 2 M. The sum of a and what makes c is rounded once.
    """
    unit = log_positive.unit
    return LAST + max(error / unit(low / 2) for low, error in logarithms(form, fused))


def cross_entropy(form, fused, weighted):
    """A distance that is not negative, and c. With weights both parts of the sum are multiplied."""
    found = logarithms(form, fused)
    if weighted and form == "float64":
        return LAST + max(error / low / U for low, error in found)
    return LAST + max(error / log_positive.unit(low) for low, error in found)
