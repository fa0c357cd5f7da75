"""The tests with a build, or a machine, that sees what a processor lets pass.

    python tools/sanitize              AddressSanitizer and UBSan: all tests but the long ones
    python tools/sanitize thread       ThreadSanitizer: what runs on several threads
    python tools/sanitize valgrind     memcheck: the kernels for v3, then for v2
    python tools/sanitize thread -k softmax tests/test_threads.py    what follows is for pytest

The first two have builds of their own under build/sanitize, which are used again; valgrind runs what is
installed. Before the tests, planted faults have to be seen, and parallel loops without a fault have to pass.
Exits with 1 on a report and if a test fails.
Needs Linux, gcc, the packages of ``.[test]``, for threads the OpenMP of LLVM (libomp-dev), and valgrind.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from modes import MODES, NO_KERNEL, Mode
from reports import Report, collect

ROOT = Path(__file__).resolve().parents[2]
PLANTED = Path(__file__).with_name("planted.c")
# An extension where it is installed, its source, or what Cython made of that.
OURS = r"/fastlogit/(kernels/)?\w+\.[-\w]+\.so|src/fastlogit/|\.so\.p/|/kernel_units\."


def run(command: list[str], **options: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def compiler(folder: Path) -> Path:
    """gcc, which takes half an hour for the kernels with a sanitizer and -O3, and a tenth of it with -O1."""
    script = folder / "gcc"
    script.write_text('#!/bin/sh\nexec gcc "$@" -O1 -g1\n')
    script.chmod(0o755)
    return script


def build(mode: Mode, folder: Path) -> Path:
    """Compile and install; where the package is then."""
    packages = folder / "packages"
    settings = [f"-Dpython.{kind}libdir={packages}" for kind in ("pure", "plat")]
    environment = os.environ | {"CC": str(compiler(folder))}
    made = folder / "meson"
    if not made.exists():
        ini = folder / "python.ini"
        ini.write_text(f"[binaries]\npython = '{sys.executable}'\n")
        command = ["meson", "setup", str(made), str(ROOT), "--native-file", str(ini)]
        run([*command, f"--prefix={folder}/prefix", *settings, *mode.options], env=environment)
    run(["meson", "install", "-C", str(made), "--quiet", "--tags=runtime,python-runtime"], env=environment)
    return packages


def seen(mode: Mode, folder: Path, environment: dict[str, str], fault: str) -> list[Report]:
    """What is reported of a function of ``planted.c``, called from Python as the kernels are."""
    library = folder / "planted.so"
    run(["gcc", *mode.flags, "-g", "-fopenmp", "-fPIC", "-shared", str(PLANTED), "-o", str(library)])
    code = f"import ctypes; ctypes.CDLL({str(library)!r}).{fault}()"
    reports = folder / "planted"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    subprocess.run(
        [*mode.command(reports), sys.executable, "-c", code],
        env=environment | mode.environment(reports),
        capture_output=True,
    )
    return collect(reports, r"planted\.(so|c)")


def check_the_tool(mode: Mode, folder: Path, environment: dict[str, str]) -> None:
    for fault in mode.faults:
        if not seen(mode, folder, environment, fault):
            sys.exit(f"the planted fault {fault} is not seen: this set-up would see none in fastlogit")
    found = seen(mode, folder, environment, "no_fault")
    if found:
        sys.exit(f"there is a report where there is no fault:\n{found[0].text}")
    print(f"{mode.name}: sees {', '.join(mode.faults)}; parallel loops without a fault pass", flush=True)


def sanitize(mode: Mode, arguments: list[str]) -> bool:
    """Whether there is neither a report nor a failed test."""
    for command in ("gcc", mode.command(Path())[0]):
        if shutil.which(command) is None:
            sys.exit(f"{command} is needed for this and not installed")
    folder = ROOT / "build" / "sanitize" / mode.name
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"FASTLOGIT_TEST_PATIENCE": str(mode.patience)}
    if mode.options:
        environment["PYTHONPATH"] = str(build(mode, folder))
        # What tests build themselves, above all single functions of the kernels, is looked at as well.
        environment |= {"CC": str(compiler(folder)), "FASTLOGIT_TEST_BUILD": shlex.join(mode.options)}
    check_the_tool(mode, folder, environment)
    chosen = [a for a in arguments if a.partition("::")[0].endswith(".py")]
    tests = [] if chosen else [f"tests/{name}" for name in mode.tests]
    left_out = [f"--ignore=tests/{name}" for name in NO_KERNEL]
    left_out += [f"--deselect=tests/{test}" for test in mode.impossible]
    good = True
    for instruction_set in mode.instruction_sets:
        reports = folder / "reports"
        shutil.rmtree(reports, ignore_errors=True)
        reports.mkdir()
        pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-o", "testpaths=tests"]
        done = subprocess.run(
            [*mode.command(reports), *pytest, *left_out, *tests, *arguments],
            env=environment | mode.environment(reports) | instruction_set,
            cwd=ROOT,
        )
        found = collect(reports, OURS)
        for report in found:
            print(report.text)
        name = " ".join([mode.name, *instruction_set.values()])
        print(f"{name}: {len(found)} reports, pytest ended with {done.returncode}", flush=True)
        good &= not found and done.returncode == 0
    return good


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    name = arguments.pop(0) if arguments and arguments[0] in MODES else "address"
    return int(not sanitize(MODES[name], arguments))


if __name__ == "__main__":
    sys.exit(main())
