"""Which places for results the losses refuse, with which error, and that nothing has been written by then."""

import re

import numpy as np
import pytest
from test_loss_arguments import BINARY, CLASSES, call


def read_only(array):
    array.flags.writeable = False
    return array


BAD_OUTPUTS = [
    ("too small", lambda z: np.empty((3, 3)), ValueError, r"{name}.*\(3, 3\)"),
    ("that would broadcast", lambda z: np.empty((1, 3, 4)), ValueError, r"{name}.*\(1, 3, 4\)"),
    ("of float32", lambda z: np.empty((3, 4), "f4"), TypeError, "{name}.*float32"),
    ("of int64", lambda z: np.empty((3, 4), "i8"), TypeError, "{name}.*int64"),
    ("of the other byte order", lambda z: np.empty((3, 4), ">f8"), TypeError, "{name}"),
    ("read-only", lambda z: read_only(np.empty((3, 4))), ValueError, "{name}.*read-only"),
    ("that broadcasts", lambda z: np.broadcast_to(np.empty(4), (3, 4)), ValueError, "{name}"),
    ("a list", lambda z: [[0.0] * 4] * 3, TypeError, "{name}.*list"),
    ("a scalar", lambda z: 0.0, TypeError, "{name}.*float"),
    ("in a part of the logits", lambda z: z.base[1:4], ValueError, "{name}"),
    ("logits transposed onto themselves", lambda z: z.base[:4, :3].T, ValueError, "{name}"),
    ("logits backwards", lambda z: z[::-1], ValueError, "{name}"),
]


@pytest.mark.parametrize("loss", [BINARY, CLASSES])
@pytest.mark.parametrize("name", ["grad", "hess"])
@pytest.mark.parametrize(
    ("output", "error", "message"), [case[1:] for case in BAD_OUTPUTS], ids=[case[0] for case in BAD_OUTPUTS]
)
def test_bad_outputs(output, error, message, name, loss):
    base = np.zeros((6, 4))
    logits = base[:3]
    bad = output(logits)
    before = np.array(bad)
    other = np.full((3, 4), 5.0)
    outputs = {name: bad, "hess" if name == "grad" else "grad": other}
    with pytest.raises(error) as raised:
        call(loss, logits=logits, **outputs)
    assert re.search(message.format(name=name), str(raised.value)), str(raised.value)
    np.testing.assert_array_equal(bad, before)
    assert not base.any()
    assert (other == 5).all()


@pytest.mark.parametrize("loss", [BINARY, CLASSES])
def test_outputs_in_one_place(loss):
    place = np.full((3, 4), 5.0)
    with pytest.raises(ValueError, match=r"grad.*hess|hess.*grad"):
        call(loss, grad=place, hess=place)
    with pytest.raises(ValueError, match=r"grad.*hess|hess.*grad"):
        call(loss, grad=place[::-1], hess=place)
    if loss == BINARY:
        with pytest.raises(ValueError, match=r"grad.*out|out.*grad"):
            call(loss, grad=place, out=place, reduction="none")
    assert (place == 5).all()


@pytest.mark.parametrize(
    ("loss", "argument"),
    [
        *((BINARY, name) for name in ("target", "weight", "pos_weight")),
        *((CLASSES, name) for name in ("target", "weight", "sample_weight")),
    ],
)
@pytest.mark.parametrize("start", [0, 1])
def test_outputs_in_the_place_of_other_arguments(start, loss, argument):
    """They are read while results are written; only the logits have a place that can be taken."""
    place = np.full((4, 4), 0.25)
    values = place[start : start + 3]
    if loss == CLASSES and argument == "weight":
        values = values[0]
    if argument == "sample_weight":
        values = values[:, 0]
    with pytest.raises(ValueError, match=rf"grad.*{argument}|{argument}.*grad"):
        call(loss, **{argument: values}, grad=place[:3])
    assert (place == 0.25).all()


@pytest.mark.parametrize("loss", [BINARY, CLASSES])
def test_out(loss):
    shape = (3, 4) if loss == BINARY else (3,)
    for out, error, message in (
        (np.empty(7), ValueError, r"out.*\(7,\)"),
        (np.empty(shape, "f4"), TypeError, "out.*float32"),
        (read_only(np.empty(shape)), ValueError, "out.*read-only"),
        (3.0, TypeError, "out"),
    ):
        with pytest.raises(error, match=message):
            call(loss, reduction="none", out=out)
    for reduction in ("mean", "sum"):
        with pytest.raises((TypeError, ValueError), match=r"out.*none"):
            call(loss, reduction=reduction, out=np.empty(shape))
