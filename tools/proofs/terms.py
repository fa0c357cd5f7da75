"""How far the terms of the softmax family are from the exponential, alone and with their tails.

In units u of half a unit in the last place of 1, relative to exp(r). The polynomial is one of `high`, and
`low` enters as exp(high) (1 + low), which lacks exp(high) low^2 / 2. What Gappa is not asked, because it is
no rounding: x is at most 2367 (float32: 390) from 0, by `exp_range`, so k has 12 (10) bits and its product
with the larger part of ln 2 is exact in the sum; so is `high`, a multiple of 2^-54 (2^-25) below 0.35. Then
abs(low) < 2^-27.4 (2^-19.8); its rounding and what the smaller part of ln 2 lacks are below 2^-80 (2^-43).
power is 1: what is a power of two times as large is rounded alike, since `exp_range` keeps terms normal.
Tails can underflow only where they are 2^-1074 (2^-149) beside a term of 2^-1018 (2^-126) at least.
"""

from itertools import pairwise
from math import exp

import exponential
import gappa
import traces

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}
LARGEST_LOW = {"float64": 2.0**-27.4, "float32": 2.0**-19.8}
LOW_ERROR = {"float64": 2.0**-80, "float32": 2.0**-43}
TERMS = {"float64": exponential.TERMS, "float32": exponential.TERMS_32}
PIECES = 32
SLACK = 1 + 2.0**-20  # also of the approximation, relative to a sum that is a little off

CLAIM = """
M = M_high + M_{rest};
{{{{ high in [{{low!r}}, {{high!r}}] /\\ |low| <= {largest_low!r} /\\ |low - M_low| <= {low_error!r}
-> |high + {rest} - M| in ? /\\ |{term} - (1 + high + {rest})| in ?
/\\ |({term} + {tail}) - (1 + high + {rest})| in ? }}}}
high + {rest} - M -> {rest} - M_{rest};
{term} - (1 + high + {rest}) -> {roundings_of_term};
({term} + {tail}) - (1 + high + {rest}) -> {roundings};
"""


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
            largest_low=LARGEST_LOW[form],
            low_error=LOW_ERROR[form],
        )
        + script.cancellations()
    )


def bounds(form, fused):
    """Of the sum of the parts, of the term, and of the term with its tail, in u."""
    edges = [exponential.LARGEST_R * (2 * i / PIECES - 1) for i in range(PIECES + 1)]
    approximation = exponential.polynomial_error(form) + LARGEST_LOW[form] ** 2 / 2 * SLACK
    pieces, template = list(pairwise(edges)), script(form, fused)
    answers = gappa.prove_all(template.format(low=low, high=high) for low, high in pieces)
    parts, alone, with_tail = 0.0, 0.0, 0.0
    for (low, _), found in zip(pieces, answers, strict=True):
        smallest = exp(low) * (1 - LARGEST_LOW[form])
        of_parts, of_term, of_both = (error / smallest / UNIT[form] * SLACK for error in found)
        of_parts += approximation / UNIT[form] * SLACK
        parts = max(parts, of_parts)
        alone, with_tail = max(alone, of_parts + of_term), max(with_tail, of_parts + of_both)
    return parts, alone, with_tail
