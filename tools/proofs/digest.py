"""A digest of the code that a formula is evaluated by: a proof, or a trial of all inputs, is of this code.

Comments, docstrings and what is for the other element type do not count.
"""

import ast
import functools
import hashlib

import source

PUBLIC = {"logit": "logit", "expit": "expit", "log_expit": "log_expit_within", "softplus": "log_expit_within"}


class OfOneType(ast.NodeTransformer):
    """Leaves the branches for the other type out."""

    def __init__(self, real):
        self.real = real

    def decided(self, test):
        if isinstance(test, ast.Compare) and ast.unparse(test.left) == "real":
            return ast.unparse(test.comparators[0]) == self.real
        return None

    def visit_If(self, node):
        node = self.generic_visit(node)
        decided = self.decided(node.test)
        return node if decided is None else node.body if decided else node.orelse

    def visit_IfExp(self, node):
        node = self.generic_visit(node)
        decided = self.decided(node.test)
        return node if decided is None else node.body if decided else node.orelse


def called(tree, names, real):
    """(function, element type) of what the tree refers to."""
    typed = {
        id(node.value): ast.unparse(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            of_type = typed.get(id(node), "real")
            yield node.id, real if of_type == "real" else of_type


@functools.cache
def definitions(kernels, fused):
    """Constants, and what each function is translated from, of the sources in this folder."""
    constants, functions = source.definitions(fused)
    return constants, {name: rest for name, *rest in functions}


@functools.cache
def translated(kernels, fused, name):
    return source.translated(name, *definitions(kernels, fused)[1][name])


def code(name, real):
    """The lines of the function and of all that it calls, with and without fused multiply-add."""
    lines = []
    for fused in (True, False):
        constants, functions = definitions(source.KERNELS, fused)
        wanted, done = [(name, real)], set()
        while wanted:
            of = wanted.pop()
            if of in done:
                continue
            done.add(of)
            if of[0] in constants:
                lines.append(f"{of[0]} = {constants[of[0]]}")
                continue
            tree = OfOneType(of[1]).visit(ast.parse(translated(source.KERNELS, fused, of[0])))
            lines.append(f"{of} {fused} {ast.unparse(tree)}")
            wanted += called(tree, constants.keys() | functions.keys(), of[1])
    return sorted(set(lines))


def combined(digests, text=""):
    return hashlib.sha256("\n".join([*digests, text]).encode()).hexdigest()[:16]


def of_formula(name, real):
    return combined(code(name, real))


def of_function(name, dtype):
    """Of an elementwise function of the package."""
    return of_formula(PUBLIC[name], dtype)
