"""What compare.py found out: as a table in Markdown or reStructuredText, and as a plot."""

import re
from pathlib import Path

from contest import IN_PLACE, PREALLOCATED
from machine import name_of, sentence
from results import CURVE, FLOOR, OURS, TABLE, WARM, file_name

NOTHING = "–"


def power_of_two(elements):
    return f"2^{elements.bit_length() - 1}" if elements.bit_count() == 1 else f"{elements}"


def others(results, rows):
    """The libraries beside ours that have a time in these rows."""
    measured = {name for row in rows for name in row.times}
    return [name for name in results.machine["versions"] if name != OURS and name in measured]


CELLS_OF_ROW = ["function", "dtype", "array", "elements", "output", "caches"]


def cells_of_row(row):
    return [row.function, row.dtype, row.layout, power_of_two(row.elements), row.output, row.caches]


def time_of(row, library):
    return f"{row.times[library]:.2f}" if library in row.times else NOTHING


def ratio_to_peer(row):
    return f"{row.best_peer[1] / row.ours:.2f}" if row.best_peer else NOTHING


def ratio_to_floor(row):
    return f"{row.ours / row.times[FLOOR]:.2f}" if FLOOR in row.times else NOTHING


def full_table(results):
    """Header and rows, as strings: all libraries on one processor."""
    rows = results.part(TABLE)
    libraries = [OURS, *others(results, rows), FLOOR]
    yield [*CELLS_OF_ROW, *libraries, "best peer / ours", "ours / floor"]
    for row in rows:
        times = [time_of(row, library) for library in libraries]
        yield [*cells_of_row(row), *times, ratio_to_peer(row), ratio_to_floor(row)]


def beside(of_all):
    """Header and rows, as strings: all processors, of the peers the fastest."""
    header = list(CELLS_OF_ROW)
    by_setting = {}
    for number, results in enumerate(of_all):
        header += [f"{name_of(results.machine)}: ns", "best peer / ours", "ours / floor"]
        for row in results.part(TABLE):
            by_setting.setdefault(row.setting, {})[number] = row
    yield header
    for of_setting in by_setting.values():
        cells = cells_of_row(next(iter(of_setting.values())))
        for number in range(len(of_all)):
            if number not in of_setting:
                cells += [NOTHING] * 3
                continue
            row = of_setting[number]
            peer = f" ({row.best_peer[0]})" if row.best_peer else ""
            cells += [time_of(row, OURS), ratio_to_peer(row) + peer, ratio_to_floor(row)]
        yield cells


def markdown(header, body, left):
    """A table whose first columns, ``left`` of them, hold words."""
    yield "| " + " | ".join(header) + " |"
    yield "| " + " | ".join(["---"] * left + ["--:"] * (len(header) - left)) + " |"
    for row in body:
        yield "| " + " | ".join(row) + " |"


def print_table(results):
    header, *body = full_table(results)
    print(f"{sentence(results.machine)}.\n")
    print("\n".join(markdown(header, body, left=len(CELLS_OF_ROW))))
    print("\nns per element. The floor is an in-place multiplication of the same array.")


def rst_table(header, body):
    yield ".. csv-table::"
    yield "   :header-rows: 1"
    yield ""
    for row in [header, *body]:
        yield "   " + ", ".join(f'"{cell}"' for cell in row)


def indented(lines):
    return [f"   {line}" if line else "" for line in lines]


def write_docs(folder, of_all):
    """The part of the documentation's page on speed that the figures are: all processors, then each."""
    folder = Path(folder)
    lines = [f"* **{name_of(results.machine)}**: {sentence(results.machine)}." for results in of_all]
    header, *body = beside(of_all)
    lines += ["", "Nanoseconds per element.", "", *rst_table(header, body), ""]
    for results in of_all:
        name = file_name(results.machine)
        header, *body = full_table(results)
        of_machine = [*rst_table(header, body), ""]
        if results.left_out:
            of_machine += ["Left out, since they are too far off:", ""]
            of_machine += [f"* {complaint}" for complaint in results.left_out]
            of_machine += [""]
        of_machine += [f"The figures: :download:`{name}.csv <speed/{name}.csv>`.", ""]
        if results.part(CURVE):
            draw_plot(folder / "speed" / f"{name}.svg", results.part(CURVE))
            of_machine += [
                f".. figure:: speed/{name}.svg",
                "   :alt: Throughput against the number of elements, one line for each library",
                "",
                "   Throughput against size: in place over contiguous arrays; for the functions of slices,",
                "   rows of 1024 elements, into another array.",
                "",
            ]
        lines += [f".. dropdown:: All libraries on {name_of(results.machine)}", "", *indented(of_machine), ""]
    (folder / "speed-results.rst.inc").write_text("\n".join(lines).rstrip() + "\n")


