"""The float64 bound of log_expit, and so of softplus.

With E = 2^k (1 + p) the exact N is h - E and D is 2^h + 1 + E. What Gappa is not asked, because it is no
rounding:

- k where h is 0. Then `numerator` and its tail are those of k = 0 times 2^k. Gappa is asked for these, for
  the denominator of every numerator, and for the leading sum of every x.
- p_tail: as in `expit` without fused multiply-add.
- What underflows. E is above 2^-996, and the last digits that `numerator_tail` can lose are below 2^-1074.
  The residual, without fused multiply-add, loses nothing where the denominator is 2.
- k < -60. Then D is 2, but for 2^-60, and everything is that of k = -60 times a power of two.
- Beyond the bounds. Below -690 the result is x, and exp(x) is less than 2^-990. Above 690 it is E, rounded
  once with 2^200, and once more where it is subnormal: that rounds a number of 53 bits to fewer, and what the
  first rounding and p are off, counts half at most.
- k, and the last rounding: as in `expit`.

softplus(x) is -log_expit(-x), in the same arithmetic (``elementwise.pyx``): the bound is one and the same.
"""

from math import exp, expm1, frexp, inf, log, log1p

import exponential
import gappa
import quotient
import traces

SLACK = 1 + 2.0**-30
POWERS = range(-60, 0)  # k where E < 1/2
LN2 = log(2)
EDGE = 2.0**-28  # what LN2, r and p are off where E is 1/2 or 1
AND = " /\\ "
ARGUMENTS = ("numerator", "numerator_tail", "denominator", "denominator_tail", "leading", "leading_tail")


def reduced(h, k):
    """The interval of r, as far as k and h go."""
    if k == h - 1:
        return -exponential.LARGEST_R, EDGE
    return -EDGE if h else -exponential.LARGEST_R, exponential.LARGEST_R


class Trace:
    """What log_of_quotient is called with, for one h and sign of x."""

    def __init__(self, h, power, negative, fused, replaced=()):
        x, p, p_tail = traces.symbols("x", "p", "p_tail")
        replaced = {
            ("log_expit_within", "h"): traces.number(h),
            ("exp_parts", "k"): traces.number(0),
            ("exp_parts", "high"): traces.number(0),
            ("exp_parts", "power"): traces.number(power),
            ("exp_parts", "p"): p,
            ("exp_parts", "p_tail"): p_tail,
            **dict(replaced),
        }
        inputs = {id(node): node for node in [x, *replaced.values()] if node.operation == "input"}
        result, _, watched = traces.traced(
            replaced,
            lambda functions: functions["log_expit_within"]["float64"](x, x),
            *inputs.values(),
            fused=fused,
            decisions=[negative, h == 1, negative, negative],
        )
        if result is not watched["log_of_quotient", "result"]:
            raise ArithmeticError("log_expit is more than log_of_quotient.")
        self.parts = dict(
            zip(ARGUMENTS, (watched["log_of_quotient", name] for name in ARGUMENTS), strict=True)
        )

    def sums(self, meanings, ranges):
        """How far number and tail are from what they mean, and how large the tail is."""
        nodes = [node for name in meanings for node in (self.parts[name], self.parts[f"{name}_tail"])]
        script = gappa.Script(traces.needed(nodes))
        inputs = {node.name for node in script.nodes if node.operation == "input"}
        text, questions, hints = script.text(inputs), [], ""
        for name, meaning in meanings.items():
            number, tail = self.parts[name], self.parts[f"{name}_tail"]
            off = f"({script.of(number)} + {script.of(tail)}) - {name}_exact"
            text += f"{name}_exact = {meaning};\n"
            questions += [f"|{script.of(tail)}| in ?", f"|{off}| in ?"]
            hints += f"{off} -> {script.roundings(number, tail)};\n"
        given = [f"{name} in [{low!r}, {high!r}]" for name, (low, high) in ranges.items() if name in inputs]
        claim = f"{AND.join(given)} -> {AND.join(questions)}"
        return f"{text}{{ {claim} }}\n{hints}{script.cancellations()}"


def ranges(low, high):
    """Of p and its tail where r is between these."""
    return {"p": (expm1(low) - EDGE, expm1(high) + EDGE), "p_tail": (-(2.0**-53), 2.0**-53)}


def leading_meaning(h, negative):
    ln2 = " + ".join(gappa.literal(traces.constant(name)) for name in ("LN2_HIGH", "LN2_LOW"))
    return f"{'x' if negative else 0} - {h} * ({ln2})"


