"""A trace as a Gappa script, and Gappa's answer."""

import re
import subprocess
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

    def text(self, inputs):
        """The definitions; the inputs are numbers of float64."""
        given = [f"{name} = {FORMATS['float64']}({name}_);" for name in sorted(inputs)]
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

    def _rounded(self, node):
        exact = exact_expression(node.operation, [self.of(operand) for operand in node.operands])
        power = any(power_of_two(operand.value) for operand in node.operands)
        if node.operation == "negate" or (node.operation == "multiply" and power):
            return exact
        return f"{FORMATS['upper half' if node.operation == 'upper half' else node.format]}({exact})"


def exact_expression(operation, operands):
    if operation in INFIX:
        return f"{operands[0]} {INFIX[operation]} {operands[1]}"
    if operation == "fma":
        return "{} * {} + {}".format(*operands)
    return f"-{operands[0]}" if operation == "negate" else operands[0]


def prove(text):
    """The upper bounds that Gappa gives for the questions of the script, which ask for sizes, in order."""
    done = subprocess.run(["gappa"], input=text, capture_output=True, text=True, check=False)
    found = re.findall(r" in \[0, (\d+)b(-?\d+) ", done.stderr + done.stdout)
    if done.returncode or len(found) != text.count(" in ?"):
        raise ArithmeticError(f"Gappa does not prove this:\n{text}\n{done.stderr}")
    # A rewriting that is no identity is only warned of, and what follows from it proves nothing.
    if "not trivially equal" in done.stderr or "pointless" in done.stderr:
        raise ArithmeticError(f"A hint is no identity:\n{text}\n{done.stderr}")
    # Rounded up, as the last digit of a float may be lost.
    return [float(int(digits) * Fraction(2) ** int(power)) * (1 + 2.0**-50) for digits, power in found]
