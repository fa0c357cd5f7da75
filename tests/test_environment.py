"""The floating-point environment of the caller: neither a rounding mode nor a trap reaches a result."""

import numpy as np
import pytest
from floating_point import MODES, known
from reference import FUNCTIONS

from fastlogit import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    logsumexp,
    softmax,
)

pytestmark = pytest.mark.once

X = np.array([[0.1, 0.3, 0.7], [0.9, 0.01, 0.5], [1e-5, 0.25, 0.99999]])
ODD = np.array([[2**53 + 1, 2**62 + 3, -(2**53) - 1]])  # between two numbers of float64
LONG = X.astype("g") / 3
WIDE = np.repeat(ODD // 2**50, 3, 0)
WEIGHTS = X - 0.4
STRANGE = X * [np.nan, 1, np.inf]

# What NumPy or the C library computes or converts on the way.
CALLS = {
    **{f"{name} of long double": (lambda call=f.call: call(LONG)) for name, f in FUNCTIONS.items()},
    **{f"{name} of a long double": (lambda call=f.call: call(LONG[0, 1])) for name, f in FUNCTIONS.items()},
    **{f"ufunc {name} of long double": (lambda call=f.ufunc: call(LONG)) for name, f in FUNCTIONS.items()},
    **{
        f"{name} of long double into float32": (lambda call=f.call: call(LONG, out=np.zeros((3, 3), "f4")))
        for name, f in FUNCTIONS.items()
    },
    **{
        f"{name} of integers": (lambda call=FUNCTIONS[name].call: call(ODD))
        for name in ("log_expit", "softplus")
    },
    **{
        f"{name} of float64 into float32": (lambda call=f.call: call(X, out=np.zeros((3, 3), "f4")))
        for name, f in FUNCTIONS.items()
    },
    "softplus with a mask": lambda: FUNCTIONS["softplus"].call(ODD, where=ODD > 0, out=np.zeros((1, 3))),
}
for slices in (softmax, log_softmax, logsumexp):
    CALLS.update(
        {
            f"{slices.__name__} of long double": lambda call=slices: call(LONG, axis=1),
            f"{slices.__name__} of a mask": lambda call=slices: call(LONG, axis=0, where=X > 0.05),
            f"{slices.__name__} of integers": lambda call=slices: call(ODD // 2**50, axis=0),
            f"{slices.__name__} of large integers": lambda call=slices: call(ODD, axis=0),
            f"{slices.__name__} into float32": lambda call=slices: call(
                X, axis=(), out=np.zeros((3, 3), "f4")
            ),
            f"{slices.__name__} of nan": lambda call=slices: call(STRANGE, axis=1),
        }
    )
GRADIENT, HALVES = np.empty_like(X), X.astype("f2")
for loss, y in ((binary_cross_entropy_with_logits, X), (cross_entropy, [2, 0, 1])):
    for reduction in ("mean", "none"):
        CALLS[f"{loss.__name__}, {reduction}"] = lambda call=loss, y=y, reduction=reduction: (
            call(X, y, reduction=reduction, grad=GRADIENT), GRADIENT
        )  # fmt: skip
    CALLS[f"{loss.__name__} of integers"] = lambda call=loss, y=y: call(WIDE, y)
    CALLS[f"{loss.__name__} of halves"] = lambda call=loss, y=y: call(HALVES, y)
CALLS["cross_entropy of probabilities"] = lambda: cross_entropy(X, X, X[0], label_smoothing=0.1)
CALLS["softmax of halves into float32"] = lambda: softmax(X.astype("g"), 1, out=np.zeros((3, 3), "f4"))
CALLS["weights"] = lambda: logsumexp(LONG, axis=1, b=WEIGHTS, return_sign=True)
CALLS["weights of integers"] = lambda: logsumexp(X[:1], axis=1, b=ODD)
CALLS["weights that cancel"] = lambda: logsumexp([[1.0, 1.0], [np.nan, 2.0]], axis=1, b=[1.0, -2.0])


def result(call):
    got = call()
    return [known(part) for part in (got if isinstance(got, tuple) else (got,))]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mode", MODES)
def test_rounding_mode(name, mode, libm):
    expected = result(CALLS[name])
    before = libm.fegetround()
    libm.fesetround(MODES[mode])
    try:
        got = result(CALLS[name])
        after = libm.fegetround()
    finally:
        libm.fesetround(before)
    assert got == expected
    assert after == MODES[mode]


def test_the_modes_would_show(libm):
    """NumPy rounds as the caller says."""
    before = libm.fegetround()
    libm.fesetround(MODES["up"])
    try:
        up = known(np.exp(LONG)), known(ODD.astype(float))
    finally:
        libm.fesetround(before)
    assert up[0] != known(np.exp(LONG))
    assert up[1] != known(ODD.astype(float))


@pytest.mark.parametrize("name", CALLS)
def test_trapped_exceptions(name, libm, run_python):
    """The process would end with SIGFPE; the traps are there again afterwards."""
    printed = run_python(
        f"""if True:
    import ctypes
    from floating_point import FLAGS
    from test_environment import CALLS, result

    libm = ctypes.CDLL("libm.so.6")
    expected = result(CALLS[{name!r}])
    call = CALLS[{name!r}]
    libm.feclearexcept(FLAGS)
    can_trap = libm.feenableexcept(FLAGS) != -1
    got = result(call)
    trapped = libm.fegetexcept() & FLAGS == FLAGS
    libm.fedisableexcept(FLAGS)
    print(can_trap, got == expected, trapped)
    """
    )
    can_trap, *holds = printed.split()
    if can_trap == "False":  # most processors of 64-bit Arm
        pytest.skip("this processor has no traps")
    assert holds == ["True", "True"]
