"""The float64 bound of logit: that of `log_of_quotient` for every k.

What Gappa is not asked, because it is no rounding:

- The choice of k. The bits of x = 2^a (1 + f) and 1 - x = 2^b (1 + g) give a - b + f - g, rounded, so
  abs(f - g) <= 1/2 beside k, and (1 + f) / (1 + g) is between 2/3 and 3/2: abs(S) <= 1/5, and the rounding
  of 1 - x is far below what LARGEST_S leaves.
- Large abs(k). Divided by 2^k where k is negative, all but 1 - x and the leading sum is alike for every k,
  and from `FEW` on Gappa is asked once for each sign. Where k is positive 1 - x is exact; where it is
  negative, what its rounding lost is.
- k < -60. Then q = 1, and the unit of the result is not smaller. `lifted` is x times 2^64 for subnormal x,
  so the denominator is above 2^-1022. Where something underflows the result is 600 and more, with a unit of
  2^-43. Of the error of the quotient that is the product with denominator_tail, and numerator_tail; without
  fused multiply-add three products of the residual, too: below 2^-1072 together.
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
FEW = 6  # from here on the k of one sign are one case
WIDER = 1 + 2.0**-30
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
{{ lifted in [{lifted[0]!r}, {lifted[1]!r}] /\\ part in [{part[0]!r}, {part[1]!r}]
/\\ |tail| <= {largest_tail!r}
{multiple}/\\ lifted / part in [0.6666, 1.5001] -> |{numerator_tail}| in ? /\\ |{denominator_tail}| in ?
/\\ |({numerator} + {numerator_tail}) - N| in ? /\\ |({denominator} + {denominator_tail}) - D| in ? }}
lifted - part -> part * (lifted / part - 1) {{ part <> 0 }};
({numerator} + {numerator_tail}) - N -> {off_numerator};
({denominator} + {denominator_tail}) - D -> {off_denominator};
"""


def ranges(k):
    """Of `lifted`, `part` and q_tail for this k; for that of `FEW` for all beyond, too."""
    low, high = (inverse(k, ratio) for ratio in (2 / 3 / WIDER, 3 / 2 * WIDER))
    if k == -FEW:
        low = 0.0
    if k == FEW:
        high = 1.0
    p, q = (low, high), (1 - high, 1 - low)
    if abs(k) == FEW:  # one of them is near 1, the other the quotient times as large
        p, q = (
            (p, (p[0] / 1.5 / WIDER, p[1] * 1.5 * WIDER))
            if k > 0
            else ((q[0] / 1.5 / WIDER, q[1] * 1.5 * WIDER), q)
        )
    elif k > 0:
        q = tuple(2.0**k * end for end in q)
    else:
        p = tuple(2.0**-k * end for end in p)
    return p, q, 0.0 if k > 0 else 2.0**-54


def case_script(k, fused):
    """The tails, and how far N and D are from x - 2^k (1 - x) and x + 2^k (1 - x).

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
    lifted, part, largest_tail = ranges(k)
    claim = CLAIM.format(
        **fields,
        lifted=lifted,
        part=part,
        largest_tail=largest_tail,
        multiple="/\\ @FIX(part, -52)\n" * (k > 0),  # 1 - x is one of 2^-53 there
        off_numerator=script.roundings(*parts[:2]),
        off_denominator=script.roundings(*parts[2:]),
    )
    return script.text({"lifted", "part", "tail"}) + claim + script.cancellations()


def rounding_of_complement(low, high, fused):
    """How large the rounding of 1 - x is for x between these, and how far `q_tail` is from it."""
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
    cases = [k for k in range(-FEW, FEW + 1) if k]
    small, large, *found = gappa.prove_all([*complements, *(case_script(k, fused) for k in cases)])
    if max(small[0], large[0]) > 2.0**-54 * SLACK or max(large) > 0:
        raise ArithmeticError("The rounding of 1 - x is larger than the proof takes it for.")
    parts = {
        k: [*tails, *(error + small[1] for error in (off, last))]
        for k, (*tails, off, last) in zip(cases, found, strict=True)
    }
    worst = max(2.0**-17, *errors(0, near_half, [2.0**-54], 0.0, fused))
    for k in POWERS:
        if k:
            of_k = max(errors(k, edges, parts[max(-FEW, min(k, FEW))], leading_error(k, fused), fused))
            worst = max(worst, of_k)
        if k == POWERS.start:
            unit = 2.0 ** (frexp(-k * LN2 + 1)[1] - 53)
            worst = max(worst, (of_k * unit + UNDERFLOW) / 2.0**-43)
    return (0.5 + worst) * SLACK
