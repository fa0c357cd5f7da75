"""fastlogit beside its peers: one process, the same arrays, the same number of threads.

    pip install ".[bench]" torch numexpr numba jax      (each of the last four is optional)
    python benchmarks/compare.py                        a table in Markdown
    python benchmarks/compare.py --quick
    python benchmarks/compare.py --csv speed.csv --plot speed.png

First every library's result is compared with fastlogit's. Then the libraries take turns, so that a
change of the processor's clock meets all of them; a time is the median over all turns. The input is put
back before every call, because a second `logit` in place would see no probabilities any more. The
"floor" is an in-place multiplication of the same array by the same number of threads: what it costs to
bring the data through the processor at all.
"""

import argparse
import csv
import importlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from layouts import LAYOUTS
from tqdm import tqdm

import fastlogit

EPS = 1e-6
PAUSE = 0.015  # seconds, after which the OpenMP threads of the library before have stopped spinning
BATCH_BYTES = 2**15  # small arrays are timed several to a batch, which stays in the first-level cache


# --- what is compared ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A function, the input it is meant for, and how each library says it: in place, into a new array.

    None stands for what a library does not have. JAX never writes in place.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    calls: dict[str, tuple[str | None, str | None]]


def odds(generator, shape):
    return generator.normal(0, 3, shape)


def probabilities(generator, shape):
    return generator.uniform(0, 1, shape)


CASES = [
    Case(
        "expit",
        odds,
        {
            "fastlogit": ("fastlogit.expit(x, out=x)", "fastlogit.expit(x)"),
            "SciPy": ("special.expit(x, out=x)", "special.expit(x)"),
            "PyTorch": ("x.sigmoid_()", "torch.sigmoid(x)"),
            "NumPy": (
                "np.reciprocal(np.add(np.exp(np.negative(x, out=x), out=x), 1, out=x), out=x)",
                "1 / (1 + np.exp(-x))",
            ),
            "numexpr": (
                "numexpr.evaluate('1 / (1 + exp(-x))', out=x)",
                "numexpr.evaluate('1 / (1 + exp(-x))')",
            ),
            "numba": ("numba_expit(x, out=x)", "numba_expit(x)"),
            "JAX": (None, "jax_expit(x).block_until_ready()"),
        },
    ),
    Case(
        "logit",
        probabilities,
        {
            "fastlogit": ("fastlogit.logit(x, out=x)", "fastlogit.logit(x)"),
            "SciPy": ("special.logit(x, out=x)", "special.logit(x)"),
            "PyTorch": ("x.logit_()", "torch.logit(x)"),
            "NumPy": ("np.log(np.divide(x, 1 - x, out=x), out=x)", "np.log(x / (1 - x))"),
            "numexpr": (
                "numexpr.evaluate('log(x / (1 - x))', out=x)",
                "numexpr.evaluate('log(x / (1 - x))')",
            ),
            "numba": ("numba_logit(x, out=x)", "numba_logit(x)"),
            "JAX": (None, "jax_logit(x).block_until_ready()"),
        },
    ),
    Case(
        "logit, eps",
        probabilities,
        {
            "fastlogit": ("fastlogit.logit(x, EPS, out=x)", "fastlogit.logit(x, EPS)"),
            "SciPy": (
                "special.logit(np.clip(x, EPS, 1 - EPS, out=x), out=x)",
                "special.logit(np.clip(x, EPS, 1 - EPS))",
            ),
            "PyTorch": ("x.logit_(EPS)", "torch.logit(x, EPS)"),
            "NumPy": (
                "np.log(np.divide(np.clip(x, EPS, 1 - EPS, out=x), 1 - x, out=x), out=x)",
                "(lambda p: np.log(p / (1 - p)))(np.clip(x, EPS, 1 - EPS))",
            ),
            "JAX": (None, "jax_logit_eps(x).block_until_ready()"),
        },
    ),
    Case(
        "log_expit",
        odds,
        {
            "fastlogit": ("fastlogit.log_expit(x, out=x)", "fastlogit.log_expit(x)"),
            "SciPy": ("special.log_expit(x, out=x)", "special.log_expit(x)"),
            "PyTorch": ("torch._C._nn.log_sigmoid(x, out=x)", "torch.nn.functional.logsigmoid(x)"),
            "NumPy": (
                "np.negative(np.logaddexp(0, np.negative(x, out=x), out=x), out=x)",
                "-np.logaddexp(0, -x)",
            ),
            "numexpr": (
                "numexpr.evaluate('where(x < 0, x, 0) - log1p(exp(-abs(x)))', out=x)",
                "numexpr.evaluate('where(x < 0, x, 0) - log1p(exp(-abs(x)))')",
            ),
            "numba": ("numba_log_expit(x, out=x)", "numba_log_expit(x)"),
            "JAX": (None, "jax_log_expit(x).block_until_ready()"),
        },
    ),
]


