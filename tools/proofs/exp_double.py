"""How far `exp_double`, an exponential as a sum of two doubles, is from exp(x), relative to it.

The polynomial is one of r alone, the rounded argument; r_tail, what that rounding lost, enters as (1 + p)
r_tail, where p is exp(r) - 1, but for a rounding and half of r_tail^2. What Gappa is not asked, because it
is no rounding: `upper` is exact and `lower` small, as in `exponential`. So r_tail is exact (Dekker), but
where lower is the larger one: then r is below 2^-27, and the rounding below 2^-80. It is half a unit of r at
most, 2^-55. power is 1: what is a power of two times as large is rounded alike, and what underflows is below
2^-1074.
"""

import functools
from itertools import pairwise
from math import exp

import exponential
import gappa
import residual
import traces

LARGEST_TAIL = 2.0**-55
UNIT = 2.0**-53
PIECES = 32
SLACK = 1 + 2.0**-20
# What `lower`, LN2_LOW and the factor of r_tail lack, and r_tail where lower is the larger one.
LOST = 2.0**-79
FACTORIALS = {k: f"INVERSE_FACTORIAL_{k}" for k in range(3, 15)}

CLAIM = """
{{{{ r in [{{low!r}}, {{high!r}}] /\\ |r_tail| <= {largest_tail!r} /\\ |z_tail| <= 1b-57
-> |({one} + {low_part}) - (1 + r + {half} + {cube} + {correction})| in ?
/\\ |{cube} - M_{cube}| in ? /\\ |{correction} - (0.5 * z_tail + (r_tail * {p} + r_tail))| in ? }}}}
({one} + {low_part}) - (1 + r + {half} + {cube} + {correction}) -> {roundings};
"""


@functools.cache
def approximation():
    """Certified by Sollya: how far 1 + r + r^2 / 2 + ... is from exp(r), relative to that."""
    terms = exponential.polynomial(FACTORIALS)
    largest = exponential.LARGEST_R
    return exponential.sollya(
        f"sup(supnorm(1 + x + x^2 / 2 + {terms}, exp(x), [-{largest}; {largest}], relative, 2^(-12)));"
    )


def of_reduction(r, r_tail):
    """What stands for the results of `reduce_argument`."""
    replaced = {("reduce_argument", name): traces.number(0) for name in ("biased", "k", "upper", "lower")}
    return replaced | {
        ("reduce_argument", "power"): traces.number(1),
        ("reduce_argument", "r"): r,
        ("reduce_argument", "r_tail"): r_tail,
    }


def script(fused):
    """How far the sum is from its parts, and these are from what they mean, for r in a piece."""
    inputs = x, *_ = traces.symbols("x", "r", "r_tail", "z_tail")
    replaced = of_reduction(*inputs[1:3]) | {("exp_double", "z_tail"): inputs[3]}

    def call(functions):
        high, low = [None], [None]
        functions["exp_double"](x, traces.number(0), high, low)
        return high[0], low[0]

    (one, low_part), nodes, watched = traces.traced(replaced, call, *inputs, fused=fused)
    half, cube = (watched["exp_double", name] for name in ("half", "cube"))
    correction = watched["exp_double", "tail"].operands[1].operands[1]
    traces.check_meaning(cube, lambda r: traces.horner(FACTORIALS, r), "r")
    script = gappa.Script(nodes)
    named = {
        "p": watched["exp_double", "p"],
        "one": one,
        "low_part": low_part,
        "half": half,
        "cube": cube,
        "correction": correction,
    }
    return (
        script.text({"r", "r_tail", "z_tail"})
        + "M_r = r;\n"
        + gappa.Script(traces.needed([cube])).without_rounding()
        + CLAIM.format(
            **{name: script.of(node) for name, node in named.items()},
            largest_tail=LARGEST_TAIL,
            roundings=script.roundings(one, low_part, atoms=[half, cube, correction]),
        )
        + script.cancellations()
    )


@functools.cache
def bound(fused):
    """Of the sum of both doubles, in half units in the last place of 1, relative to exp(x)."""
    pieces = list(pairwise(exponential.LARGEST_R * (2 * i / PIECES - 1) for i in range(PIECES + 1)))
    template = script(fused)
    answers = gappa.prove_all(template.format(low=low, high=high) for low, high in pieces)
    of_square = 0.0 if fused else residual.bound(with_tail=False) * exponential.LARGEST_R**2 / 2
    worst = max(
        (sum(found) + of_square + LOST) / exp(low)
        for (low, _), found in zip(pieces, answers, strict=True)
    )
    return (worst + approximation()) / UNIT * SLACK
