"""The formulas as Python functions: the kernels' sources, translated statement by statement.

What is translated is the text of the sources, so an operation that changes there changes here. The functions
can be called with `arithmetic.Number`: numbers, which gives the bits that the compiled kernels give, or
symbols, which gives the list of operations that a proof is about.
"""

import ast
import re
from itertools import chain
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "src" / "fastlogit" / "kernels"
HEXADECIMAL = r"-?0x[0-9a-f]+(?:\.[0-9a-f]*)?p[+-]?\d+"
TYPES = ("real", "double", "float", "uint64_t", "uint32_t")


def defined_constants(text):
    """(type, value) of the constants that the .pxd defines as macros and declares below."""
    declared = {}
    for c_type, names in re.findall(r"^    const (double|float) (.*)$", text, flags=re.MULTILINE):
        declared |= dict.fromkeys(re.split(r",\s*", names), c_type)
    constants = {}
    for name, value in re.findall(r"#define (\w+) (.*)$", text, flags=re.MULTILINE):
        numbers = re.sub(rf"({HEXADECIMAL})f?", r"float.fromhex('\1')", value)
        constants[name] = (declared[name], float(eval(numbers)))
    assert declared.keys() == constants.keys()
    return constants


def pxd_functions(text):
    """Name, return type, [(type, is a pointer, name)] and body of each inline function."""
    head = re.compile(
        r"^cdef inline (\w+) (\w+)\(([^)]*)\) noexcept nogil:\n((?:    .*\n|\n)+)", re.MULTILINE
    )
    for returned, name, arguments, body in head.findall(text):
        parsed = [
            re.fullmatch(r"(?:const )?(\w+) (\*?)(\w+)", part.strip()).groups()
            for part in re.sub(r",\s*$", "", arguments.strip()).split(",")
        ]
        yield name, returned, [(t, bool(star), n) for t, star, n in parsed], body


def c_functions(text, fused):
    """The same of the inline functions in arithmetic.h; `fused` chooses the branch of the preprocessor."""
    with_fma, without = re.search(
        r"#define FASTLOGIT_FUSED 1\n(.*)#else\n#define FASTLOGIT_FUSED 0\n(.*?)#endif", text, re.DOTALL
    ).groups()
    function = re.compile(r"static inline (\w+) fastlogit_(\w+)\(([^)]*)\)\s*\{(.*?)\}", re.DOTALL)
    for returned, name, arguments, body in function.findall(with_fma if fused else without):
        parsed = [part.split() for part in arguments.split(",")]
        body = re.sub(r"/\*.*?\*/", "", body).replace("fastlogit_", "")
        lines = []
        for statement in filter(None, (part.strip() for part in body.split(";"))):
            statement = re.sub(r"\((double|float|uint64_t)\)", r"<\1> ", statement)
            statement = re.sub(r"(0x[0-9a-f.]+|\b0\.0)f\b", r"\1", statement)
            statement = re.sub(r"^(double|float) ", r"cdef \1 ", statement)
            lines.append("    " + statement + "\n")
        yield name, returned, [(t, False, n) for t, n in parsed], "".join(lines)


def split_commas(text):
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def python_body(body):
    """(Python text, {name: type}) of a body: declarations become assignments, casts a power, & a call."""
    body = re.sub(r'^    """.*?"""\n', "", body, count=1, flags=re.DOTALL)
    types, lines = {}, []
    for line in body.splitlines():
        declaration = re.match(r"^(\s+)cdef (\w+) (.*)$", line)
        if declaration:
            indent, c_type, names = declaration.groups()
            line = indent + "pass"
            for part in split_commas(names):
                name, _, value = part.partition(" = ")
                types[name] = c_type
                line += f"; {name} = {value or None}"
        lines.append(line)
    text = "\n".join(lines) + "\n"
    text = re.sub(rf"<({'|'.join(TYPES)})> ", r"CAST[\1] ** ", text)
    text = re.sub(r"&(\w+)\b(?=[,)])", r"REFERENCE(\1)", text)
    return text, types


