"""The float64 bound of expit, with fused multiply-add, in three steps; the second one for every k.

What Gappa is not asked, because it is no rounding:

- k. biased = x log2(e) + C is rounded to an integer, as 2^52 <= biased < 2^53; its error, at most 1/2, and
  that of LOG2_E, 1076 x 2^-54, give abs(x - k ln 2) < 0.3467. LN2_HIGH has 36 bits and k has 11, so their
  product is exact. For k = 0 high is x. Else abs(x) > 1/4, so x - k LN2_HIGH is a multiple of 2^-54
  below 1/2: exact, too. Then abs(low) < 1076 LN2_LOW < 2^-29, its rounding is below 2^-82, and so is what
  LN2_LOW lacks.
- The range of exponents. Everything is computed times one = 2^-96, where nothing overflows, and what is too
  small to be normal is p alone, next to 0: then part is off by less than 2^-1074 beside a denominator above
  2^-96. So the proof takes one = 1 and power = 2^k, and exponents without end; a multiplication by a power of
  two is exact.
- k <= -54, where `tail` has not the power that `whole` lost: the denominator is 1, the sum before the last
  rounding 1 - 2^k p, and the result 1; the exact one is at most 2^-54 x 1.415 below it, 0.708 ulp.
- A subnormal result. `nearest` is then off by up to half a unit, and the step takes that off but for the
  relative error of v, 2^-52: the sum of step and `nearest` is rounded once, as it is for normal results.
- The last rounding. Where the exact result is below a power of two and the sum before it above, the power of
  two lies between them, and rounding goes towards it: 1/2 ulp of the exact result bounds it here as well.
"""

import functools
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from math import exp, frexp

import arithmetic
import gappa
import source

LARGEST_R = 0.3467
PIECES = 128
POWERS = range(-53, 1077)  # k, from where the result is not 1 to x = -746
SLACK = 1 + 2.0**-30  # of the few float operations by which the bounds are put together


@functools.cache
def formulas():
    return source.functions(arithmetic, fused=True)


def traced(replaced, call):
    """What `call` returns, and the nodes that it needs, with variables of the source replaced."""
    tracing = arithmetic.tracing
    tracing.nodes.clear()
    tracing.replaced = dict(replaced)
    result = call(formulas())
    needed = set()

    def need(node):
        if id(node) not in needed:
            needed.add(id(node))
            for operand in node.operands:
                need(operand)

    need(result)
    nodes = [node for node in tracing.nodes if id(node) in needed]
    for node in nodes:
        if node.name == "result" and node is not result:
            node.name = None  # of a function of arithmetic.h
    return result, nodes


def number(value):
    return arithmetic.Number("float64", "constant", (), Fraction(value))


def polynomial_error():
    """Certified by Sollya: how far 1 + p without roundings is from exp(r), relative to that."""
    constants = source.defined_constants((source.KERNELS / "formulas.pxd").read_text())
    terms = " + ".join(f"({constants[f'EXP_{k}'][1].hex()}) * x^{k}" for k in range(2, 12))
    text = (
        f"prec = 200; verbosity = 0; display = hexadecimal; "
        f"sup(supnorm(1 + x + {terms}, exp(x), [-{LARGEST_R}; {LARGEST_R}], relative, 2^(-12))); quit;"
    )
    # Numbers of C and of Sollya are spelt alike, and decimal ones are enclosed.
    run = subprocess.run(["sollya"], input=text, capture_output=True, text=True, check=True)
    found = re.findall(source.HEXADECIMAL, run.stdout)
    return float.fromhex(found[-1]) * (1 + 2.0**-50)


def rounding_of_p(low, high):
    """Gappa's bound of the distance of p from the polynomial without roundings, for low <= r <= high."""
    reduced, rest, k = (arithmetic.symbol(name, "float64") for name in ("high", "low", "k"))
    names = {("exp_parts", name): value for name, value in (("high", reduced), ("low", rest), ("k", k))}

    def call(functions):
        arithmetic.tracing.nodes.extend([reduced, rest])
        cells = [None], [None], [None]
        functions["exp_parts"]["float64"](arithmetic.symbol("x", "float64"), number(0), True, *cells)
        return cells[1][0]

    p, nodes = traced(names, call)
    script = gappa.Script(nodes)
    text = (
        script.text({"high", "low"})
        + "M_high = high;\n"
        + script.without_rounding()
        + (
            f"{{ high in [{low!r}, {high!r}] /\\ |low| <= 1b-29 /\\ |low - M_low| <= 1b-81\n"
            f"-> |{script.of(p)} - M_{script.of(p)}| in ? }}\n"
        )
    )
    (bound,) = gappa.prove(text)
    return bound


