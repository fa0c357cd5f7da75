"""Traces of the formulas, with some of their variables replaced by symbols or numbers."""

import functools
from fractions import Fraction

import arithmetic
import source


@functools.cache
def formulas(fused=True):
    return source.functions(arithmetic, fused)


def number(value):
    return arithmetic.Number("float64", "constant", (), Fraction(value))


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
    nodes = needed([result])
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