class Conversions(ast.NodeTransformer):
    """Every assignment converts to the declared type and names the value; references go in and come out."""

    def __init__(self, name, returned, types, pointers):
        self.name, self.returned, self.types, self.pointers = name, returned, types, pointers

    def converted(self, c_type, value, name):
        call = ast.parse(f"ASSIGNED({c_type}, None, {self.name!r}, {name!r})", mode="eval").body
        call.args[1] = value
        return call

    def visit_Assign(self, node):
        (target,) = node.targets
        if isinstance(node.value, ast.Constant) and node.value.value is None:
            return node
        if isinstance(target, ast.Name) and target.id in self.types:
            node.value = self.converted(self.types[target.id], node.value, target.id)
        elif isinstance(target, ast.Subscript):
            pointer = target.value.id
            node.value = self.converted(self.pointers[pointer], node.value, pointer)
        return self.visit_Expr(node)

    def visit_AugAssign(self, node):
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        node = ast.Assign([node.target], ast.BinOp(read, node.op, node.value))
        return self.visit_Assign(ast.fix_missing_locations(node))

    def visit_Return(self, node):
        node.value = self.converted(self.returned, node.value, "result")
        return self.visit_Expr(node)

    def visit_Expr(self, node):
        """A call with references: the variables become cells of one element, and are read back."""
        names = [
            call.args[0].id
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "REFERENCE"
        ]
        before = [ast.parse(f"cell_{n} = [{n}]").body[0] for n in names]
        after = [ast.parse(f"{n} = cell_{n}[0]").body[0] for n in names]
        text = re.sub(r"REFERENCE\((\w+)\)", r"cell_\1", ast.unparse(node))
        return [*before, ast.parse(f"def f():\n    {text}").body[0].body[0], *after]


class Fused:
    """A function of a fused type: ``function[float32]`` is that of the type."""

    def __init__(self, function):
        self._function = function

    def __getitem__(self, real):
        return lambda *arguments: self._function(*arguments, real=real)

    def __call__(self, *arguments):
        return self._function(*arguments, real="float64")


def translated(name, returned, arguments, body):
    """The source of a Python function."""
    text, types = python_body(body)
    pointers = {n: t for t, star, n in arguments if star}
    scalars = {n: t for t, star, n in arguments if not star and t != "bint"}
    module = ast.parse(f"def {name}({', '.join(n for *_, n in arguments)}, *, real=None):\n{text}")
    (function,) = module.body
    Conversions(name, returned, types | scalars, pointers).visit(function)
    entry = [ast.parse(f"{n} = ASSIGNED({t}, {n}, {name!r}, {n!r})").body[0] for n, t in scalars.items()]
    function.body[:0] = entry
    return ast.unparse(ast.fix_missing_locations(module))


def definitions(fused):
    """Constants by name, and (name, return type, arguments, body) of each function, of the files above."""
    modules = [(KERNELS / f"{name}.pxd").read_text() for name in ("doubles", "formulas", "terms")]
    header = (KERNELS / "arithmetic.h").read_text()
    wrappers = (KERNELS / "arithmetic.pxd").read_text()
    constants = dict(chain.from_iterable(defined_constants(pxd).items() for pxd in modules))
    found = [*c_functions(header, fused), *chain.from_iterable(map(pxd_functions, [wrappers, *modules]))]
    return constants, found


def functions(arithmetic, fused):
    """The functions of these files by name, over the numbers of `arithmetic`."""
    constants, found = definitions(fused)
    space = dict(arithmetic.builtins(fused))
    for name, (c_type, value) in constants.items():
        space[name] = arithmetic.constant(value, c_type)
    for name, returned, parameters, body in found:
        if "any_real" in str(parameters) or name in space:  # numbers do the latter themselves
            continue
        text = translated(name, returned, parameters, body)
        exec(compile(text, f"<{name}>", "exec"), space)
        space[name] = Fused(space[name])
    return space
