"""``python -m fastlogit``: its reference values are right, and it notices when a result is not."""

import importlib.util
import re
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from reference import (
    OF_LOG_ODDS,
    PUBLIC,
    ExactSlices,
    logsumexp_error,
    longdouble_is_wider,
    longdouble_reason,
    ulp_error,
)

import fastlogit
from fastlogit import __main__ as command
from fastlogit import _exact_results
from fastlogit._exact_results import DTYPES, RESULTS, SLICE_RESULTS

RECIPE = Path(__file__).parents[1] / "tools" / "self_check_reference.py"
ROWS = [(function, dtype) for function in command.FUNCTIONS for dtype in DTYPES]
SLICE_FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy")


@pytest.fixture
def quick(monkeypatch):
    """The speed table in a moment; no test looks at the times."""
    monkeypatch.setattr(command, "ELEMENTS", 1000)
    monkeypatch.setattr(command, "REPEATS", 1)
    monkeypatch.setattr(command, "SECONDS", 0)


def table_rows(printed, columns):
    """The rows for a function and dtype that have so many columns after these two."""
    found = re.findall(r"^  (\S+\(.*?\)) +(float\d\d) +(.*)$", printed, re.MULTILINE)
    rows = {(label, dtype): rest.split() for label, dtype, rest in found}
    assert len(found) == len(rows) == len(ROWS)
    assert {len(rest) for rest in rows.values()} == {columns}
    return rows


def with_function(monkeypatch, name, call):
    """Put another function in the place of the one called `name`."""
    functions = [replace(f, call=call) if f.name == name else f for f in command.FUNCTIONS]
    assert functions != command.FUNCTIONS
    monkeypatch.setattr(command, "FUNCTIONS", functions)


def test_results_are_what_the_recipe_gives():
    spec = importlib.util.spec_from_file_location("self_check_reference", RECIPE)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    printed = {key: [f for pair in pairs for f in pair] for key, pairs in recipe.tables().items()}
    assert {key: text.split() for key, text in _exact_results.TABLES.items()} == printed
    assert {
        dtype: [line.split() for line in text.strip().splitlines()]
        for dtype, text in _exact_results.SLICES.items()
    } == recipe.slices()


def test_every_function_is_checked():
    names = [function.name for function in command.FUNCTIONS]
    assert names == [*names_of_elementwise(), *names_of_losses_and_slices()]
    others = {"get_num_threads", "num_threads", "set_num_threads", "show_config"}
    public = {name for name in fastlogit.__all__ if callable(getattr(fastlogit, name))}
    assert set(names) - {"clamped_logit"} == public - others


def names_of_elementwise():
    return [PUBLIC[0], "clamped_logit", *PUBLIC[1:]]


def names_of_losses_and_slices():
    return [*SLICE_FUNCTIONS[:3], "binary_cross_entropy_with_logits", SLICE_FUNCTIONS[3]]


@pytest.mark.parametrize(("name", "dtype"), _exact_results.TABLES)
def test_arguments_are_numbers_of_the_dtype(name, dtype):
    arguments = [float.fromhex(x) for x in RESULTS[name, dtype].split()[::2]]
    np.testing.assert_array_equal(np.array(arguments, dtype).astype(float), arguments)
    assert len(set(map(str, arguments))) == len(arguments)


@pytest.mark.parametrize(("name", "dtype"), SLICE_RESULTS)
def test_elements_of_slices_are_numbers_of_the_dtype(name, dtype):
    slices = [[float.fromhex(x) for x in arguments.split()] for arguments, _ in SLICE_RESULTS[name, dtype]]
    np.testing.assert_array_equal(np.array(slices, dtype).astype(float), slices)
    assert {len(elements) for elements in slices} == {4}
    assert len(set(map(str, slices))) == len(slices)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*OF_LOG_ODDS, "softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_results_cover_subnormal_ones(name, dtype):
    if name in SLICE_FUNCTIONS:
        exact = [Decimal(text) for _, texts in SLICE_RESULTS[name, dtype] for text in texts.split()]
    else:
        exact = [Decimal(text) for text in RESULTS[name, dtype].split()[1::2]]
    info = np.finfo(dtype)
    smallest, tiny = Decimal(2) ** (info.minexp - info.nmant), Decimal(2) ** info.minexp
    assert sum(smallest < abs(value) < tiny for value in exact if value.is_finite()) >= 1


