import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# Short calls after a pause would stay on one thread, and few tests would see several.
os.environ["FASTLOGIT_TUNING"] = f"waking=0 {os.environ.get('FASTLOGIT_TUNING', '')}"

import fastlogit
from fastlogit import _isa
from fastlogit._build_config import COMPILER

ROOT = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile(
    "reproducible", derandomize=True, deadline=None, database=None, max_examples=300
)
hypothesis.settings.load_profile("reproducible")

# Time limits are multiplied by it; an emulated processor needs that.
PATIENCE = float(os.environ.get("FASTLOGIT_TEST_PATIENCE", "1"))


# pytest-run-parallel runs a test in several threads at once, which share its fixtures. One only can use these
# functions and fixtures, which are of the whole process, or write into memory or files that are there once.
PROCESS_WIDE = {"tracemalloc", "traced_peak", "resident_peak"}
SHARED = {"restored_threads", "compile_library", "memories", "long_memories"}


def one_at_a_time(manager):
    """The precision of mpmath is one for all threads: whoever has set it keeps the others waiting."""
    lock = threading.RLock()

    @contextmanager
    def locked(*arguments):
        with lock, manager(*arguments):
            yield

    return locked


def pytest_collection_modifyitems(config, items):
    if config.pluginmanager.hasplugin("run-parallel"):
        for item in items:
            if isinstance(item, pytest.Function) and (
                PROCESS_WIDE & set(item.function.__code__.co_names) or SHARED & set(item.fixturenames)
            ):
                item.add_marker(pytest.mark.thread_unsafe)
        import mpmath

        mpmath.workprec = one_at_a_time(mpmath.workprec)
        # Deprecated: it would warn of pickle, which looks into every module.
        sys.modules.pop("mpmath.rational", None)


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
        # What this Python itself was started with comes first: a sanitizer, by tools/sanitize.
        if variables.get("LD_PRELOAD") and "LD_PRELOAD" in environment:
            variables["LD_PRELOAD"] = f"{environment['LD_PRELOAD']}:{variables['LD_PRELOAD']}"
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


@dataclass
class MesonBuild:
    """A folder whose ``build`` Meson has set up, with the compiler of this environment."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command):
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ninja(self, *arguments):
        return self.run("ninja", "-C", "build", *arguments)


@pytest.fixture(scope="session")
def set_up_build(tmp_path_factory):
    """Set up a build of the sources, or of a copy of them, with options of Meson.

    Where this Python runs under emulation, Meson and the compiler are programs of the machine outside, and
    the cross file of ``tools/arm64`` names them. ``tools/sanitize`` has options of its own for every build.
    """
    cross_file = os.environ.get("FASTLOGIT_CROSS_FILE")
    machine_files = ("--native-file", "python.ini", *(("--cross-file", cross_file) if cross_file else ()))
    of_every_build = shlex.split(os.environ.get("FASTLOGIT_TEST_BUILD", ""))

    def set_up(*options, source=ROOT):
        if not (source / "meson.build").exists():
            pytest.skip("the sources of the kernels are not beside the tests")
        environment = dict(os.environ)
        environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environment["PATH"]])
        for tool in ("meson", "ninja", "cython"):
            if shutil.which(tool, path=environment["PATH"]) is None:
                pytest.skip(f"{tool} is needed to compile the kernels")
        build = MesonBuild(tmp_path_factory.mktemp("meson"), environment)
        (build.folder / "python.ini").write_text(f"[binaries]\npython = '{sys.executable}'\n")
        build.run("meson", "setup", "build", str(source), *machine_files, *of_every_build, *options)
        return build

    return set_up


@pytest.fixture(scope="session")
def set_up_changed_package(set_up_build, tmp_path_factory):
    """A folder with a copy of fastlogit, some of whose kernels are compiled from changed sources."""

    def set_up(changes, kernels):
        """``changes`` are (name in kernels/, passage, what stands there instead)."""
        source, folder = (tmp_path_factory.mktemp(name) for name in ("source", "changed"))
        shutil.copytree(ROOT / "src", source / "src")
        for name in ("meson.build", "meson.options"):
            shutil.copy(ROOT / name, source)
        for name, before, after in changes:
            path = source / "src" / "fastlogit" / "kernels" / name
            text = path.read_text()
            assert text.count(before) == 1
            path.write_text(text.replace(before, after))
        build = set_up_build(source=source)
        shutil.copytree(Path(fastlogit.__file__).parent, folder / "fastlogit")
        for name in kernels:
            (kernel,) = (folder / "fastlogit" / "kernels").glob(f"{name}.*")
            target = f"src/fastlogit/kernels/{kernel.name}"
            build.ninja(target)
            shutil.copy(build.folder / "build" / target, kernel)
        return folder

    return set_up


@pytest.fixture
def compile_library(tmp_path):
    """Compile a library of C for a test, where gcc is there and fastlogit is gcc's too."""

    def compile(source, *options):
        compiler = shutil.which("gcc")
        if compiler is None or not COMPILER.startswith("gcc "):
            pytest.skip("needs gcc, also for this build, whose OpenMP and libraries are then the same")
        path, library = tmp_path / "library.c", tmp_path / "library.so"
        path.write_text(source)
        subprocess.run([compiler, "-shared", "-fPIC", str(path), "-o", str(library), *options], check=True)
        return library

    return compile


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
