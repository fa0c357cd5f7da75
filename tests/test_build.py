"""What was built: instruction sets, symbols, imports, version, the examples in the docstrings."""

import doctest
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from reference import PUBLIC

import fastlogit
from fastlogit import _build_config, _isa, _runtime

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(fastlogit.__file__).parent
EXTENSIONS = sorted(PACKAGE.rglob("*.so"))

needs_choice = pytest.mark.skipif(
    _build_config.INSTRUCTION_SETS == ("generic",), reason="this processor family gets one build"
)


# Instruction sets


@pytest.mark.parametrize("instruction_set", _build_config.INSTRUCTION_SETS)
def test_environment_variable_chooses_the_instruction_set(
    instruction_set, run_python, skip_unless_supported
):
    skip_unless_supported(instruction_set)
    printed = run_python(
        "import sys\n"
        "import fastlogit\n"
        "print(fastlogit._isa.chosen)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('fastlogit.kernels.')))\n",
        FASTLOGIT_ISA=instruction_set,
    )
    chosen, loaded = printed.splitlines()
    assert chosen == instruction_set
    assert f"fastlogit.kernels.elementwise_{instruction_set}" in loaded.split()
    assert all(name.endswith(f"_{instruction_set}") for name in loaded.split())


def test_unset_means_the_best(run_python):
    printed = run_python("import fastlogit; print(fastlogit._isa.chosen)", FASTLOGIT_ISA=None)
    assert printed.strip() == _isa.supported()[-1]


@pytest.mark.parametrize("wanted", ["v9", "V3", "avx2", " v2", "v2,v3", ""])
def test_unknown_instruction_set_is_an_import_error_that_lists_those_there_are(wanted, run_python):
    error = run_python("import fastlogit", fails=True, FASTLOGIT_ISA=wanted).splitlines()[-1]
    assert error.startswith("ImportError: ")
    assert f"FASTLOGIT_ISA={wanted!r}" in error
    assert f"it can be {', '.join(_isa.supported())}, or unset" in error


@needs_choice
def test_unsupported_instruction_set_is_refused_and_the_best_other_one_is_taken(monkeypatch):
    """As on a processor without it: the build that it cannot run is not on offer."""
    monkeypatch.setattr(_isa, "supported", lambda: ("v2",))
    monkeypatch.delenv("FASTLOGIT_ISA", raising=False)
    assert _isa.choose() == "v2"
    monkeypatch.setenv("FASTLOGIT_ISA", "v4")
    with pytest.raises(ImportError, match="it can be v2, or unset"):
        _isa.choose()
    monkeypatch.setattr(_isa, "supported", tuple)
    monkeypatch.delenv("FASTLOGIT_ISA")
    with pytest.raises(ImportError, match="build it from source"):
        _isa.choose()


def test_supported_are_built_and_in_order():
    assert _isa.supported()
    assert _isa.chosen in _isa.supported()
    assert [name for name in _build_config.INSTRUCTION_SETS if name in _isa.supported()] == list(
        _isa.supported()
    )


@needs_choice
@pytest.mark.parametrize(
    ("instruction_set", "flags"),
    [
        ("v2", "sse4_1 sse4_2 ssse3 popcnt cx16"),
        ("v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe"),
        ("v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
    ],
)
def test_supported_is_what_the_operating_system_says(instruction_set, flags):
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("this system has no /proc/cpuinfo to compare with")
    line = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    present = set(line.partition(":")[2].split())
    assert (instruction_set in _isa.supported()) == (set(flags.split()) <= present)


# show_config


def test_show_config(capsys):
    fastlogit.show_config()
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"fastlogit {fastlogit.__version__}"
    shown = dict(line.strip().split(":", 1) for line in lines)
    shown = {name: value.strip() for name, value in shown.items()}
    assert list(shown) == [
        *("compiler", "instruction sets", "OpenMP", "threads", "sizes", "idle threads", "NumPy", "Python")
    ]
    assert shown["compiler"] == f"{_build_config.COMPILER}, Cython {_build_config.CYTHON}"
    assert shown["instruction sets"] == (
        f"{', '.join(_build_config.INSTRUCTION_SETS)} built, "
        f"{', '.join(_isa.supported())} on this processor, {_isa.chosen} chosen"
    )
    assert shown["threads"] == str(fastlogit.get_num_threads())
    assert shown["NumPy"] == f"{np.__version__} (built with {_build_config.NUMPY})"
    assert shown["Python"] == f"{sys.version.split()[0]} on {sys.platform}"
    if not _build_config.OPENMP:
        assert shown["OpenMP"] == "none: serial"
    elif sys.platform == "linux":
        assert Path(shown["OpenMP"]).name.startswith(("libgomp", "libomp", "libiomp"))


# Symbols, imports, version


def test_there_are_extensions():
    names = {path.name.partition(".")[0] for path in EXTENSIONS}
    kernels = {f"elementwise_{name}" for name in _build_config.INSTRUCTION_SETS}
    assert names >= {"_elementwise", "_isa", "_threads", "ufuncs"} | kernels


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.name.partition(".")[0])
def test_only_the_module_init_symbol_is_exported(path):
    if sys.platform != "linux" or shutil.which("nm") is None:
        pytest.skip("nm of the GNU binary utilities is needed to list the symbols")
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True
    )
    symbols = [line.split()[-1] for line in listed.stdout.splitlines()]
    assert symbols == [f"PyInit_{path.name.partition('.')[0]}"]


