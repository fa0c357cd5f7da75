"""Tables and plots of the documentation, made from ``results.json`` and ``profile.json``."""

import json
import re
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from reference import FUNCTIONS as TESTED
from reference import PUBLIC as ELEMENTWISE

from ulp import bounds
from ulp.findings import Errors

FUNCTIONS = (*ELEMENTWISE, "softmax", "log_softmax", "logsumexp")
PEERS = ("SciPy", "PyTorch", "JAX", "numexpr")
PLOTTED = {  # the inputs that are shown, and on which scale; turned round for a function below 0
    ("probabilities", "float32"): ("logit", 1e-12, 1 - 1e-7),
    ("probabilities", "float64"): ("logit", 1e-18, 1 - 1e-15),
    ("log odds", "float32"): ("linear", -107, 20),
    ("log odds", "float64"): ("linear", -760, 40),
}
# Colours that everybody can tell apart, and widths that show a line under another one.
STYLES = {"PyTorch": ("#e69f00", 2.4), "SciPy": ("#0072b2", 1.2), "fastlogit": ("#000000", 1.0)}
CEILING = 1000.0  # ulp; errors above it are drawn at it
COLUMNS = 250  # of a plot
LONGEST_ROW = 8  # runs of equal elements that a table has room for


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


def by_function(results):
    """(function, dtype, {library: errors}) in the order of the documentation."""
    for function in FUNCTIONS:
        for dtype in ("float32", "float64"):
            libraries = results["errors"].get(f"{dtype} {function}")
            if libraries:
                yield function, dtype, libraries


def columns(results):
    """The builds and the peers, by the heads of their columns; v4 has none if its bits are those of v3."""
    names = {name for libraries in results["errors"].values() for name in libraries}
    builds = {name: name for name in sorted(filter(is_fastlogit, names))}
    compared = [
        comparison["differing"]
        for comparisons in results["comparisons"].values()
        for phrase, comparison in comparisons.items()
        if "the bits of v4 and v3" in phrase
    ]
    if compared and not any(compared):
        del builds["fastlogit v3"], builds["fastlogit v4"]
        builds["fastlogit v3"] = "fastlogit v3, v4"
    versions = results["subject"]["peers"]
    peers = {name: f"{name} {versions[name].partition('+')[0]}" for name in PEERS if name in names}
    return builds, peers


def new_literals(results):
    """The worst float32 and float64 inputs of each function that tests/literals.py does not have."""
    for function, _, libraries in by_function(results):
        known = {float.fromhex(x) for x, _ in TESTED[function].literals} if function in TESTED else set()
        worst = {
            entry["input"]
            for name, errors in libraries.items()
            if function in TESTED and is_fastlogit(name)
            for entry in errors["worst"]
        }
        yield from ((function, x) for x in sorted(worst) if float.fromhex(x) not in known)


def library_table(title, results, functions, cell):
    """One row for each function and type, one column for each library."""
    builds, peers = columns(results)
    libraries = builds | peers
    rows = [
        [f"``{function}``", dtype, *(cell(errors[name]) if name in errors else "–" for name in libraries)]
        for function, dtype, errors in by_function(results)
        if function in functions
    ]
    return table(title, ["function", "type", *libraries.values()], rows)


def largest_error_table(results):
    return library_table("Largest error, in units in the last place", results, FUNCTIONS, largest)


def misrounded_table(results):
    title = "Results that are not correctly rounded: number, and part of the finite ones"
    return library_table(title, results, ELEMENTWISE, misrounded)


def mean_error_table(results):
    def mean(errors):
        return f"{errors['mean']:.3g}"

    return library_table("Mean error, in units in the last place", results, ELEMENTWISE, mean)


def order_table(results):
    def unordered(errors):
        return f"{errors['unordered']:,}"

    title = "Neighbouring inputs whose results are in the wrong order"
    return library_table(title, results, ELEMENTWISE, unordered)


def worst_input_table(results):
    builds, _ = columns(results)
    rows = []
    for function, dtype, errors in by_function(results):
        for build in builds if function in ELEMENTWISE else ():
            for entry in errors.get(build, {"worst": []})["worst"][:1]:
                row = [f"``{function}``", dtype, build.removeprefix("fastlogit "), f"{entry['ulp']:.5f}"]
                rows.append([*row, *(f"``{entry[key]}``" for key in ("input", "got", "want"))])
    heads = ["function", "type", "build", "ulp", "input", "got", "correctly rounded"]
    return table("Worst inputs of fastlogit", heads, rows)


