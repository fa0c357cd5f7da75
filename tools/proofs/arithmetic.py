"""Numbers that know the operations that made them, as IEEE arithmetic rounds them.

An operation on known numbers is carried out, exactly and then rounded; any other becomes a node, and the
nodes in the order in which they were made are the trace of a formula.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

PRECISION = {"float32": 24, "float64": 53}
LEAST_EXPONENT = {"float32": -149, "float64": -1074}
WIDTH = {"float32": 32, "float64": 64}
NUMPY = {"float32": (np.float32, np.uint32), "float64": (np.float64, np.uint64)}
FORMAT_OF = {"double": "float64", "float": "float32", "float32": "float32", "float64": "float64"}


def exponent(value):
    """e with 2^e <= abs(value) < 2^(e + 1)."""
    n, d = abs(value.numerator), value.denominator
    e = n.bit_length() - d.bit_length()
    return e if Fraction(n, d) >= Fraction(2) ** e else e - 1


def rounded(value, precision, least, towards_zero=False):
    """To the nearest multiple, ties to even, or towards zero, of the unit of this precision."""
    if value == 0:
        return value
    unit = Fraction(2) ** max(exponent(value) - precision + 1, least)
    quotient = value / unit
    whole = int(quotient) if towards_zero else round(quotient)
    return whole * unit


@dataclass(eq=False)
class Number:
    """`operation` is one of add, subtract, multiply, divide, fma, negate, convert, upper half, input,
    constant, power; `value` is the number, if it is known.
    """

    format: str
    operation: str
    operands: tuple = ()
    value: Fraction | None = None
    name: str | None = None
    trace: list = field(default=None, repr=False)

    def _binary(self, operation, other, reflected=False):
        other = lifted(other, self.format)
        left, right = (other, self) if reflected else (self, other)
        form = "float64" if "float64" in (left.format, right.format) else "float32"
        return computed(form, operation, (left, right))

    def __add__(self, other):
        return self._binary("add", other)

    def __radd__(self, other):
        return self._binary("add", other, True)

    def __sub__(self, other):
        return self._binary("subtract", other)

    def __rsub__(self, other):
        return self._binary("subtract", other, True)

    def __mul__(self, other):
        return self._binary("multiply", other)

    def __rmul__(self, other):
        return self._binary("multiply", other, True)

    def __truediv__(self, other):
        return self._binary("divide", other)

    def __rtruediv__(self, other):
        return self._binary("divide", other, True)

    def __neg__(self):
        return computed(self.format, "negate", (self,))

    def __lt__(self, other):
        return decided("<", self, lifted(other, self.format))

    def __le__(self, other):
        return decided("<=", self, lifted(other, self.format))

    def __gt__(self, other):
        return decided(">", self, lifted(other, self.format))

    def __eq__(self, other):
        return decided("==", self, lifted(other, self.format))


class Tracing:
    """What a trace is made under: values put in the place of variables, and decisions of comparisons."""

    def __init__(self):
        self.nodes, self.replaced, self.decisions, self.conditions, self.watched = [], {}, [], [], {}


tracing = Tracing()

EXACT = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "fma": lambda a, b, c: a * b + c,
    "negate": lambda a: -a,
    "convert": lambda a: a,
}


def computed(form, operation, operands):
    values = [operand.value for operand in operands]
    if None not in values:
        exact = EXACT[operation](*values)
        return Number(form, "constant", (), rounded(exact, PRECISION[form], LEAST_EXPONENT[form]))
    if operation == "fma" and None not in values[:2]:
        product = values[0] * values[1]
        if product == rounded(product, PRECISION[form], LEAST_EXPONENT[form]):
            operation, operands = "add", (Number(form, "constant", (), product), operands[2])
    elif operation == "fma" and 1 in values[:2]:
        operation, operands = "add", (operands[1 - values.index(1)], operands[2])
    if operation in ("add", "subtract"):  # of 0: no operation, or a change of sign
        left, right = operands
        if right.value == 0 and left.format == form:
            return left
        if left.value == 0 and right.format == form:
            return right if operation == "add" else computed(form, "negate", (right,))
    if operation == "multiply" and 1 in values and all(operand.format == form for operand in operands):
        return operands[1 - values.index(1)]
    node = Number(form, operation, tuple(operands))
    tracing.nodes.append(node)
    return node


def lifted(value, form):
    """A literal of C as a number: an integer takes the type of what it meets, 1.0 is a double."""
    if isinstance(value, Number):
        return value
    return Number(form if isinstance(value, int) else "float64", "constant", (), Fraction(value))


def constant(value, c_type):
    return Number(FORMAT_OF[c_type], "constant", (), Fraction(value))


def symbol(name, form):
    node = Number(form, "input", (), None, name)
    tracing.nodes.append(node)
    return node


RELATIONS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "==": lambda a, b: a == b,
}


def decided(relation, left, right):
    if left.value is not None and right.value is not None:
        return RELATIONS[relation](left.value, right.value)
    decision = tracing.decisions.pop(0)
    tracing.conditions.append((relation, left, right, decision))
    return decision


def converted(c_type, value):
    if c_type not in FORMAT_OF or isinstance(value, Bits) or value is None:
        return value
    form = FORMAT_OF[c_type]
    value = lifted(value, form)
    if value.format == form:
        return value
    return computed(form, "convert", (value,))


def assigned(c_type, value, function, name):
    value = converted(c_type, value)
    if (function, name) in tracing.replaced:
        replacement = tracing.replaced[function, name]
        if not isinstance(replacement, list):
            value = replacement
        elif replacement:  # of one assignment after the other
            value = replacement.pop(0)
    if isinstance(value, Number):
        if value.name is None and value.value is None:
            value.name = name
        tracing.watched[function, name] = value
    return value


class Bits:
    """The pattern of a number, as an unsigned integer, and what is done to it."""

    def __init__(self, width, pattern):
        self.width, self.pattern = width, pattern

    def _with(self, pattern):
        return Bits(self.width, pattern % 2**self.width)

    @staticmethod
    def _plain(other):
        return other.pattern if isinstance(other, Bits) else other

    def __lshift__(self, places):
        return self._with(self.pattern << places)

    def __rshift__(self, places):
        return self._with(self.pattern >> places)

    def __add__(self, other):
        return self._with(self.pattern + self._plain(other))

    def __sub__(self, other):
        return self._with(self.pattern - self._plain(other))

    def __and__(self, other):
        return self._with(self.pattern & self._plain(other))

    def __or__(self, other):
        return self._with(self.pattern | self._plain(other))


class Unknown:
    """The pattern of a number that is not known: nothing can be done with it but be replaced."""

    def __getattr__(self, name):
        raise AttributeError(name)

    def _self(self, *_):
        return self

    __lshift__ = __rshift__ = __add__ = __sub__ = __and__ = __or__ = _self


def bits(form, x):
    x = lifted(x, form)
    if x.value is None:
        return Unknown()
    real, unsigned = NUMPY[form]
    return Bits(WIDTH[form], int(real(float(x.value)).view(unsigned)))


def from_bits(form, pattern):
    if isinstance(pattern, Unknown):
        return Number(form, "power")
    real, unsigned = NUMPY[form]
    return Number(form, "constant", (), Fraction(float(unsigned(pattern.pattern).view(real))))


def fma(a, b, c, form):
    return computed(form, "fma", tuple(lifted(operand, form) for operand in (a, b, c)))


def upper_half(x):
    x = lifted(x, "float64")
    if x.value is not None:
        return Number("float64", "constant", (), rounded(x.value, 26, LEAST_EXPONENT["float64"] + 27, True))
    node = Number("float64", "upper half", (x,))
    tracing.nodes.append(node)
    return node


def magnitude(x):
    """abs(x), for symbols one that is decided by its sign."""
    return -x if x < 0 else x


class Cast:
    """``CAST[type] ** x``: what a cast of C binds like."""

    def __init__(self, c_type):
        self.c_type = c_type

    def __class_getitem__(cls, c_type):
        return cls(c_type)

    def __pow__(self, value):
        return converted(self.c_type, value)


def negative_part(form, x):
    x = lifted(x, form)
    return x if x < 0 else lifted(0, form)


def builtins(fused):
    """What the sources call and do not define."""
    names = {c_type: c_type for c_type in FORMAT_OF}
    return names | {
        "uint64_t": "uint64_t",
        "bint": "bint",
        "CAST": Cast,
        "ASSIGNED": assigned,
        "FUSED": fused,
        "fma": lambda a, b, c: fma(a, b, c, "float64"),
        "fmaf": lambda a, b, c: fma(a, b, c, "float32"),
        "fabs": magnitude,
        "bits64": lambda x: bits("float64", x),
        "bits32": lambda x: bits("float32", x),
        "from_bits64": lambda u: from_bits("float64", u),
        "from_bits32": lambda u: from_bits("float32", u),
        "negative_part64": lambda x: negative_part("float64", x),
        "negative_part32": lambda x: negative_part("float32", x),
        "upper_half64": upper_half,
        "DBL_MIN": constant(2.0**-1022, "double"),
        "FLT_MIN": constant(2.0**-126, "float"),
        "INFINITY": constant(0, "float"),
        "NAN": constant(0, "float"),
        "nextafter": None,
        "nextafterf": None,
        "nextafterl": None,
    }