def test_prints_configuration_and_errors(run_python):
    printed = run_python(
        "import runpy, sys\n"
        "sys.argv[1:] = ['--no-speed']\n"
        "runpy.run_module('fastlogit', run_name='__main__')"
    )
    assert printed.startswith("fastlogit ")
    assert printed.endswith("The self-check passed.\n")
    for error, _, allowed, verdict in table_rows(printed, 4).values():
        assert 0 < float(error) < float(allowed)
        assert verdict == "ok"


def test_printed_error_is_that_of_the_results(capsys):
    """Computed another way: in rational numbers, from results one element at a time."""
    assert command.main(["--no-speed"]) == 0
    rows = table_rows(capsys.readouterr().out, 4)
    for function, dtype in ROWS:
        if not isinstance(function, command.Elementwise):
            continue
        fields = RESULTS[function.name, dtype].split()
        largest = 0
        for argument, exact in zip(fields[::2], fields[1::2], strict=True):
            (got,) = function.call(np.array([float.fromhex(argument)], dtype))
            if np.isfinite(float(exact)) and float(exact) != 0:
                error = abs(Fraction(float(got)) - Fraction(exact))
                largest = max(largest, error / Fraction(float(np.spacing(abs(got)))))
        assert float(rows[function.label, dtype][0]) == pytest.approx(float(largest), abs=0.002)


@pytest.mark.skipif(not longdouble_is_wider, reason=longdouble_reason)
def test_printed_error_of_slices_is_that_of_the_results(capsys):
    """Computed another way: in long double, from the slices themselves."""
    assert command.main(["--no-speed"]) == 0
    rows = table_rows(capsys.readouterr().out, 4)
    for name, dtype in SLICE_RESULTS:
        largest = 0
        for arguments, _ in SLICE_RESULTS[name, dtype]:
            for repeats in (1, command.LONG):
                x = np.repeat(np.array([float.fromhex(value) for value in arguments.split()], dtype), repeats)
                largest = max(largest, *error_of_slice(name, x).ravel())
        (label,) = (function.label for function in command.FUNCTIONS if function.name == name)
        assert float(rows[label, dtype][0]) == pytest.approx(float(largest), abs=0.002)


def error_of_slice(name, x):
    exact = ExactSlices.of(x)
    if name == "softmax":
        return ulp_error(fastlogit.softmax(x), exact.softmax())
    if name == "log_softmax":
        return ulp_error(fastlogit.log_softmax(x), exact.log_softmax())
    if name == "logsumexp":
        got = np.asarray(fastlogit.logsumexp(x, keepdims=True))
        return logsumexp_error(got, exact.logsumexp(), exact.largest)
    labels = np.arange(x.size)
    losses = fastlogit.cross_entropy(np.tile(x, (x.size, 1)), labels, reduction="none")
    return ulp_error(losses, -exact.log_softmax())


@pytest.mark.parametrize(
    ("got", "exact", "dtype", "error"),
    [
        (1.0, "1", "float64", 0),
        (1.0 + 2.0**-52, "1", "float64", 1),
        (1.0 - 2.0**-52, "1", "float64", 1),
        (1.0 + 2.0**-52, "1", "float32", 2.0**-29),
        (-3.0, "-3.0000004768371582", "float32", 2),
        (0.0, "7.0064923216240854e-46", "float32", 0.5),
        (0.0, "2e-500", "float64", 0),
        (5e-324, "0", "float64", np.inf),
        (0.0, "-0.0", "float64", np.inf),
        (-0.0, "-0.0", "float64", 0),
        (np.nan, "nan", "float64", 0),
        (np.inf, "nan", "float64", np.inf),
        (np.nan, "1", "float64", np.inf),
        (np.inf, "1e308", "float64", np.inf),
        (-np.inf, "-inf", "float64", 0),
        (np.inf, "-inf", "float64", np.inf),
        (1.7e308, "inf", "float64", np.inf),
    ],
)
def test_ulp_error(got, exact, dtype, error):
    exact = Decimal(exact)
    assert command.ulp_error(got, exact, exact, dtype) == pytest.approx(error, rel=1e-6, abs=1e-9)


