"""How far `log_of_quotient` is from leading + 2 atanh(S), for the logarithms that use it.

Its arguments say N = numerator + numerator_tail, D = denominator + denominator_tail and S = N / D. Gappa
bounds how far the sum before the last rounding is from leading + leading_tail + 2 s + s Z T + 2 (S - s),
with Z = s^2 and T the polynomial without roundings. What that lacks of the logarithm is the error of the
polynomial, which Sollya certifies, and of atanh(S) = atanh(s) + (S - s) / (1 - t^2), for a t between s and
S, the t^2.

Gappa has the denominator in [1, 2]: numerators and denominators can be scaled alike by a power of two.
Without a leading sum the numerator is scaled alone, and the error is relative: s, the cube and what is added
are scaled with it, z is not. Negative arguments are positive ones with other signs.
"""

import functools
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from itertools import product

import exponential
import gappa
import residual
import traces

LARGEST_S = 0.2003
LEAST_LEADING = 0.69
SMALL = 2.0**-51  # what the tails of numerator and denominator may be beside the denominator
SQUARES = (0.0402, 0.0156, 0.01, 2.0**-9, 2.0**-40)  # of s, for which the relative error is proven
LN2 = Fraction(Context(prec=60).ln(Decimal(2)))

CLAIM = """
T = T_;
Z = Z_;
N = num + numt;
D = den + dent;
S = N / D;
C = s * Z * T;
L = {leading} + {leadt};
R0 = L + 2 * s - {total};
R = 2 * (S - s) + R0;
V = L + 2 * s + C + 2 * (S - s);
Y = {total} + {inner};
E = N - s * D;
{{ {ranges} /\\ den in [1, 2] /\\ |dent| <= 1b-51
/\\ T_ in [0.66, 0.69] /\\ |{tail} - T_| <= {tail_error!r}
/\\ Z_ in [0, {square!r}] /\\ |z - Z_| <= {z_error!r}
{exact_off}-> |Y - V| in ? }}
num * {r} -> num / den + num * ({r} - 1 / den) {{ den <> 0 }};
Y - V -> {inner} - (C + R);
{inner} - (C + R) -> ({inner} - ({cube} * {tail} + {rest})) + ({cube} * {tail} - C) + ({rest} - R);
{cube} * {tail} - C -> ({cube} - s * z) * {tail} + s * (z - Z) * {tail} + s * Z * ({tail} - T);
{rest} - R -> ({rest} - ({error} * {twice} + {rest0})) + ({error} * {twice} - 2 * (S - s)) + ({rest0} - R0);
{error} * {twice} - 2 * (S - s) -> ({error} - E) * {twice} + E * ({twice} - 2 / D) {{ D <> 0 }};
{twice} - 2 / D -> 2 * (({r} - 1 / den) + (1 / den - 1 / D));
1 / den - 1 / D -> dent / (den * D) {{ den <> 0, D <> 0 }};
{error} - E ->
    ({error} - ({exact} + {tails})) + ({exact} - (num - s * den))
    + ({tails} - ({minus} * dent + numt));
num - s * den -> -((s - num * {r}) * den) - num * ({r} - 1 / den) * den {{ den <> 0 }};
E -> {error} - ({error} - E);
"""
FUSED = """
{exact} - (num - s * den) -> {exact} - ({minus} * den + num);
{minus} * den + num -> num - s * den;
"""


@functools.cache
def polynomial_error():
    """Certified by Sollya: how far 2 s + s^3 T is from 2 atanh(s), relative to that."""
    names = {2 * k + 1: f"ATANH_{k}" for k in range(1, 9)}
    terms = exponential.polynomial(names)
    return exponential.sollya(
        f"sup(supnorm(2 * x + {terms}, 2 * atanh(x), [0; {LARGEST_S}], relative, 2^(-12)));"
    )


@functools.cache
def tail_error(fused):
    """How far `atanh_tail` is from T for one z."""
    (z,) = traces.symbols("z")
    tail, nodes, _ = traces.traced({}, lambda f: f["atanh_tail"]["float64"](z), z, fused=fused)
    coefficients = {k - 1: f"ATANH_{k}" for k in range(1, 9)}
    traces.check_meaning(tail, lambda z: traces.horner(coefficients, z), "z")
    script = gappa.Script(nodes)
    name = script.of(tail)
    text = script.text({"z"}) + "M_z = z;\n" + script.without_rounding()
    (bound,) = gappa.prove(text + f"{{ z in [0, 0.0402] -> |{name} - M_{name}| in ? }}\n")
    return bound


