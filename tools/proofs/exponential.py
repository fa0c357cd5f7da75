"""How far p of `exp_parts`, float64 and careful, is from exp(r) - 1, for pieces of r.

What Gappa is not asked, because it is no rounding: biased = x log2(e) + C is rounded to an integer, as 2^52
<= biased < 2^53; its error, at most 1/2, and that of LOG2_E, 1076 x 2^-54, give abs(x - k ln 2) < 0.3467.
LN2_HIGH has 36 bits and k has 11, so their product is exact. For k = 0 high is x. Else abs(x) > 1/4, so x -
k LN2_HIGH is a multiple of 2^-54 below 1/2: exact, too. Then abs(low) < 1076 LN2_LOW < 2^-29, its rounding
is below 2^-82, and so is what LN2_LOW lacks. Without fused multiply-add the product with LOG2_E is rounded
first, below 2^11, so by 2^-43: the bound of r has room for that. And p - high is exact where rest is not
larger than high (Dekker); else high is below 2^-27, and the rounding below 2^-80.
"""

import functools
import re
import subprocess
from itertools import pairwise
from math import exp

import gappa
import source
import traces

LARGEST_R = 0.3467
PIECES = 64
EDGES = [LARGEST_R * (2 * i / PIECES - 1) for i in range(PIECES + 1)]
TERMS = {k: f"EXP_{k}" for k in range(2, 12)}
TERMS_32 = {k: f"EXP_{k}_32" for k in range(2, 7)}

CLAIM = """
{{{{ high in [{{low!r}}, {{high!r}}] /\\ |low| <= 1b-29 /\\ |low - M_low| <= 1b-81
/\\ |{difference} - ({exact})| <= 1b-80 -> |{p} - M_{p}| in ? /\\ |({p} + {tail}) - M_{p}| in ? }}}}
({p} + {tail}) - M_{p} -> ({rest} - M_{rest}) + ({roundings});
"""


def sollya(text):
    """The last number that Sollya prints, rounded up."""
    text = f"prec = 200; verbosity = 0; display = hexadecimal; {text} quit;"
    # Numbers of C and of Sollya are spelt alike, and decimal ones are enclosed.
    run = subprocess.run(["sollya"], input=text, capture_output=True, text=True, check=True)
    return float.fromhex(re.findall(source.HEXADECIMAL, run.stdout)[-1]) * (1 + 2.0**-50)


def polynomial(names):
    """Sum of c_k x^k with the constants of the source."""
    return " + ".join(f"({float(traces.constant(name)).hex()}) * x^{k}" for k, name in names.items())


@functools.cache
def polynomial_error(form="float64"):
    """Certified by Sollya: how far 1 + p without roundings is from exp(r), relative to that."""
    terms = polynomial(TERMS if form == "float64" else TERMS_32)
    return sollya(f"sup(supnorm(1 + x + {terms}, exp(x), [-{LARGEST_R}; {LARGEST_R}], relative, 2^(-12)));")


def rounding_script(fused):
    """How far p, alone and with its tail, is from the polynomial without roundings; r goes in later."""
    x, reduced, rest, k = traces.symbols("x", "high", "low", "k")
    replaced = {("exp_parts", name): value for name, value in (("high", reduced), ("low", rest), ("k", k))}

    def call(functions):
        cells = [None], [None], [None]
        functions["exp_parts"]["float64"](x, traces.number(0), True, *cells)
        return cells[1][0], cells[2][0]

    (p, p_tail), nodes, watched = traces.traced(replaced, call, x, reduced, rest, k, fused=fused)
    traces.check_meaning(p, lambda high, low: high + low + traces.horner(TERMS, high + low), "high", "low")
    script = gappa.Script(nodes)
    difference = p_tail.operands[1]
    fields = {
        "p": script.of(p),
        "tail": script.of(p_tail),
        "rest": script.of(watched["exp_parts", "rest"]),
        "difference": script.of(difference),
        "exact": gappa.exact_expression(difference.operation, list(map(script.of, difference.operands))),
        "roundings": script.roundings(p, p_tail, atoms=[watched["exp_parts", "rest"]]),
    }
    return (
        script.text({"high", "low"}) + "M_high = high;\n" + script.without_rounding() + CLAIM.format(**fields)
    )


@functools.cache
def roundings(fused):
    """What `rounding_script` asks for, for each piece of r."""
    template = rounding_script(fused)
    return gappa.prove_all(template.format(low=low, high=high) for low, high in pairwise(EDGES))


@functools.cache
def pieces(fused, with_tail=False):
    """Intervals of r, and how far p, or p + p_tail, is at most from exp(r) - 1 in them."""
    # Beside r = high + low the intervals are a little wider; exp is at most that of the upper end.
    wider = [(low - 2.0**-28, high + 2.0**-28) for low, high in pairwise(EDGES)]
    return [
        (low, high, found[with_tail] + polynomial_error() * exp(high))
        for (low, high), found in zip(wider, roundings(fused), strict=True)
    ]


def bound(fused):
    """Of 1 + p + p_tail, in half units in the last place of 1, relative to exp(r)."""
    return max(error / exp(low) for low, _, error in pieces(fused, with_tail=True)) * 2.0**53
