"""``python -m fastlogit``: what was built, whether it computes the right values, how fast it is here.

The exit status is 0 if every result is as accurate as promised, and 1 if one is not.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache, partial
from importlib import import_module
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastlogit
from fastlogit._exact_results import DTYPES, EPS, RESULTS, SLICE_RESULTS

Array = NDArray[Any]

COPIES = 4096  # of the arguments, side by side: all threads, and every position in a vector
LONG = 256  # how often each element stands in the slices that are long
ROW = 1024  # elements of the slices that are timed
ELEMENTS = 2**22
REPEATS = 5  # at least; more while SECONDS have not passed
SECONDS = 0.2


def probabilities() -> Array:
    return np.random.default_rng(0).random(ELEMENTS)


def log_odds() -> Array:
    return np.random.default_rng(0).normal(0, 4, ELEMENTS)


def rows() -> Array:
    return log_odds().reshape(-1, min(ELEMENTS, ROW))


@cache
def labels(n: int, classes: int) -> Array:
    return np.random.default_rng(1).integers(0, classes, n)


def decimals(text: str) -> list[Decimal]:
    return [Decimal(field) for field in text.split()]


def floats(arguments: list[str], dtype: str) -> Array:
    return np.array([float.fromhex(argument) for argument in arguments], dtype)


@dataclass(frozen=True)
class Results:
    """What came of some arguments, and what should have."""

    arguments: list[str]
    got: Array  # along the last axis the results, along the first one copies of them
    exact: list[Decimal]
    sizes: list[Decimal]  # the numbers in whose last places the errors are measured


@dataclass(frozen=True)
class Function:
    """One row of both tables."""

    name: str  # in RESULTS or SLICE_RESULTS
    label: str
    call: Callable[..., Any]
    source: Callable[[], Array]  # arguments of the size that users have
    timed: Callable[[Array], object]  # in place where the function can be
    scipy: Callable[[ModuleType, Array], object] | None  # the same by scipy.special
    bound: float  # the error in ulp that the results must stay below

    def results(self, dtype: str) -> Iterator[Results]:
        raise NotImplementedError


class Elementwise(Function):
    """``call`` is of an array and out=."""

    @classmethod
    def of(cls, name: str, source: Callable[[], Array]) -> "Elementwise":
        """A function that takes the array alone, and has the same name in SciPy."""
        call = getattr(fastlogit, name)
        return cls(
            name, f"{name}(x)", call, source, lambda x: call(x, out=x),
            lambda special, x: getattr(special, name)(x, out=x), bound=1.0,
        )

    def results(self, dtype: str) -> Iterator[Results]:
        fields = RESULTS[self.name, dtype].split()
        x = np.tile(floats(fields[::2], dtype), (COPIES, 1))
        self.call(x, out=x)
        exact = decimals(" ".join(fields[1::2]))
        yield Results(fields[::2], x, exact, exact)


class BinaryLoss(Function):
    """``call`` is of logits and targets. The loss of x and 0, and that of -x and 1, is softplus(x)."""

    def results(self, dtype: str) -> Iterator[Results]:
        fields = RESULTS["softplus", dtype].split()
        x = np.tile(floats(fields[::2], dtype), (COPIES, 1))
        exact = decimals(" ".join(fields[1::2]))
        for target, logits in enumerate((x, -x)):
            arguments = [f"{float(logit).hex()}, {target}" for logit in logits[0]]
            yield Results(arguments, self.call(logits, np.full_like(x, target)), exact, exact)


def logarithm(n: int) -> Decimal:
    with localcontext(prec=60):
        return Decimal(n).ln()


@dataclass(frozen=True)
class OfSlices(Function):
    """``call`` is of an array and an axis, which its result has too."""

    repeated: Callable[[Decimal, int], Decimal]  # the result where each element of a slice is repeated
    unit_of_largest: bool = False  # errors are measured in that of the largest element, if it is larger

    def results(self, dtype: str) -> Iterator[Results]:
        """Along the last axis and across the others, of slices of four elements and of long ones."""
        table = SLICE_RESULTS[self.name, dtype]
        slices = np.array([floats(arguments.split(), dtype) for arguments, _ in table])
        largest = [Decimal(max(elements)) for elements in slices.tolist()]
        for repeats, suffix in (1, ""), (LONG, f", each {LONG} times"):
            exact = [[self.repeated(value, repeats) for value in decimals(results)] for _, results in table]
            per_slice = len(exact[0])
            arguments = [f"[{text}]{suffix}" for text, _ in table for _ in range(per_slice)]
            sizes = [
                max(abs(value), abs(most)) if self.unit_of_largest and value.is_finite() else value
                for values, most in zip(exact, largest, strict=True)
                for value in values
            ]
            block = np.repeat(slices, repeats, axis=1)
            for axis in (1, 2):
                x = np.moveaxis(np.tile(block, (COPIES // repeats, 1, 1)), 2, axis).copy()
                got = np.moveaxis(self.call(x, axis), axis, 2)
                got = np.moveaxis(got.reshape(*got.shape[:2], per_slice, -1), 3, 1)
                got = got.reshape(-1, len(arguments))
                yield Results(arguments, got, [value for values in exact for value in values], sizes)


def scipy_clamped_logit(special: ModuleType, x: Array) -> None:
    np.clip(x, EPS, 1 - EPS, out=x)
    special.logit(x, out=x)


def losses_of_labels(x: Array, axis: int) -> Array:
    """The cross-entropy of a slice for each of the four numbers in it as the label."""
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    step = x.shape[axis] // 4
    losses = [
        fastlogit.cross_entropy(x, np.full(shape, label), axis=axis, reduction="none")
        for label in range(0, 4 * step, step)
    ]
    return np.stack(losses, axis)


FUNCTIONS: list[Function] = [
    Elementwise.of("logit", probabilities),
    Elementwise(
        "clamped_logit",
        "logit(x, 1e-6)",
        partial(fastlogit.logit, eps=EPS),
        probabilities,
        lambda x: fastlogit.logit(x, EPS, out=x),
        scipy_clamped_logit,
        bound=1.0,
    ),
    Elementwise.of("expit", log_odds),
    Elementwise.of("log_expit", log_odds),
    Elementwise.of("softplus", log_odds),
    OfSlices(
        "softmax",
        "softmax(x)",
        lambda x, axis: fastlogit.softmax(x, axis, out=x),
        rows,
        lambda x: fastlogit.softmax(x, -1, out=x),
        lambda special, x: special.softmax(x, -1),
        bound=2.0,
        repeated=lambda value, n: value / n,
    ),
    OfSlices(
        "log_softmax",
        "log_softmax(x)",
        lambda x, axis: fastlogit.log_softmax(x, axis, out=x),
        rows,
        lambda x: fastlogit.log_softmax(x, -1, out=x),
        lambda special, x: special.log_softmax(x, -1),
        bound=2.0,
        repeated=lambda value, n: value - logarithm(n),
    ),
    OfSlices(
        "logsumexp",
        "logsumexp(x)",
        lambda x, axis: fastlogit.logsumexp(x, axis, keepdims=True),
        rows,
        lambda x: fastlogit.logsumexp(x, -1),
        lambda special, x: special.logsumexp(x, -1),
        bound=2.0,
        repeated=lambda value, n: value + logarithm(n),
        unit_of_largest=True,
    ),
    BinaryLoss(
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy_with_logits(x, y)",
        partial(fastlogit.binary_cross_entropy_with_logits, reduction="none"),
        log_odds,
        lambda x: fastlogit.binary_cross_entropy_with_logits(x, labels(x.size, 2), grad=x),
        None,
        bound=2.0,
    ),
    OfSlices(
        "cross_entropy",
        "cross_entropy(x, y)",
        losses_of_labels,
        rows,
        lambda x: fastlogit.cross_entropy(x, labels(*x.shape), grad=x),
        None,
        bound=2.0,
        repeated=lambda value, n: value + logarithm(n),
    ),
]


def ulp_error(got: float, exact: Decimal, size: Decimal, dtype: str) -> float:
    """Distance of a float from a decimal, in units in the last place of a number of that size in the dtype.

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
    unit_of = float(size)
    exponent = max(math.frexp(unit_of)[1] - 1, info.minexp) if unit_of else info.minexp
    with localcontext(prec=60):
        return float(abs(Decimal(got) - exact) / Decimal(2.0 ** (exponent - info.nmant)))


