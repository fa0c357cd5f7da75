"""The float64 bound of expit, with fused multiply-add, from that of p and the step of Newton for every k.

What Gappa is not asked, because it is no rounding:

- The range of exponents. Everything is computed times one = 2^-96, where nothing overflows, and what is too
  small to be normal is p alone, next to 0: then part is off by less than 2^-1074 beside a denominator above
  2^-96. So the proof takes one = 1 and power = 2^k, and exponents without end; a multiplication by a power
  of two is exact.
- k > 64. Then `whole` is the power, and but for what `tail` gets from one everything is that of k = 64 times
  a power of two. That part is below 2^-64 of the denominator, and shrinks.
- k <= -54, where `tail` has not the power that `whole` lost: the denominator is 1, the sum before the last
  rounding 1 - 2^k p, and the result 1; the exact one is at most 2^-54 x 1.415 below it, 0.708 ulp.
- A subnormal result. `nearest` is then off by up to half a unit, and the step takes that off but for the
  relative error of v, 2^-52: the sum of step and `nearest` is rounded once, as it is for normal results.
- The last rounding. Where the exact result is below a power of two and the sum before it above, the power of
  two lies between them, and rounding goes towards it: 1/2 ulp of the exact result bounds it here as well.
"""

from fractions import Fraction
from math import exp, frexp

import exponential
import gappa
import traces

POWERS = range(-53, 65)  # k, from where the result is not 1
SLACK = 1 + 2.0**-30  # of the few float operations by which the bounds are put together


def step_script(k):
    """That the denominator and its tail, and the Newton step, lose nothing that counts, for one k."""
    p, x = traces.symbols("p", "x")
    names = {
        ("exp_parts", "k"): traces.number(0),
        ("exp_parts", "high"): traces.number(0),
        ("exp_parts", "p"): p,
        ("exp_parts", "power"): traces.number(Fraction(2) ** k),
        ("expit", "one"): traces.number(1),
    }
    result, nodes, watched = traces.traced(names, lambda f: f["expit"]["float64"](x), x, p)
    script = gappa.Script(nodes)
    # The parts of the expressions that the hints are about, as the source has them.
    denominator, tail = watched["expit", "denominator"], watched["expit", "tail"]
    step = result.operands[1]
    fields = {
        "power": script.of(traces.number(Fraction(2) ** k)),
        "d": script.of(denominator),
        "t": script.of(tail),
        "roundings": script.roundings(denominator, tail),
        "v": script.of(watched["expit", "v"]),
        "nearest": script.of(watched["expit", "nearest"]),
        "negated": script.of(step.operands[2].operands[0]),
        "inner": script.of(step.operands[2]),
        "step": script.of(step),
    }
    return script.text({"p"}) + CLAIM.format(**fields) + script.cancellations()


CLAIM = """
D = 1 + {power} + {power} * p;
Dt = {d} + {t};
R0 = 1 - {nearest} * Dt;
Y = {v} * {step} + {nearest};
{{ p in [-0.2931, 0.4146] -> |(Dt - D) / D| in ? /\\ |Y * Dt - 1| in ? }}
Dt - D -> {roundings};
Y * Dt - 1 -> ({step} - R0) + ({v} * Dt - 1) * {step};
{v} * Dt - 1 -> ({v} - 1 / {d}) * {d} + {v} * {t} {{ {d} <> 0 }};
{negated} * {d} + 1 -> -(({v} - 1 / {d}) * {d}) {{ {d} <> 0 }};
{step} - R0 -> ({step} - ({negated} * {t} + {inner})) + ({inner} - ({negated} * {d} + 1));
"""


def bound():
    """The largest error in ulp that is left, the last rounding included."""
    lost = max(map(sum, gappa.prove_all(map(step_script, POWERS))))
    lost += 2.0**-64
    worst = 0.0
    for k in range(POWERS.start, 1077):  # to x = -746
        for low, high, error in exponential.pieces():
            # With 2^k taken off, so that nothing under- or overflows: exact results are 2^-k times these.
            smallest, largest = (1 / (2.0**-k + exp(r)) for r in (high, low))
            unit = 2.0 ** (frexp(smallest / SLACK)[1] - 53)
            worst = max(worst, (largest**2 * error + lost * largest) / unit)
    return (0.5 + worst) * SLACK
