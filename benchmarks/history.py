"""What ``asv run`` measured last on this machine, as the tables of the documentation.

    python benchmarks/history.py                 printed
    python benchmarks/history.py --docs docs     kept

A row is one benchmark with its parameters, but for dtype and threads, which make the columns. Medians, as asv
prints them.
"""

import argparse
import itertools
import json
from pathlib import Path

from machine import describe
from report import NOTHING, keep_table, markdown

from fastlogit import get_num_threads

RESULTS = Path(__file__).resolve().parent / ".asv" / "results"
DTYPES = ("float32", "float64")
IN_COLUMNS = ("dtype", "threads")
# Tables that are kept, by their columns.
KINDS = {
    "history-large": [f"{dtype} {threads}" for dtype in DTYPES for threads in ("1 thread", "all threads")],
    "history-small": list(DTYPES),
}
UNITS = "Time of a call; of Calls that of 1000 calls; of Memory the MiB that a call adds to the peak."


def newest_results():
    from asv.results import Results

    paths = [path for path in RESULTS.glob("*/*.json") if path.name != "machine.json"]
    if not paths:
        raise SystemExit(f"{RESULTS}: no results; first `asv run` in {RESULTS.parents[1]}")
    newest = max(paths, key=lambda path: path.stat().st_mtime)
    return Results.load(str(newest), machine_name=newest.parent.name)


def benchmarks():
    """What asv knows of each, by name: the names of its parameters and its unit."""
    known = json.loads((RESULTS / "benchmarks.json").read_text())
    return {name: about for name, about in known.items() if name != "version"}


def cells_of(name, about, results):
    """For each row of one benchmark the figures by column."""
    from asv.util import human_value

    parameters = results.get_result_params(name)
    values = results.get_result_value(name, parameters)
    rows = {}
    for combination, value in zip(itertools.product(*parameters), values, strict=True):
        chosen = {
            parameter: text.strip("'")
            for parameter, text in zip(about["param_names"], combination, strict=True)
        }
        column = " ".join(
            f"{chosen[key]} thread{'' if chosen[key] == '1' else 's'}" if key == "threads" else chosen[key]
            for key in IN_COLUMNS
            if key in chosen
        )
        row = (name, *(text for parameter, text in chosen.items() if parameter not in IN_COLUMNS))
        # asv has NaN where a benchmark refused, as for want of memory.
        if value is None or value != value:
            figure = NOTHING
        else:
            figure = human_value(value, about["unit"]) if about["unit"] == "seconds" else f"{value:.2f}"
        rows.setdefault(row, {})[column] = figure
    return rows


def tables(results):
    """Header and rows for each set of columns, widest first."""
    by_columns = {}
    for name, about in sorted(benchmarks().items()):
        if name in results.get_all_result_keys():
            for row, figures in cells_of(name, about, results).items():
                cells = [row[0], ", ".join(row[1:]), *figures.values()]
                by_columns.setdefault(tuple(figures), []).append(cells)
    for columns in sorted(by_columns, key=len, reverse=True):
        yield ["benchmark", "parameters", *columns], by_columns[columns]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", help="folder of the documentation, whose tables are written anew")
    options = parser.parse_args()
    results = newest_results()
    machine = describe(get_num_threads(), {"fastlogit": results.commit_hash[:8]})
    for header, rows in tables(results):
        print("\n".join(markdown(header, rows, left=2)), "\n")
        if options.docs and header[2:] in KINDS.values():
            kind = next(kind for kind, columns in KINDS.items() if columns == header[2:])
            keep_table(options.docs, kind, machine, UNITS, (header, rows))


if __name__ == "__main__":
    main()
