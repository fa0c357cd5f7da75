"""The tables of the documentation that are made of what was proven."""

from math import ceil

NAMES = {
    "residual": "``residual``",
    "exp_parts": "``exp_parts``",
    "log_of_quotient": "``log_of_quotient``",
    "log_positive": "``log_positive``",
    "exp_double": "``exp_double``",
    "exp_double_double": "``exp_double_double``",
    "a term": "a term, ``exp_term``",
    "a term, its tail": "a term with its tail",
}
PARTS = tuple(NAMES)
NAMES |= {
    "log_expit, softplus": "``log_expit``, ``softplus``",
    "cross_entropy, weights": "``cross_entropy``, weights",
}


def rounded_up(bound):
    """With three digits, so that what is read off holds."""
    digits = 3 if bound >= 0.001 else 9
    return f"{ceil(bound * 10**digits) / 10**digits:.{digits}f}".rstrip("0")


def table(title, rows, unit):
    """A list-table of reStructuredText: with and without fused multiply-add side by side."""
    by_formula = {}
    for row in rows:
        bounds = by_formula.setdefault((row["formula"], row["dtype"]), {})
        bounds[row["arithmetic"]] = f"{rounded_up(row['proven'])}{' ' + row['unit'] if unit else ''}"
    heads = ["formula", "type", "with fused multiply-add", "without (v2)"]
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for cells in [heads, *([*key, *found.values()] for key, found in by_formula.items())]:
        name, *others = cells if cells is heads else (NAMES.get(cells[0], f"``{cells[0]}``"), *cells[1:])
        others = others if len(others) == 3 else [others[0], "exact", others[1]]
        lines += [f"   * - {name}", *(f"     - {cell}" for cell in others)]
    return "\n".join(lines) + "\n"


def parts(rows):
    chosen = [row for row in rows if row["formula"] in PARTS]
    return table("Bounds of the parts", chosen, unit=True)


def functions(rows):
    chosen = [row for row in rows if row["formula"] not in PARTS]
    return table("Bounds of the functions, in ulp", chosen, unit=False)


def text(rows):
    return "\n".join([".. Made by python tools/proofs --write.\n", parts(rows), functions(rows)])