# --- the libraries -------------------------------------------------------------------------------------


class Library(NamedTuple):
    name: str
    version: str
    namespace: dict[str, Any]  # what the calls of the cases may name
    wrap: Callable[[np.ndarray], Any]  # the library's view of a NumPy array; raises where it has none
    set_threads: Callable[[int], None]


def same(array):
    return array


def one_thread_only(threads):
    pass


def load_fastlogit():
    return Library(
        "fastlogit", fastlogit.__version__, {"fastlogit": fastlogit}, same, fastlogit.set_num_threads
    )


def load_scipy():
    scipy = importlib.import_module("scipy")
    special = importlib.import_module("scipy.special")
    return Library("SciPy", scipy.__version__, {"special": special}, same, one_thread_only)


def load_numpy():
    return Library("NumPy", np.__version__, {}, same, one_thread_only)


def load_pytorch():
    torch = importlib.import_module("torch")
    return Library(
        "PyTorch", torch.__version__, {"torch": torch}, torch.from_numpy, torch.set_num_threads
    )


def load_numexpr():
    numexpr = importlib.import_module("numexpr")
    return Library("numexpr", numexpr.__version__, {"numexpr": numexpr}, same, numexpr.set_num_threads)


def load_numba():
    """Ufuncs with ``target="parallel"``, written so that float32 stays float32."""
    numba = importlib.import_module("numba")
    from math import exp, log, log1p

    def compiled(formula):
        kernels = {}
        for dtype in (np.float32, np.float64):
            scalar = numba.from_dtype(np.dtype(dtype))
            kernels[np.dtype(dtype)] = numba.vectorize([scalar(scalar)], target="parallel")(
                formula(dtype(0), dtype(1))
            )
        return lambda x, **options: kernels[x.dtype](x, **options)

    return Library(
        "numba",
        numba.__version__,
        {
            "numba_expit": compiled(lambda zero, one: lambda x: one / (one + exp(-x))),
            "numba_logit": compiled(lambda zero, one: lambda x: log(x / (one - x))),
            "numba_log_expit": compiled(lambda zero, one: lambda x: min(x, zero) - log1p(exp(-abs(x)))),
        },
        same,
        numba.set_num_threads,
    )


def load_jax():
    jax = importlib.import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    return Library(
        "JAX",
        jax.__version__,
        {
            "jax_expit": jax.jit(jax.nn.sigmoid),
            "jax_logit": jax.jit(jax.scipy.special.logit),
            "jax_logit_eps": jax.jit(lambda x: jax.scipy.special.logit(jax.numpy.clip(x, EPS, 1 - EPS))),
            "jax_log_expit": jax.jit(jax.nn.log_sigmoid),
        },
        jax.numpy.asarray,
        one_thread_only,  # XLA takes its threads from the CPU affinity of the process, once
    )


LOADERS = {
    "fastlogit": load_fastlogit,
    "SciPy": load_scipy,
    "PyTorch": load_pytorch,
    "NumPy": load_numpy,
    "numexpr": load_numexpr,
    "numba": load_numba,
    "JAX": load_jax,
}


def load(names):
    libraries = []
    for name in names:
        try:
            libraries.append(LOADERS[name]())
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return libraries


class Floor:
    """Multiply an array in place with so many threads, each on one slice of the first axis."""

    def __init__(self, threads):
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)

    def __call__(self, x):
        if self.threads == 1 or x.size < 2**16:
            np.multiply(x, 1, out=x)
            return
        bounds = np.linspace(0, len(x), self.threads + 1).astype(int)
        parts = [x[start:stop] for start, stop in pairwise(bounds)]
        list(self.pool.map(lambda part: np.multiply(part, 1, out=part), parts))


# --- the measurement -----------------------------------------------------------------------------------


class Setting(NamedTuple):
    """One row of the table: a function and dtype, over arrays of one layout and size."""

    case: Case
    dtype: str
    layout: str
    elements: int
    fresh: bool

    def __str__(self):
        return f"{self.case.name} {self.dtype} {self.where} 2^{self.elements.bit_length() - 1}"

    @property
    def where(self):
        return "new array" if self.fresh else f"in place, {self.layout}"