def keep_table(folder, kind, machine, unit, table):
    """One more table, ``kind``, of this processor; and a file that includes those of all processors.

    ``unit``: what the figures are, a sentence.
    """
    folder = Path(folder)
    text = "\n".join([f"{name_of(machine)}. {unit}", "", *rst_table(*table), ""])
    text += f"\n{sentence(machine)}.\n"
    (folder / "speed" / f"{file_name(machine)}-{kind}.rst.inc").write_text(text)
    of_all = sorted(path.name for path in (folder / "speed").glob(f"*-{kind}.rst.inc"))
    (folder / f"speed-{kind}.rst.inc").write_text("".join(f".. include:: speed/{name}\n" for name in of_all))


def draw_plot(path, rows):
    """Throughput against size; one line per library, one panel per function and dtype."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "fastlogit"  # the same figures make the same file
    matplotlib.rcParams["svg.fonttype"] = "none"
    import matplotlib.pyplot as plt

    functions = list(dict.fromkeys(row.function for row in rows))
    dtypes = list(dict.fromkeys(row.dtype for row in rows))
    figure, panels = plt.subplots(
        len(functions),
        len(dtypes),
        figsize=(6 * len(dtypes), 3.2 * len(functions)),
        squeeze=False,
        sharex=True,
    )
    libraries = list(dict.fromkeys(name for row in rows for name in row.times))
    for (i, function), (j, dtype) in ((r, c) for r in enumerate(functions) for c in enumerate(dtypes)):
        panel = panels[i, j]
        of_panel = sorted(
            (row for row in rows if (row.function, row.dtype) == (function, dtype)),
            key=lambda row: row.elements,
        )
        for color, name in enumerate(libraries):
            style = {"color": f"C{color}", "marker": "."}
            if name == FLOOR:
                style = {"color": "black", "linestyle": ":"}
            points = [(row.elements, 1 / row.times[name]) for row in of_panel if name in row.times]
            panel.plot([x for x, _ in points], [y for _, y in points], label=name, **style)
        panel.set(title=f"{function}, {dtype}", xscale="log", yscale="log")
        panel.set_ylabel("10⁹ elements / s")
        panel.minorticks_off()  # hundreds of them make up most of the file
        panel.grid(alpha=0.3)
    panels[0, 0].legend(fontsize="small")
    for panel in panels[-1]:
        panel.set_xlabel("elements")
    figure.tight_layout()
    figure.savefig(path, dpi=150, metadata={"Date": None} if str(path).endswith(".svg") else None)
    plt.close(figure)


def in_readme(row):
    """A large contiguous array, in place or, for slices, from one array into another."""
    return row.caches == WARM and (
        (row.layout == "contiguous" and row.output == IN_PLACE)
        or (re.fullmatch(r"\d+×1000, axis -1", row.layout) and row.output == PREALLOCATED)
    )


def readme_table(of_all):
    header, body = ["", ""], {}
    for number, results in enumerate(of_all):
        header += [f"{name_of(results.machine)}: fastlogit", "SciPy", "PyTorch"]
        for row in filter(in_readme, results.part(TABLE)):
            cells = body.setdefault((row.function, row.dtype), [row.function, row.dtype])
            cells += [NOTHING] * (2 + 3 * number - len(cells))
            cells.append(f"{row.ours:.2f}")
            for peer in ("SciPy", "PyTorch"):
                cells.append(f"{row.times[peer] / row.ours:.1f}×" if peer in row.times else NOTHING)
    rows = [cells + [NOTHING] * (len(header) - len(cells)) for cells in body.values()]
    return "\n".join(markdown(header, rows, left=2))


def refresh_readme(path, of_all):
    """Put the table between the two marks that the file has for it."""
    path = Path(path)
    text, count = re.subn(
        r"(?s)(<!-- speed -->\n).*(<!-- /speed -->)",
        lambda found: f"{found[1]}{readme_table(of_all)}\n{found[2]}",
        path.read_text(),
    )
    if count != 1:
        raise SystemExit(f"{path} does not have the marks <!-- speed --> and <!-- /speed --> once")
    path.write_text(text)
