"""The float64 bound of logit: that of `log_of_quotient` for every k.

What Gappa is not asked, because it is no rounding:

- The choice of k. The bits of x = 2^a (1 + f) and 1 - x = 2^b (1 + g) give a - b + f - g, rounded, so abs(f - g) <= 1/2
  beside k, and (1 + f) / (1 + g) is between 2/3 and 3/2: abs(S) <= 1/5, and the rounding of 1 - x is far
  below what LARGEST_S leaves.
- k. Divided by 2^k where k is negative, all but 1 - x and the leading sum is the same for every k, and Gappa is
  asked once. Where k is positive 1 - x is exact; where it is negative, what its rounding lost is.
- k < -60. Then q = 1, and the unit of the result is not smaller. `lifted` is x times 2^64 for subnormal x, so the denominator
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

from itertools import pairwise
from math import atanh, frexp

import gappa
import quotient
import traces

SLACK = 1 + 2.0**-30
POWERS = range(-60, 54)  # k; that of the largest x is 53
LARGEST_S = 0.2001  # of S, whose denominator has 1 - x without its rounding
PIECES = 64
LN2 = float(quotient.LN2)
UNDERFLOW = 2.0**-49  # 2^-1072 beside the denominator, twice; the rounding of k LN2_LOW, and what it lacks


def inverse(k, ratio):
    """x with x / (1 - x) = 2^k ratio."""
    return 2.0**k * ratio / (1 + 2.0**k * ratio)


def call(x):
    return lambda functions: functions["log_odds"]["float64"](x, x, traces.number(0))


CLAIM = """
N = lifted - (part + tail);
D = lifted + (part + tail);
{{ part in [0.399, 1] /\\ lifted / part in [0.6666, 1.5001] /\\ lifted in [0.2659, 1.5] /\\ |tail| <= 1b-54
-> |{numerator_tail}| in ? /\\ |{denominator_tail}| in ?
/\\ |({numerator} + {numerator_tail}) - N| in ? /\\ |({denominator} + {denominator_tail}) - D| in ? }}
lifted - part -> part * (lifted / part - 1) {{ part <> 0 }};
({numerator} + {numerator_tail}) - N -> {off_numerator};
({denominator} + {denominator_tail}) - D -> {off_denominator};
"""


def case_script(fused):
    """The tails, and how far N and D are from x - 2^k (1 - x) and x + 2^k (1 - x), for every k but 0.

    Numbers are divided by 2^k where k is negative: then part is 1 - x, rounded, and `tail` what that lost.
    """
    x, lifted, part, tail = traces.symbols("x", "lifted", "part", "tail")
    replaced = {
        ("nearest_power", "power"): traces.number(1),
        ("log_odds", "k"): traces.number(1),
        ("log_odds", "lifted"): lifted,
        ("log_odds", "part"): part,
        ("log_odds", "q_tail"): tail,
    }
    result, _, watched = traces.traced(replaced, call(x), x, lifted, part, tail, fused=fused)
    if result is not watched["log_of_quotient", "result"]:
        raise ArithmeticError("logit is more than log_of_quotient.")
    names = ("numerator", "numerator_tail", "denominator", "denominator_tail")
    parts = [watched["log_of_quotient", name] for name in names]
    script = gappa.Script(traces.needed(parts))
    fields = {name: script.of(node) for name, node in zip(names, parts, strict=True)}
    claim = CLAIM.format(
        **fields, off_numerator=script.roundings(*parts[:2]), off_denominator=script.roundings(*parts[2:])
    )
    return script.text({"lifted", "part", "tail"}) + claim + script.cancellations()


def rounding_of_complement(low, high, fused):
    """That the rounding of 1 - x is known exactly for x between these, divided by 2^k, and how large it is."""
    (x,) = traces.symbols("x")
    replaced = {("nearest_power", "power"): traces.number(1), ("log_odds", "k"): traces.number(1)}
    _, _, watched = traces.traced(replaced, call(x), x, fused=fused)
    tail, q = watched["log_odds", "q_tail"], watched["log_odds", "q"]
    script = gappa.Script(traces.needed([tail, q]))
    off = f"({script.of(q)} + {script.of(tail)}) - (1 - x)"
    claim = f"{{ x in [{low!r}, {high!r}] -> |{script.of(tail)}| in ? /\\ |{off}| in ? }}\n"
    hint = f"{off} -> {script.roundings(q, tail)};\n"
    return script.text({"x"}) + claim + hint + script.cancellations()


def leading_error(k, fused):
    """How far the leading sum is from k ln 2."""
    (x,) = traces.symbols("x")
    replaced = {("nearest_power", "power"): traces.number(1), ("log_odds", "k"): traces.number(k)}
    _, _, watched = traces.traced(replaced, call(x), x, fused=fused)
    leading, leading_tail = (watched["log_of_quotient", name].value for name in ("leading", "leading_tail"))
    return abs(float(leading + leading_tail - k * quotient.LN2)) * SLACK


def errors(k, edges, parts, constant, fused):
    """In ulp of the exact result, before the last rounding, for S between two edges at a time.

    `parts` are beside numbers that are divided by 2^k where k is negative.
    """
    for low, high in pairwise(edges):
        largest = max(abs(low), abs(high))
        denominator = min(inverse(k, (1 + s) / (1 - s)) / (1 + s) for s in (low, high)) * 2 / SLACK
        denominator *= 2.0 ** -min(k, 0)
        case = quotient.Case(*(part / denominator for part in parts))
        smallest = min(abs(k * LN2 + 2 * atanh(s)) for s in (low, high)) / SLACK
        error = quotient.error(largest, case, with_leading=k != 0, fused=fused) + constant
        yield error / 2.0 ** (frexp(smallest)[1] - 53)


def bound(fused):
    """The largest error in ulp that is left, the last rounding included."""
    edges = [LARGEST_S * i / PIECES for i in range(-PIECES, PIECES + 1)]
    near_half = [LARGEST_S, *(2.0 ** (-i / 8) for i in range(19, 22 * 8))]
    halves = (2.0**-1022, 0.5), (0.5, 1 - 2.0**-53)
    complements = [rounding_of_complement(*ends, fused) for ends in halves]
    parts, small, large = gappa.prove_all([case_script(fused), *complements])
    if max(small[0], large[0]) > 2.0**-54 or large != [0.0, 0.0]:
        raise ArithmeticError("The rounding of 1 - x is larger than the proof takes it for.")
    parts = [*parts[:2], *(error + small[1] for error in parts[2:])]
    worst = max(2.0**-17, *errors(0, near_half, [2.0**-54], 0.0, fused))
    for k in POWERS:
        if k:
            of_k = max(errors(k, edges, parts, leading_error(k, fused), fused))
            worst = max(worst, of_k)
        if k == POWERS.start:
            unit = 2.0 ** (frexp(-k * LN2 + 1)[1] - 53)
            worst = max(worst, (of_k * unit + UNDERFLOW) / 2.0**-43)
    return (0.5 + worst) * SLACK
