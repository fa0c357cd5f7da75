"""How far the residual c - a (b + b_tail) of a product near c is off without fused multiply-add.

The factors are between 1 and 2 here; other products are these times powers of two.
"""

import functools

import gappa
import traces

CLAIM = """
{{ a in [1, 2] /\\ b in [1, 2] /\\ {tail_range} c in [0.99, 4.01] /\\ |a * b - c| <= 1b-49
-> |{result} - (c - a * (b + {b_tail}))| in ? }}
c - {upper_product} -> (c - a * b) + ((a - {a_high}) * b + {a_high} * (b - {b_high}) - {lost});
{result} - (c - a * (b + {b_tail})) -> {roundings} - {lost} - ({product} - {a_high} * {rest})
    - {a_high} * ({rest} - ((b - {b_high}) + {b_tail}))
    - ({last} - {lower} * b) - ({lower} - (a - {a_high})) * b + (a - {a_high}) * {b_tail};
{rest} - ((b - {b_high}) + {b_tail}) -> {roundings_of_rest};
"""


@functools.cache
def bound(with_tail):
    """For factors of at least 1; b_tail is at most 2^-49, or 0."""
    a, b, c, *b_tail = traces.symbols("a", "b", "c", *(["b_tail"] if with_tail else []))
    inputs = [a, b, c, *b_tail]
    name = "residual_with_tail64" if with_tail else "residual64"
    result, nodes, _ = traces.traced({}, lambda f: f[name](a, b, *b_tail, c), *inputs, fused=False)
    last, (beginning, product) = result.operands[1], result.operands[0].operands
    upper_product, (a_high, rest) = beginning.operands[1], product.operands
    script = gappa.Script(nodes)
    names = {
        "result": result, "last": last, "product": product, "upper_product": upper_product, "rest": rest,
        "a_high": a_high, "b_high": upper_product.operands[1], "lower": last.operands[0],
        "b_tail": b_tail[0] if with_tail else traces.number(0),
    }  # fmt: skip
    fields = {name: script.of(node) for name, node in names.items()}
    fields["lost"] = "({upper_product} - {a_high} * {b_high})".format(**fields)
    fields["roundings"] = script.roundings(result)
    fields["roundings_of_rest"] = script.roundings(rest)
    fields["tail_range"] = "|b_tail| <= 1b-49 /\\ " * with_tail
    (found,) = gappa.prove(script.text({node.name for node in inputs}) + CLAIM.format(**fields))
    return found