def test_import_needs_numpy_alone(run_python):
    """No other package is imported, and nothing of NumPy that `import numpy` does not load."""
    printed = run_python(
        "import sys\n"
        "import numpy\n"
        "before = set(sys.modules)\n"
        "import fastlogit\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))\n"
    )
    imported = {name for name in printed.split() if not name.startswith("_cython_")}
    # Cython 3.1 enters the module of its memoryviews under the name of its file, too.
    assert imported <= {"fastlogit", "cython_runtime", "_cyutility"}


def test_runtime_requirement_is_numpy_alone():
    requirements = importlib.metadata.requires("fastlogit")
    assert [text for text in requirements if "extra ==" not in text] == ["numpy>=2.0"]


def test_one_version():
    assert fastlogit.__version__ == importlib.metadata.version("fastlogit") == _build_config.VERSION


def test_files_of_a_release_name_the_same_version():
    if not (ROOT / "meson.build").exists():
        pytest.skip("the sources are not beside the tests")
    version = re.escape(_build_config.VERSION)
    for name, line in {
        "meson.build": f"  version: '{version}',",
        "CITATION.cff": f"version: {version}",
        "CHANGELOG.md": f"## {version} - (not yet released|20\\d\\d-\\d\\d-\\d\\d)",
        "recipe/recipe.yaml": f'  version: "{version}"',
    }.items():
        assert re.search(f"^{line}$", (ROOT / name).read_text(), re.MULTILINE), name


def test_address_of_the_repository_is_everywhere_or_nowhere():
    """Relative links lead nowhere on the page at PyPI. RELEASING.md has the places."""
    if not (ROOT / "pyproject.toml").exists() or not (ROOT / "README.md").exists():
        pytest.skip("the sources are not beside the tests")
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
    links = re.findall(r"\]\((.+?)\)|^\[.+?\]: (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    links = [inline or listed for inline, listed in links]
    assert links
    if not urls:
        assert all((ROOT / link).exists() for link in links)
        return
    assert all(link.startswith("https://") for link in links)
    for name in ("CITATION.cff", "recipe/recipe.yaml"):
        assert urls["Repository"] in (ROOT / name).read_text()


def test_a_bundled_runtime_brings_its_licence():
    """auditwheel puts the libraries that a wheel needs into a folder beside the package."""
    bundled = sorted(path.name for path in PACKAGE.parent.glob("fastlogit.libs/*"))
    if not bundled:
        pytest.skip("this installation has no library of its own")
    assert all(name.startswith("libgomp") for name in bundled)
    (licence,) = (
        path for path in importlib.metadata.files("fastlogit") if path.name == "LICENSE-libgomp"
    )
    assert "GPL-3.0-or-later WITH GCC-exception-3.1" in licence.read_text()


def test_name_of_the_runtime_is_that_of_the_wheel(tmp_path, monkeypatch):
    """The copy of libgomp in a wheel has a name of its own; what is called libgomp.so.1 is then another."""
    assert all(name.startswith("libgomp") for name in _runtime.libgomp_names())
    (tmp_path / "fastlogit").mkdir()
    monkeypatch.setattr(_runtime, "__file__", str(tmp_path / "fastlogit" / "_runtime.py"))
    assert _runtime.libgomp_names() == ("libgomp.so.1",)
    (tmp_path / "fastlogit.libs").mkdir()
    (tmp_path / "fastlogit.libs" / "libgomp-e985bcbb.so.1.0.0").touch()
    assert _runtime.libgomp_names() == ("libgomp-e985bcbb.so.1.0.0",)
    assert not _runtime.is_libgomp_loaded()


def test_public_names():
    assert sorted(fastlogit.__all__) == fastlogit.__all__
    for name in fastlogit.__all__:
        getattr(fastlogit, name)


def test_stubs_and_the_marker_of_types_are_installed():
    assert (PACKAGE / "py.typed").exists()
    compiled = {path.name.partition(".")[0] for path in EXTENSIONS if path.parent == PACKAGE}
    # `_cyutility` is Cython's; type checkers find no `_build_config` in the sources, since Meson writes it.
    assert {path.stem for path in PACKAGE.glob("*.pyi")} == compiled - {"_cyutility"} | {"_build_config"}


# The examples in the docstrings


@pytest.mark.usefixtures("restored_threads")
@pytest.mark.parametrize(
    ("module", "documented"),
    [
        ("_elementwise", set(PUBLIC)),
        ("_threads", {"get_num_threads", "set_num_threads", "num_threads", "show_config"}),
        ("ufuncs", {"", "clamped_logit"}),
    ],
)
def test_examples_in_docstrings(module, documented):
    module = importlib.import_module(f"fastlogit.{module}")
    tests = {
        test.name.removeprefix(module.__name__).removeprefix("."): test
        for test in doctest.DocTestFinder().find(module)
        if test.examples and "__test__" not in test.name  # where Cython repeats them
    }
    assert documented <= set(tests)
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests.values():
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
