"""How far log_positive, float64, is from offset + log(high + low), where high + low is at least 1.

``high`` is power times m, 3/4 <= m < 3/2, and low at most 2^-52 of it, as sums of slices are; with both
divided by power only the leading sum knows k. What Gappa is not asked, because it is no rounding:

- k. The bits of high = 2^a (1 + f) give a + f, rounded: m is 1 + f for f < 1/2, else (1 + f) / 2.
- k = 0 and s small. numerator_tail is the rounding of the numerator, exactly: Dekker's sum where low is the
  smaller one; else high - 1 is 0 or 2^-53, and what is subtracted from low a multiple of its last digit.
  Below s = 2^-40 everything is that of 2^-40 times a factor, but for the cube, which no longer counts.
- The offset. It is added to the larger part of k ln 2, and the sum to 2 s, with all that is lost (Knuth), so
  neither is off by more than without one but for 2^-50 ulp. In which units the rest counts, the caller says.
- The last rounding: as in `expit`.
"""

import functools
from itertools import pairwise
from math import atanh, frexp

import gappa
import quotient
import traces

SLACK = 1 + 2.0**-30
POWERS = range(65)
LARGEST_LOW = 2.0**-52 * (1 + 2.0**-10)
PIECES = 64
EDGES = (-0.1429, 0.2001)  # of S = (m - 1) / (m + 1)
LN2 = float(quotient.LN2)


def case_script(k, fused):
    """The tails, how far N and D are from m - 1 + low and m + 1 + low, and the leading sum from k ln 2."""
    m, low = traces.symbols("m", "low")
    replaced = {("nearest_power", "power"): traces.number(1), ("log_positive", "k"): traces.number(k)}
    result, _, watched = traces.traced(
        replaced,
        lambda functions: functions["log_positive"]["float64"](None, m, low, traces.number(0), [None]),
        m,
        low,
        fused=fused,
    )
    if result.operation != "add" or result.operands != (
        watched["log_of_quotient_parts", "result"],
        watched["log_of_quotient_parts", "rest"],
    ):
        raise ArithmeticError("log_positive is more than log_of_quotient.")
    names = ("numerator", "numerator_tail", "denominator", "denominator_tail", "leading", "leading_tail")
    *parts, leading, leading_tail = [watched["log_of_quotient_parts", name] for name in names]
    script = gappa.Script(traces.needed(parts))
    num, num_tail, den, den_tail = map(script.of, parts)
    text = (
        script.text({"m", "low"})
        + f"N = m - 1 + low;\nD = m + 1 + low;\n{{ m in [0.75, 1.5] /\\ |low| <= {LARGEST_LOW!r}"
        + f" -> |{num_tail}| in ? /\\ |{den_tail}| in ?"
        + f" /\\ |({num} + {num_tail}) - N| in ? /\\ |({den} + {den_tail}) - D| in ? }}\n"
        + f"({num} + {num_tail}) - N -> {script.roundings(*parts[:2])};\n"
        + f"({den} + {den_tail}) - D -> {script.roundings(*parts[2:])};\n"
        + script.cancellations()
    )
    return text, abs(float(leading.value + leading_tail.value - k * quotient.LN2)) * SLACK


@functools.cache
def pieces(fused):
    """Ranges of the logarithm, each within two powers of two, and how far the sum is off in them before the
    last rounding.
    """
    scripts, constants = zip(*(case_script(k, fused) for k in POWERS), strict=True)
    # But for the leading sum all of them are alike.
    parts = gappa.prove(scripts[0])
    near_one = [EDGES[1], *(2.0 ** (-i / 32) for i in range(75, 40 * 32))]
    found = []
    for high, low in pairwise(near_one):
        _, denominator_tail, _, denominator_error = beside(low, parts)
        relative = quotient.Case(high * 2.0**-52, denominator_tail, 0.0, denominator_error)
        error = quotient.error(high, relative, with_leading=False, fused=fused)
        found += binades(2 * low, 2 * atanh(high), error)
    edges = [EDGES[0] + (EDGES[1] - EDGES[0]) * i / PIECES for i in range(PIECES + 1)]
    for k, constant in zip(POWERS[1:], constants[1:], strict=True):
        for low, high in pairwise(edges):
            case = quotient.Case(*beside(low, parts))
            error = quotient.error(max(abs(low), abs(high)), case, with_leading=True, fused=fused) + constant
            found += binades(*(k * LN2 + 2 * atanh(s) for s in (low, high)), error)
    return found


def beside(s, parts):
    """Tails and errors beside the denominator m + 1 of this s, or of a larger one."""
    return [part * (1 - s) / 2 * SLACK for part in parts]


def binades(low, high, error):
    low, high = low / SLACK, high * SLACK
    power = 2.0 ** (frexp(high)[1] - 1)
    ends = [low, power, high] if low < power < high else [low, high]
    return [(*piece, error) for piece in pairwise(ends)]


def unit(value):
    """In the last place of float64."""
    return 2.0 ** (frexp(value)[1] - 53)


def bound(fused):
    """The largest error in ulp of the result without an offset, the last rounding included."""
    return (0.5 + max(error / unit(low) for low, _, error in pieces(fused))) * SLACK
