"""The float64 bound of logit: that of `log_of_quotient` for every k.

What Gappa is not asked, because it is no rounding:

- k. The bits of x = 2^a (1 + f) and 1 - x = 2^b (1 + g) give a - b + f - g, rounded, so abs(f - g) <= 1/2
  beside k, and (1 + f) / (1 + g) is between 2/3 and 3/2: abs(S) <= 1/5, and the rounding of 1 - x is far
  below what LARGEST_S leaves.
- k < -60. Then q = 1, the unit of the result is not smaller, everything else is that of k = -60 times a
  power of two, and the tails are smaller still. `lifted` is x times 2^64 for subnormal x, so the denominator
  is above 2^-1022. Where something underflows the result is 600 and more, with a unit of 2^-43. Of the error
  of the quotient that is the product with denominator_tail, and numerator_tail; without fused multiply-add
  three products of the residual, too: below 2^-1072 together.
- k = 0. x + q is 1 and a rounding of 2^-54 at most, so the denominator is rounded to 1, and its tail, which
  is q - 1 + x + (1 - q - x), is 0. s is the numerator.
- abs(2 x - 1) < 2^-20, where numerator_tail, if it is not 0, is 2^-54 and as large as the numerator can be.
  Then s + s, residual and error are exact, and what is rounded is 2 numerator_tail plus 0.7 s^3. As the
  former is a float, that is off by less than the smaller one of 2^-105 and s^3, at most 2^-17 units of 4 s.
- The last rounding: as in `expit`.
"""

from fractions import Fraction
from itertools import pairwise
from math import atanh, frexp, nextafter

import gappa
import quotient
import traces

SLACK = 1 + 2.0**-30
POWERS = range(-60, 54)  # k, that of the largest x is 53
LARGEST_S = 0.2001  # of S, whose denominator has 1 - x without its rounding
PIECES = 64
LN2 = float(quotient.LN2)
UNDERFLOW = 2.0**-49  # 2^-1072 beside the denominator, twice; the rounding of k LN2_LOW, and what it lacks


def inverse(k, ratio):
    """x with x / (1 - x) = 2^k ratio."""
    return 2.0**k * ratio / (1 + 2.0**k * ratio)


def call(x):
    return lambda functions: functions["log_odds"]["float64"](x, x, traces.number(0))


def case_script(k, fused):
    """How far N and D of this k are from x - 2^k (1 - x) and x + 2^k (1 - x), and their tails; how far the
    leading sum is from k ln 2.
    """
    (x,) = traces.symbols("x")
    power = Fraction(2) ** k
    replaced = {
        ("nearest_power", "power"): traces.number(power),
        ("log_odds", "k"): traces.number(k),
    }
    result, _, watched = traces.traced(replaced, call(x), x, fused=fused)
    names = ("numerator", "numerator_tail", "denominator", "denominator_tail")
    parts = [watched["log_of_quotient", name] for name in names]
    leading, leading_tail = (watched["log_of_quotient", name].value for name in ("leading", "leading_tail"))
    if result is not watched["log_of_quotient", "result"]:
        raise ArithmeticError("logit is more than log_of_quotient.")
    script = gappa.Script(traces.needed(parts))
    numerator, numerator_tail, denominator, denominator_tail = map(script.of, parts)
    low, high = nextafter(inverse(k, 2 / 3 - 2.0**-40), 0), nextafter(inverse(k, 3 / 2 + 2.0**-40), 1)
    power = gappa.literal(power)
    text = (
        script.text({"x"})
        + f"N = x - {power} * (1 - x);\nD = x + {power} * (1 - x);\n"
        + f"{{ x in [{low!r}, {min(high, 1 - 2.0**-53)!r}] -> "
        + f"|{numerator_tail}| in ? /\\ |{denominator_tail}| in ? "
        + f"/\\ |({numerator} + {numerator_tail}) - N| in ? "
        + f"/\\ |({denominator} + {denominator_tail}) - D| in ? }}\n"
        + f"({numerator} + {numerator_tail}) - N -> {script.roundings(*parts[:2])};\n"
        + f"({denominator} + {denominator_tail}) - D -> {script.roundings(*parts[2:])};\n"
        + script.cancellations()
    )
    constant = abs(float(leading + leading_tail - k * quotient.LN2)) * SLACK
    return text, constant


def errors(k, edges, parts, constant, fused):
    """In ulp of the exact result, before the last rounding, for S between two edges at a time."""
    for low, high in pairwise(edges):
        largest = max(abs(low), abs(high))
        denominator = min(inverse(k, (1 + s) / (1 - s)) / (1 + s) for s in (low, high)) * 2 / SLACK
        case = quotient.Case(*(part / denominator for part in parts))
        smallest = min(abs(k * LN2 + 2 * atanh(s)) for s in (low, high)) / SLACK
        error = quotient.error(largest, case, with_leading=k != 0, fused=fused) + constant
        yield error / 2.0 ** (frexp(smallest)[1] - 53)


def bound(fused):
    """The largest error in ulp that is left, the last rounding included."""
    edges = [LARGEST_S * i / PIECES for i in range(-PIECES, PIECES + 1)]
    near_half = [LARGEST_S, *(2.0 ** (-i / 8) for i in range(19, 22 * 8))]
    powers = [k for k in POWERS if k]
    scripts, leading_errors = zip(*(case_script(k, fused) for k in powers), strict=True)
    worst = max(2.0**-17, *errors(0, near_half, [2.0**-54], 0.0, fused))
    for k, parts, constant in zip(powers, gappa.prove_all(scripts), leading_errors, strict=True):
        of_k = max(errors(k, edges, parts, constant, fused))
        worst = max(worst, of_k)
        if k == POWERS.start:
            unit = 2.0 ** (frexp(-k * LN2 + 1)[1] - 53)
            worst = max(worst, (of_k * unit + UNDERFLOW) / 2.0**-43)
    return (0.5 + worst) * SLACK
