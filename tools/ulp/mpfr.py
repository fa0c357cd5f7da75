"""Exact results of single inputs, by MPFR.

256 bits decide everything here. For the exponential and the logarithm of a float64 the result comes no
nearer to the middle between two float64 than about 2^-118 of itself, by the known hardest cases; the
one family that comes nearer is expit close to 0, which is 1/2 + x/4 - x^3/48 + ...: x = 2^-52 is 2^-161
away from a middle. Next to 1/2, logit loses the 53 bits that cancel in the logarithm of a quotient near 1.
"""

import functools

import gmpy2
import numpy as np
from gmpy2 import mpfr
from reference import FUNCTIONS

PRECISION = 256
HARDEST_CASE = 2.0**-170  # relative distance from a middle below which PRECISION would not do

_context = gmpy2.context(precision=PRECISION)
_formats = {np.dtype(np.float32): gmpy2.ieee(32), np.dtype(np.float64): gmpy2.ieee(64)}


def context():
    """In which everything here is computed."""
    return gmpy2.context(_context)


@functools.lru_cache(maxsize=2**12)  # the same input is asked for once for each library
def value(name, x):
    """The exact result, rounded to 256 bits."""
    with gmpy2.context(_context):
        return FUNCTIONS[name].value(gmpy2, mpfr(float(x)))


def rounded(exact, dtype):
    """`exact` rounded once to the nearest float of `dtype`, subnormals included."""
    with gmpy2.context(_formats[np.dtype(dtype)]):
        return np.dtype(dtype).type(float(+exact))


def unit_in_last_place(exact, dtype):
    """The distance of the floats of `dtype` in the binade of `exact`, as an exponent of two."""
    info = np.finfo(dtype)
    smallest = int(info.minexp - info.nmant)
    if exact == 0:
        return smallest
    return max(gmpy2.get_exp(mpfr(exact)) - 1 - int(info.nmant), smallest)


def nearest(name, x):
    """The correctly rounded result for the float `x`, in the type of `x`."""
    exact = value(name, x)
    result = rounded(exact, x.dtype)
    with gmpy2.context(_context):
        unit = mpfr(2) ** unit_in_last_place(exact, x.dtype)
        from_middle = abs(abs(exact - float(result)) / unit - 0.5)
        if 0 != exact and from_middle < HARDEST_CASE:
            raise ArithmeticError(
                f"{name}({float(x).hex()}) is too close to the middle between two floats for "
                f"{PRECISION} bits; raise ulp.mpfr.PRECISION"
            )
    return result


def error(name, x, got):
    """Distance of the float `got` from the exact result, in units in the last place of that."""
    exact = value(name, x)
    with gmpy2.context(_context):
        return float(abs(exact - float(got)) * mpfr(2) ** -unit_in_last_place(exact, x.dtype))


def distance(exact, wide, dtype, unit_of=None):
    """Distance of a NumPy float, also a long double, from `exact`, in units in the last place.

    The unit is that of `exact` among the floats of `dtype`, or that of `unit_of`.
    """
    unit = unit_in_last_place(exact if unit_of is None else unit_of, dtype)
    fraction, exponent = np.frexp(wide)
    high = float(fraction)
    with gmpy2.context(_context):
        number = (mpfr(high) + float(fraction - high)) * mpfr(2) ** int(exponent)
        return float(abs(number - exact) * mpfr(2) ** -unit)


def row_value(name, values, counts, index):
    """The exact softmax or log_softmax of one element of a row, or logsumexp of the whole row.

    The row has each of the values as often as `counts` says. The largest element is left out of the sum,
    as log1p wants it: the result can be close to 0.
    """
    with gmpy2.context(_context):
        largest = mpfr(float(np.max(values)))
        terms = [
            count * gmpy2.exp(mpfr(float(x)) - largest)
            for x, count in zip(values, counts.tolist(), strict=True)
            if x != largest
        ]
        others = gmpy2.fsum([*terms, mpfr(int(counts[values == largest].sum()) - 1)])
        if name == "logsumexp":
            return largest + gmpy2.log1p(others)
        distance = mpfr(float(values[index])) - largest
        if name == "softmax":
            return gmpy2.exp(distance) / (1 + others)
        return distance - gmpy2.log1p(others)


def slice_loss(values, counts, factors, index):
    """Loss of a row and, of one element of it, gradient and Hessian.

    The factors c are those of the classes (tests/loss_reference.py), of 256 bits each.
    """
    with gmpy2.context(_context):
        counts, zero = counts.tolist(), mpfr(0)
        z = [mpfr(float(x)) for x in values]
        largest = max(z)
        terms = [gmpy2.exp(x - largest) for x in z]
        others = gmpy2.fsum([n * term for n, term, x in zip(counts, terms, z, strict=True) if x != largest])
        others += sum(n for n, x in zip(counts, z, strict=True) if x == largest) - 1
        log_total = gmpy2.log1p(others)
        parts = zip(counts, factors, z, strict=True)
        loss = gmpy2.fsum([n * c * (log_total + (largest - x)) for n, c, x in parts if c] or [zero])
        p = terms[index] / (1 + others)
        rest = others / (1 + others) if z[index] == largest else 1 - p
        of_others = [n * c for k, (n, c) in enumerate(zip(counts, factors, strict=True)) if k != index]
        of_others = gmpy2.fsum([*of_others, (counts[index] - 1) * factors[index]])
        up, down = of_others * p, factors[index] * rest
        hess = (of_others + factors[index]) * p * rest
        return {"loss": loss, "gradient": up - down, "Hessian": hess}


def binary_loss(z, y, w, v):
    """The same of one logit, its target, its weight and the weight of positives."""
    with gmpy2.context(_context):
        z, y, w, v = (mpfr(number) for number in (z, y, w, v))
        p, rest = 1 / (1 + gmpy2.exp(-z)), 1 / (1 + gmpy2.exp(z))
        small = gmpy2.log1p(gmpy2.exp(-abs(z)))
        positive, negative = w * v * y, w * (1 - y)
        loss = positive * (max(-z, mpfr(0)) + small) + negative * (max(z, mpfr(0)) + small)
        up, down = negative * p, positive * rest
        hess = (positive + negative) * p * rest
        return {"loss": loss, "gradient": up - down, "Hessian": hess}


def digits(name, x):
    """The exact result as a decimal with 25 significant digits."""
    return f"{value(name, x):.24e}"
