"""What NumPy, SciPy and PyTorch do where fastlogit has a test: each scene in a process of its own.

    python tools/faults_elsewhere.py                              prints a table
    python tools/faults_elsewhere.py --only fork
    python tools/faults_elsewhere.py --write docs/faults.rst.inc

A scene prints a word or two, raises, is killed, or hangs; that is what the table tells. NumPy's part is
``exp``, which is a ufunc as ours are; it has no softmax and no losses. Linux, x86-64.
"""

import argparse
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120  # after which it hangs

PRELUDE = """
import ctypes, os, signal, sys, threading, warnings
import numpy as np
warnings.simplefilter("ignore")
libm = ctypes.CDLL("libm.so.6")
x = np.linspace(-20, 20, 400_000)

def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return "right" if a.tobytes() == b.tobytes() else f"{int((a != b).sum())} of {a.size} differ"

def in_child(work, fork=os.fork):
    sys.stdout.flush()
    child = fork()
    if child == 0:
        signal.alarm(40)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        hangs = os.WTERMSIG(status) == signal.SIGALRM
        return "hangs" if hangs else f"killed ({signal.Signals(os.WTERMSIG(status)).name})"
    return "right" if status == 0 else "fails"
"""

LIBRARIES = {
    "fastlogit": """
import fastlogit
from fastlogit import softmax
call = fastlogit.expit
def into(x, out): fastlogit.expit(x, out=out)
def softmax_into(x, out): fastlogit.softmax(x, 1, out=out)
def with_eps(x, eps): return fastlogit.logit(x, eps)
def binary(z, y): return fastlogit.binary_cross_entropy_with_logits(z, y)
def classes(z, y): return fastlogit.cross_entropy(z, y)
""",
    "NumPy": """
call = np.exp
def into(x, out): np.exp(x, out=out)
""",
    "SciPy": """
import scipy.special
call = scipy.special.expit
def into(x, out): scipy.special.expit(x, out=out)
def softmax(x, axis): return scipy.special.softmax(x, axis)
""",
    "PyTorch": """
import torch
t = torch.from_numpy
def call(x): return torch.sigmoid(t(np.asarray(x))).numpy()
def into(x, out): torch.sigmoid(t(x), out=t(out))
def softmax(x, axis): return torch.softmax(t(x), axis).numpy()
def softmax_into(x, out): torch.softmax(t(x), 1, out=t(out))
def with_eps(x, eps): return torch.logit(t(x), eps).numpy()
def binary(z, y):
    return torch.nn.functional.binary_cross_entropy_with_logits(t(z), t(np.asarray(y, z.dtype))).item()
def classes(z, y): return torch.nn.functional.cross_entropy(t(z), t(np.asarray(y))).item()
""",
}


@dataclass(frozen=True)
class Scene:
    title: str
    code: str
    test: str  # of ours
    variables: str = ""
    first: str = ""  # before the library is imported


