"""What is proven of each formula, and the bound that is promised of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import digest
import exp_double
import exp_double_double
import expit
import exponential
import log_expit
import log_positive
import logit
import quotient
import residual
import slices
import terms

BOTH = (True, False)
HALF_UNITS = "u"  # half units in the last place of 1
OF_SLICES = ("exp_term", "exp_double", "exp_double_double", "log_positive", "reciprocal", "quotient")


@dataclass(frozen=True)
class Claim:
    """A bound with and without fused multiply-add. `code` names the formulas that it is about."""

    formula: str
    dtype: str
    bound: Callable[[bool], float]
    promised: float
    unit: str
    code: tuple
    arithmetics: tuple = BOTH

    def digest(self):
        return digest.combined([digest.of_formula(name, self.dtype) for name in self.code], self.text())

    def text(self):
        """Of what else the bound is read from."""
        if not set(OF_SLICES) <= set(self.code):
            return ""
        tails = [slices.kept_tails(self.dtype, fused) for fused in BOTH]
        return f"{tails} {slices.least_part()} {slices.rules()}"


def of_field(field, dtype, fused):
    return getattr(terms.bounds(dtype, fused), field)


def of_slices(name, bound, dtype, promised=2.0):
    of_dtype = ("exp_for_float",) if dtype == "float32" else ()
    return Claim(name, dtype, bound, promised, "ulp", OF_SLICES + of_dtype)


def claims():
    """In the order of what is made of what."""
    yield Claim(
        "residual", "float64", lambda fused: residual.bound(True) / 2.0**-53, 2.0**-20, HALF_UNITS,
        ("residual_with_tail64", "residual64"), (False,),
    )  # fmt: skip
    yield Claim("exp_parts", "float64", exponential.bound, 1.0, HALF_UNITS, ("exp_parts",))
    yield Claim("expit", "float64", expit.bound, 1.0, "ulp", ("expit",))
    yield Claim("log_of_quotient", "float64", quotient.bound, 0.11, HALF_UNITS, ("log_of_quotient",))
    yield Claim("logit", "float64", logit.bound, 1.0, "ulp", ("logit_within", "logit"))
    log_expit_code = ("log_expit_within", "log_expit")
    yield Claim("log_expit, softplus", "float64", log_expit.bound, 0.9, "ulp", log_expit_code)
    yield Claim("log_positive", "float64", log_positive.bound, 0.8, "ulp", ("log_positive",))
    yield Claim("exp_double", "float64", exp_double.bound, 0.04, HALF_UNITS, ("exp_double",))
    closely = exp_double_double.bound
    yield Claim("exp_double_double", "float64", closely, 2.0**-17, HALF_UNITS, ("exp_double_double",))
    for dtype in ("float64", "float32"):
        alone, with_tail = (1.4, 0.33) if dtype == "float64" else (1.5, 0.41)
        of_both = partial(of_field, "with_tail", dtype)
        yield Claim("a term", dtype, partial(of_field, "alone", dtype), alone, HALF_UNITS, ("exp_term",))
        yield Claim("a term, its tail", dtype, of_both, with_tail, HALF_UNITS, ("exp_term",))
    for dtype in ("float64", "float32"):
        of_softmax = 1.5 if dtype == "float64" else 2.0
        yield of_slices("softmax", partial(slices.softmax, dtype), dtype, of_softmax)
        yield of_slices("log_softmax", partial(slices.log_softmax, dtype), dtype, 1.5)
        yield of_slices("logsumexp", partial(slices.logsumexp, dtype), dtype)
        yield of_slices("cross_entropy", partial(slices.cross_entropy, dtype, weighted=False), dtype, 1.2)
        weighted = partial(slices.cross_entropy, dtype, weighted=True)
        yield of_slices("cross_entropy, weights", weighted, dtype, 1.2)