def scripts(fused):
    """By case: for h = 1 a pair (k, negative), for h = 0 what is the same for every k."""
    questions = {}
    for k in (0, -1):
        for negative in (False, True):
            low, high = reduced(1, k)
            exact = f"1 - {gappa.literal(traces.number(2.0**k).value)} * (1 + (p + p_tail))"
            given = ranges(low, high) | {"x": (k * LN2 + low, k * LN2 + high)}
            meanings = {
                "numerator": exact,
                "denominator": f"4 - ({exact})",
                "leading": leading_meaning(1, negative),
            }
            questions[k, negative] = Trace(1, 2.0**k, negative, fused).sums(meanings, given)
    given = ranges(-exponential.LARGEST_R, exponential.LARGEST_R)
    questions["numerator"] = Trace(0, 1, False, fused).sums({"numerator": "-1 - (p + p_tail)"}, given)
    number, tail = traces.symbols("number", "tail")
    symbols = {("log_expit_within", "numerator"): number, ("log_expit_within", "numerator_tail"): tail}
    given = {"number": (-0.5 - EDGE, 0.0), "tail": (-(2.0**-53), 2.0**-53)}
    trace = Trace(0, 1, False, fused, symbols)
    questions["denominator"] = trace.sums({"denominator": "2 - number - tail"}, given)
    questions["leading"] = Trace(0, 1, True, fused).sums(
        {"leading": leading_meaning(0, True)}, {"x": (-690.0, 0.0)}
    )
    return questions


class Parts:
    """Tails, and how far N, D and the leading sum are off, for each case."""

    def __init__(self, fused):
        questions = scripts(fused)
        self.found = dict(zip(questions, gappa.prove_all(questions.values()), strict=True))

    def of(self, h, k, negative):
        """Beside a denominator of 1: a `quotient.Case`; and what the leading sum is off."""
        if h:
            numerator_tail, numerator, denominator_tail, denominator, _, leading = self.found[k, negative]
        else:
            numerator_tail, numerator = (error * 2.0**k for error in self.found["numerator"])
            denominator_tail, denominator = self.found["denominator"]
            denominator += numerator
            leading = self.found["leading"][1] if negative else 0.0
        constant = abs(float(quotient.LN2 - traces.constant("LN2_HIGH") - traces.constant("LN2_LOW")))
        return (numerator_tail, denominator_tail, numerator, denominator), leading + h * constant * SLACK


def errors(h, k, negative, found, fused):
    """In ulp of the exact result, before the last rounding, for one piece of r at a time."""
    parts, leading = found.of(h, k, negative)
    first, last = reduced(h, k)
    for low, high, error_of_p in exponential.pieces(fused, with_tail=True):
        low, high = max(low, first), min(high, last)
        if low >= high:
            continue
        smallest, largest = 2.0**k * exp(low) / SLACK, 2.0**k * exp(high) * SLACK
        quotients = [(h - e) / (h + 2 + e) for e in (smallest, largest)]
        case = quotient.Case(*(part / (h + 2 + smallest) for part in parts))
        with_leading = bool(h or negative)
        of_quotient = quotient.error(max(map(abs, quotients)), case, with_leading=with_leading, fused=fused)
        error = of_quotient + leading + 2.0**k * error_of_p / (1 + smallest)
        nearest = max(-(k * LN2 + high), 0.0) if negative else -inf
        result = nearest + log1p(exp(-nearest)) if negative else log1p(smallest)
        yield error / 2.0 ** (frexp(result / SLACK)[1] - 53)


def beyond(fused):
    """The same of what log_expit is above its upper bound."""
    x, p, p_tail = traces.symbols("x", "p", "p_tail")
    replaced = {
        ("exp_parts", "power"): traces.number(1),
        ("exp_parts", "p"): p,
        ("exp_parts", "p_tail"): p_tail,
    }
    result, *_ = traces.traced(
        replaced,
        lambda functions: functions["log_expit"]["float64"](x, traces.number(690)),
        x,
        p,
        p_tail,
        fused=fused,
        decisions=[False, False, False, True, False],
    )
    scaled, factor = result.operands
    negated, last = scaled.operation, scaled.operands[0]
    if (negated, factor.value, last.operation) != ("negate", traces.constant("TWO_MINUS_200"), "add"):
        raise ArithmeticError("Above its upper bound log_expit is not a sum, scaled down.")
    script = gappa.Script(traces.needed([last]))
    off = f"({' + '.join(map(script.of, last.operands))}) - (1 + (p + p_tail))"
    given = ranges(-exponential.LARGEST_R, exponential.LARGEST_R)
    claim = AND.join(f"{name} in [{low!r}, {high!r}]" for name, (low, high) in given.items())
    hint = f"{off} -> {script.roundings(*last.operands)};\n"
    (rounded,) = gappa.prove(
        f"{script.text(given)}{{ {claim} -> |{off}| in ? }}\n{hint}{script.cancellations()}"
    )
    worst = max(
        (error + rounded) / 2.0 ** (frexp(exp(low) / SLACK)[1] - 53)
        for low, _, error in exponential.pieces(fused, with_tail=True)
    )
    return max(worst, (0.5 + worst) / 2)


def bound(fused):
    """The largest error in ulp that is left, the last rounding included."""
    cases = [(1, 0), (1, -1), *((0, k) for k in POWERS)]
    found = Parts(fused)
    worst = max(max(errors(h, k, negative, found, fused)) for h, k in cases for negative in (False, True))
    return (0.5 + max(worst, beyond(fused))) * SLACK
