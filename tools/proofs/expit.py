"""The float64 bound of expit from that of p and the step of Newton for every k.

What Gappa is not asked, because it is no rounding:

- The range of exponents. Everything is computed times one = 2^-110, where nothing overflows, and what is too
  small to be normal is p alone, next to 0: then part is off by less than 2^-1074 beside a denominator above
  2^-110. So the proof takes one = 1 and power = 2^k, and exponents without end; a multiplication by a power
  of two is exact.
- k > 64. Then `whole` is the power, and but for what `tail` gets from one everything is that of k = 64 times
  a power of two. That part is below 2^-64 of the denominator, and shrinks.
- k <= -54, where `tail` has not the power that `whole` lost: the denominator is 1, the sum before the last
  rounding 1 - 2^k p, and the result 1; the exact one is at most 2^-54 x 1.415 below it, 0.708 ulp.
- p_tail, without fused multiply-add: what the rounding of p lost, so it is at most 2^-54, but for 2^-80.
- A subnormal result. With fused multiply-add `nearest` is then off by up to half a unit, and the step takes
  that off but for the relative error of v, 2^-52: the sum of step and `nearest` is rounded once, as it is for
  normal results.
  Without, the result is rounded to 53 bits before, and what it is off by then counts half at most.
- The last rounding. Where the exact result is below a power of two and the sum before it above, the power of
  two lies between them, and rounding goes towards it: 1/2 ulp of the exact result bounds it here as well.
"""

from fractions import Fraction
from math import exp, frexp

import exponential
import gappa
import residual
import traces

POWERS = range(-53, 65)  # k, from where the result is not 1
SLACK = 1 + 2.0**-30  # of the few float operations by which the bounds are put together


def step_script(k, fused):
    """That the denominator and its tail, and the Newton step, lose nothing that counts, for one k."""
    p, x, p_tail, step = traces.symbols("p", "x", "p_tail", "step")
    power = traces.number(Fraction(2) ** k)
    names = {
        ("exp_parts", "k"): traces.number(0),
        ("exp_parts", "high"): traces.number(0),
        ("exp_parts", "p"): p,
        ("exp_parts", "power"): power,
        ("expit", "one"): traces.number(1),
    }
    if not fused:
        names |= {("exp_parts", "p_tail"): p_tail, ("residual_with_tail64", "result"): step}
    result, _, watched = traces.traced(
        names, lambda f: f["expit"]["float64"](x), x, p, p_tail, step, fused=fused
    )
    # The parts of the expressions that the hints are about, as the source has them.
    denominator, tail, v = (watched["expit", name] for name in ("denominator", "tail", "v"))
    script = gappa.Script(traces.needed([result, denominator, tail]))
    fields = {
        "power": script.of(power),
        "whole_p": "p" if fused else "(p + p_tail)",
        "d": script.of(denominator),
        "t": script.of(tail),
        "roundings": script.roundings(denominator, tail),
        "v": script.of(v),
    }
    if fused:
        found = result.operands[1]
        fields |= {
            "nearest": script.of(watched["expit", "nearest"]),
            "negated": script.of(found.operands[2].operands[0]),
            "inner": script.of(found.operands[2]),
            "step": script.of(found),
        }
        return script.text({"p"}) + (MEANING + FUSED + HINTS).format(**fields) + script.cancellations()
    product, nearest = result.operands
    if nearest is not v or product.operands != (v, step):
        raise ArithmeticError("expit is not v step + v.")
    fields |= {"product": script.of(product), "residual": residual.bound(with_tail=True)}
    return (
        script.text({"p", "p_tail", "step"})
        + (MEANING + UNFUSED + HINTS).format(**fields)
        + script.cancellations()
    )


MEANING = """
D = 1 + {power} + {power} * {whole_p};
Dt = {d} + {t};
"""
HINTS = """
Dt - D -> {roundings};
{v} * Dt - 1 -> ({v} - 1 / {d}) * {d} + {v} * {t} {{ {d} <> 0 }};
"""
FUSED = """
R0 = 1 - {nearest} * Dt;
Y = {v} * {step} + {nearest};
{{ p in [-0.2931, 0.4146] -> |(Dt - D) / D| in ? /\\ |Y * Dt - 1| in ? }}
Y * Dt - 1 -> ({step} - R0) + ({v} * Dt - 1) * {step};
{negated} * {d} + 1 -> -(({v} - 1 / {d}) * {d}) {{ {d} <> 0 }};
{step} - R0 -> ({step} - ({negated} * {t} + {inner})) + ({inner} - ({negated} * {d} + 1));
"""
UNFUSED = """
R0 = 1 - {v} * Dt;
Y = {product} + {v};
{{ p in [-0.2931, 0.4146] /\\ |p_tail| <= 1b-53 /\\ |step - R0| <= {residual!r}
-> |(Dt - D) / D| in ? /\\ |{t} / {d}| in ? /\\ |Y * Dt - 1| in ? }}
Y * Dt - 1 -> ({product} - {v} * step) * Dt + (step - R0) + ({v} * Dt - 1) * step;
"""


def bound(fused):
    """The largest error in ulp that is left, the last rounding included."""
    found = gappa.prove_all(step_script(k, fused) for k in POWERS)
    lost = max(first + last for first, *_, last in found) + 2.0**-64
    if not fused and max(tail for _, tail, _ in found) > 2.0**-50:
        raise ArithmeticError("The tail is larger than `residual` takes it for.")
    worst = worst_subnormal = 0.0
    for k in range(POWERS.start, 1077):  # to x = -746
        for low, high, error in exponential.pieces(fused, with_tail=not fused):
            # With 2^k taken off, so that nothing under- or overflows: exact results are 2^-k times these.
            smallest, largest = (1 / (2.0**-k + exp(r)) for r in (high, low))
            unit = 2.0 ** (frexp(smallest / SLACK)[1] - 53)
            before_rounding = (largest**2 * error + lost * largest) / unit
            worst = max(worst, before_rounding)
            if k >= 1022:
                worst_subnormal = max(worst_subnormal, before_rounding)
    if not fused:
        worst = max(worst, (0.5 + worst_subnormal) / 2)
    return (0.5 + worst) * SLACK
