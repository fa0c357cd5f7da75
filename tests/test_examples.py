"""The examples do what they say on their real data: what they print is computed here in another way."""

import csv
import importlib.util
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import fastlogit

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = EXAMPLES / "blend_scores.py"
SCORES = EXAMPLES / "data" / "digit_scores.csv"
SIZE = 100_003  # neither a multiple of the rows nor of the columns of the table
EPS = 1e-6
has_matplotlib = importlib.util.find_spec("matplotlib") is not None


def run_example(*arguments, script=SCRIPT, fails=False):
    """What it prints."""
    # Linux counts the memory of the process that starts a program as a peak of that program. A shell
    # between the two, which forks because something is left for it to do, is a small one.
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-W", "error", script, *map(str, arguments)],
        env=dict(os.environ, PYTHONPATH=str(Path(fastlogit.__file__).parents[1])),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


@pytest.fixture(scope="module")
def figure(tmp_path_factory):
    return tmp_path_factory.mktemp("figure") / "reliability.png"


@pytest.fixture(scope="module")
def printed(figure):
    return run_example("--size", SIZE, *(["--plot", figure] if has_matplotlib else []))


@pytest.fixture(scope="module")
def scores():
    """Labels, and the probabilities by name."""
    with open(SCORES, newline="") as file:
        assert re.fullmatch(r"# made by make_scores.py with scikit-learn \S+, NumPy \S+\n", next(file))
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    return columns.pop("odd"), columns


def naive_log_loss(labels, p):
    """The sum that the definition asks for; 0 log 0 is 0."""
    with np.errstate(divide="ignore"):
        return -np.mean(np.log(np.where(labels == 1, p, 1 - p)))


def clamped(p):
    return np.clip(p, EPS, 1 - EPS)


def blended(columns):
    return special.expit(np.mean([special.logit(clamped(p)) for p in columns.values()], axis=0))


def printed_losses(printed):
    """Name: [scores of 0 or 1, of these wrong, log-loss without, with eps]; no counts for the blend."""
    lines = printed.split("with eps\n")[1].split("\n\n")[0].splitlines()
    return {line[:22].strip(): [float(field) for field in line[22:].split()] for line in lines}


def test_data_are_held_out_probabilities(scores):
    labels, columns = scores
    assert labels.size == 1797
    assert set(labels) == {0, 1}
    assert len(columns) == 7
    for p in columns.values():
        assert np.all((0 <= p) & (p <= 1))
        assert np.mean((p > 0.5) == labels) > 0.9


def test_data_have_every_digit_of_the_probabilities():
    with open(SCORES) as file:
        fields = [field for line in file.readlines()[2:] for field in line.rstrip("\n").split(",")[1:]]
    assert fields == [repr(float(field)) for field in fields]


def test_data_have_exact_0_and_1_and_some_are_wrong(scores):
    labels, columns = scores
    p = np.array(list(columns.values()))
    assert np.any(p == 0)
    assert np.any(p == 1)
    assert np.any((p == 0) & (labels == 1) | (p == 1) & (labels == 0))


def test_counts_and_log_losses(printed, scores):
    labels, columns = scores
    rows = printed_losses(printed)
    assert [*rows] == [*columns, "blend"]
    for name, p in columns.items():
        certain, wrong, without_eps, with_eps = rows[name]
        assert certain == np.sum((p == 0) | (p == 1))
        assert wrong == np.sum((p == 0) & (labels == 1) | (p == 1) & (labels == 0))
        if wrong:
            assert without_eps == math.inf
        assert with_eps == pytest.approx(naive_log_loss(labels, clamped(p)), abs=5.1e-5)
        assert without_eps == pytest.approx(naive_log_loss(labels, p), abs=5.1e-5)
    without_eps, with_eps = rows["blend"]
    assert math.isnan(without_eps)
    assert with_eps == pytest.approx(naive_log_loss(labels, blended(columns)), abs=5.1e-5)


def test_blend_beats_every_model(printed, scores):
    labels, columns = scores
    losses = {name: naive_log_loss(labels, clamped(p)) for name, p in columns.items()}
    best = min(losses, key=losses.get)
    assert naive_log_loss(labels, blended(columns)) < losses[best]
    assert f"beats the best single model ({best})" in printed


