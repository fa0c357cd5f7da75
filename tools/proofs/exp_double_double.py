"""How far `exp_double_double`, a more exact exponential as a sum of two doubles, is from exp(x).

A polynomial in double arithmetic is followed by six steps of Horner's rule in pairs of doubles. Gappa bounds
what a step adds to the error of the pair that it begins with, and how large both parts of the next one are;
the errors are multiplied by r from step to step. What Gappa is not asked: the reduction of the argument, as
in `exp_double`; and that the polynomial 1 / 6! + r / 7! + ... takes r without r_tail, and so lacks that times
its derivative, which is below 2^-12.

Sums whose largest element rises again and again are multiplied by exp(-d) after exp(-d), and there may be
many small d. `growth` is a c with an error of at most c d for each: the error of a d up to 0.3467 falls with
it (with fused multiply-add at first with its sixth power), until 2^-50 u are left.
"""

import functools
from fractions import Fraction
from itertools import pairwise
from math import exp, factorial

import exp_double
import exponential
import gappa
import residual
import traces

UNIT = 2.0**-53
SLACK = 1 + 2.0**-20
LAST = 6  # coefficient that the polynomial in double arithmetic ends with
DERIVATIVE = 2.0**-12
LEFT = 2.0**-50
DEGREE = 16
COEFFICIENTS = {k: f"INVERSE_FACTORIAL_{k}" for k in range(3, DEGREE + 1)}
TAILS = {k: f"TAIL_OF_INVERSE_{k}" for k in (3, 4, 5)}

FIRST_CLAIM = "M_r = r;\n{meaning}{{ |r| <= {largest!r} -> |{q} - M_{q}| in ? /\\ |{q}| in ? }}\n"
STEP_CLAIM = """
{{ |r| <= {largest!r} /\\ |r_tail| <= {r_tail!r} /\\ |high| <= {high!r} /\\ |low| <= {low!r}
{off}-> |({total} + {tail}) - ({c} + {c_tail} + (r + r_tail) * (high + low))| in ?
/\\ |{total}| in ? /\\ |{tail}| in ? }}
({total} + {tail}) - ({c} + {c_tail} + (r + r_tail) * (high + low)) ->
    {roundings} - ({residual} - ({product} - r * high))
    + ({mixed} - (r * low + r_tail * high)) - r_tail * low;
{mixed} - (r * low + r_tail * high) -> {mixed_roundings};
"""
FUSED = """
{residual} - ({product} - r * high) -> {residual} - ({minus} * high + {product});
{minus} * high + {product} -> {product} - r * high;
"""


def coefficient(k):
    """1 / k! as the source has it, in two doubles."""
    if k < 3:
        return traces.number(1 if k < 2 else 0.5), traces.number(0)
    tail = traces.constant(TAILS[k]) if k in TAILS else 0
    return traces.number(traces.constant(COEFFICIENTS[k])), traces.number(tail)


def approximation(largest):
    """How far the series is from exp(r), relative: what its constants lack of 1 / k!, and the rest."""
    x = Fraction(largest)
    lacking = sum(
        abs(sum(number.value for number in coefficient(k)) - Fraction(1, factorial(k))) * x**k
        for k in range(2, DEGREE + 1)
    )
    rest = x ** (DEGREE + 1) / factorial(DEGREE + 1) / (1 - x / (DEGREE + 2))
    return float(lacking + rest) * exp(largest) * SLACK


def traced(fused):
    """The whole function."""
    x, r, r_tail = inputs = traces.symbols("x", "r", "r_tail")

    def call(functions):
        high, low = [None], [None]
        functions["exp_double_double"](x, traces.number(0), high, low)
        return high[0], low[0]

    return traces.traced(exp_double.of_reduction(r, r_tail), call, *inputs, fused=fused)


def step(k, replaced, fused, begins=False):
    """The step to this coefficient; one that ``begins`` has a pair whose tail is 0."""
    inputs = r, r_tail, high, low = traces.symbols("r", "r_tail", "high", "low")

    def call(functions):
        cells = [high], [traces.number(0) if begins else low]
        functions["horner_step"](r, r_tail, *coefficient(k), *cells)
        return cells[0][0], cells[1][0]

    return traces.traced(replaced, call, *inputs, *replaced.values(), fused=fused)


