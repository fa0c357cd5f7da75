"""The loops that carry the arithmetic are vectorised, in every build of the kernels.

The kernels are compiled once more with the flags of meson.build, and gcc tells which loops it vectorised
(``-fopt-info-vec-optimized``). It names a line of the C that Cython made, and that C names the function, also
where the function came from a .pxd or was inlined into others. Nothing is timed, and no instruction of this
processor's is needed.

One compiler runs at a time. The largest took 364 MB: ``ru_maxrss`` of ``resource.getrusage(RUSAGE_CHILDREN)``
after these tests, with gcc 12.2; without the report it is the same. (With ``-fsave-optimization-record`` it
was 4.8 GB.)
"""

import bisect
import functools
import re
from collections import Counter
from typing import NamedTuple

import pytest

from fastlogit import _build_config

pytestmark = pytest.mark.once

VECTOR_BYTES = {"v2": 16, "v3": 32, "v4": 64, "generic": 16}
SPECIALISATIONS = {"float32": "__pyx_fuse_0", "float64": "__pyx_fuse_1", None: ""}  # order of the type `real`
BOTH = ("float32", "float64")
UNFUSED = (None,)


class Loops(NamedTuple):
    """So many loops of a function, each in so many copies at least, use the widest vectors of the build."""

    kernel: str  # into whose .pyx the function is compiled, wherever it is defined
    function: str
    dtypes: tuple[str | None, ...]  # None: of a function without the fused type
    loops: int
    copies: int = 1  # made by inlining: each is vectorised by itself
    scalar_on: tuple[str, ...] = ()  # builds where gcc 12 adds one element after the other


LOOPS = [
    Loops("slices", "keep_largest", BOTH, loops=2, copies=2),
    Loops("slices", "keep_larger", BOTH, loops=1, copies=2),
    Loops("slices", "keep_larger_rows", BOTH, loops=1, copies=4),
    Loops("slices", "choose_scaling", BOTH, loops=2, copies=6),
    # One mode of summation a copy; of add_block two, for whole blocks and for the last.
    Loops("slices", "add_block", BOTH, loops=1, copies=8),
    Loops("slices", "add_across", BOTH, loops=2, copies=4),
    Loops("slices", "end_lanes", ("float64",), loops=1, copies=3),
    Loops("slices", "add_halves", BOTH, loops=1, copies=16),
    Loops("slices", "take_off_largest", BOTH, loops=2),
    Loops("slices", "relate", BOTH, loops=1),
    Loops("slices", "merge_relative", UNFUSED, loops=1),
    Loops("slices", "merge_scaled", UNFUSED, loops=1),
    Loops("slices", "prepare_softmax", BOTH, loops=1, copies=2),
    Loops("slices", "prepare_logarithm", BOTH, loops=3, copies=2),
    Loops("slices", "write_lane", BOTH, loops=1, copies=6),
    Loops("slices", "write_rows", BOTH, loops=1, copies=5),
    Loops("cross_entropy", "find_losses_of_labels", BOTH, loops=2),
    Loops("cross_entropy", "find_gradients_of_labels", UNFUSED, loops=3),
    Loops("cross_entropy", "prepare_shares", BOTH, loops=1),
    Loops("cross_entropy", "add_rows_of_targets", ("float64",), loops=1, copies=2),
    Loops("cross_entropy", "subtract_targets", BOTH, loops=1),
    Loops("cross_entropy", "count_labels", UNFUSED, loops=1, scalar_on=("generic",)),
    Loops("slices", "spread_lanes", ("float32",), loops=1),
    # With usual logits and without, labels alone and all else, the curvature and none.
    Loops("binary_loss", "evaluate", BOTH, loops=1, copies=8),
    Loops("binary_loss", "is_usual", BOTH, loops=1),
    Loops("binary_loss", "are_within_one", UNFUSED, loops=1),
    Loops("binary_loss", "are_zero_or_one", UNFUSED, loops=1),
    Loops("parts", "exponentiate", UNFUSED, loops=1, copies=4),
    # The shares, and the logarithms of shares.
    Loops("parts", "write_part", BOTH, loops=2),
    Loops("elementwise", "all_between", BOTH, loops=1),
    # One formula a copy: expit, and log_expit, softplus, logit and logit with eps with care for extreme
    # values and without; float32 log_expit and softplus need none.
    Loops("elementwise", "evaluate", ("float32",), loops=2, copies=7),
    Loops("elementwise", "evaluate", ("float64",), loops=2, copies=9),
]


