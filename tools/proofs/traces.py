"""Traces of the formulas, with some of their variables replaced by symbols or numbers."""

import functools
from fractions import Fraction
from itertools import product

import arithmetic
import source


@functools.cache
def formulas(fused=True):
    return source.functions(arithmetic, fused)


def number(value, form="float64"):
    return arithmetic.Number(form, "constant", (), Fraction(value))


def symbols(*names, form="float64"):
    return [arithmetic.Number(form, "input", (), None, name) for name in names]


def constant(name):
    """The value of a constant of the source."""
    return formulas()[name].value


def traced(replaced, call, *inputs, decisions=(), fused=True):
    """What `call` returns, the nodes that it needs, and the values of the variables of the source.

    `replaced` gives variables other values than the source does, and `decisions` what comparisons with
    symbols come to.
    """
    tracing = arithmetic.tracing
    tracing.nodes, tracing.watched = list(inputs), {}
    tracing.replaced, tracing.decisions = dict(replaced), list(decisions)
    result = call(formulas(fused))
    if tracing.decisions:
        raise ArithmeticError("The source compares less than this proof is about.")
    nodes = needed(result if isinstance(result, tuple) else [result])
    for node in nodes:
        if node.name == "result" and node is not result:
            node.name = None  # of a function of arithmetic.h
    return result, nodes, dict(tracing.watched)


def needed(results):
    """The nodes of the last trace that these are made of."""
    wanted = set()

    def need(node):
        if id(node) not in wanted:
            wanted.add(id(node))
            for operand in node.operands:
                need(operand)

    for result in results:
        need(result)
    return [node for node in arithmetic.tracing.nodes if id(node) in wanted]


def product_and_sum(node):
    """a, b and c of a node that is a b + c, rounded once or twice."""
    if node.operation == "fma":
        return node.operands
    product, other = node.operands
    if node.operation != "add" or product.operation != "multiply":
        raise ArithmeticError("The source has another operation where this proof has a product and a sum.")
    return *product.operands, other


def without_rounding(node, values):
    """The value of a node in exact arithmetic, for inputs by name."""
    if node.value is not None:
        return node.value
    if node.operation == "input":
        return values[node.name]
    operands = [without_rounding(operand, values) for operand in node.operands]
    return arithmetic.EXACT[node.operation](*operands)


def check_meaning(node, meaning, *names):
    """That a node, but for roundings, is this polynomial of the inputs, of a degree below 20 in each."""
    for points in product(range(1, 21), repeat=len(names)):
        values = {name: Fraction(point, 7) for name, point in zip(names, points, strict=True)}
        if without_rounding(node, values) != meaning(**values):
            raise ArithmeticError("The source computes another polynomial.")


def horner(names, x):
    """Sum of c_k x^k with the constants of the source, exactly."""
    return sum(constant(name) * x**k for k, name in names.items())
