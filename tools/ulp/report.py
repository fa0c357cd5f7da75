"""Tables and plots of the documentation, made from ``results.json`` and ``profile.json``."""

import json
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

FUNCTIONS = ("logit", "expit", "log_expit", "softmax", "log_softmax", "logsumexp")
PEERS = ("SciPy", "PyTorch", "JAX", "numexpr")
PLOTTED = {  # the inputs that are shown, and on which scale
    ("logit", "float32"): ("logit", 1e-12, 1 - 1e-7),
    ("logit", "float64"): ("logit", 1e-18, 1 - 1e-15),
    ("expit", "float32"): ("linear", -107, 20),
    ("expit", "float64"): ("linear", -760, 40),
    ("log_expit", "float32"): ("linear", -20, 107),
    ("log_expit", "float64"): ("linear", -40, 760),
}
COLOURS = {"SciPy": "#0072b2", "PyTorch": "#d55e00", "fastlogit": "#000000"}  # told apart by everybody
CEILING = 1000.0  # ulp; errors above it are drawn at it
COLUMNS = 250  # of a plot


def is_fastlogit(library):
    return library.startswith("fastlogit ")


def table(title, heads, rows):
    """A list-table of reStructuredText."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in [heads, *rows]:
        for index, cell in enumerate(row):
            lines.append(f"   {'* -' if index == 0 else '  -'} {cell}")
    return "\n".join(lines) + "\n"


def largest(errors):
    """The largest error as a cell. Rounded up: a bound that is read off it holds."""
    if errors["failed"]:
        return "not finite"
    ulp = errors["worst"][0]["ulp"] if errors["worst"] else 0.0
    if ulp > 100:
        return f"{ulp:.2g}"
    digits = 4 if ulp < 1 else 2
    return f"{np.ceil(ulp * 10**digits) / 10**digits:.{digits}f}"


def misrounded(errors):
    share = errors["misrounded"] / max(errors["finite"], 1)
    return f"{errors['misrounded']:,} ({share:.2g})" if errors["misrounded"] else "0"


def by_function(results, builds):
    """(function, dtype, {library: errors}) in the order of the documentation."""
    for function in FUNCTIONS:
        for dtype in ("float32", "float64"):
            libraries = results["errors"].get(f"{dtype} {function}")
            if libraries:
                yield function, dtype, libraries


def columns(results):
    """Builds of one kind of bits share a column."""
    names = {name for libraries in results["errors"].values() for name in libraries}
    builds = sorted(filter(is_fastlogit, names))
    return builds, [peer for peer in PEERS if peer in names]


def error_tables(results):
    builds, peers = columns(results)
    versions = results["subject"]["peers"]
    libraries = [*builds, *peers]
    heads = ["function", "type", *builds, *(f"{peer} {versions.get(peer, '')}".strip() for peer in peers)]
    worst_rows, misrounded_rows, mean_rows = [], [], []
    for function, dtype, errors in by_function(results, builds):
        label = [f"``{function}``", dtype]
        worst_rows.append([*label, *(largest(errors[n]) if n in errors else "–" for n in libraries)])
        if function in FUNCTIONS[:3]:
            misrounded_rows.append(
                [*label, *(misrounded(errors[n]) if n in errors else "–" for n in libraries)]
            )
            mean_rows.append(
                [*label, *(f"{errors[n]['mean']:.3f}" if n in errors else "–" for n in libraries)]
            )
    return [
        table("Largest error, in units in the last place", heads, worst_rows),
        table(
            "Results that are not correctly rounded: number, and part of the finite ones",
            heads,
            misrounded_rows,
        ),
        table("Mean error, in units in the last place", heads, mean_rows),
    ]


def worst_input_table(results):
    builds, _ = columns(results)
    rows = []
    for function, dtype, errors in by_function(results, builds):
        for build in builds:
            for entry in errors.get(build, {"worst": []})["worst"][:1]:
                row = [f"``{function}``", dtype, build.removeprefix("fastlogit "), f"{entry['ulp']:.5f}"]
                rows.append([*row, *(f"``{entry[key]}``" for key in ("input", "got", "want"))])
    heads = ["function", "type", "build", "ulp", "input", "got", "correctly rounded"]
    return table("Worst inputs of fastlogit", heads, rows)


def comparison_table(results):
    """The builds share a row: their number of inputs is the same, the rest is the worst of them."""
    rows = []
    for dtype, comparisons in results["comparisons"].items():
        items = [(key.partition(": fastlogit")[0], value) for key, value in sorted(comparisons.items())]
        for phrase, group in groupby(items, key=lambda item: item[0]):
            compared = [value for _, value in group]
            differing = max(value["differing"] for value in compared)
            sizes = [value["largest"] for value in compared if value["largest"] is not None]
            size = f"{max(sizes):.4g} ulp" if sizes else ("none" if differing == 0 else "bits")
            rows.append([phrase, dtype, f"{compared[0]['inputs']:,}", f"{differing:,}", size])
    return table(
        "Identities", ["what was compared", "type", "inputs", "differing", "largest difference"], rows
    )


def order_table(results):
    builds, peers = columns(results)
    rows = [
        [
            f"``{function}``",
            dtype,
            *(f"{errors[n]['unordered']:,}" if n in errors else "–" for n in [*builds, *peers]),
        ]
        for function, dtype, errors in by_function(results, builds)
        if function in FUNCTIONS[:3]
    ]
    return table(
        "Neighbouring inputs whose results are in the wrong order",
        ["function", "type", *builds, *peers],
        rows,
    )


def provenance(results):
    """What was measured, where and how much, as a paragraph."""
    subject, machine, settings = results["subject"], results["machine"], results["settings"]
    exhaustive = settings["fraction"] == "1"
    tried = {
        key: next(iter(libraries.values()))["inputs"]
        for key, libraries in results["errors"].items()
        if key.split()[1] in FUNCTIONS[:3]
    }
    sampled = sorted(count for key, count in tried.items() if key.startswith("float64"))
    all_of_them = "every one of the 2\\ :sup:`32` inputs"
    float32 = all_of_them if exhaustive else f"{settings['fraction']} of all inputs"
    return (
        f"fastlogit {subject['version']}, commit ``{(subject['commit'] or 'unknown')[:12]}``"
        f"{' with changes' if subject['uncommitted changes'] else ''}, compiled by {subject['compiler']}; "
        f"{machine['processor']}, {machine['system']}, NumPy {subject['numpy']}. "
        f"float32: {float32}. "
        + (f"float64: {sampled[0]:,} inputs or more for each function. " if sampled else "")
        + f"Seed {settings['seed']}.\n"
    )


def plot(dtype, profiles, folder):
    """The error against the input: one panel for each function, all libraries in it."""
    figure = Figure(figsize=(8, 8.5), layout="constrained")
    axes = figure.subplots(3, 1)
    for axis, function in zip(axes, FUNCTIONS[:3], strict=True):
        scale, low, high = PLOTTED[function, dtype]
        profile = profiles.get(f"{dtype} {function}", {})
        fastlogit = "fastlogit v3" if "fastlogit v3" in profile else "fastlogit generic"
        for name in ("SciPy", "PyTorch", fastlogit):
            label = "fastlogit" if is_fastlogit(name) else name
            at, error = outline(profile.get(name, []), scale, low, high)
            axis.plot(at, error, drawstyle="steps-mid", label=label, color=COLOURS[label], linewidth=1.1)
        axis.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
        axis.axhline(0.5, color="0.6", linewidth=0.8)
        axis.set(xscale=scale, yscale="log", xlim=(low, high), ylim=(0.2, 1.2 * CEILING))
        axis.set_yticks([0.5, 1, 2, 10, 100, 1000], ["0.5", "1", "2", "10", "100", "≥ 1000"])
        axis.set_title(f"{function}, {dtype}", loc="left", fontsize="medium")
        axis.set_ylabel("largest error / ulp")
        axis.minorticks_off()
    axes[0].legend(loc="upper left", ncols=3, frameon=False)
    axes[-1].set_xlabel("input")
    figure.savefig(folder / f"error_{dtype}.png", dpi=110, metadata={"Software": None})


def outline(parts, scale, low, high):
    """The largest error in each column of the plot."""

    def position(x):
        return np.log(x / (1 - x)) if scale == "logit" else x

    edges = np.linspace(position(low), position(high), COLUMNS + 1)
    tops = np.full(COLUMNS, np.nan)
    for first, last, error, _ in parts:
        # A part without an input inside the picture is not shown, a long one reaches over several columns.
        ends = np.clip(sorted([float.fromhex(first), float.fromhex(last)]), low, high)
        if ends[0] < ends[1]:
            left, right = np.searchsorted(edges, position(ends), side="right") - 1
            inside = slice(max(left, 0), min(right, COLUMNS - 1) + 1)
            tops[inside] = np.fmax(tops[inside], min(error, CEILING))
    middle = (edges[1:] + edges[:-1]) / 2
    return (1 / (1 + np.exp(-middle)) if scale == "logit" else middle), tops


def write(folder, results, profiles):
    """All tables into one file to include, a plot for each type, and the results themselves."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables = [
        *error_tables(results),
        worst_input_table(results),
        order_table(results),
        comparison_table(results),
    ]
    heading = ".. Made by python tools/ulp report.\n"
    (folder / "tables.inc").write_text("\n".join([heading, provenance(results), *tables]), "utf-8")
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    for dtype in ("float32", "float64"):
        if any(key.startswith(dtype) for key in profiles):
            plot(dtype, profiles, folder)
