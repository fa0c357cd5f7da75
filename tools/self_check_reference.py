"""Print the exact results of ``python -m fastlogit`` anew, from the arguments that are there.

A new function, or another slice, needs its arguments in ``_exact_results.py``, and anything in the place of
the results. Run it with: python tools/self_check_reference.py  (needs mpmath), and paste what it prints over
the tables.
"""

import sys
from pathlib import Path

import mpmath

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from reference import FUNCTIONS, clamp_bounds

from fastlogit._exact_results import SLICES, TABLES


def exact(function, x, dtype):
    """eps and 1 - eps are computed in the dtype, as the contract has it."""
    if function.eps is not None:
        lower, upper = (mpmath.mpf(float(bound)) for bound in clamp_bounds(function.eps, dtype))
        x = lower if x < lower else upper if x > upper else x
    return function.value(mpmath, x)


def exact_slice(x):
    """Softmax, log_softmax and logsumexp, each as a list. Without any term nothing has a share."""
    total = mpmath.fsum(mpmath.exp(value) for value in x)
    if total == 0:
        return [mpmath.nan] * len(x), [mpmath.nan] * len(x), [-mpmath.inf]
    shares = [mpmath.exp(value) / total for value in x]
    return shares, [value - mpmath.log(total) for value in x], [mpmath.log(total)]


def decimal(value):
    return mpmath.nstr(value, 21, min_fixed=-4, max_fixed=4).replace("+", "")


def signed(value, function):
    """mpmath has no negative zero, which is the only one of a function below 0."""
    return "-0.0" if value == 0 and function.range[1] == 0 else decimal(value)


def tables():
    """For each function and dtype, pairs of an argument and the exact result, as text."""
    with mpmath.workprec(400):
        return {
            (name, dtype): [
                (x, signed(exact(FUNCTIONS[name], mpmath.mpf(float.fromhex(x)), dtype), FUNCTIONS[name]))
                for x in text.split()[::2]
            ]
            for (name, dtype), text in TABLES.items()
        }


def slices():
    """For each dtype, a slice and its three lines of results, again and again."""
    printed = {}
    with mpmath.workprec(4000):  # 1 less a share may be as small as exp(-800)
        for dtype, text in SLICES.items():
            printed[dtype] = []
            for line in text.strip().splitlines()[::4]:
                arguments = line.split()
                results = exact_slice([mpmath.mpf(float.fromhex(x)) for x in arguments])
                printed[dtype] += [arguments, *([decimal(value) for value in row] for row in results)]
    return printed


def main():
    print("TABLES = {")
    for key, pairs in tables().items():
        print(f'    ("{key[0]}", "{key[1]}"): """')
        fields = [f"{x} {exact}" for x, exact in pairs]
        for left, right in zip(fields[::2], fields[1::2], strict=True):
            print(f"    {left:50} {right}")
        print('    """,')
    print("}\n\nSLICES = {")
    for dtype, rows in slices().items():
        print(f'    "{dtype}": """')
        for number, fields in enumerate(rows):
            print(f"    {'  ' if number % 4 else ''}{' '.join(fields)}")
        print('    """,')
    print("}")


if __name__ == "__main__":
    main()
