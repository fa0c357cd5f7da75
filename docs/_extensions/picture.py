"""The picture of the first page, drawn from what was measured: error against time, a point for each function.

It is drawn with each build of the documentation, so that it shows the figures of the other pages.
"""

import csv
import json
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sphinx.application import Sphinx

FUNCTIONS = ("logit", "expit", "log_expit", "softmax", "log_softmax", "logsumexp")
DTYPE = "float64"
# Colours of Okabe and Ito, which everybody can tell apart, on white and on black.
STYLES = {
    "fastlogit": ("#000000", "#ffffff", "o"),
    "SciPy": ("#0072b2", "#56b4e9", "s"),
    "PyTorch": ("#d55e00", "#e69f00", "^"),
    "numexpr": ("#009e73", "#009e73", "D"),
    "NumPy": ("#a05080", "#cc79a7", "v"),
    "numba": ("#777777", "#aaaaaa", "X"),
}
INK = ("#303030", "#d0d0d0")
NOT_FINITE = 1e18  # where an infinity is drawn, and an error that was not measured a little above
NOT_MEASURED = 1e20


def tables(folder: Path) -> dict[str, Path]:
    """By processor, that which was measured last first; those of an earlier version of fastlogit are last."""
    described = {path: json.loads(path.read_text())["machine"] for path in folder.glob("*.json")}
    latest_first = sorted(
        described,
        key=lambda path: ("SciPy" in described[path]["versions"], described[path]["date"]),
        reverse=True,
    )
    return {
        f"{described[path]['maker']} {described[path]['microarchitecture'].partition(',')[0]}": (
            path.with_suffix(".csv")
        )
        for path in latest_first
    }


def times(table: Path) -> dict[tuple[str, str], float]:
    """Nanoseconds an element, by function and library: a large array, in place or into another one."""
    chosen = {}
    with open(table, newline="") as file:
        for row in csv.DictReader(file):
            of_slices = row["layout"] == "8192×1000, axis -1" and row["output"] == "preallocated"
            elementwise = (row["layout"], row["output"]) == ("contiguous", "in place")
            large = of_slices or (elementwise and int(row["elements"]) == 2**24)
            warm = (row["part"], row["caches"]) == ("table", "warm")
            if row["dtype"] == DTYPE and row["function"] in FUNCTIONS and large and warm:
                chosen.setdefault((row["function"], row["library"]), float(row["ns_per_element"]))
    return chosen


def errors(results: Path) -> dict[tuple[str, str], float]:
    """The largest error in ulp, by function and library."""
    measured = json.loads(results.read_text())["errors"]
    return {
        (function, re.sub(r"fastlogit v\d", "fastlogit", library)): (
            NOT_FINITE if found["failed"] else found["worst"][0]["ulp"]
        )
        for function in FUNCTIONS
        for library, found in measured[f"{DTYPE} {function}"].items()
    }


def draw(
    axes: Axes,
    of_time: dict[tuple[str, str], float],
    of_error: dict[tuple[str, str], float],
    dark: bool,
    filled: bool,
) -> None:
    """The points of one processor."""
    for library, (on_white, on_black, marker) in STYLES.items():
        points = [
            (time, of_error.get(key, NOT_MEASURED)) for key, time in of_time.items() if key[1] == library
        ]
        if not points:
            continue
        colour = on_black if dark else on_white
        axes.plot(
            *zip(*points, strict=True),
            marker,
            color=colour,
            markerfacecolor=colour if filled else "none",
            markersize=(9 if library == "fastlogit" else 7) - (0 if filled else 2),
            alpha=0.9,
            label=library if filled else None,
        )


def label(axes: Axes, processors: list[str]) -> None:
    axes.set(xscale="log", yscale="log", xlim=(0.2, 40), ylim=(0.05, 1e22))
    axes.set_xticks([0.3, 1, 3, 10, 30], ["0.3", "1", "3", "10", "30"])
    axes.set_yticks(
        [1, 1e3, 1e6, 1e9, 1e12, 4.5e15, NOT_FINITE, NOT_MEASURED],
        ["1", "10³", "10⁶", "10⁹", "10¹²", "all digits", "not finite", "not measured"],
    )
    axes.minorticks_off()
    latest, *others = processors
    axes.set_xlabel(f"nanoseconds per element\nfilled: {latest}; open: {', '.join(others)}")
    axes.set_title("largest error, in units in the last place", loc="left", fontsize=11)


def draw_both(source: Path) -> None:
    of_processors = {name: times(table) for name, table in tables(source / "speed").items()}
    of_error = errors(source / "measured" / "results.json")
    for dark, name in enumerate(("why-light.svg", "why-dark.svg")):
        ink = INK[dark]
        style = {
            "svg.fonttype": "none",
            "svg.hashsalt": "fastlogit",  # the same figures make the same file
            "font.size": 11,
            "text.color": ink,
            "axes.labelcolor": ink,
            "axes.edgecolor": ink,
            "xtick.color": ink,
            "ytick.color": ink,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
        with mpl.rc_context(style):
            figure = Figure(figsize=(5, 4.4), layout="constrained")
            axes = figure.add_subplot()
            for number, of_time in enumerate(of_processors.values()):
                draw(axes, of_time, of_error, bool(dark), filled=number == 0)
            label(axes, list(of_processors))
            axes.grid(alpha=0.25)
            figure.legend(loc="outside lower center", ncols=3, frameon=False)
            figure.savefig(source / "_static" / name, transparent=True, metadata={"Date": None})


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", lambda app: draw_both(Path(app.srcdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
