"""The bound of log_positive, float64, without an offset: the logarithm of log_softmax.

``high`` is power times m, 3/4 <= m < 3/2, and low at most 2^-52 of it; with both divided by power only the
leading sum knows k. What Gappa is not asked, because it is no rounding:

- k. The bits of high = 2^a (1 + f) give a + f, rounded: m is 1 + f for f < 1/2, else (1 + f) / 2.
- k = 0 and s small. numerator_tail is the rounding of the numerator, exactly: Dekker's sum where low is the
  smaller one; else high - 1 is 0 or 2^-53, and what is subtracted from low a multiple of its last digit.
  Below s = 2^-40 everything is that of 2^-40 times a factor, but for the cube, which no longer counts.
- The last rounding: as in `expit`.
"""

from itertools import pairwise
from math import atanh, frexp

import gappa
import quotient
import traces

SLACK = 1 + 2.0**-30
POWERS = range(-64, 65)
PIECES = 64
EDGES = (-0.1429, 0.2001)  # of S = (m - 1) / (m + 1)
LN2 = float(quotient.LN2)


def case_script(k, fused):
    """The tails, how far N and D are from m - 1 + low and m + 1 + low, and the leading sum from k ln 2."""
    m, low = traces.symbols("m", "low")
    replaced = {("nearest_power", "power"): traces.number(1), ("log_positive", "k"): traces.number(k)}
    result, _, watched = traces.traced(
        replaced,
        lambda functions: functions["log_positive"]["float64"](None, m, low, traces.number(0)),
        m,
        low,
        fused=fused,
    )
    if result is not watched["log_of_quotient", "result"]:
        raise ArithmeticError("log_positive is more than log_of_quotient.")
    names = ("numerator", "numerator_tail", "denominator", "denominator_tail", "leading", "leading_tail")
    *parts, leading, leading_tail = [watched["log_of_quotient", name] for name in names]
    script = gappa.Script(traces.needed(parts))
    num, num_tail, den, den_tail = map(script.of, parts)
    text = (
        script.text({"m", "low"})
        + "N = m - 1 + low;\nD = m + 1 + low;\n{ m in [0.75, 1.5] /\\ |low| <= 1b-51"
        + f" -> |{num_tail}| in ? /\\ |{den_tail}| in ?"
        + f" /\\ |({num} + {num_tail}) - N| in ? /\\ |({den} + {den_tail}) - D| in ? }}\n"
        + f"({num} + {num_tail}) - N -> {script.roundings(*parts[:2])};\n"
        + f"({den} + {den_tail}) - D -> {script.roundings(*parts[2:])};\n"
        + script.cancellations()
    )
    return text, abs(float(leading.value + leading_tail.value - k * quotient.LN2)) * SLACK


def bound(fused):
    """The largest error in ulp of the result that is left, the last rounding included."""
    scripts, constants = zip(*(case_script(k, fused) for k in POWERS), strict=True)
    # But for the leading sum all of them are alike.
    *parts, missed, off = gappa.prove(scripts[0])
    case = quotient.Case(*(part / 1.75 for part in (*parts, missed, off)))
    near_one = [EDGES[1], *(2.0 ** (-i / 8) for i in range(19, 40 * 8))]
    worst = 0.0
    for high, low in pairwise(near_one):
        relative = quotient.Case(high * 2.0**-52, case.denominator_tail, 0.0, case.denominator_error)
        error = quotient.error(high, relative, with_leading=False, fused=fused)
        worst = max(worst, error / 2.0 ** (frexp(2 * low / SLACK)[1] - 53))
    edges = [EDGES[0] + (EDGES[1] - EDGES[0]) * i / PIECES for i in range(PIECES + 1)]
    for k, constant in zip(POWERS, constants, strict=True):
        for low, high in pairwise(edges if k else []):
            error = quotient.error(max(abs(low), abs(high)), case, with_leading=True, fused=fused) + constant
            result = min(abs(k * LN2 + 2 * atanh(s)) for s in (low, high)) / SLACK
            worst = max(worst, error / 2.0 ** (frexp(result)[1] - 53))
    return (0.5 + worst) * SLACK