def operations(nodes):
    """What is done, in order."""
    return [
        (node.operation, *(operand.value for operand in node.operands))
        for node in nodes
        if node.operation != "input"
    ]


def first(fused):
    """The polynomial in double arithmetic; and that the function is this and the steps."""
    nodes, watched = traced(fused)[1:]
    value = watched["exp_double_double", "q"]
    beginning = traces.needed([value])
    names = {k - LAST: COEFFICIENTS[k] for k in range(LAST, DEGREE + 1)}
    traces.check_meaning(value, lambda r: traces.horner(names, r), "r")
    proven = operations(beginning)
    for k in reversed(range(LAST)):
        proven += operations(step(k, {}, fused, begins=k == LAST - 1)[1])
    if operations(nodes) != proven:
        raise ArithmeticError("The source takes other steps than those of this proof.")
    return beginning, value


def first_script(fused, largest):
    beginning, value = first(fused)
    script = gappa.Script(beginning)
    return script.text({"r"}) + FIRST_CLAIM.format(
        q=script.of(value), meaning=script.without_rounding(), largest=largest
    )


def step_script(k, fused, largest, high, low):
    """How far the pair is from coefficient + (r + r_tail) (high + low), and both its parts."""
    (exact,) = traces.symbols("exact")
    (total, tail), nodes, watched = step(k, {} if fused else {("residual64", "result"): exact}, fused)
    script = gappa.Script(nodes)
    mixed, off = watched["horner_step", "lost"].operands
    product = watched["horner_step", "product"]
    *_, of_high = traces.product_and_sum(mixed)
    named = {"total": total, "tail": tail, "residual": off, "product": product, "mixed": mixed}
    fields = {name: script.of(node) for name, node in named.items()}
    fields["c"], fields["c_tail"] = map(script.of, coefficient(k))
    fields["roundings"] = script.roundings(total, tail, atoms=[mixed, off, product])
    inner = gappa.exact_expression(mixed.operation, list(map(script.of, mixed.operands)))
    fields["mixed_roundings"] = f"({fields['mixed']} - ({inner})) + ({script.of(of_high)} - r_tail * high)"
    if fused:
        fields["off"], fields["minus"] = "", script.of(off.operands[0])
    else:
        fields["mixed_roundings"] += f" + ({script.of(mixed.operands[0])} - r * low)"
        error_of_residual = residual.bound(with_tail=False) * largest * high
        fields["off"] = f"/\\ |exact - ({fields['product']} - r * high)| <= {error_of_residual!r}\n"
    return (
        script.text({node.name for node in nodes if node.operation == "input"})
        + (STEP_CLAIM + FUSED * fused).format(
            **fields, largest=largest, r_tail=exp_double.LARGEST_TAIL, high=high, low=low
        )
        + script.cancellations()
    )


@functools.cache
def error(fused, largest):
    """How far the sum is from exp(r + r_tail), relative to that, for r up to this."""
    of_first, high = gappa.prove(first_script(fused, largest))
    off, low = of_first + DERIVATIVE * exp_double.LARGEST_TAIL, 0.0
    for k in reversed(range(LAST)):
        of_step, high, low = gappa.prove(step_script(k, fused, largest, high, low))
        off = of_step + (largest + exp_double.LARGEST_TAIL) * off
    return (off / exp(-largest) + approximation(largest)) * SLACK


def bound(fused):
    """In half units in the last place of 1."""
    return (error(fused, exponential.LARGEST_R) + exp_double.LOST) / UNIT


@functools.cache
def growth(fused):
    """c: exp(-d) is within c d + LEFT u of itself, for every d."""
    edges = [*(exponential.LARGEST_R * 2.0**-power for power in (0, 1, *range(2, 50, 4))), 0.0]
    c = bound(fused) / edges[1]
    for high, low in pairwise(edges):
        if error(fused, high) / UNIT > c * low + LEFT:
            raise ArithmeticError(f"The error up to {high} does not fall as it should.")
    return c
