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
from reference import FUNCTIONS, OF_LOG_ODDS

import fastlogit
from fastlogit import __main__ as command

RECIPE = Path(__file__).parents[1] / "tools" / "self_check_reference.py"
ROWS = [(function, dtype) for function in command.FUNCTIONS for dtype in command.DTYPES]


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


def test_reference_values_are_what_the_recipe_gives():
    spec = importlib.util.spec_from_file_location("self_check_reference", RECIPE)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    printed = {key: [f for pair in pairs for f in pair] for key, pairs in recipe.reference().items()}
    assert {key: text.split() for key, text in command.REFERENCE.items()} == printed
    assert printed.keys() == {(function.name, dtype) for function, dtype in ROWS}
    assert {function.name for function, _ in ROWS} == set(FUNCTIONS)


@pytest.mark.parametrize(("function", "dtype"), ROWS, ids=lambda value: getattr(value, "name", value))
def test_reference_arguments_are_numbers_of_the_dtype(function, dtype):
    arguments = [float.fromhex(x) for x in command.REFERENCE[function.name, dtype].split()[::2]]
    np.testing.assert_array_equal(np.array(arguments, dtype).astype(float), arguments)
    assert len(set(map(str, arguments))) == len(arguments)


@pytest.mark.parametrize("dtype", command.DTYPES)
@pytest.mark.parametrize("name", OF_LOG_ODDS)
def test_reference_covers_subnormal_results(name, dtype):
    exact = [Decimal(text) for text in command.REFERENCE[name, dtype].split()[1::2]]
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
        fields = command.REFERENCE[function.name, dtype].split()
        largest = 0
        for argument, exact in zip(fields[::2], fields[1::2], strict=True):
            (got,) = function.call(np.array([float.fromhex(argument)], dtype))
            if np.isfinite(float(exact)) and float(exact) != 0:
                error = abs(Fraction(float(got)) - Fraction(exact))
                largest = max(largest, error / Fraction(float(np.spacing(abs(got)))))
        assert float(rows[function.label, dtype][0]) == pytest.approx(float(largest), abs=0.002)


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
    assert command.ulp_error(got, Decimal(exact), dtype) == pytest.approx(error, rel=1e-6, abs=1e-9)


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


@pytest.mark.parametrize(
    ("name", "call", "complaint"),
    [
        ("logit", one_ulp_off_at_one_half, "float64 0x1p-1 is 5e-324, should be 0.0"),
        ("logit", lambda x, out: np.copyto(out, np.float32(fastlogit.logit(x))), "float64 0x1.8p-1 is "),
        ("expit", flushes_subnormals, "float32 -0x1.7cp+6 is 0.0, should be 5.521"),
        ("log_expit", naive_log_expit, "float64 0x1.0a2b2c2d2e2f2p+4 is "),
        ("expit", wrong_in_one_lane, "of float32: an argument gives other results in other positions"),
        ("clamped_logit", leaves_in_place_alone, "float32 0x0p+0 is 0.0, should be -13.8"),
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


@pytest.mark.parametrize(("function", "dtype"), ROWS, ids=lambda value: getattr(value, "name", value))
def test_a_wrong_reference_fails(monkeypatch, capsys, function, dtype):
    *others, last = command.REFERENCE[function.name, dtype].split()
    wrong = str(Decimal(last) * (1 + 4 * Decimal(float(np.finfo(dtype).eps))))
    monkeypatch.setitem(command.REFERENCE, (function.name, dtype), " ".join([*others, wrong]))
    assert command.main(["--no-speed"]) == 1
    rows = re.findall(r"^  (\S+\(.*?\)) +(float\d\d) .*FAILED$", capsys.readouterr().out, re.MULTILINE)
    assert rows == [(function.label, dtype)]


def test_exit_status_of_the_process(run_python):
    code = (
        "import sys; from fastlogit import __main__ as command\n"
        "command.REFERENCE['expit', 'float64'] = '0x1p+0 0.5'\n"
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
    for times in table_rows(table, columns).values():
        assert all(float(time) > 0 for time in times)


def test_function_that_scipy_lacks(monkeypatch, capsys, quick):
    special = pytest.importorskip("scipy.special", reason="the table has SciPy's times where it is installed")
    monkeypatch.delattr(special, "expit")
    assert command.main([]) == 0
    rows = [line.split() for line in capsys.readouterr().out.partition("Nanoseconds")[2].splitlines()]
    assert [row[3:] for row in rows if row[:1] == ["expit(x)"]] == [["–", "–"]] * 2


def test_scipy_is_given_the_same_task():
    special = pytest.importorskip("scipy.special", reason="the comparison is with SciPy")
    for function in command.FUNCTIONS:
        if not hasattr(special, function.name.removeprefix("clamped_")):
            continue  # older versions lack some
        x = function.typical(1000)
        ours, theirs = x.copy(), x.copy()
        function.in_place(ours)
        function.scipy_call(special, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