def test_large_array(printed, scores):
    _, columns = scores
    rows = len(columns) + 1
    width = SIZE // rows
    assert f"The same for {rows * width:,} float64 values" in printed
    steps = re.findall(r"^(.*out=\w+\)) +([\d,]+) +([\d.]+) +([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
    values = [int(step[1].replace(",", "")) for step in steps]
    assert values == [(rows - 1) * width, (rows - 1) * width, rows * width]
    assert "Every tile has the bits of the small table: yes." in printed


def test_memory_is_that_of_the_array():
    """The large array is what the process adds to its peak, and hardly anything else."""
    printed = run_example("--size", 2**23)
    line = re.search(r"^Peak memory: .*$", printed, re.MULTILINE).group()
    peak, array, before = map(int, re.findall(r"(\d+) MiB", line))
    assert array == 64
    assert array - 4 <= peak - before <= array + 4


@pytest.mark.skipif(not has_matplotlib, reason="the figure needs matplotlib, an optional dependency")
def test_figure(printed, figure):
    """A PNG with the two colours of the models and of the blend."""
    from matplotlib.colors import to_rgba
    from matplotlib.image import imread

    assert str(figure) in printed
    image = imread(figure)
    assert image.shape[2] == 4
    for color in ("#33658a", "#b0413e"):
        assert np.any(np.all(np.abs(image - to_rgba(color)) < 0.01, axis=2))


def test_without_matplotlib(run_python):
    message = run_python(
        "import runpy, sys\n"
        "sys.modules['matplotlib'] = None\n"
        "sys.argv[1:] = ['--plot', 'figure.png']\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')",
        fails=True,
    )
    assert "--plot needs matplotlib, which is not installed" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("size", ["0", "-8", "many"])
def test_bad_size(size):
    message = run_example("--size", size, fails=True)
    assert "--size" in message
    assert "Traceback" not in message


# Logistic and softmax regression


@pytest.fixture(scope="module")
def regressions():
    """By scikit-learn, with a solver that neither the example nor its model has: Newton's method."""
    pytest.importorskip("sklearn", reason="examples/logistic_regression.py needs scikit-learn")
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.linear_model import LogisticRegression

    accuracies = []
    for dataset in (load_breast_cancer(), load_digits()):
        held_out = np.arange(dataset.target.size) % 4 == 0
        mean, spread = (f(dataset.data[~held_out], axis=0) for f in (np.mean, np.std))
        x = (dataset.data - mean) / np.where(spread == 0, 1, spread)
        model = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8)
        model.fit(x[~held_out], dataset.target[~held_out])
        accuracies.append(model.score(x[held_out], dataset.target[held_out]))
    return accuracies


def test_regressions_agree_with_scikit_learn(regressions):
    printed = run_example(script=EXAMPLES / "logistic_regression.py")
    differences = re.findall(r"^Largest difference of (\d+) coefficients: (\S+)$", printed, re.MULTILINE)
    assert [int(count) for count, _ in differences] == [31, 650]
    assert all(float(difference) <= 1e-5 for _, difference in differences)
    assert printed.count("They agree to 1e-05, and so do all decisions: yes.") == 2
    rows = re.findall(r"^(fastlogit|LogisticRegression).* ([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
    assert len(rows) == 4
    for (_, _, accuracy), expected in zip(rows, np.repeat(regressions, 2), strict=True):
        assert float(accuracy) == pytest.approx(expected, abs=5.1e-5)


# Boosting

BOOSTERS = [name for name in ("lightgbm", "xgboost") if importlib.util.find_spec(name)]


@pytest.mark.skipif(
    not BOOSTERS or not importlib.util.find_spec("sklearn"),
    reason="NOT CHECKED: examples/boosting.py, which needs scikit-learn, and LightGBM or XGBoost",
)
def test_boosting_predicts_as_with_the_objectives_of_the_libraries():
    printed = run_example(script=EXAMPLES / "boosting.py")
    rows = re.findall(r"^(\w+) +(binary|multi-class) +(\d+) +50 +(\S+)$", printed, re.MULTILINE)
    kinds = [("binary", "569"), ("multi-class", "1797")]
    assert [row[:3] for row in rows] == [(name, *kind) for name in BOOSTERS for kind in kinds]
    assert all(float(row[3]) <= 1e-6 for row in rows)
    assert "The predictions agree to 1e-06: yes." in printed


def test_boosting_of_a_library_that_is_not_there(run_python):
    pytest.importorskip("sklearn", reason="examples/boosting.py needs scikit-learn")
    message = run_python(
        "import importlib.util, runpy, sys\n"
        "importlib.util.find_spec = lambda name: None\n"
        "sys.argv[1:] = ['--library', 'xgboost']\n"
        f"runpy.run_path({str(EXAMPLES / 'boosting.py')!r}, run_name='__main__')",
        fails=True,
    )
    assert "xgboost is not installed" in message
    assert "Traceback" not in message
