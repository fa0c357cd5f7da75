"""Wrong calls: the exception and its message, and that nothing is written, kept or broken."""

import gc
import re
import sys

import numpy as np
import pytest
from bad_calls import CALLS, BadCall

import fastlogit

AGAIN = 5  # times that each call is made: a reference that leaks shows in the counts


def test_there_are_enough_of_them():
    assert len(CALLS) >= 1250
    assert len({(call.function.__name__, call.name) for call in CALLS}) == len(CALLS)


def answer(call: BadCall, arguments, options):
    """The class of the exception and its message."""
    try:
        call.function(*arguments, **options)
    except Exception as error:
        return type(error), str(error)
    return None, "no exception"


def parts(arguments, options):
    """All that is passed, what tuples hold included."""
    for value in (*arguments, *options.values()):
        yield from value if type(value) is tuple else (value,)


def states(values):
    return [value.tobytes() for value in values if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.function.__name__}-{call.name}")
def test_wrong_call(call):
    arguments, options = call.make()
    values = list(parts(arguments, options))
    before = states(values)
    threads = fastlogit.get_num_threads()
    answer(call, arguments, options)  # what is cached once is there now
    counts = [sys.getrefcount(value) for value in values]
    for _ in range(AGAIN):
        kind, message = answer(call, arguments, options)
    if [sys.getrefcount(value) for value in values] != counts:
        gc.collect()  # what holds itself is no leak
    assert [sys.getrefcount(value) for value in values] == counts
    assert kind is not None, message
    assert issubclass(kind, call.error), message
    assert re.search(call.message, message, re.DOTALL), message
    assert "clamped_logit_" not in message
    assert states(values) == before
    assert fastlogit.get_num_threads() == threads


@pytest.mark.parametrize("name", sorted({call.function.__name__ for call in CALLS}))
def test_functions_work_after_wrong_calls(name):
    """What a wrong call leaves behind is nothing that the next right one meets."""
    x = np.array([[0.25, 0.5, 0.75, 0.125], [0.0, 1.0, 0.5, 0.375]])
    functions = {call.function for call in CALLS if call.function.__name__ == name}
    for function in functions - {fastlogit.set_num_threads, fastlogit.ufuncs.clamped_logit}:
        right = (x, x) if name == "binary_cross_entropy_with_logits" else (x, [3, 1])
        right = right if "entropy" in name else (x,)
        expected = function(*right).tobytes()
        for call in CALLS:
            if call.function is function:
                answer(call, *call.make())
        assert function(*right).tobytes() == expected


def test_the_first_thing_wrong_is_said_although_there_are_more():
    """Each message alone; all are of the argument, none of NumPy's insides."""
    out = np.full(4, 7)
    with pytest.raises(TypeError, match="logit: eps must be a number"):
        fastlogit.logit("x", "eps", out="out", where="where", dtype="dtype")
    with pytest.raises(TypeError, match="softmax: x has dtype <U1"):
        fastlogit.softmax("x", "axis", out=out, where=3)
    with pytest.raises(TypeError, match="logsumexp: a has dtype <U1"):
        fastlogit.logsumexp("x", "axis", "b", out=out, where=3)
    assert (out == 7).all()