def test_ulp_error_in_the_unit_of_another_number():
    assert command.ulp_error(2.0**-52, Decimal("1e-40"), Decimal(-3), "float64") == 0.5


def one_ulp_off_at_one_half(x, out):
    at_half = x == 0.5
    fastlogit.logit(x, out=out)
    out[at_half] = np.finfo(x.dtype).smallest_subnormal


def flushes_subnormals(x, out):
    fastlogit.expit(x, out=out)
    out[np.abs(out) < np.finfo(x.dtype).tiny] = 0


def naive_log_expit(x, out):
    with np.errstate(all="ignore"):
        np.log(fastlogit.expit(x), out=out)


def wrong_in_one_lane(x, out):
    fastlogit.expit(x, out=out)
    out[-1, 3] = 0.25


def leaves_in_place_alone(x, out):
    fastlogit.logit(x, command.EPS)


def without_the_largest_first(x, axis):
    with np.errstate(all="ignore"):
        terms = np.exp(x)
        return terms / np.sum(terms, axis, keepdims=True)


def logarithm_of_shares(x, axis):
    with np.errstate(all="ignore"):
        return np.log(fastlogit.softmax(x, axis))


def wrong_across(x, axis):
    return fastlogit.softmax(x, axis) * (2 if axis == 1 else 1)


def wrong_in_long_slices(x, axis):
    return fastlogit.logsumexp(x, axis, keepdims=True) + (1 if x.shape[axis] > 4 else 0)


def label_of_the_neighbour(x, axis):
    return np.roll(command.losses_of_labels(x, axis), 1, axis)


def logarithm_of_probability(x, y):
    with np.errstate(all="ignore"):
        p = fastlogit.expit(x)
        return -np.log(np.where(y == 1, p, 1 - p))


@pytest.mark.parametrize(
    ("name", "call", "complaint"),
    [
        ("logit", one_ulp_off_at_one_half, "float64 0x1p-1 is 5e-324, should be 0.0"),
        ("logit", lambda x, out: np.copyto(out, np.float32(fastlogit.logit(x))), "float64 0x1.8p-1 is "),
        ("expit", flushes_subnormals, "float32 -0x1.7cp+6 is 0.0, should be 5.521"),
        ("log_expit", naive_log_expit, "float64 0x1.0a2b2c2d2e2f2p+4 is "),
        ("expit", wrong_in_one_lane, "of float32: an argument gives other results in other positions"),
        ("clamped_logit", leaves_in_place_alone, "float32 0x0p+0 is 0.0, should be -13.8"),
        ("softmax", without_the_largest_first, "float64 [0x1p+40 "),
        ("softmax", wrong_across, "float32 [0x1.4p+5 0x0p+0 -0x1p+3 0x1p+0] is 2.0, should be 0.99999"),
        ("log_softmax", logarithm_of_shares, "float64 [0x1.4p+5 0x0p+0 -0x1p+3 0x1p+0] is 0.0, should be -1"),
        ("logsumexp", wrong_in_long_slices, "-0x1.f5cp+9], each 256 times is -993"),
        ("cross_entropy", label_of_the_neighbour, "float64 [0x1.4p+5 0x0p+0 -0x1p+3 0x1p+0] is 39.0, "),
        (
            "binary_cross_entropy_with_logits",
            logarithm_of_probability,
            "float64 0x1.0a2b2c2d2e2f2p+4, 1 is ",
        ),
    ],
)
def test_a_wrong_function_fails(monkeypatch, capsys, name, call, complaint):
    with_function(monkeypatch, name, call)
    assert command.main(["--no-speed"]) == 1
    printed = capsys.readouterr().out
    assert complaint in printed
    assert printed.rstrip().splitlines()[-1].startswith("The self-check FAILED")
    labels = {function.name: function.label for function in command.FUNCTIONS}
    failed = set(re.findall(r"^  (\S+\(.*?\)) .*FAILED$", printed, re.MULTILINE))
    assert failed == {labels[name]}