def step_script(k):
    """That the denominator and its tail, and the Newton step, lose nothing that counts, for one k."""
    p, x = arithmetic.symbol("p", "float64"), arithmetic.symbol("x", "float64")
    names = {
        ("exp_parts", "k"): number(0),
        ("exp_parts", "high"): number(0),
        ("exp_parts", "p"): p,
        ("exp_parts", "power"): number(Fraction(2) ** k),
        ("expit", "one"): number(1),
    }

    def call(functions):
        arithmetic.tracing.nodes.append(p)
        return functions["expit"]["float64"](x)

    result, nodes = traced(names, call)
    script = gappa.Script(nodes)
    watched = arithmetic.tracing.watched
    # The parts of the expressions that the hints are about, as the source has them.
    tail, step = watched["expit", "tail"], result.operands[1]
    sum_of_tail, constant = tail.operands
    fields = {
        "whole": script.of(watched["expit", "whole"]),
        "part": script.of(watched["expit", "part"]),
        "power": script.of(number(Fraction(2) ** k)),
        "d": script.of(watched["expit", "denominator"]),
        "t": script.of(tail),
        "lost": script.of(sum_of_tail),
        "difference": script.of(sum_of_tail.operands[0]),
        "c": script.of(constant),
        "v": script.of(watched["expit", "v"]),
        "nearest": script.of(watched["expit", "nearest"]),
        "negated": script.of(step.operands[2].operands[0]),
        "inner": script.of(step.operands[2]),
        "step": script.of(step),
    }
    return script.text({"p"}) + CLAIM.format(**fields)


CLAIM = """
D = 1 + {power} + {power} * p;
Dt = {d} + {t};
R0 = 1 - {nearest} * Dt;
Y = {v} * {step} + {nearest};
{{ p in [-0.2931, 0.4146] -> |(Dt - D) / D| in ? /\\ |Y * Dt - 1| in ? }}
{difference} + {part} -> -({d} - ({whole} + {part})) + ({difference} - ({whole} - {d}));
Dt - D -> ({t} - ({lost} + {c})) + ({lost} - ({difference} + {part})) + ({difference} - ({whole} - {d}));
Y * Dt - 1 -> ({step} - R0) + ({v} * Dt - 1) * {step};
{v} * Dt - 1 -> ({v} - 1 / {d}) * {d} + {v} * {t} {{ {d} <> 0 }};
{negated} * {d} + 1 -> -(({v} - 1 / {d}) * {d}) {{ {d} <> 0 }};
{step} - R0 -> ({step} - ({negated} * {t} + {inner})) + ({inner} - ({negated} * {d} + 1));
"""


def bound():
    """The largest error in ulp that is left, the last rounding included."""
    approximation = polynomial_error()
    edges = [LARGEST_R * (2 * i / PIECES - 1) for i in range(PIECES + 1)]
    pieces = []
    for low, high in pairwise(edges):
        # Beside r = high + low the interval is a little wider; exp is at most that of its upper end.
        error = rounding_of_p(low, high) + approximation * exp(high + 2.0**-28)
        pieces.append((low - 2.0**-28, high + 2.0**-28, error))
    with ThreadPoolExecutor(2) as pool:
        lost = max(sum(found) for found in pool.map(gappa.prove, map(step_script, POWERS)))
    worst = 0.0
    for k in POWERS:
        for low, high, error in pieces:
            # With 2^k taken off, so that nothing under- or overflows: exact results are 2^-k times these.
            smallest, largest = (1 / (2.0**-k + exp(r)) for r in (high, low))
            unit = 2.0 ** (frexp(smallest / SLACK)[1] - 53)
            worst = max(worst, (largest**2 * error + lost * largest) / unit)
    return (0.5 + worst) * SLACK
