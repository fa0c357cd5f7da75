"""``python -m fastlogit``: what was built, whether it computes the right values, how fast it is here.

The exit status is 0 if every result is as accurate as promised, and 1 if one is not.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import partial
from importlib import import_module
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastlogit

Array = NDArray[Any]

EPS = 1e-6
DTYPES = ("float32", "float64")
COPIES = 4096  # of the arguments, side by side: all threads, and every position in a vector
ELEMENTS = 2**22
REPEATS = 5  # at least; more while SECONDS have not passed
SECONDS = 0.2

# Argument and exact result to 21 digits, computed by mpmath with 400 bits: log(x / (1 - x)), for the
# second with x brought into [EPS, 1 - EPS] as the dtype has them, 1 / (1 + exp(-x)) and
# -log1p(exp(-x)). tools/self_check_reference.py prints this.
REFERENCE = {
    ("logit", "float32"): """
    nan nan                                            -inf nan
    inf nan                                            -0x1p+0 nan
    0x1.000002p+0 nan                                  -0x0p+0 -inf
    0x0p+0 -inf                                        0x1p+0 inf
    0x1p-149 -103.278929903431851103                   0x1.8p-148 -102.180317614763741412
    0x1.fffffcp-127 -87.3365448697624056428            0x1p-126 -87.3365447505531089866
    0x1.5798eep-27 -18.4206807400298364723             0x1p-9 -6.2363695902037044342
    0x1.ffeep-1 8.89299297309083860155                 0x1.fffffep-1 16.6355322738340408743
    0x1.456788p-2 -0.764003232189207678104             0x1.ffep-2 -4.88281259701277165856e-4
    0x1.fffffep-2 -1.19209289550781391172e-7           0x1p-1 0.0
    0x1.000002p-1 2.38418579101563629377e-7            0x1.002p-1 9.76562577610225653522e-4
    0x1.8p-1 1.0986122886681096914                     0x1.ccccccp-1 2.19722431242671511854
    """,
    ("logit", "float64"): """
    nan nan                                            -inf nan
    inf nan                                            -0x1p+0 nan
    0x1.0000000000001p+0 nan                           -0x0p+0 -inf
    0x0p+0 -inf                                        0x1p+0 inf
    0x1p-1074 -744.440071921381262314                  0x1.8p-1073 -743.341459632713152623
    0x1.ffffffffffffep-1023 -708.396418532264106446    0x1p-1022 -708.396418532264106224
    0x1.5798ee2308c3ap-27 -18.4206807339523654012      0x1p-9 -6.2363695902037044342
    0x1.ffee123456789p-1 8.89695195728581261369        0x1.fffffffffffffp-1 36.7368005696771012881
    0x1.456789abcdef1p-2 -0.764003117327294005619      0x1.ffep-2 -4.88281259701277165856e-4
    0x1.fffffffffffffp-2 -2.22044604925031308085e-16   0x1p-1 0.0
    0x1.0000000000001p-1 4.44089209850062616169e-16    0x1.00000008p-1 3.72529029846191406681e-9
    0x1.8p-1 1.0986122886681096914                     0x1.ccccccccccccdp-1 2.19722457733621962951
    """,
    ("clamped_logit", "float32"): """
    nan nan                                            -inf -13.8155095604885339238
    inf 13.8023179761029967967                         -0x1p+0 -13.8155095604885339238
    0x1.000002p+0 13.8023179761029967967               -0x0p+0 -13.8155095604885339238
    0x0p+0 -13.8155095604885339238                     0x1p+0 13.8023179761029967967
    0x1p-149 -13.8155095604885339238                   0x1.8p-148 -13.8155095604885339238
    0x1.fffffcp-127 -13.8155095604885339238            0x1p-126 -13.8155095604885339238
    0x1.5798eep-27 -13.8155095604885339238             0x1p-9 -6.2363695902037044342
    0x1.ffeep-1 8.89299297309083860155                 0x1.fffffep-1 13.8023179761029967967
    0x1.456788p-2 -0.764003232189207678104             0x1.ffep-2 -4.88281259701277165856e-4
    0x1.fffffep-2 -1.19209289550781391172e-7           0x1p-1 0.0
    0x1.000002p-1 2.38418579101563629377e-7            0x1.002p-1 9.76562577610225653522e-4
    0x1.8p-1 1.0986122886681096914                     0x1.ccccccp-1 2.19722431242671511854
    """,
    ("clamped_logit", "float64"): """
    nan nan                                            -inf -13.815509557963774149
    inf 13.8155095579350184105                         -0x1p+0 -13.815509557963774149
    0x1.0000000000001p+0 13.8155095579350184105        -0x0p+0 -13.815509557963774149
    0x0p+0 -13.815509557963774149                      0x1p+0 13.8155095579350184105
    0x1p-1074 -13.815509557963774149                   0x1.8p-1073 -13.815509557963774149
    0x1.ffffffffffffep-1023 -13.815509557963774149     0x1p-1022 -13.815509557963774149
    0x1.5798ee2308c3ap-27 -13.815509557963774149       0x1p-9 -6.2363695902037044342
    0x1.ffee123456789p-1 8.89695195728581261369        0x1.fffffffffffffp-1 13.8155095579350184105
    0x1.456789abcdef1p-2 -0.764003117327294005619      0x1.ffep-2 -4.88281259701277165856e-4
    0x1.fffffffffffffp-2 -2.22044604925031308085e-16   0x1p-1 0.0
    0x1.0000000000001p-1 4.44089209850062616169e-16    0x1.00000008p-1 3.72529029846191406681e-9
    0x1.8p-1 1.0986122886681096914                     0x1.ccccccccccccdp-1 2.19722457733621962951
    """,
    ("expit", "float32"): """
    nan nan                                            -inf 0.0
    inf 1.0                                            -0x0p+0 0.5
    0x0p+0 0.5                                         -0x1p+15 1.09248880223448639556e-14231
    -0x1.63p+9 4.47628622567512995608e-309             -0x1p+8 6.61626105670948526103e-112
    0x1p+8 1.0                                         0x1.63p+9 1.0
    0x1p+15 1.0                                        -0x1.ap+6 6.81355682154529851342e-46
    -0x1.9e8p+6 9.91366667836168947945e-46             -0x1.7cp+6 5.52108227702853273172e-42
    -0x1.5dp+6 1.28175923131474420534e-38              0x1.5dp+6 1.0
    0x1.7cp+6 1.0                                      0x1.9e8p+6 1.0
    0x1.ap+6 1.0                                       -0x1.3bcdeap+3 5.17576788642753621741e-5
    -0x1.8p+0 0.182425523806356340393                  -0x1.62e43p-1 0.333333332910076822366
    -0x1p-149 0.5                                      0x1p-126 0.5
    0x1p-20 0.500000238418579101544                    0x1.62e43p-1 0.666666667089923177634
    0x1.2bcdeap+1 0.912313961676697849343              0x1.0a2b2cp+4 0.999999940395816247493
    """,
    ("expit", "float64"): """
    nan nan                                            -inf 0.0
    inf 1.0                                            -0x0p+0 0.5
    0x0p+0 0.5                                         -0x1p+15 1.09248880223448639556e-14231
    -0x1p+10 1.91624277794797998988e-445               0x1p+10 1.0
    0x1p+15 1.0                                        -0x1.75p+9 1.03828480951582823943e-324
    -0x1.749p+9 2.49071577764885473013e-324            -0x1.72p+9 4.18873988004804893946e-322
    -0x1.68p+9 2.03223080242429315287e-313             -0x1.62p+9 3.3075530036384079962e-308
    0x1.62p+9 1.0                                      0x1.68p+9 1.0
    0x1.72p+9 1.0                                      0x1.749p+9 1.0
    0x1.75p+9 1.0                                      -0x1.3bcdef0123456p+3 5.17575553612039749172e-5
    -0x1.8p+0 0.182425523806356340393                  -0x1.62e42fefa39efp-1 0.333333333333333338487
    -0x1p-1074 0.5                                     0x1p-1022 0.5
    0x1p-40 0.500000000000227373675                    0x1.62e42fefa39efp-1 0.666666666666666661513
    0x1.2bcdef0123456p+1 0.912314009401115239577       0x1.0a2b2c2d2e2f2p+4 0.99999994039582627948
    """,
    ("log_expit", "float32"): """
    nan nan                                            -inf -inf
    inf -0.0                                           -0x0p+0 -0.693147180559945309417
    0x0p+0 -0.693147180559945309417                    -0x1p+15 -3.2768e4
    -0x1.63p+9 -710.0                                  -0x1p+8 -256.0
    0x1p+8 -6.61626105670948526103e-112                0x1.63p+9 -4.47628622567512995608e-309
    0x1p+15 -1.09248880223448639556e-14231             -0x1.ap+6 -104.0
    -0x1.9e8p+6 -103.625                               -0x1.7cp+6 -95.0
    -0x1.5dp+6 -87.25                                  0x1.5dp+6 -1.28175923131474420534e-38
    0x1.7cp+6 -5.52108227702853273172e-42              0x1.9e8p+6 -9.91366667836168947945e-46
    0x1.ap+6 -6.81355682154529851342e-46               -0x1.3bcdeap+3 -9.86893775297585868626
    -0x1.8p+0 -1.7014132779827524095                   -0x1.62e43p-1 -1.0986122899378792251
    -0x1p-149 -0.693147180559945309417                 0x1p-126 -0.693147180559945309417
    0x1p-20 -0.69314670372290079313                    0x1.62e43p-1 -0.405465107473279615729
    0x1.2bcdeap+1 -0.0917710919259342753425            0x1.0a2b2cp+4 -5.96041855288359742463e-8
    """,
    ("log_expit", "float64"): """
    nan nan                                            -inf -inf
    inf -0.0                                           -0x0p+0 -0.693147180559945309417
    0x0p+0 -0.693147180559945309417                    -0x1p+15 -3.2768e4
    -0x1p+10 -1024.0                                   0x1p+10 -1.91624277794797998988e-445
    0x1p+15 -1.09248880223448639556e-14231             -0x1.75p+9 -746.0
    -0x1.749p+9 -745.125                               -0x1.72p+9 -740.0
    -0x1.68p+9 -720.0                                  -0x1.62p+9 -708.0
    0x1.62p+9 -3.3075530036384079962e-308              0x1.68p+9 -2.03223080242429315287e-313
    0x1.72p+9 -4.18873988004804893946e-322             0x1.749p+9 -2.49071577764885473013e-324
    0x1.75p+9 -1.03828480951582823943e-324             -0x1.3bcdef0123456p+3 -9.86894013915741565976
    -0x1.8p+0 -1.7014132779827524095                   -0x1.62e42fefa39efp-1 -1.09861228866810967593
    -0x1p-1074 -0.693147180559945309417                0x1p-1022 -0.693147180559945309417
    0x1p-40 -0.693147180559490562066                   0x1.62e42fefa39efp-1 -0.405465108108164389708
    0x1.2bcdef0123456p+1 -0.0917710396145391342901     0x1.0a2b2c2d2e2f2p+4 -5.9604175496848886026e-8
    """,
}
for _dtype in DTYPES:  # softplus(x) is -log_expit(-x)
    _fields = (f"-{field}".removeprefix("--") for field in REFERENCE["log_expit", _dtype].split())
    REFERENCE["softplus", _dtype] = " ".join(_fields).replace("-nan", "nan")


def probabilities(n: int) -> Array:
    return np.random.default_rng(0).random(n)


def log_odds(n: int) -> Array:
    return np.random.default_rng(0).normal(0, 4, n)


def scipy_clamped_logit(special: ModuleType, x: Array) -> None:
    np.clip(x, EPS, 1 - EPS, out=x)
    special.logit(x, out=x)


@dataclass(frozen=True)
class Function:
    """One row of both tables. A new function needs one more, and its lines in REFERENCE."""

    name: str  # in REFERENCE
    label: str
    call: Callable[..., Any]  # of the array and out=
    typical: Callable[[int], Array]  # n arguments of the size that users have
    scipy_call: Callable[[ModuleType, Array], object]  # of scipy.special and the array: the same
    bound: float = 1.0  # the error in ulp that the result must stay below

    @classmethod
    def of(cls, name: str, typical: Callable[[int], Array]) -> "Function":
        """A function that takes the array alone, and has the same name in SciPy."""
        call = getattr(fastlogit, name)
        return cls(name, f"{name}(x)", call, typical, lambda special, x: getattr(special, name)(x, out=x))

    def in_place(self, x: Array) -> None:
        self.call(x, out=x)


FUNCTIONS = [
    Function.of("logit", probabilities),
    Function(
        "clamped_logit",
        "logit(x, 1e-6)",
        partial(fastlogit.logit, eps=EPS),
        probabilities,
        scipy_clamped_logit,
    ),
    Function.of("expit", log_odds),
    Function.of("log_expit", log_odds),
    Function.of("softplus", log_odds),
]


def ulp_error(got: float, exact: Decimal, dtype: str) -> float:
    """Distance of a float from a decimal in units in the last place of that decimal in the dtype.

    NaN, infinities and zeros are right, sign included, or infinitely wrong.
    """
    nearest = float(exact)
    if not exact.is_finite() or exact.is_zero():
        same = math.isnan(nearest) and math.isnan(got)
        same = same or (got == nearest and math.copysign(1, got) == math.copysign(1, nearest))
        return 0.0 if same else math.inf
    if not math.isfinite(got):
        return math.inf
    info = np.finfo(dtype)
    exponent = max(math.frexp(nearest)[1] - 1, info.minexp) if nearest else info.minexp
    with localcontext(prec=60):
        return float(abs(Decimal(got) - exact) / Decimal(2.0 ** (exponent - info.nmant)))


def check(function: Function, dtype: str) -> tuple[float, list[str]]:
    """Maximum error in ulp, and for each wrong result a line that says what it should have been."""
    fields = REFERENCE[function.name, dtype].split()
    arguments, exact = fields[::2], [Decimal(field) for field in fields[1::2]]
    x = np.tile(np.array([float.fromhex(argument) for argument in arguments], dtype), (COPIES, 1))
    function.in_place(x)
    errors = [ulp_error(got, value, dtype) for got, value in zip(x[0].tolist(), exact, strict=True)]
    wrong = [
        f"{function.label} of {dtype} {argument} is {got}, should be {value} ({error:.3g} ulp off)"
        for argument, got, value, error in zip(arguments, x[0], exact, errors, strict=True)
        if not error < function.bound
    ]
    if not np.array_equal(x, np.broadcast_to(x[0], x.shape), equal_nan=True):
        wrong.append(f"{function.label} of {dtype}: an argument gives other results in other positions")
    return max(errors), wrong


def self_check() -> bool:
    """Print the error of every function; whether all are as they should be."""
    print("Self-check against exact results; the largest error in units in the last place (ulp):\n")
    print(f"  {'function':16}{'dtype':10}{'max ulp':>10}{'allowed':>10}")
    failures = []
    for function in FUNCTIONS:
        for dtype in DTYPES:
            error, wrong = check(function, dtype)
            allowed, verdict = f"< {function.bound:g}", "FAILED" if wrong else "ok"
            print(f"  {function.label:16}{dtype:10}{error:10.3f}{allowed:>10}  {verdict}")
            failures += wrong
    print()
    for line in failures:
        print(f"  {line}")
    return not failures


def nanoseconds(call: Callable[[Array], object], source: Array) -> float:
    """Best time per element of `call`, which overwrites its argument."""
    x = np.empty_like(source)
    times: list[float] = []
    while len(times) < REPEATS or sum(times) < SECONDS:
        np.copyto(x, source)
        start = perf_counter()
        call(x)
        times.append(perf_counter() - start)
    return 1e9 * min(times) / source.size


def beside_scipy(special: ModuleType, function: Function, x: Array, ours: float) -> str:
    try:
        theirs = nanoseconds(partial(function.scipy_call, special), x)
    except AttributeError:  # older versions lack some of the functions
        return f"{'–':>10}{'–':>10}"
    return f"{theirs:10.2f}{theirs / ours:10.1f}"


def print_speed() -> None:
    special = None
    beside = "SciPy is not installed"
    try:
        scipy = import_module("scipy")
        special = import_module("scipy.special")
        beside = f"1 for SciPy {scipy.__version__}"
    except ImportError:
        pass
    print(f"Nanoseconds per element, {ELEMENTS:,} elements in place, best of {REPEATS} or more.")
    print(f"Threads: {fastlogit.get_num_threads()} for fastlogit; {beside}.\n")
    header = f"  {'function':16}{'dtype':10}{'fastlogit':>9}"
    print(header + (f"{'SciPy':>10}{'ratio':>10}" if special else ""))
    for function in FUNCTIONS:
        for dtype in DTYPES:
            x = function.typical(ELEMENTS).astype(dtype)
            ours = nanoseconds(function.in_place, x)
            line = f"  {function.label:16}{dtype:10}{ours:9.2f}"
            if special:
                line += beside_scipy(special, function, x, ours)
            print(line)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fastlogit",
        description="Print what was built, check results against exact ones, time the functions.",
    )
    parser.add_argument("--no-speed", action="store_true", help="check the results only")
    options = parser.parse_args(arguments)
    fastlogit.show_config()
    print()
    passed = self_check()
    if not options.no_speed:
        print_speed()
        print()
    print("The self-check passed." if passed else "The self-check FAILED: please report the above.")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
