"""``fastlogit.scalar``, called from Cython and from Numba: the bits of the array functions.

What is compiled are the examples of ``docs/scalar.rst`` and one caller of every function.
"""

import ctypes
import importlib.util
import math
import platform
import sysconfig
import textwrap
from pathlib import Path

import numpy as np
import pytest

import fastlogit
from fastlogit import _isa, scalar

pytestmark = pytest.mark.once

PAGE = Path(__file__).parents[1] / "docs" / "scalar.rst"
PACKAGE = Path(fastlogit.__file__).parent
TYPES = {"float32": ("float", ctypes.c_float), "float64": ("double", ctypes.c_double)}
NAMES = ["clamped_logit", "expit", "log_expit", "logit", "softplus"]

MESON = """
project('user', 'c', 'cython', default_options: ['buildtype=release'])
py = import('python').find_installation(pure: false)
openmp = dependency('openmp', required: false)
foreach name : ['example', 'every']
  py.extension_module(name, name + '.pyx', cython_args: ['-I', '{site}'], dependencies: openmp)
endforeach
"""

EVERY = """
# cython: language_level=3, freethreading_compatible=True
from fastlogit cimport scalar
""" + "".join(
    f"""
def {name}_{dtype}({ctype} x):
    return scalar.{name}(x{", 1e-6" if name == "clamped_logit" else ""})

def fill_{name}_{dtype}(const {ctype}[::1] x, {ctype}[::1] out):
    cdef Py_ssize_t i
    with nogil:
        for i in range(x.shape[0]):
            out[i] = scalar.{name}(x[i]{", 1e-6" if name == "clamped_logit" else ""})
"""
    for name in NAMES
    for dtype, (ctype, _) in TYPES.items()
)

# Run by the interpreter of a test, with FASTLOGIT_ISA set: prints what is wrong.
COMPARE = """
import importlib.util, sys
import numpy as np
import fastlogit
spec = importlib.util.spec_from_file_location("every", {library!r})
every = importlib.util.module_from_spec(spec)
spec.loader.exec_module(every)
rng = np.random.default_rng(16)
for dtype in (np.float32, np.float64):
    info = np.finfo(dtype)
    unsigned = {{4: np.uint32, 8: np.uint64}}[info.dtype.itemsize]
    special = [0, -0.0, 1, 0.5, np.inf, -np.inf, np.nan, info.tiny, info.smallest_subnormal, info.max,
               -info.max, info.tiny / 8, 1 - info.epsneg, 1 + info.eps, -700, -720, -745, -88, -95, -103,
               710, 40]
    bits = rng.integers(0, 2 ** (8 * info.dtype.itemsize), 20000, dtype=unsigned).view(dtype)
    x = np.concatenate([np.array(special, dtype), bits, rng.random(20000).astype(dtype),
                        rng.normal(0, 30, 20000).astype(dtype)])
    for name in {names!r}:
        out = np.empty_like(x)
        getattr(every, f"fill_{{name}}_{{x.dtype.name}}")(x, out)
        array = fastlogit.logit(x, 1e-6) if name == "clamped_logit" else getattr(fastlogit, name)(x)
        same = (out.view(unsigned) == array.view(unsigned)) | (np.isnan(out) & np.isnan(array))
        assert np.isnan(out).sum() < x.size // 2 or name == "logit"
        if not same.all():
            print(name, dtype, x[~same][:3], out[~same][:3], array[~same][:3])
print(fastlogit._isa.chosen)
"""


def code_block(language):
    text = PAGE.read_text().partition(f".. code-block:: {language}\n")[2]
    indented = []
    for line in text.splitlines():
        if line and not line.startswith("   "):
            break
        indented.append(line)
    return textwrap.dedent("\n".join(indented))