class Report(NamedTuple):
    """What gcc said of one kernel in one build."""

    defined: dict[int, str]  # the first line of each function of the C, in ascending order
    vectorised: Counter[tuple[int, int]]  # how often the loop on a line was, with vectors of so many bytes


@pytest.fixture(scope="module")
def report(set_up_build):
    """A function of kernel and instruction set: what gcc has vectorised there."""
    if not _build_config.COMPILER.startswith("gcc "):
        pytest.skip(f"{_build_config.COMPILER} does not write gcc's report of optimisations")
    build = set_up_build("-Db_colorout=never", "-Dc_args=-fopt-info-vec-optimized")
    kernels = "|".join({loops.kernel for loops in LOOPS})
    objects = re.findall(rf"^(\S*/kernels/(?:{kernels})_\S*\.o):", build.ninja("-t", "targets", "all"), re.M)
    said = build.ninja("-j1", "--verbose", *objects)

    @functools.cache
    def read(kernel, instruction_set):
        folder = build.folder / "build"
        (path,) = folder.glob(f"**/kernels/{kernel}_{instruction_set}.c")
        defined = {
            number: definition[1]
            for number, line in enumerate(path.read_text().splitlines(), start=1)
            if (definition := re.match(r"[a-zA-Z].*?\b(\w+)\(.*\{", line))
        }
        loops = re.findall(
            rf"^{path.relative_to(folder)}:(\d+):\d+: .*\bloop vectorized using (\d+) byte vectors",
            said,
            re.M,
        )
        return Report(defined, Counter((int(line), int(size)) for line, size in loops))

    return read


def name_of(mangled):
    """The name in the .pyx or .pxd of a function that Cython has mangled, behind its specialisation.

    Cython puts the qualified name of the module in front, each part behind its length:
    __pyx_fuse_0__pyx_f_9fastlogit_7kernels_5panel_gather.
    """
    specialisation, _, name = mangled.partition("__pyx_f_")
    while part := re.match(r"(\d+)", name):
        name = name[part.end() + int(part[1]) + 1 :]
    return specialisation, name


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("__pyx_fuse_0__pyx_f_9fastlogit_7kernels_5panel_gather", ("__pyx_fuse_0", "gather")),
        ("__pyx_fuse_1__pyx_f_9fastlogit_7kernels_9slices_v4_add_chunk", ("__pyx_fuse_1", "add_chunk")),
        ("__pyx_f_9fastlogit_7kernels_6expsum_merge_scaled", ("", "merge_scaled")),
    ],
)
def test_names_of_functions(mangled, name):
    assert name_of(mangled) == name


@pytest.mark.parametrize(
    ("loops", "dtype"),
    [
        pytest.param(loops, dtype, id=f"{loops.kernel}-{loops.function}-{dtype}")
        for loops in LOOPS
        for dtype in loops.dtypes
    ],
)
@pytest.mark.parametrize("instruction_set", _build_config.INSTRUCTION_SETS)
def test_loops_are_vectorised(report, instruction_set, loops, dtype):
    if instruction_set in loops.scalar_on:
        pytest.skip("sums of float64 in their order, which take no vectors on Arm")
    defined, vectorised = report(loops.kernel, instruction_set)
    lines = list(defined)
    wanted = (SPECIALISATIONS[dtype], loops.function)
    assert wanted in map(name_of, defined.values()), f"no {loops.function} in {loops.kernel}: adapt LOOPS"
    copies = {
        line: count
        for (line, size), count in vectorised.items()
        if size == VECTOR_BYTES[instruction_set]
        and name_of(defined[lines[bisect.bisect(lines, line) - 1]]) == wanted
    }
    assert sum(count >= loops.copies for count in copies.values()) >= loops.loops, copies