SCENES = [
    Scene("fork, the child calls", "call(x); print(in_child(lambda: call(x)))", "test_fork.py"),
    Scene(
        "fork in C, past ``os.fork``",
        "call(x); print(in_child(lambda: call(x), ctypes.PyDLL(None).fork))",
        "test_fork.py",
    ),
    Scene(
        "first import in a child of PyTorch",
        "",
        "test_fork.py",
        first="import torch; torch.sigmoid(torch.zeros(10**6))\n"
        "def work(): exec(library, globals()); call(x)\nprint(in_child(work))",
    ),
    Scene(
        "no thread can be started",
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)); os.setuid(54321); call(x); "
        "print('right')",
        "test_threads.py",
        "OMP_NUM_THREADS=8 OPENBLAS_NUM_THREADS=1",
    ),
    Scene(
        "stacks of 16 KiB (``OMP_STACKSIZE``)",
        "call(x)\nif 'softmax' in globals(): softmax(x.reshape(400, -1), 1)\nprint('right')",
        "test_small_stacks.py",
        "OMP_STACKSIZE=16k OMP_NUM_THREADS=3",
    ),
    Scene(
        "``out`` overlaps x in part",
        "a = x.copy(); expected = call(x[:-1].copy()); into(a[:-1], a[1:]); print(same(a[1:], expected))",
        "test_elementwise.py",
    ),
    Scene(
        "``out`` between the elements of x",
        "a = np.repeat(x, 2); expected = call(x.copy()); into(a[::2], a[1::2]); "
        "print(same(a[1::2], expected))",
        "test_temporaries.py",
    ),
    Scene(
        "softmax into every second column",
        "a = np.zeros((300, 200)); y = x[:30_000].reshape(300, 100); softmax_into(y, a[:, ::2]); "
        "print(same(a[:, ::2], softmax(y, 1)))",
        "test_axis.py",
    ),
    Scene(
        "``out`` is one element for all",
        "o = np.zeros(1); out = np.lib.stride_tricks.as_strided(o, x.shape, (0,)); into(x, out); "
        "print(same(o, call(x)[-1:]))",
        "test_where_and_shared_out.py",
    ),
    Scene(
        "``out`` is read-only",
        "out = np.zeros_like(x); out.flags.writeable = False; into(x, out); "
        "print('written' if out.any() else 'nothing written')",
        "test_bad_input.py",
    ),
    Scene(
        "``out`` of integers",
        "into(x, np.zeros(x.shape, int)); print('written')",
        "test_bad_input.py",
    ),
    Scene(
        "eps is NaN",
        "print('answers', with_eps(np.array([0.25]), float('nan'))[0])",
        "test_bad_input.py",
    ),
    Scene("eps is 0.7", "print('answers', with_eps(np.array([0.25]), 0.7)[0])", "test_bad_input.py"),
    Scene(
        "a label that is no class",
        "print('answers', classes(np.zeros((2, 3)), [1, 3]))",
        "test_bad_input.py",
    ),
    Scene(
        "a target of 1.5",
        "print('answers', binary(np.zeros(2), [0, 1.5]))",
        "test_bad_input.py",
    ),
    Scene(
        "a logit of infinity with the right label",
        "print('answers', float(binary(np.array([np.inf]), [1])))",
        "test_binary_loss.py",
    ),
    Scene(
        "a mask and ``out``",
        "o = np.zeros(5); m = np.array([1, 0, 0, 1, 1], bool)\n"
        "expected = np.where(m, call(x[:5]), 0); {mask}(x[:5], out=o, where=m); print(same(o, expected))",
        "test_elementwise.py",
    ),
    Scene(
        "softmax of int8 ``[100, -100]``",
        "y = np.array([100, -100], 'i1'); print(*np.asarray(softmax(y, 0)).tolist())",
        "test_axis.py",
    ),
    Scene(
        "a subnormal result (-95, float32)",
        "y = np.array([-95], 'f4'); print('right' if call(y)[0] else 'is 0')",
        "test_accuracy.py",
    ),
    Scene(
        "the caller rounds upwards",
        "y = x[::40].copy(); a = np.array(call(y)); libm.fesetround(0x800); b = np.array(call(y)); "
        "libm.fesetround(0); print(same(b, a))",
        "test_environment.py",
    ),
    Scene(
        "the caller flushes subnormal numbers",
        "y = np.full(8, -720.0); a = np.array(call(y)); e = (ctypes.c_uint32 * 8)(); libm.fegetenv(e)\n"
        "e[7] |= 0x8040; libm.fesetenv(e); b = np.array(call(y)); e[7] &= ~0x8040; libm.fesetenv(e)\n"
        "print(same(b, a))",
        "test_elementwise.py",
    ),
    Scene(
        "the caller traps exceptions",
        "y = np.array([-1000.0, 1e-300, 0.1, 1000.0, np.inf] * 50); call(y); libm.feenableexcept(0x1D); "
        "call(y); libm.fedisableexcept(0x1D); print('right')",
        "test_environment.py",
    ),
    Scene(
        "no memory for the result",
        "import resource; y = np.zeros(2**24); call(y[:9]); "
        "s = int(open('/proc/self/statm').read().split()[0]) * 4096 + 2**26; "
        "resource.setrlimit(resource.RLIMIT_AS, (s, s)); call(y); print('right')",
        "test_resources.py",
    ),
    Scene(
        "one element alone, and in an array",
        "y = x[:4099].copy(); a = call(y); print(same([call(y[i : i + 1])[0] for i in range(y.size)], a))",
        "test_strides.py",
    ),
    Scene(
        "import in a second interpreter",
        "import _xxsubinterpreters as i\n"
        "try:\n    i.run_string(i.create(), library.replace('np.', 'import numpy as np; np.', 1))\n"
        "except Exception as error: raise ImportError(str(error)) from None\n"
        "print('imports')",
        "test_resources.py",
    ),
]


def outcome(scene: Scene, name: str) -> str:
    code = scene.code
    if "{mask}" in code:
        ufunc = {"fastlogit": "fastlogit.expit", "NumPy": "np.exp", "SciPy": "scipy.special.expit"}.get(name)
        if ufunc is None:
            return "–"
        code = code.replace("{mask}", ufunc)
    for function in ("softmax_into", "softmax(", "with_eps", "binary", "classes"):
        if function in code and "globals()" not in code and f"def {function}" not in LIBRARIES[name]:
            if not (function == "softmax(" and name == "fastlogit"):
                return "–"
    library = LIBRARIES[name]
    program = PRELUDE + f"library = {library!r}\n"
    program += scene.first or f"{library}\n{code}"
    environment = os.environ | dict(pair.split("=") for pair in scene.variables.split())
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode < 0:
        return f"killed ({signal.Signals(-done.returncode).name})"
    if done.returncode == 0:
        said = done.stdout.strip().splitlines()[-1]
        return re.sub(r"\d\.\d{5,}(e-\d+)?", lambda number: f"{float(number[0]):.4g}", said)
    last = [line for line in done.stderr.strip().splitlines() if line[:1].strip()][-1]
    kind, colon, _ = last.partition(": ")
    error = kind.rpartition(".")[2].lstrip("_")
    return error if colon and error[:1].isupper() else f"ends the process ({kind})"


def table(rows: list[list[str]]) -> str:
    cells = [["scene", "test", *LIBRARIES], *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([rule, lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--write", type=Path, help="a file for the table of the documentation")
    options = parser.parse_args()
    rows = []
    for scene in SCENES:
        if options.only in scene.title:
            found = [outcome(scene, name) for name in LIBRARIES]
            rows.append([scene.title, f"``{scene.test}``", *found])
            print(scene.title, found, flush=True)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "torch")]
    text = f"``python tools/faults_elsewhere.py`` with {', '.join(versions)}:\n\n{table(rows)}"
    if options.write:
        options.write.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
