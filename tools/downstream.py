"""Runs the tests of statsmodels, scipy.stats and scikit-learn with fastlogit in place of SciPy's functions.

    python tools/downstream.py                    half an hour beside other work
    python tools/downstream.py --only logistic    suites that have this in their names

Each suite runs twice, with SciPy's functions and with ours; what fails with ours alone is a failure. Calls of
ours are counted: a suite that never calls them shows nothing. Needs statsmodels and scikit-learn.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

REPLACED = ("expit", "log_expit", "logit", "log_softmax", "logsumexp", "softmax")
SUITES = {
    "statsmodels: GLM, GEE, families and links": ["statsmodels.genmod"],
    "statsmodels: discrete models": ["statsmodels.discrete.tests.test_discrete"],
    "scipy.stats: logistic distributions": [
        "scipy.stats.tests.test_distributions",
        "scipy.stats.tests.test_continuous_basic",
        "scipy.stats.tests.test_continuous_fit_censored",
        "-k",
        "logistic",
    ],
    "scikit-learn: losses and links": ["sklearn._loss"],
    "scikit-learn: linear models": ["sklearn.linear_model"],
    "scikit-learn: boosting, mixtures, calibration": [
        "sklearn.ensemble.tests.test_gradient_boosting",
        "sklearn.ensemble.tests.test_weight_boosting",
        "sklearn.mixture",
        "sklearn.naive_bayes",
        "sklearn.tests.test_naive_bayes",
        "sklearn.tests.test_calibration",
    ],
}


class Outcomes:
    """A plugin of pytest: which tests failed, and how many did not."""

    def __init__(self):
        self.failed = []
        self.counts = Counter()

    def pytest_runtest_logreport(self, report):
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call":
            self.counts[report.outcome] += 1

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)


def replace_functions():
    """Before anyone has imported them from SciPy. Returns the counts of calls, which go on."""
    import scipy.special

    import fastlogit

    calls = Counter()

    def counted(name):
        function = getattr(fastlogit, name)

        def call(*arguments, **options):
            calls[name] += 1
            return function(*arguments, **options)

        return call

    for name in REPLACED:
        setattr(scipy.special, name, counted(name))
    return calls


def run_here(arguments, functions, result):
    import pytest

    calls = replace_functions() if functions == "fastlogit" else Counter()
    outcomes = Outcomes()
    options = ["-q", "--tb=line", "-p", "no:cacheprovider", "-W", "ignore", "--continue-on-collection-errors"]
    status = pytest.main([*options, "--pyargs", *arguments], plugins=[outcomes])
    counts = {**outcomes.counts, "calls": calls.total()}
    Path(result).write_text(json.dumps({"failed": outcomes.failed, "counts": counts, "status": int(status)}))


def outcome_of(arguments, functions):
    """Of a run in a process of its own, in an empty directory: no configuration of ours applies."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        command = [sys.executable, __file__, "--here", functions, str(result), *arguments]
        with open(Path(directory) / "log", "w+") as log:
            subprocess.run(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT, check=False)
            if not result.exists():
                log.seek(0)
                raise SystemExit(log.read()[-2000:])
        return json.loads(result.read_text())


def main():
    if sys.argv[1:2] == ["--here"]:
        return run_here(sys.argv[4:], *sys.argv[2:4])
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    os.environ.setdefault("MPLBACKEND", "agg")
    broken = False
    for name, arguments in SUITES.items():
        if only not in name:
            continue
        theirs, ours = (outcome_of(arguments, functions) for functions in ("SciPy", "fastlogit"))
        new = sorted(set(ours["failed"]) - set(theirs["failed"]))
        passed, calls = ours["counts"].get("passed", 0), ours["counts"]["calls"]
        print(
            f"{name}: {passed} passed, {len(ours['failed'])} failed "
            f"({len(theirs['failed'])} with SciPy's functions), {calls} calls of ours",
            *new,
            sep="\n    ",
            flush=True,
        )
        broken = broken or bool(new) or not passed or not calls or passed < theirs["counts"].get("passed", 0)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
