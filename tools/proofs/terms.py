"""How far the terms of the softmax family are from the exponential, alone and with their tails.

In units u of half a unit in the last place of 1, relative to exp(r). The polynomial is one of `high`, and
`low` enters as exp(high) (1 + low), which lacks exp(high) low^2 / 2. What Gappa is not asked, because it is
no rounding: x is at most 2371 (float32: 393) from 0, by `exp_range`, so k has 12 (10) bits. With fused
multiply-add the product with the larger part of ln 2 is not rounded; without, that part has 39 bits in
float64. So `high` is exact, a multiple of 2^-54 (2^-25) below 0.35. Then abs(low) < 2^-43.4 (without fused
multiply-add 2^-30.6, float32 2^-19.8); its rounding and what the smaller part of ln 2 lacks are below 2^-96
(2^-83, 2^-43). float32 without fused multiply-add has a larger part of 14 bits, so abs(low) < 2^-5.9, and the
polynomial is one of high + low.
power is 1: what is a power of two times as large is rounded alike, since `exp_range` keeps terms that count
normal. Of the others some are subnormal, and those from `lowest` down are 0.
Tails can underflow only where they are 2^-1074 (2^-149) beside a term of 2^-1018 (2^-126) at least.
"""

import functools
from dataclasses import dataclass, fields
from itertools import pairwise
from math import exp

import exponential
import gappa
import traces

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}
LOW = {  # how large, and how far off
    ("float64", True): (2.0**-43.4, 2.0**-96),
    ("float64", False): (2.0**-30.6, 2.0**-83),
    ("float32", True): (2.0**-19.8, 2.0**-43),
    ("float32", False): (2.0**-5.9, 2.0**-30.8),
}
TERMS = {"float64": exponential.TERMS, "float32": exponential.TERMS_32}
PIECES = 32
EDGES = [exponential.LARGEST_R * (2 * i / PIECES - 1) for i in range(PIECES + 1)]
SLACK = 1 + 2.0**-20  # also of the approximation, relative to a sum that is a little off

CLAIM = """
M = M_high + M_{rest};
{{{{ {reduced} in [{{low!r}}, {{high!r}}] /\\ |low| <= {largest_low!r} /\\ |low - M_low| <= {low_error!r}
-> |high + {rest} - M| in ? /\\ |{term} - (1 + high + {rest})| in ?
/\\ |({term} + {tail}) - (1 + high + {rest})| in ? }}}}
high + {rest} - M -> {rest} - M_{rest};
{term} - (1 + high + {rest}) -> {roundings_of_term};
({term} + {tail}) - (1 + high + {rest}) -> {roundings};
"""


def of_sum(form, fused):
    """Whether the polynomial is one of high + low."""
    return form == "float32" and not fused


def script(form, fused):
    x, first, second, k = traces.symbols("x", "high", "low", "k", form=form)
    replaced = {
        ("term_parts", "k"): k,
        ("term_parts", "high"): first,
        ("term_parts", "low"): [second],
        ("term_parts", "power"): traces.number(1, form),
    }

    def call(functions):
        zero, tail = traces.number(0, form), [None]
        term = functions["exp_term"][form](x, False, zero, zero, zero, tail)
        return tail[0], term

    (tail, term), nodes, watched = traces.traced(
        replaced, call, x, first, second, k, decisions=[False], fused=fused
    )
    rest = watched["term_parts", "rest"]

    def meaning(high, low):
        if of_sum(form, fused):
            return low + traces.horner(TERMS[form], high + low)
        polynomial = high + traces.horner(TERMS[form], high)
        return polynomial - high + low * (1 + polynomial)

    traces.check_meaning(rest, meaning, "high", "low")
    script = gappa.Script(nodes)
    fields = {"rest": rest, "term": term, "tail": tail}
    return (
        script.text({"high", "low"}, form)
        + "M_high = high;\n"
        + gappa.Script(nodes).without_rounding()
        + CLAIM.format(
            **{name: script.of(node) for name, node in fields.items()},
            roundings=script.roundings(term, tail, atoms=[rest]),
            roundings_of_term=script.roundings(term, atoms=[rest]),
            reduced="high + low" if of_sum(form, fused) else "high",
            largest_low=LOW[form, fused][0],
            low_error=LOW[form, fused][1],
        )
        + script.cancellations()
    )


@dataclass(frozen=True)
class Bounds:
    """In u, relative to exp(r)."""

    parts: float  # 1 + high + rest
    rounding: float  # of their sum to the term
    alone: float  # the term
    with_tail: float


@functools.cache
def roundings(form, fused):
    """What `script` asks for, for each piece."""
    template = script(form, fused)
    return gappa.prove_all(template.format(low=low, high=high) for low, high in pairwise(EDGES))


@functools.cache
def bounds(form, fused):
    largest_low = 0.0 if of_sum(form, fused) else LOW[form, fused][0]
    approximation = exponential.polynomial_error(form) + largest_low**2 / 2 * SLACK
    found = []
    for (low, _), errors in zip(pairwise(EDGES), roundings(form, fused), strict=True):
        smallest = exp(low) * (1 - largest_low)
        of_parts, of_term, of_both = (error / smallest / UNIT[form] * SLACK for error in errors)
        of_parts += approximation / UNIT[form] * SLACK
        found.append(Bounds(of_parts, of_term, of_parts + of_term, of_parts + of_both))
    return Bounds(*(max(getattr(one, field.name) for one in found) for field in fields(Bounds)))