def shortened(text):
    """Hexadecimal floats without zeros at the end."""
    return re.sub(r"\.?0+p", "p", text)


def row_of(entry):
    """A row as it is written down, if that is short, else where it comes from."""
    written = entry.get("row")
    if not written or written.count(",") > LONGEST_ROW:
        return entry["input"]
    element = "" if entry["element"] is None else f", element {entry['element']}"
    return f"``{shortened(written)}``{element}"


def worst_row_table(results):
    builds, _ = columns(results)
    rows = []
    for function, dtype, errors in by_function(results):
        for build in builds if function not in ELEMENTWISE else ():
            for entry in errors.get(build, {"worst": []})["worst"][:1]:
                row = [f"``{function}``", dtype, build.removeprefix("fastlogit "), f"{entry['ulp']:.4f}"]
                results_of_row = (f"``{shortened(entry[key])}``" for key in ("got", "want"))
                rows.append([*row, row_of(entry), *results_of_row])
    heads = ["function", "type", "build", "ulp", "row (value x copies)", "got", "correctly rounded"]
    return table("Worst rows of fastlogit", heads, rows)


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


def of_both(first, second):
    """What was counted where more was tried, and the worst inputs of both."""
    more = max(first, second, key=lambda one: one["inputs"])
    if "worst" not in more:
        return more
    both = Errors(worst=first["worst"])
    both.add(Errors(worst=second["worst"]))
    return more | {"worst": both.worst}


def code_of(results):
    """Digests by type and function: of each, those of the campaign whose counts stand."""
    return results.get("code", results["source"].get("code", {}))


def is_of_other_code(key, results, more):
    """Whether a campaign tried other code than the results are of, which then say nothing any more."""
    code = code_of(more)
    return key in code and code[key] != results["code"].get(key)


def counted_as(key):
    """What is counted, by type: the losses have one name."""
    dtype, function = key.split()
    return f"{dtype} losses" if "/" in function else key


def combined(campaigns):
    """The results of the first campaign with those of others; a profile is of what has tried most.

    What another one has found of other code than was tried before takes its place.
    """
    (results, profiles), *others = campaigns
    results = {**results, "added": results.get("added", []), "code": dict(code_of(results))}
    for more, more_profiles in others:
        added = set()
        for part in ("errors", "comparisons"):
            for key, tried in more[part].items():
                known = results[part].setdefault(key, {})
                if part == "errors" and is_of_other_code(key, results, more):
                    for name in filter(is_fastlogit, list(known)):
                        del known[name]
                for name, value in tried.items():
                    if part == "errors" and value["inputs"] > known.get(name, {"inputs": 0})["inputs"]:
                        added.add((key, name))
                        if key in code_of(more):
                            results["code"][key] = code_of(more)[key]
                        if name in more_profiles.get(key, {}):
                            profiles.setdefault(key, {})[name] = more_profiles[key][name]
                    known[name] = of_both(known.get(name, value), value)
        results["subject"]["peers"] = more["subject"]["peers"] | results["subject"]["peers"]
        about = {
            "libraries": sorted({name for _, name in added if not is_fastlogit(name)}),
            "counted": sorted({counted_as(key) for key, name in added if is_fastlogit(name)}),
        }
        results["added"].append(about | {part: more[part] for part in ("settings", "source")})
    return results, profiles


def listed(names):
    return ", ".join(f"``{name}``" for name in names)


def commit_of(source):
    changes = " with changes" if source["uncommitted changes"] else ""
    return f"commit ``{(source['commit'] or 'unknown')[:12]}``{changes}"


def provenance_of_float32(tried):
    """All inputs of some functions, a sample of those of others."""
    exhausted = [name for name in ELEMENTWISE if tried.get((name, "float32"), 0) >= 2**32]
    sampled = [name for name in ELEMENTWISE if 0 < tried.get((name, "float32"), 0) < 2**32]
    if exhausted:
        yield f"float32: every one of the 2\\ :sup:`32` inputs of {listed(exhausted)}."
    if sampled:
        least = min(tried[name, "float32"] for name in sampled)
        yield f"float32: {least:,} inputs of {listed(sampled)}, drawn from all of them."