class Contender(NamedTuple):
    name: str
    call: Callable[[Any], Any]
    arrays: list[Any]


class Contest:
    """The arrays of one setting, and who can compute it."""

    def __init__(self, setting, libraries, floor):
        make = LAYOUTS[setting.layout]
        itemsize = np.dtype(setting.dtype).itemsize
        count = max(1, BATCH_BYTES // (setting.elements * itemsize))
        self.arrays = [make(setting.elements, setting.dtype) for _ in range(count)]
        generator = np.random.default_rng(20240229)
        self.source = setting.case.draw(generator, self.arrays[0].shape).astype(setting.dtype)
        self.restore()
        self.calls_per_batch = count * setting.elements
        self.contenders = [Contender("floor", floor, self.arrays)]
        for library in libraries:
            code = setting.case.calls.get(library.name, (None, None))[setting.fresh]
            if code is None:
                continue
            try:
                wrapped = [library.wrap(array) for array in self.arrays]
            except ValueError:  # PyTorch has no negative strides
                continue
            call = eval(f"lambda x: {code}", {**library.namespace, "np": np, "EPS": EPS})
            self.contenders.append(Contender(library.name, call, wrapped))

    def restore(self):
        for array in self.arrays:
            np.copyto(array, self.source)

    def check(self, setting):
        """Everybody agrees with fastlogit, to what an algorithm without special care can reach."""
        eps = np.finfo(setting.dtype).eps
        results = {}
        for name, call, wrapped in self.contenders[1:]:
            self.restore()
            results[name] = np.asarray(call(wrapped[0])).copy()
        for name, result in results.items():
            np.testing.assert_allclose(
                result,
                results["fastlogit"],
                rtol=32 * eps,
                atol=32 * eps,
                err_msg=f"{setting}: {name} and fastlogit disagree",
            )

    def turn(self, contender, batches):
        """Nanoseconds per element of each batch."""
        time.sleep(PAUSE)
        times = []
        for batch in range(batches + 1):
            self.restore()
            start = time.perf_counter_ns()
            for array in contender.arrays:
                contender.call(array)
            elapsed = time.perf_counter_ns() - start
            if batch > 0:  # the first one wakes the threads up and fills the caches
                times.append(elapsed / self.calls_per_batch)
        return times

    def run(self, turns, batches, progress):
        times = {contender.name: [] for contender in self.contenders}
        for turn in range(turns):
            first = turn % len(self.contenders)
            for contender in self.contenders[first:] + self.contenders[:first]:
                times[contender.name] += self.turn(contender, batches)
            progress.update()
        return {name: statistics.median(of_name) for name, of_name in times.items()}


def settings_to_measure(options):
    by_layout = [(layout, options.size, False) for layout in options.layouts]
    by_layout += [("contiguous", options.size, True)] if options.fresh else []
    by_size = []
    if options.plot or options.sizes:
        by_size = [("contiguous", size, False) for size in options.curve if size != options.size]
    return [
        Setting(case, dtype, layout, elements, fresh)
        for case in CASES
        if case.name in options.functions
        for dtype in options.dtypes
        for layout, elements, fresh in by_layout + by_size
    ]


# --- the results ---------------------------------------------------------------------------------------


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def print_machine(libraries, threads):
    versions = ", ".join(f"{library.name} {library.version}" for library in libraries)
    print(
        f"{processor()}, {len(os.sched_getaffinity(0))} CPUs, {threads} threads, "
        f"Python {platform.python_version()}. {versions}.\n"
    )


def print_table(results, libraries):
    """ns per element; in brackets how many times as long as fastlogit takes."""
    peers = [library.name for library in libraries if library.name != "fastlogit"]
    header = [
        "function",
        "dtype",
        "array",
        "elements",
        "fastlogit",
        *peers,
        "floor",
        "fastlogit / floor",
    ]
    print("| " + " | ".join(header) + " |")
    print("| " + " | ".join(["---"] * 3 + ["--:"] * (len(header) - 3)) + " |")
    for setting, times in results.items():
        ours = times["fastlogit"]
        cells = [
            setting.case.name,
            setting.dtype,
            setting.where,
            f"2^{setting.elements.bit_length() - 1}",
            f"{ours:.2f}",
            *(
                f"{times[peer]:.2f} ({times[peer] / ours:.1f}×)" if peer in times else "–"
                for peer in peers
            ),
            f"{times['floor']:.2f}",
            f"{ours / times['floor']:.1f}",
        ]
        print("| " + " | ".join(cells) + " |")
    print("\nns per element; in brackets how many times as long as fastlogit takes.")


def write_csv(path, results, libraries, threads):
    versions = {library.name: library.version for library in libraries}
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "function",
                "dtype",
                "layout",
                "output",
                "elements",
                "threads",
                "library",
                "version",
                "ns_per_element",
                "ratio_to_fastlogit",
                "ratio_to_floor",
            ]
        )
        for setting, times in results.items():
            for name, ns in times.items():
                writer.writerow(
                    [
                        setting.case.name,
                        setting.dtype,
                        setting.layout,
                        "new" if setting.fresh else "in place",
                        setting.elements,
                        threads,
                        name,
                        versions.get(name, ""),
                        f"{ns:.4g}",
                        f"{ns / times['fastlogit']:.4g}",
                        f"{ns / times['floor']:.4g}",
                    ]
                )


