"""Bounds that a machine has checked: ``python tools/proofs`` proves them from the text of the formulas.

`source` translates the formulas and ``arithmetic.h`` into Python, `arithmetic` traces them, `gappa` writes
the trace as a script and has it proven. A changed operation changes the script, and what no longer follows
fails. Needs gappa and sollya.

    python tools/proofs                     a table of all bounds
    python tools/proofs expit logit         of these formulas
    python tools/proofs --write             and docs/measured/proofs.json and proofs.inc anew

Exits with 1 if a bound is not below the one that is promised, with 2 without the tools.
"""

import argparse
import json
import shutil
from pathlib import Path

import tables
from claims import claims

SAVED = Path(__file__).resolve().parents[2] / "docs" / "measured" / "proofs.json"
ROW = "{formula:24} {dtype:8} {arithmetic:8} {proven:>12} {promised:>12}  {unit}"


def proven(claim, fused):
    """What is said of a claim, as it is printed and saved."""
    return {
        "formula": claim.formula,
        "dtype": claim.dtype,
        "arithmetic": "fused" if fused else "unfused",
        "proven": claim.bound(fused),
        "promised": claim.promised,
        "unit": claim.unit,
        "code": claim.digest(),
    }


def kept(row):
    """No number that is NaN is below another one."""
    return row["proven"] <= row["promised"]


def main(arguments=None, all_claims=claims, saved=SAVED):
    parser = argparse.ArgumentParser(prog="python tools/proofs", description=__doc__.partition("\n")[0])
    parser.add_argument("formulas", nargs="*", help="those whose name has one of these words (all)")
    parser.add_argument("--write", action="store_true", help=f"save all in {saved.name}, and their tables")
    options = parser.parse_args(arguments)
    missing = [tool for tool in ("gappa", "sollya") if shutil.which(tool) is None]
    if missing:
        print(f"not proven: {', '.join(missing)} not installed (apt install gappa sollya)")
        return 2
    chosen = [c for c in all_claims() if not options.formulas or c.formula in options.formulas]
    if options.write and options.formulas:
        parser.error("--write is of all formulas")
    if not chosen:
        parser.error(f"there is no proof of {', '.join(options.formulas)}")
    heads = {"formula": "formula", "dtype": "type", "proven": "<", "promised": "promised"}
    print(ROW.format(**heads, arithmetic="", unit=""))
    rows = []
    for claim in chosen:
        for fused in claim.arithmetics:
            row = proven(claim, fused)
            rows.append(row)
            numbers = {name: f"{row[name]:.4g}" for name in ("proven", "promised")}
            print(ROW.format(**row | numbers), "" if kept(row) else "  NOT KEPT", flush=True)
    if options.write:
        saved.write_text(json.dumps(rows, indent=1) + "\n")
        saved.with_suffix(".inc").write_text(tables.text(rows))
    return 0 if all(map(kept, rows)) else 1
