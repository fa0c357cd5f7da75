"""How each of the tools is built for, started, and made to see what matters; and what it cannot run."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def printed(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# No kernel runs in these, or one of another build does.
NO_KERNEL = [
    "test_build.py",
    "test_documentation.py",
    "test_examples.py",
    "test_main.py",
    "test_proofs.py",
    "test_row_search.py",
    "test_typing.py",
    "test_ulp_tool.py",
    "test_vectorised.py",
]

# The sanitizers have frames of their own, a second memory beside the first, allocate in NumPy's place, and
# start threads by a function of their own.
FRAMES_AND_MEMORY = [
    "test_small_stacks.py",
    "test_resources.py::test_result_that_no_memory_can_hold",
    "test_threads.py::test_threads_that_cannot_be_started",
    "test_threads.py::test_alarm_ends_the_wait_for_threads_to_start",
    *(
        f"test_{tests}.py::test_in_place_does_not_raise_the_peak_of_resident_memory"
        for tests in ("axis", "binary_loss_bits", "cross_entropy_bits", "elementwise")
    ),
]


@dataclass(frozen=True)
class Mode:
    name: str
    options: list[str]  # of Meson; empty: what is installed is looked at
    flags: list[str]  # of the compiler, for planted.c
    faults: list[str]  # functions of planted.c
    command: Callable[[Path], list[str]]  # what Python runs under, with a folder for the reports
    environment: Callable[[Path], dict[str, str]]
    tests: list[str] = field(default_factory=list)  # all, if empty
    impossible: list[str] = field(default_factory=list)
    instruction_sets: list[dict[str, str]] = field(default_factory=lambda: [{}])
    patience: int = 10  # times as long as a test may take elsewhere


def of_gcc(library: str) -> Path:
    return Path(printed("gcc", f"-print-file-name={library}")).resolve()


def address_environment(reports: Path) -> dict[str, str]:
    """Leaks are not looked for: CPython leaves memory to the end of the process; tools/soak.py looks.

    The library of C++ comes first with it: loaded later, the first exception of another package, which JAX
    and PyTorch catch themselves, would end the process.
    """
    return {
        "LD_PRELOAD": f"{of_gcc('libasan.so')}:{of_gcc('libstdc++.so.6')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=8:"
        f"log_path={reports}/asan",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports}/ubsan",
    }


# Shared, its runtime would send reports to the file of the other sanitizer, and they would be lost.
UBSAN_OF_ITS_OWN = ["-static-libubsan", "-Wl,--exclude-libs,ALL"]

ADDRESS = Mode(
    name="address",
    options=[
        "-Db_sanitize=address,undefined",
        "-Db_lundef=false",
        f"-Dc_link_args={UBSAN_OF_ITS_OWN}",
    ],
    flags=["-fsanitize=address,undefined", *UBSAN_OF_ITS_OWN],
    faults=["a_read_behind_the_end", "a_write_behind_the_end", "a_signed_overflow"],
    command=lambda reports: ["env"],
    environment=address_environment,
    # Forks in a thread while others begin: gcc's library lets the child wait for its own lock of memory then.
    impossible=[*FRAMES_AND_MEMORY, "test_fork.py::test_first_import_in_the_child_of_a_thread"],
)


def thread_environment(reports: Path) -> dict[str, str]:
    """The loops run on LLVM's OpenMP in place of gcc's: it tells Archer what it orders, and that tells
    ThreadSanitizer. Python and NumPy are not looked at."""
    openmp = of_gcc("libomp.so.5")
    return {
        "LD_PRELOAD": f"{of_gcc('libtsan.so')}:{openmp}",
        "OMP_TOOL_LIBRARIES": str(openmp.with_name("libarcher.so")),
        "OMP_NUM_THREADS": "4",
        "TSAN_OPTIONS": f"ignore_noninstrumented_modules=1:die_after_fork=0:log_path={reports}/tsan",
    }


THREAD = Mode(
    name="thread",
    options=["-Db_sanitize=thread", "-Db_lundef=false"],
    flags=["-fsanitize=thread"],
    faults=["a_race"],
    # Where memory lies at random it may lie where the sanitizer has its own.
    command=lambda reports: ["setarch", "-R"],
    environment=thread_environment,
    tests=[
        "test_threads.py",
        "test_free_threaded.py",
        "test_strides.py",
        "test_axis.py",
        "test_binary_loss_bits.py",
        "test_cross_entropy_bits.py",
        "test_slice_bits.py",
        "test_where_and_shared_out.py",
        "test_guard_pages.py",
    ],
    impossible=[
        *FRAMES_AND_MEMORY,
        # Polars does not start with this sanitizer.
        "test_axis.py::test_polars_series_keeps_its_name",
        "test_free_threaded.py::test_wrong_calls_at_once",
        # Of gcc's OpenMP.
        "test_threads.py::test_one_thread_enters_no_parallel_region",
        "test_threads.py::test_short_call_after_a_pause_wakes_no_thread_up",
        "test_threads.py::test_threads_are_awake_after_a_call_however_long_it_took",
    ],
)

VALGRIND = Mode(
    name="valgrind",
    options=[],
    flags=[],
    faults=[
        "a_read_behind_the_end",
        "a_write_behind_the_end",
        "a_decision_by_what_nobody_has_written",
    ],
    command=lambda reports: [
        "valgrind",
        "--quiet",
        "--error-limit=no",
        "--num-callers=30",
        "--xml=yes",
        f"--xml-file={reports}/valgrind.%p",
    ],
    # Memory of Python's own pools is one block to valgrind.
    environment=lambda reports: {"PYTHONMALLOC": "malloc", "OMP_NUM_THREADS": "2"},
    tests=["test_bits.py", "test_slice_bits.py", "test_guard_pages.py", "test_where_and_shared_out.py"],
    instruction_sets=[{"FASTLOGIT_ISA": "v3"}, {"FASTLOGIT_ISA": "v2"}],  # it does not know AVX-512
    patience=60,
)

MODES = {mode.name: mode for mode in (ADDRESS, THREAD, VALGRIND)}