def script(with_leading, ranges, square, largest_s, fused):
    """The question how far the sum is off."""
    names = ["num", "numt", "den", "dent"]
    arguments = traces.symbols(*names)
    z, tail, *leading = traces.symbols("z", "tail", *(["leading", "leadt"] if with_leading else []))
    inputs = [*arguments, z, tail, *leading]
    leading = leading or [traces.number(0)] * 2
    replaced = {("log_of_quotient_parts", "z"): z, ("atanh_tail", "result"): tail}
    if not fused:
        (exact,) = traces.symbols("exact")
        replaced["residual64", "result"] = exact
        inputs.append(exact)
    result, nodes, watched = traces.traced(
        replaced,
        lambda functions: functions["log_of_quotient"]["float64"](True, *leading, *arguments),
        *inputs,
        fused=fused,
    )
    total, inner = result.operands
    cube, _, rest = traces.product_and_sum(inner)
    error, twice, rest0 = traces.product_and_sum(rest)
    exact, tails = error.operands
    script = gappa.Script(nodes)
    named = {
        "total": total, "inner": inner, "cube": cube, "tail": tail, "rest": rest, "error": error,
        "twice": twice, "rest0": rest0, "exact": exact, "tails": tails,
        "minus": traces.product_and_sum(tails)[0], "r": watched["log_of_quotient_parts", "reciprocal"],
        "leading": leading[0], "leadt": leading[1],
    }  # fmt: skip
    fields = {name: script.of(node) for name, node in named.items()}
    fields["exact_off"] = ""
    if not fused:
        off = residual.bound(with_tail=False) * largest_s
        fields["exact_off"] = f"/\\ |exact - (num - s * den)| <= {off!r}\n"
    roundings = script.roundings(rest0, atoms=[total])
    return (
        script.text({node.name for node in inputs})
        + (CLAIM + FUSED * fused).format(
            **fields, ranges=ranges, tail_error=tail_error(fused), square=square, z_error=square * 2.0**-53
        )
        + f"{fields['rest0']} - R0 -> {roundings};\n"
        + "R0 -> 0;\n" * (not with_leading)
        + script.cancellations()
    )


@functools.cache
def absolute_error(fused):
    """Beside a leading sum: how far the sum before the last rounding is off, for every s."""
    ranges = (
        f"|num| <= {2 * LARGEST_S!r} /\\ |num / den| <= {LARGEST_S!r} /\\ |numt| <= 1b-51"
        f" /\\ leading in [{LEAST_LEADING!r}, 1024] /\\ |leadt| <= 1b-28"
    )
    (bound,) = gappa.prove(script(True, ranges, SQUARES[0], 1, fused))
    return bound


@functools.cache
def relative_error(square, fused):
    """Without one, relative to s, for s^2 <= square; numerator_tail is below 2^-33 of the numerator."""
    thirds = ((1.0, 1.25), (1.25, 1.5), (1.5, 2.0))
    cases = list(product(thirds, thirds))
    ranges = [
        f"num in [{low!r}, {high!r}] /\\ den in [{d!r}, {e!r}] /\\ |numt| <= 1b-33"
        for (low, high), (d, e) in cases
    ]
    found = gappa.prove_all(script(False, text, square, 2, fused) for text in ranges)
    return max(
        bound * e / low * (1 + 2.0**-50) for ((low, _), (_, e)), (bound,) in zip(cases, found, strict=True)
    )


@dataclass
class Case:
    """Beside a denominator of at least 1: the tails, and how far N and D are from what they should be."""

    numerator_tail: float = 0.0
    denominator_tail: float = 0.0
    numerator_error: float = 0.0
    denominator_error: float = 0.0


def error(s, case, with_leading, fused):
    """How far log_of_quotient is off before the last rounding, where abs(S) is at most s."""
    assert s < LARGEST_S - 2.0**-20
    assert case.denominator_tail <= SMALL
    assert case.numerator_tail <= SMALL or not with_leading
    square = min(square for square in SQUARES if s * s < square * (1 - 2.0**-20))
    rounded = absolute_error(fused) if with_leading else relative_error(square, fused) * s
    # s is rounded twice, and S has the tails.
    distance = s * (2.0**-52 + case.denominator_tail) + case.numerator_tail
    propagated = 2 * (case.numerator_error + s * case.denominator_error) * 1.05
    missing = 2 * s * polynomial_error() * 1.02 + 2 * distance * s * s / (1 - s * s)
    return (rounded + propagated + missing) * (1 + 2.0**-20)


def bound(fused):
    """In half units in the last place of 1: beside a leading sum, or without one relative to 2 s."""
    return max(absolute_error(fused), relative_error(SQUARES[0], fused) / 2) * 2.0**53