def provenance(results):
    """What was measured, where and how much, as a paragraph."""
    subject, machine = results["subject"], results["machine"]
    tried = {
        (function, dtype): max(counts)
        for function, dtype, libraries in by_function(results)
        if (counts := [errors["inputs"] for name, errors in libraries.items() if is_fastlogit(name)])
    }
    said = [
        f"fastlogit {subject['version']}, {commit_of(results['source'])}, compiled by {subject['compiler']}; "
        f"{machine['processor']}, {machine['system']}, NumPy {subject['numpy']}; {results['date']}.",
        *provenance_of_float32(tried),
    ]
    float64 = [tried[name, "float64"] for name in ELEMENTWISE if (name, "float64") in tried]
    if float64:
        said.append(f"float64: {min(float64):,} inputs or more of each function.")
    of_rows = [count for (name, _), count in tried.items() if name == "softmax"]
    if of_rows:
        said.append(f"Rows: {min(of_rows):,} elements or more of each type.")
    of_losses = [
        sum(errors[name]["inputs"] for name in errors if name == "fastlogit v3")
        for key, errors in results["errors"].items()
        if key.endswith(("labels/loss", "weights/loss", "targets/loss"))
    ]
    if of_losses:
        said.append(f"Losses: {min(of_losses):,} or more of each kind and type.")
    for more in results.get("added", []):
        settings = more["settings"]
        if more["counted"]:
            said.append(f"Counted at {commit_of(more['source'])}: {listed(more['counted'])}.")
        if more["libraries"]:
            said.append(
                f"{', '.join(more['libraries'])}: {settings['fraction']} of all float32, "
                f"{settings['points']:,} random float64 and {settings['rounds']} rounds of random rows."
            )
    return "\n".join([*said, f"Seed {results['settings']['seed']}.\n"])


def plot(dtype, profiles, folder):
    """The error against the input: one panel for each function, all libraries in it."""
    figure = Figure(figsize=(8, 2.8 * len(ELEMENTWISE)), layout="constrained")
    axes = figure.subplots(len(ELEMENTWISE), 1)
    for axis, function in zip(axes, ELEMENTWISE, strict=True):
        scale, low, high = PLOTTED[TESTED[function].domain.name, dtype]
        if TESTED[function].range[1] == 0:
            low, high = -high, -low
        profile = profiles.get(f"{dtype} {function}", {})
        fastlogit = "fastlogit v3" if "fastlogit v3" in profile else "fastlogit generic"
        for name in ("PyTorch", "SciPy", fastlogit):
            label = "fastlogit" if is_fastlogit(name) else name
            at, error = outline(profile.get(name, []), scale, low, high)
            colour, width = STYLES[label]
            axis.plot(at, error, drawstyle="steps-mid", label=label, color=colour, linewidth=width)
        axis.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
        axis.axhline(0.5, color="0.6", linewidth=0.8)
        axis.set(xscale=scale, yscale="log", xlim=(low, high), ylim=(0.2, 1.2 * CEILING))
        axis.set_yticks([0.5, 1, 2, 10, 100, 1000], ["0.5", "1", "2", "10", "100", "≥ 1000"])
        axis.set_title(f"{function}, {dtype}", loc="left", fontsize="medium")
        axis.set_ylabel("largest error / ulp")
        if scale == "logit":
            decades = np.arange(np.ceil(np.log10(low)), 0, 3)
            upper = [decade for decade in decades if 1 - 10.0**decade <= high][::2]
            places = [*(10.0**decades), 0.5, *(1 - 10.0**decade for decade in upper)]
            labels = [rf"$10^{{{decade:.0f}}}$" for decade in decades]
            labels += ["1/2", *(rf"$1-10^{{{decade:.0f}}}$" for decade in upper)]
            axis.set_xticks(places, labels)
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
    makers = (
        largest_error_table,
        misrounded_table,
        mean_error_table,
        worst_input_table,
        worst_row_table,
        order_table,
        comparison_table,
    )
    tables = [make(results) for make in makers]
    heading = ".. Made by python tools/ulp report.\n"
    (folder / "tables.inc").write_text("\n".join([heading, provenance(results), *tables]), "utf-8")
    bounds_table = bounds.lines(results, bounds.saved_proofs(), table, row_of)
    (folder / "bounds.inc").write_text("\n".join([heading, bounds_table]), "utf-8")
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    for dtype in ("float32", "float64"):
        if any(key.startswith(dtype) for key in profiles):
            plot(dtype, profiles, folder)
