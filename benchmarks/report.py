"""What compare.py found out: as a table in Markdown or reStructuredText, as CSV, as a plot."""

import csv
import os
import platform
import re
from pathlib import Path

import numpy as np
from contest import IN_PLACE, PREALLOCATED

import fastlogit
from fastlogit import _isa

COLUMNS = [
    *("function", "dtype", "layout", "output", "elements", "threads"),
    *("library", "version", "ns_per_element", "ratio_to_best_peer", "ratio_to_floor"),
]


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(threads, libraries=()):
    """What the figures were measured on, and with."""
    versions = [f"{library.name} {library.version}" for library in libraries]
    versions = versions or [f"fastlogit {fastlogit.__version__}", f"NumPy {np.__version__}"]
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} CPUs, {threads} threads, {_isa.chosen} kernels, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def power_of_two(elements):
    return f"2^{elements.bit_length() - 1}" if elements.bit_count() == 1 else f"{elements}"


def best_peer(times):
    peers = [ns for name, ns in times.items() if name not in ("fastlogit", "floor")]
    return min(peers, default=np.nan)


def peer_names(libraries):
    return [library.name for library in libraries if library.name != "fastlogit"]


def rows(results, libraries):
    """Header and rows of the table, as strings."""
    peers = peer_names(libraries)
    yield [
        *("function", "dtype", "array", "elements", "output", "fastlogit", *peers, "floor"),
        *("best peer / fastlogit", "fastlogit / floor"),
    ]
    for (case, dtype, layout, output), times in results.items():
        ours = times["fastlogit"]
        ratio = best_peer(times) / ours
        yield [
            *(case.name, dtype, layout.name, power_of_two(layout.elements), output, f"{ours:.2f}"),
            *(f"{times[peer]:.2f}" if peer in times else "–" for peer in peers),
            f"{times['floor']:.2f}",
            "–" if np.isnan(ratio) else f"{ratio:.2f}",
            f"{ours / times['floor']:.2f}",
        ]


def markdown(header, body, left):
    """A table whose first columns, ``left`` of them, hold words."""
    yield "| " + " | ".join(header) + " |"
    yield "| " + " | ".join(["---"] * left + ["--:"] * (len(header) - left)) + " |"
    for row in body:
        yield "| " + " | ".join(row) + " |"


def print_table(results, libraries, threads):
    header, *body = rows(results, libraries)
    print(f"{machine(threads, libraries)}.\n")
    print("\n".join(markdown(header, body, left=5)))
    print("\nns per element. The floor is an in-place multiplication of the same array.")


def rst_table(header, body):
    yield ".. csv-table::"
    yield "   :header-rows: 1"
    yield ""
    for row in [header, *body]:
        yield "   " + ", ".join(f'"{cell}"' for cell in row)


def write_rst(path, results, libraries, threads):
    """A table to be included by a page of the documentation."""
    header, *body = rows(results, libraries)
    title = f"{machine(threads, libraries)}. Nanoseconds per element."
    Path(path).write_text("\n".join([title, "", *rst_table(header, body)]) + "\n")


def write_csv(path, results, libraries, threads):
    versions = {library.name: library.version for library in libraries}
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (case, dtype, layout, output), times in results.items():
            for name, ns in times.items():
                writer.writerow(
                    [
                        *(case.name, dtype, layout.name, output, layout.elements, threads, name),
                        *(versions.get(name, ""), f"{ns:.4g}"),
                        *(f"{ns / best_peer(times):.4g}", f"{ns / times['floor']:.4g}"),
                    ]
                )


def draw_plot(path, results):
    """Throughput against size; one line per library, one panel per function and dtype."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "fastlogit"  # the same figures make the same file
    matplotlib.rcParams["svg.fonttype"] = "none"
    import matplotlib.pyplot as plt

    functions = list(dict.fromkeys(setting.case.name for setting in results))
    dtypes = list(dict.fromkeys(setting.dtype for setting in results))
    figure, panels = plt.subplots(
        len(functions),
        len(dtypes),
        figsize=(6 * len(dtypes), 3.2 * len(functions)),
        squeeze=False,
        sharex=True,
    )
    libraries = list(dict.fromkeys(name for times in results.values() for name in times))
    for (row, function), (column, dtype) in ((r, c) for r in enumerate(functions) for c in enumerate(dtypes)):
        panel = panels[row, column]
        of_panel = {
            setting.layout.elements: times
            for setting, times in sorted(results.items(), key=lambda item: item[0].layout.elements)
            if (setting.case.name, setting.dtype) == (function, dtype)
        }
        for color, name in enumerate(libraries):
            style = {"color": f"C{color}", "marker": "."}
            if name == "floor":
                style = {"color": "black", "linestyle": ":"}
            sizes = [size for size, times in of_panel.items() if name in times]
            panel.plot(sizes, [1 / of_panel[size][name] for size in sizes], label=name, **style)
        panel.set(title=f"{function}, {dtype}", xscale="log", yscale="log")
        panel.set_ylabel("10⁹ elements / s")
        panel.minorticks_off()  # hundreds of them make up most of the file
        panel.grid(alpha=0.3)
    panels[0, 0].legend(fontsize="small")
    for panel in panels[-1]:
        panel.set_xlabel("elements")
    figure.tight_layout()
    figure.savefig(path, dpi=150, metadata={"Date": None} if str(path).endswith(".svg") else None)


def readme_table(results, libraries):
    """The rows that stand for all: a large contiguous array, in place or, for slices, into another array."""
    peers = [library for library in libraries if library.name in ("SciPy", "PyTorch")]
    header = ["", "", "", "fastlogit", *(f"{peer.name} {peer.version.partition('+')[0]}" for peer in peers)]
    body = []
    for (case, dtype, layout, output), times in results.items():
        if output != (PREALLOCATED if case.of_slices else IN_PLACE):
            continue
        if not re.fullmatch(r"contiguous|\d+×1000, axis -1", layout.name):
            continue
        ours = times["fastlogit"]
        body.append(
            [
                *(case.name, layout.name if case.of_slices else "", dtype, f"{ours:.2f}"),
                *(
                    f"{times[peer.name]:.2f} ({times[peer.name] / ours:.1f}×)" if peer.name in times else "–"
                    for peer in peers
                ),
                f"{times['floor']:.2f}",
            ]
        )
    return "\n".join(markdown([*header, "floor"], body, left=3))


def refresh_readme(path, results, libraries):
    """Put the table between the two marks that the file has for it."""
    path = Path(path)
    text, count = re.subn(
        r"(?s)(<!-- speed -->\n).*(<!-- /speed -->)",
        lambda found: f"{found[1]}{readme_table(results, libraries)}\n{found[2]}",
        path.read_text(),
    )
    if count != 1:
        raise SystemExit(f"{path} does not have the marks <!-- speed --> and <!-- /speed --> once")
    path.write_text(text)
