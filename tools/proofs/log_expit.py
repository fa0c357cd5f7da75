"""The float64 bound of log_expit, and so of softplus.

With E = 2^k (1 + p) the exact N is h - E and D is 2^h + 1 + E. What Gappa is not asked, because it is no
rounding:

- `numerator` and its tail, `leading` and its tail are sums of a larger and a smaller number, so these tails
  are exact (Dekker); for k < -60 `denominator` is 2 and the result -E but for 2^-60 of it. For all other k
  Gappa is asked for the tails and how far N and D are off.
- p_tail, without fused multiply-add: as in `expit`.
- What underflows. E is above 2^-996, and the last digits that `numerator_tail` can lose are below 2^-1074.
  The residual, without fused multiply-add, loses nothing where the denominator is 2.
- Beyond the bounds. Below -690 the result is x, and exp(x) is less than 2^-990. Above 690 it is E, rounded
  once with 2^96, and once more where it is subnormal: that rounds a number of 53 bits to fewer, and what the
  first rounding and p are off, counts half at most.
- k, and the last rounding: as in `expit`.
"""

from fractions import Fraction
from math import exp, expm1, frexp, inf, log, log1p

import exponential
import gappa
import quotient
import traces

SLACK = 1 + 2.0**-30
POWERS = range(-60, 0)  # k where E < 1/2
LN2 = log(2)
EDGE = 2.0**-28  # what LN2, r and p are off where E is 1/2 or 1


def reduced(h, k):
    """The interval of r, as far as k and h go."""
    if k == h - 1:
        return -exponential.LARGEST_R, EDGE
    return -EDGE if h else -exponential.LARGEST_R, exponential.LARGEST_R


def case_script(h, k, negative, fused):
    """The tails, how far N and D are from what p makes them, and the leading sum from min(x, 0) - h ln 2."""
    x, p, p_tail = traces.symbols("x", "p", "p_tail")
    power = Fraction(2) ** k
    replaced = {
        ("log_expit_within", "h"): traces.number(h),
        ("exp_parts", "k"): traces.number(k),
        ("exp_parts", "high"): traces.number(0),
        ("exp_parts", "power"): traces.number(power),
        ("exp_parts", "p"): p,
    }
    if not fused:
        replaced["exp_parts", "p_tail"] = p_tail
    result, _, watched = traces.traced(
        replaced,
        lambda functions: functions["log_expit_within"]["float64"](x, x),
        x,
        p,
        p_tail,
        fused=fused,
        decisions=[negative, h == 1, negative, negative],
    )
    if result is not watched["log_of_quotient", "result"]:
        raise ArithmeticError("log_expit is more than log_of_quotient.")
    names = ("numerator", "numerator_tail", "denominator", "denominator_tail", "leading", "leading_tail")
    parts = [watched["log_of_quotient", name] for name in names]
    script = gappa.Script(traces.needed(parts))
    num, num_tail, den, den_tail, leading, leading_tail = map(script.of, parts)
    low, high = reduced(h, k)
    power, *ln2 = map(gappa.literal, [power, traces.constant("LN2_HIGH"), traces.constant("LN2_LOW")])
    return (
        script.text({"p", *["x"] * negative, *["p_tail"] * (not fused)})
        + f"N = {h} - {power} - {power} * {'p' if fused else '(p + p_tail)'};\nD = {2 * (h + 1)} - N;\n"
        + f"L = {'x' if negative else 0} - {h} * ({ln2[0]} + {ln2[1]});\n"
        + f"{{ p in [{expm1(low) - EDGE!r}, {expm1(high) + EDGE!r}]"
        + " /\\ |p_tail| <= 1b-53" * (not fused)
        + f" /\\ x in [{k * LN2 + low!r}, {k * LN2 + high!r}]" * negative
        + f" -> |{num_tail}| in ? /\\ |{den_tail}| in ? /\\ |({num} + {num_tail}) - N| in ?"
        + f" /\\ |({den} + {den_tail}) - D| in ? /\\ |({leading} + {leading_tail}) - L| in ? }}\n"
        + f"({num} + {num_tail}) - N -> {script.roundings(*parts[:2])};\n"
        + f"({den} + {den_tail}) - D -> {script.roundings(*parts[2:4])};\n"
        + f"({leading} + {leading_tail}) - L -> {script.roundings(*parts[4:])};\n"
        + script.cancellations()
    )


def errors(h, k, negative, found, fused):
    """In ulp of the exact result, before the last rounding, for one piece of r at a time."""
    *parts, leading = found
    leading += h * abs(float(quotient.LN2 - traces.constant("LN2_HIGH") - traces.constant("LN2_LOW"))) * SLACK
    first, last = reduced(h, k)
    for low, high, error_of_p in exponential.pieces(fused, with_tail=not fused):
        low, high = max(low, first), min(high, last)
        if low >= high:
            continue
        smallest, largest = 2.0**k * exp(low) / SLACK, 2.0**k * exp(high) * SLACK
        quotients = [(h - e) / (h + 2 + e) for e in (smallest, largest)]
        case = quotient.Case(*(part / (h + 2 + smallest) for part in parts))
        with_leading = bool(h or negative)
        of_quotient = quotient.error(max(map(abs, quotients)), case, with_leading=with_leading, fused=fused)
        error = of_quotient + leading + 2.0**k * error_of_p / (1 + smallest)
        nearest = max(-(k * LN2 + high), 0.0) if negative else -inf
        result = nearest + log1p(exp(-nearest)) if negative else log1p(smallest)
        yield error / 2.0 ** (frexp(result / SLACK)[1] - 53)


def beyond(fused):
    """The same of what log_expit is above its upper bound."""
    x, p = traces.symbols("x", "p")
    result, *_ = traces.traced(
        {("exp_parts", "power"): traces.number(1), ("exp_parts", "p"): p},
        lambda functions: functions["log_expit"]["float64"](x, traces.number(-690), traces.number(690)),
        x,
        p,
        fused=fused,
        decisions=[False, False, True, False, True, False],
    )
    sum_of_both = f"t1 = {gappa.FORMATS['float64']}(p + (1b0));"
    if gappa.Script(traces.needed([result])).lines != [sum_of_both, "t2 = -t1;", "beyond = t2 * (1b-96);"]:
        raise ArithmeticError("Above its upper bound log_expit is not power (1 + p), rounded once.")
    worst = max(error / 2.0 ** (frexp(exp(low))[1] - 53) for low, _, error in exponential.pieces(fused))
    return max(worst, (0.5 + worst) / 2)


def bound(fused):
    """The largest error in ulp that is left, the last rounding included."""
    cases = [(1, 0), (1, -1), *((0, k) for k in POWERS)]
    cases = [(h, k, negative) for h, k in cases for negative in (False, True)]
    found = gappa.prove_all(case_script(*case, fused) for case in cases)
    worst = max(max(errors(*case, parts, fused)) for case, parts in zip(cases, found, strict=True))
    return (0.5 + max(worst, beyond(fused))) * SLACK
