"""Print the reference values of ``python -m fastlogit``: paste them over REFERENCE in its source.

Run it with: python tools/self_check_reference.py  (needs mpmath)
"""

import mpmath
import numpy as np

EPS = 1e-6

# Hexadecimal, so there is no doubt which number is meant. In each table: special values; arguments
# near 0 and 1, subnormal ones too (log odds: both tails, to where results are subnormal and then 0);
# the rest, with the neighbourhood of 1/2.
PROBABILITIES = {
    "float32": """
        nan -inf inf -0x1p+0 0x1.000002p+0 -0x0p+0 0x0p+0 0x1p+0
        0x1p-149 0x1.8p-148 0x1.fffffcp-127 0x1p-126 0x1.5798eep-27 0x1p-9 0x1.ffeep-1 0x1.fffffep-1
        0x1.456788p-2 0x1.ffep-2 0x1.fffffep-2 0x1p-1 0x1.000002p-1 0x1.002p-1 0x1.8p-1 0x1.ccccccp-1
    """,
    "float64": """
        nan -inf inf -0x1p+0 0x1.0000000000001p+0 -0x0p+0 0x0p+0 0x1p+0
        0x1p-1074 0x1.8p-1073 0x1.ffffffffffffep-1023 0x1p-1022
        0x1.5798ee2308c3ap-27 0x1p-9 0x1.ffee123456789p-1 0x1.fffffffffffffp-1
        0x1.456789abcdef1p-2 0x1.ffep-2 0x1.fffffffffffffp-2 0x1p-1
        0x1.0000000000001p-1 0x1.00000008p-1 0x1.8p-1 0x1.ccccccccccccdp-1
    """,
}
LOG_ODDS = {
    "float32": """
        nan -inf inf -0x0p+0 0x0p+0
        -0x1p+15 -0x1.63p+9 -0x1p+8 0x1p+8 0x1.63p+9 0x1p+15
        -0x1.ap+6 -0x1.9e8p+6 -0x1.7cp+6 -0x1.5dp+6 0x1.5dp+6 0x1.7cp+6 0x1.9e8p+6 0x1.ap+6
        -0x1.3bcdeap+3 -0x1.8p+0 -0x1.62e43p-1 -0x1p-149 0x1p-126 0x1p-20 0x1.62e43p-1 0x1.2bcdeap+1
        0x1.0a2b2cp+4
    """,
    "float64": """
        nan -inf inf -0x0p+0 0x0p+0
        -0x1p+15 -0x1p+10 0x1p+10 0x1p+15
        -0x1.75p+9 -0x1.749p+9 -0x1.72p+9 -0x1.68p+9 -0x1.62p+9
        0x1.62p+9 0x1.68p+9 0x1.72p+9 0x1.749p+9 0x1.75p+9
        -0x1.3bcdef0123456p+3 -0x1.8p+0 -0x1.62e42fefa39efp-1 -0x1p-1074 0x1p-1022 0x1p-40
        0x1.62e42fefa39efp-1 0x1.2bcdef0123456p+1 0x1.0a2b2c2d2e2f2p+4
    """,
}


def logit(x):
    if not 0 <= x <= 1:
        return mpmath.nan
    return -mpmath.inf if x == 0 else mpmath.inf if x == 1 else mpmath.log(x / (1 - x))


def clamped_logit(x, dtype):
    """eps and 1 - eps are computed in the dtype, as the contract has it."""
    lower = np.dtype(dtype).type(EPS)
    upper = 1 - lower
    return logit(mpmath.mpf(float(lower)) if x < lower else mpmath.mpf(float(upper)) if x > upper else x)


def expit(x):
    return 1 / (1 + mpmath.exp(-x))


def log_expit(x):
    return -mpmath.log1p(mpmath.exp(-x))


FUNCTIONS = {
    "logit": (PROBABILITIES, lambda x, dtype: logit(x)),
    "clamped_logit": (PROBABILITIES, clamped_logit),
    "expit": (LOG_ODDS, lambda x, dtype: expit(x)),
    "log_expit": (LOG_ODDS, lambda x, dtype: log_expit(x)),
}


def decimal(value, name):
    """21 significant digits; mpmath has no negative zero, which is what log_expit(inf) is."""
    digits = mpmath.nstr(value, 21, min_fixed=-4, max_fixed=4).replace("+", "")
    return "-0.0" if value == 0 and name == "log_expit" else digits


def reference():
    """For each function and dtype, pairs of an argument and the exact result, as text."""
    with mpmath.workprec(400):
        return {
            (name, dtype): [
                (x, decimal(function(mpmath.mpf(float.fromhex(x)), dtype), name))
                for x in arguments[dtype].split()
            ]
            for name, (arguments, function) in FUNCTIONS.items()
            for dtype in arguments
        }


def main():
    print("REFERENCE = {")
    for key, pairs in reference().items():
        print(f'    ("{key[0]}", "{key[1]}"): """')
        fields = [f"{x} {exact}" for x, exact in pairs]
        for left, right in zip(fields[::2], fields[1::2], strict=True):
            print(f"    {left:50} {right}")
        print('    """,')
    print("}")


if __name__ == "__main__":
    main()
