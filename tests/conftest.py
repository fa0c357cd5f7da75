import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

import fastlogit
from fastlogit import _isa

hypothesis.settings.register_profile(
    "reproducible", derandomize=True, deadline=None, database=None, max_examples=300
)
hypothesis.settings.load_profile("reproducible")

# Time limits are multiplied by it; an emulated processor needs that.
PATIENCE = float(os.environ.get("FASTLOGIT_TEST_PATIENCE", "1"))


@pytest.fixture
def restored_threads():
    """The test may set the number of threads; the next one finds it as it was."""
    before = fastlogit.get_num_threads()
    yield
    fastlogit.set_num_threads(before)


@pytest.fixture(scope="session")
def run_python():
    """Run code in an interpreter of its own and return what it printed; a variable of None is unset."""

    def run(code, *, fails=False, text=True, timeout=120, **variables):
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(Path(fastlogit.__file__).parents[1]), str(Path(__file__).parent)]
        )
        for name, value in variables.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=text,
            timeout=PATIENCE * timeout,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def skip_unless_supported():
    """Skip where this build or this processor lacks an instruction set."""

    def check(*instruction_sets):
        for name in instruction_sets:
            if name not in _isa.supported():
                pytest.skip(
                    f"this build on this processor has {', '.join(_isa.supported())}, not {name}"
                )

    return check


@pytest.fixture
def libm():
    if platform.machine() not in ("x86_64", "aarch64") or platform.libc_ver()[0] != "glibc":
        pytest.skip("the layout of the floating-point environment is known for glibc on x86-64 and Arm alone")
    return ctypes.CDLL("libm.so.6")