def load(path):
    spec = importlib.util.spec_from_file_location(path.name.partition(".")[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(set_up_build, tmp_path_factory):
    """The folder with the modules of a user, who has the installed package alone."""
    if not (PACKAGE / "scalar.pxd").exists():
        pytest.skip("an editable install has no scalar.pxd beside the package")
    source = tmp_path_factory.mktemp("user")
    (source / "meson.build").write_text(MESON.replace("{site}", str(PACKAGE.parent)))
    (source / "example.pyx").write_text(code_block("cython"))
    (source / "every.pyx").write_text(EVERY)
    build = set_up_build(source=source)
    build.ninja()
    return build.folder / "build"


def library(built, name):
    return built / (name + sysconfig.get_config_var("EXT_SUFFIX"))


@pytest.mark.parametrize("instruction_set", _isa.supported())
def test_cython_gets_the_bits_of_the_array_functions(instruction_set, built, run_python):
    code = COMPARE.format(library=str(library(built, "every")), names=NAMES)
    assert run_python(code, FASTLOGIT_ISA=instruction_set).split() == [instruction_set]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_cython_gives_the_type_that_it_is_given(name, dtype, built):
    x = np.array(0.3, dtype)[()]
    arguments = (1e-6,) if name == "clamped_logit" else ()
    exact = getattr(fastlogit, name.removeprefix("clamped_"))(x, *arguments)
    assert getattr(load(library(built, "every")), f"{name}_{dtype}")(x) == float(exact)


def test_example_for_cython(built):
    rng = np.random.default_rng(0)
    p, q = rng.random(1000), rng.random(1000)
    p[:2] = 0, 1
    out = np.empty_like(p)
    load(library(built, "example")).average(p, q, out)
    expected = fastlogit.expit((fastlogit.logit(p, 1e-6) + fastlogit.logit(q, 1e-6)) / 2)
    assert out.tobytes() == expected.tobytes()


def test_example_for_numba():
    pytest.importorskip("numba", reason="the example is for Numba")
    names = {}
    exec(code_block("python"), names)
    z = np.random.default_rng(0).normal(0, 30, 1000)
    total = 0.0
    for value in fastlogit.log_expit(z).tolist():
        total += value
    assert names["log_likelihood"](z) == total


def address(name):
    capsule = scalar.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    signature = api.PyCapsule_GetName(capsule)
    return signature.decode(), api.PyCapsule_GetPointer(capsule, signature)


def test_names_and_signatures_for_foreign_callers():
    """A change here breaks what others have compiled."""
    signatures = {name: address(name)[0] for name in scalar.__pyx_capi__}
    assert signatures == {
        f"{name}_{dtype}": f"{ctype} ({ctype}{', double' if name == 'clamped_logit' else ''})"
        for name in NAMES
        for dtype, (ctype, _) in TYPES.items()
    }


@pytest.mark.parametrize(("dtype", "ctype"), [(dtype, ctype) for dtype, (_, ctype) in TYPES.items()])
@pytest.mark.parametrize("eps", [-1e-300, 0.5000000000000001, math.inf, -math.inf, math.nan])
def test_eps_out_of_range_is_nan(eps, dtype, ctype):
    function = ctypes.CFUNCTYPE(ctype, ctype, ctypes.c_double)(address(f"clamped_logit_{dtype}")[1])
    assert math.isnan(function(0.25, eps))


@pytest.mark.parametrize("eps", [0.0, 5e-324, 1e-8, 1e-6, 0.25, 0.5])
@pytest.mark.parametrize(("dtype", "ctype"), [(dtype, ctype) for dtype, (_, ctype) in TYPES.items()])
def test_eps(eps, dtype, ctype):
    function = ctypes.CFUNCTYPE(ctype, ctype, ctypes.c_double)(address(f"clamped_logit_{dtype}")[1])
    x = np.array([0, 1e-30, 0.25, 0.75, 1, -1, 2, np.inf], dtype)
    results = np.array([function(value, eps) for value in x.tolist()], dtype)
    assert results.tobytes() == fastlogit.logit(x, eps).tobytes()


def test_no_flag_is_raised_and_the_rounding_of_the_caller_does_not_matter(libm):
    """As the array functions promise it."""
    toward_zero = {"x86_64": 0xC00, "aarch64": 0xC00000}[platform.machine()]
    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(address("logit_float64")[1])
    nearest = [function(x) for x in (0.0, 1.0, 0.1, 0.7, 5e-324)]
    libm.feclearexcept(0x3F)
    libm.fesetround(toward_zero)
    try:
        results = [function(x) for x in (0.0, 1.0, 0.1, 0.7, 5e-324)]
        flags = libm.fetestexcept(0x1F)
    finally:
        libm.fesetround(0)
    assert results == nearest
    # Conversions of ctypes itself are exact.
    assert flags == 0