def draw_plot(path, results, options):
    """Throughput against size, in place over contiguous arrays; one line per library."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows, columns = len(options.functions), len(options.dtypes)
    figure, axes = plt.subplots(
        rows, columns, figsize=(6 * columns, 3.5 * rows), squeeze=False, sharex=True
    )
    for (row, function), (column, dtype) in (
        (r, c) for r in enumerate(options.functions) for c in enumerate(options.dtypes)
    ):
        lines = {}
        for setting, times in results.items():
            wanted = setting.case.name == function and setting.dtype == dtype
            if wanted and setting.layout == "contiguous" and not setting.fresh:
                for name, ns in times.items():
                    lines.setdefault(name, []).append((setting.elements, 1 / ns))
        axis = axes[row, column]
        for name, points in lines.items():
            style = {"color": "black", "linestyle": ":"} if name == "floor" else {"marker": "."}
            axis.plot(*zip(*sorted(points), strict=True), label=name, **style)
        axis.set(title=f"{function}, {dtype}", xscale="log", yscale="log")
        axis.set_ylabel("10⁹ elements / s")
        axis.grid(alpha=0.3)
    axes[0, 0].legend()
    for axis in axes[-1]:
        axis.set_xlabel("elements")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.5:
        print(
            f"This machine is busy (load {load:.1f}). Threads that wait for a core make every library "
            "that uses them look slow: measure again when nothing else runs.",
            file=sys.stderr,
        )


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.name for case in CASES]
    parser.add_argument("--functions", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"]
    )
    parser.add_argument(
        "--layouts", nargs="*", choices=list(LAYOUTS), default=list(LAYOUTS), metavar="LAYOUT"
    )
    parser.add_argument(
        "--libraries", nargs="+", choices=list(LOADERS), default=list(LOADERS), metavar="NAME"
    )
    parser.add_argument("--size", type=int, default=24, help="log2 of the elements of each array (24)")
    parser.add_argument(
        "--sizes", action="store_true", help="also contiguous arrays of 2^3, 2^5, ... elements"
    )
    parser.add_argument("--no-fresh", dest="fresh", action="store_false", help="leave out new arrays")
    parser.add_argument("--threads", type=int, default=fastlogit.get_num_threads())
    parser.add_argument("--turns", type=int, default=7, help="turns of each library (7)")
    parser.add_argument("--quick", action="store_true", help="2^20 elements, 3 turns, 2 layouts")
    parser.add_argument("--csv", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE.png", help="throughput against size; implies --sizes")
    options = parser.parse_args(arguments)
    if options.quick:
        options.size, options.turns, options.layouts = 20, 3, ["contiguous", "[::2]"]
    options.curve = [2**k for k in range(3, options.size + 1, 3 if options.quick else 2)]
    options.size = 2**options.size
    if "fastlogit" not in options.libraries:
        options.libraries.insert(0, "fastlogit")
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    warn_if_busy()
    libraries = load(options.libraries)
    for library in libraries:
        library.set_threads(options.threads)
    floor = Floor(options.threads)
    settings = settings_to_measure(options)
    results = {}
    with tqdm(total=len(settings) * options.turns, unit="turn", file=sys.stderr) as progress:
        for setting in settings:
            progress.set_description(str(setting))
            contest = Contest(setting, libraries, floor)
            contest.check(setting)
            batches = 2 if setting.elements >= 2**20 else 5
            results[setting] = contest.run(options.turns, batches, progress)
    print_machine(libraries, options.threads)
    print_table(results, libraries)
    if options.csv:
        write_csv(options.csv, results, libraries, options.threads)
    if options.plot:
        draw_plot(options.plot, results, options)


if __name__ == "__main__":
    main()
