"""What was measured, a file for each processor: none overwrites another's.

docs/speed/amd-family-26-model-2.json    the machine, the versions, the date, and who was left out
docs/speed/amd-family-26-model-2.csv     the times
"""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

OURS, FLOOR, EXPONENTIAL = "fastlogit", "floor", "exp of MKL"
TABLE, CURVE = "table", "curve"
WARM, COLD = "warm", "cold"
COLUMNS = ["part", "function", "dtype", "layout", "output", "caches", "elements", "library", "ns_per_element"]


class Row(NamedTuple):
    part: str  # TABLE or CURVE
    function: str
    dtype: str
    layout: str
    output: str
    caches: str  # WARM or COLD
    elements: int
    times: dict[str, float]  # nanoseconds for an element, by library

    @property
    def setting(self):
        return self[:-1]

    @property
    def ours(self):
        return self.times[OURS]

    @property
    def best_peer(self):
        """Name and time, or None."""
        peers = [(ns, name) for name, ns in self.times.items() if name not in (OURS, FLOOR, EXPONENTIAL)]
        return min(peers)[::-1] if peers else None


class Results(NamedTuple):
    machine: dict[str, Any]
    rows: list[Row]
    left_out: list[str]  # why a library has no time in a row

    def part(self, name):
        return [row for row in self.rows if row.part == name]


def file_name(machine):
    return f"{machine['maker'].lower()}-family-{machine['family']}-model-{machine['model']}"


def write(folder, results):
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    path = folder / file_name(results.machine)
    described = {"machine": results.machine, "left out": results.left_out}
    path.with_suffix(".json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    write_csv(path.with_suffix(".csv"), results.rows)


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            for library, ns in row.times.items():
                writer.writerow([*row.setting, library, f"{ns:.4g}"])


def read_rows(path):
    times = {}
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            *setting, library, ns = (line[column] for column in COLUMNS)
            setting[-1] = int(setting[-1])
            times.setdefault(tuple(setting), {})[library] = float(ns)
    return [Row(*setting, of_setting) for setting, of_setting in times.items()]


def read(folder):
    """The results of all processors, the latest first."""
    of_all = []
    for path in Path(folder).glob("*.json"):
        described = json.loads(path.read_text())
        rows = read_rows(path.with_suffix(".csv"))
        of_all.append(Results(described["machine"], rows, described["left out"]))
    return sorted(
        of_all, key=lambda results: (results.machine["date"], file_name(results.machine)), reverse=True
    )
