"""fastlogit, and who computes on arrays of NumPy as they are: SciPy, NumPy itself and numexpr."""

import importlib

import numpy as np
from cases import ELEMENTWISE, EPS, OF_SLICES, SPELLINGS

import fastlogit

from .library import Calls, Library, ignore_threads, of_elements, same


def load_fastlogit():
    calls = {case.name: of_elements(case.call) for case in ELEMENTWISE}
    for case in OF_SLICES:
        calls[case.name] = Calls(
            in_place=None if case.reduces else lambda x, axis, call=case.call: call(x, axis, out=x),
            preallocated=lambda x, axis, out, call=case.call: call(x, axis, out=out),
            new=case.call,
        )
    return Library("fastlogit", fastlogit.__version__, calls, same, fastlogit.set_num_threads)


def load_scipy():
    scipy = importlib.import_module("scipy")
    special = importlib.import_module("scipy.special")
    logit = special.logit
    calls = {
        case.name: of_elements(getattr(special, case.name))
        for case in ELEMENTWISE
        if hasattr(special, case.name)
    }
    calls["logit, eps"] = Calls(
        in_place=lambda x: logit(np.clip(x, EPS, 1 - EPS, out=x), out=x),
        new=lambda x: logit(np.clip(x, EPS, 1 - EPS)),
    )
    for name in ("softmax", "log_softmax", "logsumexp"):
        function = getattr(special, name)
        calls[name] = Calls(
            preallocated=lambda x, axis, out, function=function: function(x, axis), new=function
        )
    return Library("SciPy", scipy.__version__, calls, same, ignore_threads)


def load_numpy():
    """The expressions that one would write, with `out` where it can be given."""
    logit = SPELLINGS["logit"]

    def softmax(x, axis, out=None):
        terms = np.subtract(x, x.max(axis, keepdims=True), out=out)
        np.exp(terms, out=terms)
        return np.divide(terms, terms.sum(axis, keepdims=True), out=terms)

    def log_softmax(x, axis, out=None):
        shifted = np.subtract(x, x.max(axis, keepdims=True), out=out)
        return np.subtract(shifted, np.log(np.exp(shifted).sum(axis, keepdims=True)), out=shifted)

    def logsumexp(x, axis, out=None):
        largest = x.max(axis, keepdims=True)
        return np.add(np.log(np.exp(x - largest).sum(axis)), np.squeeze(largest, axis), out=out)

    calls = {
        **{
            name: Calls(in_place=spellings.numpy_in_place, new=spellings.numpy)
            for name, spellings in SPELLINGS.items()
        },
        "logit, eps": Calls(
            in_place=lambda x: logit.numpy_in_place(np.clip(x, EPS, 1 - EPS, out=x)),
            new=lambda x: logit.numpy(np.clip(x, EPS, 1 - EPS)),
        ),
        "softmax": Calls(lambda x, axis: softmax(x, axis, out=x), softmax, softmax),
        "log_softmax": Calls(lambda x, axis: log_softmax(x, axis, out=x), log_softmax, log_softmax),
        "logsumexp": Calls(preallocated=logsumexp, new=logsumexp),
    }
    return Library("NumPy", np.__version__, calls, same, ignore_threads)


def load_numexpr():
    """Its reductions have one thread and are slower than NumPy's, which does them here."""
    numexpr = importlib.import_module("numexpr")

    def elementwise(expression):
        return Calls(
            in_place=lambda x: numexpr.evaluate(expression, {"x": x}, out=x),
            new=lambda x: numexpr.evaluate(expression, {"x": x}),
        )

    def softmax(x, axis, out=None):
        names = {"x": x, "largest": x.max(axis, keepdims=True)}
        terms = numexpr.evaluate("exp(x - largest)", names, out=out)
        names = {"terms": terms, "total": terms.sum(axis, keepdims=True)}
        return numexpr.evaluate("terms / total", names, out=terms)

    def log_of_sum(x, axis, largest):
        terms = numexpr.evaluate("exp(x - largest)", {"x": x, "largest": largest})
        return np.log(terms.sum(axis, keepdims=True))

    def log_softmax(x, axis, out=None):
        largest = x.max(axis, keepdims=True)
        names = {"x": x, "largest": largest, "log_sum": log_of_sum(x, axis, largest)}
        return numexpr.evaluate("(x - largest) - log_sum", names, out=out)

    def logsumexp(x, axis, out=None):
        largest = x.max(axis, keepdims=True)
        return np.add(np.squeeze(largest, axis), np.squeeze(log_of_sum(x, axis, largest), axis), out=out)

    calls = {
        **{name: elementwise(spellings.numexpr) for name, spellings in SPELLINGS.items()},
        "softmax": Calls(lambda x, axis: softmax(x, axis, out=x), softmax, softmax),
        "log_softmax": Calls(lambda x, axis: log_softmax(x, axis, out=x), log_softmax, log_softmax),
        "logsumexp": Calls(preallocated=logsumexp, new=logsumexp),
    }
    return Library("numexpr", numexpr.__version__, calls, same, numexpr.set_num_threads)
