"""fastlogit beside its peers: one process, the same arrays, the same number of threads.

    pip install ".[bench]" torch onnxruntime onnx numexpr numba jax mkl      (each after [bench] is optional)
    python benchmarks/compare.py                        a table in Markdown
    python benchmarks/compare.py --quick
    python benchmarks/compare.py --csv speed.csv --plot speed.png
    python benchmarks/compare.py --docs docs --readme README.md     what is published of this processor
    python benchmarks/compare.py --publish --docs docs --readme README.md     the same, without measuring

First every library's result is compared with fastlogit's; one that disagrees is left out of the row, and
named. Then the libraries take turns, so that a change of the processor's clock meets all of them. All rows
are measured several times over: where another guest keeps the machine busy for seconds, it spoils one
round of a row and not all. A time is the median over all turns of all rounds. With warm caches a call finds
the array of the call before, with cold ones an array that no cache holds any more.

The "floor" is an in-place multiplication of the same array by the same number of threads: what it costs to
bring the data through the processor at all. "exp of MKL" is one exponential of every element, and no peer. A
library that cannot write into an array that is given, such as SciPy in softmax, returns a new one also in the
rows called "preallocated".

``--docs`` keeps a file for each processor in the folder ``speed`` and makes the tables of all of them.

The instruction set is chosen by environment variables, of PyTorch too:

    FASTLOGIT_ISA=v3 ATEN_CPU_CAPABILITY=avx2 python benchmarks/compare.py --libraries PyTorch
"""

import argparse
import statistics
import sys
from collections import defaultdict
from pathlib import Path

try:
    import layouts
    import machine
    import peers
    import report
    import results
    from cases import CASES, ELEMENTWISE, OF_SLICES
    from contest import IN_PLACE, NEW, PREALLOCATED, Contest, Floor, Setting, warn_if_busy
    from results import COLD, CURVE, WARM, Results
    from tqdm import tqdm

    import fastlogit
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}; first run: pip install ".[bench]"') from None


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.name for case in CASES]
    parser.add_argument("--functions", nargs="+", choices=names, default=names, metavar="NAME")
    dtypes = ["float32", "float64"]
    parser.add_argument("--dtypes", nargs="+", choices=dtypes, default=dtypes)
    parser.add_argument(
        "--layouts",
        nargs="*",
        choices=list(layouts.LAYOUTS),
        default=list(layouts.LAYOUTS),
        metavar="LAYOUT",
        help=f"of elementwise functions: {', '.join(layouts.LAYOUTS)}",
    )
    libraries = list(peers.LOADERS)
    parser.add_argument("--libraries", nargs="+", choices=libraries, default=libraries, metavar="NAME")
    parser.add_argument(
        "--size",
        type=int,
        default=24,
        help="log2 of the elements of a contiguous array (24); one of another layout has a quarter",
    )
    parser.add_argument("--threads", type=int, default=fastlogit.get_num_threads())
    parser.add_argument(
        "--seconds", type=float, default=0.15, help="for each library in each row of the table (0.15)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="in which these seconds are spent, minutes apart (3)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="smaller arrays, fewer layouts, one round of 0.05 seconds"
    )
    parser.add_argument("--csv", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE", help="throughput against size, as SVG or PNG")
    parser.add_argument(
        "--docs",
        metavar="FOLDER",
        help="keep the results of this processor there, and write the tables of all",
    )
    parser.add_argument(
        "--publish", action="store_true", help="measure nothing: write --docs and --readme from what is kept"
    )
    parser.add_argument("--readme", metavar="FILE", help="refresh the table between <!-- speed --> marks")
    options = parser.parse_args(arguments)
    if (options.readme or options.publish) and not options.docs:
        parser.error("--readme and --publish need --docs, whose folder keeps the results of all processors")
    if options.quick:
        options.size, options.seconds, options.rounds = 18, 0.05, 1
        options.layouts = [name for name in options.layouts if name in ("contiguous", "[::2]")]
    options.libraries = ["fastlogit", *(name for name in options.libraries if name != "fastlogit")]
    return options


def layouts_of_elements(options):
    """Of each layout, what is measured: where the results go, and how the caches are."""
    for name in options.layouts:
        layout = layouts.of_elements(name, 2 ** (options.size if name == "contiguous" else options.size - 2))
        yield layout, IN_PLACE, WARM
        if name == "contiguous":
            yield layout, IN_PLACE, COLD
            yield layout, NEW, WARM


def layouts_of_slices(options):
    of_slices = layouts.SMALL_SLICES if options.quick else layouts.SLICES
    for layout in of_slices:
        yield layout, PREALLOCATED, WARM
        if not options.quick:
            yield layout, PREALLOCATED, COLD
    for output in (IN_PLACE, NEW):
        for layout in of_slices[:2]:
            yield layout, output, WARM


def settings_of_table(options):
    return [
        Setting(case, dtype, layout, output, caches)
        for case in CASES
        if case.name in options.functions
        for layout, output, caches in (layouts_of_slices if case.of_slices else layouts_of_elements)(options)
        if not (case.reduces and output == IN_PLACE)
        for dtype in options.dtypes
    ]


def settings_of_plot(options):
    sizes = [2**k for k in range(3, options.size + 1, 3)]
    return [
        Setting(case, dtype, layout, output, part=CURVE)
        for cases, make, output in (
            (ELEMENTWISE, lambda size: layouts.of_elements("contiguous", size), IN_PLACE),
            (OF_SLICES, layouts.rows_of_1024, PREALLOCATED),
        )
        for case in cases
        if case.name in options.functions
        for dtype in options.dtypes
        for layout in map(make, sizes)
    ]


def measure(settings, libraries, options):
    """A row for each setting, of median nanoseconds per element, and the complaints about peers."""
    floor = Floor(options.threads)
    times = {setting: defaultdict(list) for setting in settings}
    complaints = []
    order = [(turn, setting) for turn in range(options.rounds) for setting in settings]
    with tqdm(order, unit="row", file=sys.stderr) as progress:
        for turn, setting in progress:
            progress.set_description(str(setting))
            contest = Contest(setting, libraries, floor)
            for complaint in contest.leave_out_who_disagrees():
                if turn == 0:
                    complaints.append(f"{setting}: {complaint}")
                    progress.write(f"*** {complaints[-1]}", file=sys.stderr)
            for name, of_name in contest.run(options.seconds / options.rounds).items():
                times[setting][name] += of_name
    rows = [
        setting.row({name: statistics.median(of_name) for name, of_name in of_setting.items()})
        for setting, of_setting in times.items()
    ]
    return rows, complaints


def publish(options):
    of_all = results.read(Path(options.docs) / "speed")
    report.write_docs(options.docs, of_all)
    if options.readme:
        report.refresh_readme(options.readme, of_all)


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.publish:
        publish(options)
        return
    warn_if_busy()
    libraries = peers.load(options.libraries)
    for library in libraries:
        library.set_threads(options.threads)
    described = machine.describe(options.threads, machine.versions_of(libraries))
    table, complaints = measure(settings_of_table(options), libraries, options)
    report.print_table(Results(described, table, complaints))
    if options.csv:
        results.write_csv(options.csv, table)
    if not (options.plot or options.docs):
        return
    curve, _ = measure(settings_of_plot(options), libraries, options)
    if options.plot:
        report.draw_plot(options.plot, curve)
    if options.docs:
        results.write(Path(options.docs) / "speed", Results(described, table + curve, complaints))
        publish(options)


if __name__ == "__main__":
    main()
