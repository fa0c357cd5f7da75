"""What type checkers see: the scripts in ``tests/typing`` pass and fail as a user would want."""

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

import fastlogit

pytestmark = pytest.mark.once

SCRIPTS = Path(__file__).parent / "typing"


def test_mypy(tmp_path):
    """A user's script passes, and each of the mistakes is one: an ignored error that is none is an error."""
    for module in ("mypy", "pandas", "polars", "xarray"):
        pytest.importorskip(module, reason="the script uses its types")
    if not any(Path(path, "pandas-stubs").exists() for path in sys.path):
        pytest.skip("without pandas-stubs a Series is Any")
    environment = dict(os.environ)
    installed = Path(fastlogit.__file__).parents[1]
    if str(installed) not in site.getsitepackages():  # where mypy looks anyway, and must not be sent
        environment["MYPYPATH"] = str(installed)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "user.py", "mistakes.py"],
        cwd=SCRIPTS, env=environment, capture_output=True, text=True, check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Success: no issues found in 2 source files\n")
