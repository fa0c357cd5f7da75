"""Print the reference values of ``python -m fastlogit`` anew, from the arguments that its source has.

A new function needs its arguments there, and anything in the place of the results. Run it with: python
tools/self_check_reference.py  (needs mpmath), and paste what it prints over REFERENCE.
"""

import sys
from pathlib import Path

import mpmath

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from reference import FUNCTIONS, clamp_bounds

from fastlogit.__main__ import REFERENCE


def exact(function, x, dtype):
    """eps and 1 - eps are computed in the dtype, as the contract has it."""
    if function.eps is not None:
        lower, upper = (mpmath.mpf(float(bound)) for bound in clamp_bounds(function.eps, dtype))
        x = lower if x < lower else upper if x > upper else x
    return function.value(mpmath, x)


def decimal(value, function):
    """21 significant digits; mpmath has no negative zero, which is the only one of a function below 0."""
    digits = mpmath.nstr(value, 21, min_fixed=-4, max_fixed=4).replace("+", "")
    return "-0.0" if value == 0 and function.range[1] == 0 else digits


def reference():
    """For each function and dtype, pairs of an argument and the exact result, as text."""
    with mpmath.workprec(400):
        return {
            (name, dtype): [
                (x, decimal(exact(FUNCTIONS[name], mpmath.mpf(float.fromhex(x)), dtype), FUNCTIONS[name]))
                for x in text.split()[::2]
            ]
            for (name, dtype), text in REFERENCE.items()
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