def made_wrong(number, dtype):
    return str(Decimal(number) * (1 + 4 * Decimal(float(np.finfo(dtype).eps))))


def rows_that_failed(capsys):
    return re.findall(r"^  (\S+\(.*?\)) +(float\d\d) .*FAILED$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(("name", "dtype"), RESULTS)
def test_a_wrong_exact_result_fails(monkeypatch, capsys, name, dtype):
    *others, last = RESULTS[name, dtype].split()
    monkeypatch.setitem(RESULTS, (name, dtype), " ".join([*others, made_wrong(last, dtype)]))
    assert command.main(["--no-speed"]) == 1
    # The binary loss of the target 0 is the softplus of the logit.
    names = {name} | ({"binary_cross_entropy_with_logits"} if name == "softplus" else set())
    labels = [function.label for function in command.FUNCTIONS if function.name in names]
    assert rows_that_failed(capsys) == [(label, dtype) for label in labels]


@pytest.mark.parametrize(("name", "dtype"), SLICE_RESULTS)
def test_a_wrong_exact_result_of_a_slice_fails(monkeypatch, capsys, name, dtype):
    (arguments, results), *others = SLICE_RESULTS[name, dtype]
    *same, last = results.split()
    wrong = (arguments, " ".join([*same, made_wrong(last, dtype)]))
    monkeypatch.setitem(SLICE_RESULTS, (name, dtype), [wrong, *others])
    assert command.main(["--no-speed"]) == 1
    assert rows_that_failed(capsys) == [(f.label, dtype) for f in command.FUNCTIONS if f.name == name]


def test_exit_status_of_the_process(run_python):
    code = (
        "import sys; from fastlogit import __main__ as command\n"
        "command.RESULTS['expit', 'float64'] = '0x1p+0 0.5'\n"
        "sys.exit(command.main(['--no-speed']))"
    )
    run_python(code, fails=True)


@pytest.mark.parametrize(("has_scipy", "columns"), [(True, 3), (False, 1)])
def test_speed_table(monkeypatch, capsys, quick, has_scipy, columns):
    if not has_scipy:
        monkeypatch.setitem(sys.modules, "scipy", None)
    assert command.main([]) == 0
    printed = capsys.readouterr().out
    assert ("SciPy is not installed" in printed) != has_scipy
    _, table = printed.split("Nanoseconds per element")
    without_scipy = {function.label for function in command.FUNCTIONS if function.scipy is None}
    for (label, _), times in table_rows(table, columns).items():
        assert float(times[0]) > 0
        assert [time == "–" for time in times[1:]] == [label in without_scipy] * (columns - 1)


def test_function_that_scipy_lacks(monkeypatch, capsys, quick):
    special = pytest.importorskip("scipy.special", reason="the table has SciPy's times where it is installed")
    monkeypatch.delattr(special, "expit")
    assert command.main([]) == 0
    rows = [line.split() for line in capsys.readouterr().out.partition("Nanoseconds")[2].splitlines()]
    assert [row[3:] for row in rows if row[:1] == ["expit(x)"]] == [["–", "–"]] * 2


def test_scipy_is_given_the_same_task(quick):
    special = pytest.importorskip("scipy.special", reason="the comparison is with SciPy")
    for function in command.FUNCTIONS:
        if function.scipy is None or not hasattr(special, function.name.removeprefix("clamped_")):
            continue  # older versions lack some
        x = function.source()
        ours, theirs = x.copy(), x.copy()
        result, expected = function.timed(ours), function.scipy(special, theirs)
        if function.name == "clamped_logit":
            expected = theirs
        assert result is ours or function.name == "logsumexp"
        np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_losses_that_are_timed_have_their_gradients(quick):
    for function in command.FUNCTIONS:
        if function.name.endswith(("with_logits", "cross_entropy")):
            x = function.source()
            assert 0 < function.timed(x) < 10
            assert abs(x).max() <= 1 / (x.size if x.ndim == 1 else len(x))
