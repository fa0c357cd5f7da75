"""A trace as a Gappa script, and Gappa's answer."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from arithmetic import exponent

# Exponents without end: that they stay in range is argued beside each proof.
FORMATS = {
    "float64": "float<53, -4000, ne>",
    "float32": "float<24, -4000, ne>",
    "upper half": "float<26, -4000, zr>",
}
INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


def literal(value):
    """A dyadic number as Gappa reads it."""
    numerator, denominator = value.numerator, value.denominator
    assert denominator & (denominator - 1) == 0
    sign = "-" if numerator < 0 else ""
    return f"{sign}{abs(numerator)}b{1 - denominator.bit_length()}"


def power_of_two(value):
    return value is not None and value != 0 and abs(value) == Fraction(2) ** exponent(value)


class Script:
    """Definitions of the nodes of a trace in their order, each rounded as the code rounds."""

    def __init__(self, nodes):
        self.nodes, self.lines, self.names = nodes, [], {}
        taken = {}
        for node in nodes:
            base = re.sub(r"\W", "_", node.name or "t")
            taken[base] = taken.get(base, 0) + 1
            # A first one keeps its name; t1, t2, ... are the values that have none in the source.
            name = base if node.name and taken[base] == 1 else f"{base}{taken[base]}"
            self.names[id(node)] = name
        for node in nodes:
            if node.operation != "input":
                self.lines.append(f"{self.of(node)} = {self._rounded(node)};")

    def text(self, inputs, form="float64"):
        """The definitions; the inputs are numbers of this format."""
        given = [f"{name} = {FORMATS[form]}({name}_);" for name in sorted(inputs)]
        return "\n".join([*given, *self.lines]) + "\n"

    def without_rounding(self):
        """The same expressions with M_ before each name and no rounding: what they mean."""
        lines = []
        for node in self.nodes:
            if node.operation != "input":
                operands = [o if o.startswith("(") else f"M_{o}" for o in map(self.of, node.operands)]
                lines.append(f"M_{self.of(node)} = {exact_expression(node.operation, operands)};")
        return "\n".join(lines) + "\n"

    def of(self, node):
        return self.names[id(node)] if node.value is None else f"({literal(node.value)})"

    def linear(self, node, atoms=()):
        """The node as a sum: coefficients of what it is a sum of, and of its roundings."""
        if any(node is atom for atom in atoms):
            return {self.of(node): 1}, {}
        if node.value is not None:
            return {"1": node.value}, {}
        if node.operation == "negate":
            return scaled(-1, self.linear(node.operands[0], atoms))
        if node.operation == "multiply" and any(power_of_two(operand.value) for operand in node.operands):
            factor, other = sorted(node.operands, key=lambda operand: operand.value is None)
            return scaled(factor.value, self.linear(other, atoms))
        *factors, last = node.operands or [None]
        if node.operation == "fma" and any(power_of_two(factor.value) for factor in factors):
            factor, other = sorted(factors, key=lambda operand: operand.value is None)
            sign, left = 1, scaled(factor.value, self.linear(other, atoms))
        elif node.operation in ("add", "subtract"):
            sign, left = 1 if node.operation == "add" else -1, self.linear(factors[0], atoms)
        else:
            return {self.of(node): 1}, {}
        terms, roundings = added(left, scaled(sign, self.linear(last, atoms)))
        exact = exact_expression(node.operation, list(map(self.of, node.operands)))
        if self._rounded(node) != exact:
            roundings = {**roundings, f"({self.of(node)} - ({exact}))": 1}
        return terms, roundings

    def roundings(self, *nodes, atoms=()):
        """The roundings in a sum of nodes."""
        total = ({}, {})
        for node in nodes:
            total = added(total, self.linear(node, atoms))
        return combination(total[1]) or "0"

    def cancellations(self):
        """Hints: where a sum takes off what it is a sum of, what is left, and the roundings."""
        lines = []
        for node in self.nodes:
            if node.operation in ("add", "subtract") and node.operands[0] is not node.operands[1]:
                sign = 1 if node.operation == "add" else -1
                left, right = map(self.linear, node.operands)
                terms, roundings = added(left, scaled(sign, right))
                if len(terms) < 2:
                    exact = exact_expression(node.operation, list(map(self.of, node.operands)))
                    rest = combination({**terms, **roundings}) or "0"
                    lines += [f"{exact} -> {rest};"] * (rest != exact)
        return "\n".join(lines) + "\n"

    def _rounded(self, node):
        exact = exact_expression(node.operation, [self.of(operand) for operand in node.operands])
        power = any(power_of_two(operand.value) for operand in node.operands)
        doubled = node.operation == "add" and node.operands[0] is node.operands[1]
        if node.operation == "negate" or (node.operation == "multiply" and power) or doubled:
            return exact
        return f"{FORMATS['upper half' if node.operation == 'upper half' else node.format]}({exact})"


def scaled(factor, sums):
    return tuple({name: factor * coefficient for name, coefficient in sum.items()} for sum in sums)


def added(left, right):
    both = [dict.fromkeys([*a, *b]) for a, b in zip(left, right, strict=True)]
    total = [
        {name: a.get(name, 0) + b.get(name, 0) for name in names}
        for names, a, b in zip(both, left, right, strict=True)
    ]
    return tuple({name: c for name, c in sum.items() if c} for sum in total)


def combination(terms):
    """A linear combination as Gappa reads it."""
    return " + ".join(
        name if coefficient == 1 else f"({literal(Fraction(coefficient))}) * {name}"
        for name, coefficient in terms.items()
    )


def exact_expression(operation, operands):
    if operation == "add" and operands[0] == operands[1]:
        return f"2 * {operands[0]}"
    if operation in INFIX:
        return f"{operands[0]} {INFIX[operation]} {operands[1]}"
    if operation == "fma":
        return "{} * {} + {}".format(*operands)
    return f"-{operands[0]}" if operation == "negate" else operands[0]


def prove_all(scripts):
    """`prove` for each, on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(prove, scripts))


def prove(text):
    """The upper bounds that Gappa gives for the questions of the script, which ask for sizes, in order."""
    done = subprocess.run(["gappa"], input=text, capture_output=True, text=True, check=False)
    complaints, _, results = (done.stderr + done.stdout).partition("Results:")
    found = re.findall(r" in \[(?:\S+ \{.*?\}|\S+), (\d+)(?:b(-?\d+))?[ \]]", results)
    if done.returncode or len(found) != text.count(" in ?"):
        raise ArithmeticError(f"Gappa does not prove this:\n{text}\n{done.stderr}")
    # A rewriting that is no identity is only warned of, and what follows from it proves nothing.
    if "not trivially equal" in complaints or "pointless" in complaints:
        raise ArithmeticError(f"A hint is no identity:\n{text}\n{done.stderr}")
    # Rounded up, as the last digit of a float may be lost.
    return [float(int(digits) * Fraction(2) ** int(power or 0)) * (1 + 2.0**-50) for digits, power in found]