def check(function: Function, dtype: str) -> tuple[float, list[str]]:
    """Maximum error in ulp, and for each wrong result a line that says what it should have been."""
    largest, wrong = 0.0, []
    for results in function.results(dtype):
        copy = results.got[0]
        errors = [
            ulp_error(got, exact, size, dtype)
            for got, exact, size in zip(copy.tolist(), results.exact, results.sizes, strict=True)
        ]
        largest = max(largest, *errors)
        wrong += [
            f"{function.label} of {dtype} {argument} is {got}, should be {exact} ({error:.3g} ulp off)"
            for argument, got, exact, error in zip(
                results.arguments, copy, results.exact, errors, strict=True
            )
            if not error < function.bound
        ]
        if not np.array_equal(results.got, np.broadcast_to(copy, results.got.shape), equal_nan=True):
            wrong.append(f"{function.label} of {dtype}: an argument gives other results in other positions")
    return largest, wrong


def self_check() -> bool:
    """Print the error of every function; whether all are as they should be."""
    print("Self-check against exact results; the largest error in units in the last place (ulp):\n")
    print(f"  {'function':40}{'dtype':9}{'max ulp':>9}{'allowed':>9}")
    failures = []
    for function in FUNCTIONS:
        for dtype in DTYPES:
            error, wrong = check(function, dtype)
            allowed, verdict = f"< {function.bound:g}", "FAILED" if wrong else "ok"
            print(f"  {function.label:40}{dtype:9}{error:9.3f}{allowed:>9}  {verdict}")
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
    nothing = f"{'–':>9}{'–':>9}"
    if function.scipy is None:
        return nothing
    try:
        theirs = nanoseconds(partial(function.scipy, special), x)
    except AttributeError:  # older versions lack some of the functions
        return nothing
    return f"{theirs:9.2f}{theirs / ours:9.1f}"


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
    print(f"Slices are rows of {ROW:,}; the losses are means, with their gradients.")
    print(f"Threads: {fastlogit.get_num_threads()} for fastlogit; {beside}.\n")
    header = f"  {'function':40}{'dtype':9}{'fastlogit':>9}"
    print(header + (f"{'SciPy':>9}{'ratio':>9}" if special else ""))
    for function in FUNCTIONS:
        for dtype in DTYPES:
            x = function.source().astype(dtype)
            ours = nanoseconds(function.timed, x)
            line = f"  {function.label:40}{dtype:9}{ours:9.2f}"
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
