"""The loops that carry the arithmetic are vectorised, in every build of the kernels.

The kernels are compiled once more with the flags of meson.build, and gcc writes down what it did with each
loop. Nothing is timed, and no instruction of this processor's is needed.
"""

import functools
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

from fastlogit import _build_config

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "src" / "fastlogit" / "kernels"

VECTOR_BYTES = {"v2": 16, "v3": 32, "v4": 64, "generic": 16}
SPECIALISATIONS = {"float32": "__pyx_fuse_0", "float64": "__pyx_fuse_1"}  # in the order of the type `real`


class Loop(NamedTuple):
    """The innermost loop of a function that has a certain statement, or part of one, in its body."""

    kernel: str
    function: str
    statement: str
    # So short, and of so fixed a length, that gcc may unroll it and vectorise the statements that follow.
    unrolled: bool = False
    dtypes: tuple[str, ...] = ("float32", "float64")
    copies: tuple[int, int] = (1, 1)  # of either dtype, by inlining: each is vectorised by itself


# expit, and log_expit, softplus, logit and logit with eps with care for extreme values and without; float32
# log_expit and softplus need none.
FORMULAS = (7, 9)

LOOPS = [
    Loop("elementwise", "all_between", "largest_32 = bits_32 if", dtypes=("float32",)),
    Loop("elementwise", "all_between", "largest_64 = bits_64 if", dtypes=("float64",)),
    Loop("elementwise", "evaluate", "results[j] = of_element", copies=FORMULAS),
    Loop("elementwise", "evaluate", "out[i] = of_element", copies=FORMULAS),
    Loop("axis", "largest_along", "second = x[i + j + 2 * BLOCK]"),
    Loop("axis", "largest_across", "found[j] = row[j]"),
    Loop("axis", "add_quarters", "add_four[real]"),
    Loop("axis", "add_across", "add_four[real]"),
    Loop("axis", "add_halves", "add_exactly(&high[i], &low[i], high[i + width])", dtypes=("float64",)),
    Loop("axis", "write_along", "share[real]"),
    Loop("axis", "write_along", "out[i] = (x[i] - largest) - normaliser"),
    Loop("axis", "write_across", "share[real]"),
    Loop("axis", "write_across", "out_row[j] = (row[j] - largest[j]) - normaliser[j]"),
    Loop("axis", "relate", "exp_double"),
    Loop("axis", "finish", "reciprocal(high[j], low[j], &found.rest[j])"),
    Loop("axis", "take_off_largest", "normalise(&found.high[j], &found.low[j])", dtypes=("float64",)),
    Loop("axis", "take_off_largest", "found.high[j] -= term", dtypes=("float32",)),
    Loop("axis", "finish", "log_positive[real](NULL, high[j], low[j], 0)"),
]


def indentation(line):
    return len(line) - len(line.lstrip())


def lines_of(loop):
    """The number of the line with ``for``, and the numbers of all lines of the function."""
    lines = (KERNELS / f"{loop.kernel}.pyx").read_text().splitlines()
    definition = re.compile(rf"cdef .*\b{loop.function}\(")
    start = next((i for i, line in enumerate(lines) if definition.match(line)), None)
    assert start is not None, f"{loop.kernel}.pyx has no function {loop.function} any more: adapt LOOPS"
    stop = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("cdef ")), len(lines))
    inside = next((i for i in range(start, stop) if loop.statement in lines[i]), None)
    assert inside is not None, f"{loop.function} has no {loop.statement!r} any more: adapt LOOPS"
    head = next(
        i
        for i in range(inside, start, -1)
        if lines[i].lstrip().startswith("for ") and indentation(lines[i]) < indentation(lines[inside])
    )
    return head + 1, range(start + 1, stop + 1)


@pytest.fixture(scope="module")
def optimisation_report(tmp_path_factory):
    """A function of kernel and instruction set: what gcc has vectorised there."""
    if not _build_config.COMPILER.startswith("gcc "):
        pytest.skip(f"{_build_config.COMPILER} does not write gcc's record of optimisations")
    if not (ROOT / "meson.build").exists():
        pytest.skip("the sources of the kernels are not beside the tests")
    environment = dict(os.environ)
    scripts = sysconfig.get_path("scripts")
    environment["PATH"] = os.pathsep.join([scripts, environment["PATH"]])
    for tool in ("meson", "ninja", "cython"):
        if shutil.which(tool, path=environment["PATH"]) is None:
            pytest.skip(f"{tool} is needed to compile the kernels")

    folder = tmp_path_factory.mktemp("vectorised")
    # With line directives gcc speaks of lines of the .pyx, not of the C that Cython made of them.
    settings = folder / "line_directives.ini"
    settings.write_text(
        f"[binaries]\ncython = ['cython', '--line-directives']\npython = '{sys.executable}'\n"
    )

    def run(*command):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(
        *("meson", "setup", "build", str(ROOT), "--native-file", str(settings)),
        "-Dc_args=-fsave-optimization-record",
    )
    objects = [
        target
        for target in (
            line.split(":")[0] for line in run("ninja", "-C", "build", "-t", "targets", "all").splitlines()
        )
        if "/kernels/" in target and target.endswith(".o")
    ]
    run("ninja", "-C", "build", *objects)

    @functools.cache
    def read(kernel, instruction_set):
        (path,) = (folder / "build").glob(f"**/{kernel}_{instruction_set}.*/*.opt-record.json.gz")
        with gzip.open(path) as file:
            _, _, records = json.load(file)
        return [step for step in map(vectorised, records) if step is not None]

    return read


class Vectorised(NamedTuple):
    what: str  # "loop", or "basic block part"
    file: str
    line: int
    function: str  # as it was written, wherever it has been inlined
    vector_bytes: int


def vectorised(record):
    """A record of gcc's, if it says that something has been vectorised."""
    text = "".join(part for part in record["message"] if isinstance(part, str))
    found = re.match(r"(loop|basic block part) vectorized using (\d+) byte vectors", text)
    if record["kind"] != "success" or not found:
        return None
    function = record["inlining_chain"][0]["fndecl"].partition(".")[0]
    location = record["location"]
    return Vectorised(found[1], Path(location["file"]).name, location["line"], function, int(found[2]))


@pytest.mark.parametrize(
    ("loop", "dtype"),
    [
        pytest.param(loop, dtype, id=f"{loop.function}: {loop.statement}-{dtype}")
        for loop in LOOPS
        for dtype in loop.dtypes
    ],
)
@pytest.mark.parametrize("instruction_set", _build_config.INSTRUCTION_SETS)
def test_loop_is_vectorised(optimisation_report, instruction_set, loop, dtype):
    head, function = lines_of(loop)
    widths = [
        step.vector_bytes
        for step in optimisation_report(loop.kernel, instruction_set)
        if step.file == f"{loop.kernel}.pyx"
        and step.function.startswith(SPECIALISATIONS[dtype])
        and step.function.endswith(f"_{loop.function}")
        and ((step.what == "loop" and step.line == head) or (loop.unrolled and step.line in function))
    ]
    assert max(widths, default=0) == VECTOR_BYTES[instruction_set]
    assert widths.count(VECTOR_BYTES[instruction_set]) >= loop.copies[list(SPECIALISATIONS).index(dtype)]
