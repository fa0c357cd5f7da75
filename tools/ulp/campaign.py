"""Runs the tasks on all cores, keeps every chunk that is done, and writes the result.

The folder of a campaign has ``campaign.json``, which says what is being measured and how, one file for
each task with a line for each chunk that is done, and in the end ``results.json`` and ``profile.json``. A
campaign that was killed goes on where it was, unless what it measures has changed since.
"""

import datetime
import hashlib
import importlib.util
import itertools
import json
import multiprocessing
import os
import platform
import subprocess
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ulp import ROOT, loss_exhaustion, loss_families, loss_tasks, tasks
from ulp.bounds import code_of_functions
from ulp.findings import Findings
from ulp.inputs import Climb, EveryFloat32, Neighbourhoods, Strata
from ulp.libraries import PEERS, ROW_FUNCTIONS, Libraries, builds, end_with_parent
from ulp.losses import QUANTITIES
from ulp.rows import FAMILIES

PARTS = ("float32", "float64", "identities", "rows", "losses")


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes
    ----------
    parts : tuple of str
        Some of `PARTS`.
    libraries : tuple of str
        Names of builds and peers.
    fraction : str
        The part of all float32 that is tried.
    points : int
        float64 inputs for each function, without the neighbourhoods and the search.
    climbs : int
        Climbs of the local search for each function and each climbed build.
    rounds : int
        How often the rows of each family are drawn.
    row_climbs : int
        Climbs over whole rows for each function of slices and each climbed build.
    row_steps : int
        Steps of each of these.
    functions : tuple of str
        The elementwise functions; those of slices are measured together, and so are the losses.
    families : tuple of str
        The families of built rows, of the losses as well; random rows are tried where these are all.
    seed : int
    """

    parts: tuple
    libraries: tuple
    fraction: str = "1"
    points: int = 10**8
    climbs: int = 64
    rounds: int = 16
    row_climbs: int = 20
    row_steps: int = 300
    functions: tuple = tasks.FUNCTIONS
    families: tuple = tuple(FAMILIES)
    seed: int = 4


# Where and what


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def processor():
    """Name, family and model as the kernel tells them, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in told:
        return platform.processor() or platform.machine()
    return f"{told['model name']} (family {told.get('cpu family')}, model {told.get('model')})"


def kernels():
    """The package's compiled kernels, as a digest: two builds with the same one give the same bits."""
    folder = Path(importlib.util.find_spec("fastlogit.kernels").origin).parent
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*_*.so")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def source():
    """Where the sources are in their history, when a campaign begins."""
    return {
        "commit": git("rev-parse", "HEAD"),
        "uncommitted changes": bool(git("status", "--porcelain", "--untracked-files=no", "src")),
        "code": code_of_functions(),
    }


def subject():
    """What is measured: the compiled kernels and the peers' versions. A campaign keeps to one."""
    from fastlogit import _build_config

    installed = {name: peer.version() for name, peer in PEERS.items()}
    return {
        "version": _build_config.VERSION,
        "kernels": kernels(),
        "instruction sets": list(_build_config.INSTRUCTION_SETS),
        "compiler": _build_config.COMPILER,
        "cython": _build_config.CYTHON,
        "numpy": np.__version__,
        "peers": {name: version for name, version in installed.items() if version},
    }


def machine():
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {' '.join(platform.libc_ver())}".strip(),
        "python": platform.python_version(),
    }


def chosen_libraries(names):
    """The libraries of these names; those that are not installed are left out, and said so."""
    available = builds() | PEERS
    unknown = sorted(set(names) - available.keys())
    if unknown:
        raise SystemExit(
            f"--libraries has {', '.join(unknown)}, which this machine does not run; "
            f"it can have {', '.join(available)}"
        )
    chosen = {}
    for name in names:
        if available[name].version() is None:
            print(f"NOT MEASURED: {name} is not installed (pip install {available[name].package})")
        else:
            chosen[name] = available[name]
    return chosen


# The chunks that are done


class Record:
    """The findings of a task, one line of a file to each chunk."""

    def __init__(self, folder, task):
        self._path = folder / f"{task.name.replace(' ', '-')}.jsonl"
        self.findings = Findings()
        self.done = set()
        if self._path.exists():
            self._read()

    def _read(self):
        """A line that a killed run has not finished is cut off."""
        whole, _, rest = self._path.read_text().rpartition("\n")
        if rest:
            self._path.write_text(whole + "\n" if whole else "")
        for line in whole.splitlines():
            saved = json.loads(line)
            self.done.add(saved["chunk"])
            self.findings.add(Findings.from_json(saved["findings"]))

    def keep(self, chunk, findings):
        with self._path.open("a") as file:
            file.write(json.dumps({"chunk": chunk, "findings": findings.to_json()}) + "\n")
        self.done.add(chunk)
        self.findings.add(findings)


def open_folder(folder, settings, fresh):
    """Says what the folder is for, or finds that it says something else."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(json.dumps({"settings": asdict(settings), "subject": subject(), "source": source()}))
    note = folder / "campaign.json"
    if fresh:
        for path in [note, *folder.glob("*.jsonl")]:
            path.unlink(missing_ok=True)
    if note.exists():
        saved = json.loads(note.read_text())
        differing = [
            f"{key} {saved[part].get(key)!r} there, {wanted[part][key]!r} now"
            for part in ("settings", "subject")
            for key in wanted[part]
            if saved[part].get(key) != wanted[part][key]
        ]
        if differing:
            raise SystemExit(
                f"{folder} has the chunks of another campaign ({'; '.join(differing)}); "
                "choose another folder with --results, or drop them with --fresh"
            )
        return saved
    note.write_text(json.dumps(wanted, indent=1))
    return wanted


# Workers


_libraries = None


def _start_worker(libraries):
    global _libraries
    end_with_parent()
    _libraries = Libraries(libraries)


def _compute(task, chunk, thresholds):
    return chunk, task.compute(chunk, _libraries, thresholds)


class Workers:
    """A process for each core, each with the libraries in processes of its own."""

    def __init__(self, libraries, jobs):
        self._jobs = jobs
        self._pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), _start_worker, (list(libraries.values()),)
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._pool.shutdown(cancel_futures=True)

    def run(self, task, record):
        """Computes the chunks that the record does not have."""
        chunks = iter([chunk for chunk in task.chunks if chunk not in record.done])
        with tqdm(desc=task.name, total=len(task.chunks), initial=len(record.done), unit="chunk") as bar:
            pending = set()
            while True:
                while len(pending) < 2 * self._jobs and (chunk := next(chunks, None)) is not None:
                    thresholds = {name: errors.threshold() for name, errors in record.findings.errors.items()}
                    pending.add(self._pool.submit(_compute, task, chunk, thresholds))
                if not pending:
                    return
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    record.keep(*future.result())
                    bar.update()
                bar.set_postfix_str(largest_errors(record.findings))


def largest_errors(findings):
    return ", ".join(
        f"{name.removeprefix('fastlogit ')} {errors.worst[0]['ulp']:.3g}"
        for name, errors in findings.errors.items()
        if errors.worst and name.startswith("fastlogit")
    )


# Tasks


CLIMBED = ("fastlogit v2", "fastlogit v3", "fastlogit generic")  # v4 has the bits of v3


def climb_starts(findings, climbs):
    """The worst inputs of as many strata, for each build with bits of its own."""
    starts = []
    for name in CLIMBED:
        parts = sorted(findings.profile.get(name, []), key=lambda part: (-part[2], part[0]))
        starts += [(name, part[3]) for part in parts[:climbs]]
    return tuple(starts)


def row_climb_starts(findings, climbs, functions=ROW_FUNCTIONS):
    """The worst row of each family, for each function and build; then the worst of those that are left."""
    starts = []
    for function, name in itertools.product(functions, CLIMBED):
        ranked = sorted(findings.profile.get(f"{function} {name}", []), key=lambda part: (-part[2], *part))
        families = [part[0] for part in ranked]
        firsts = [part for i, part in enumerate(ranked) if part[0] not in families[:i]]
        rest = [part for part in ranked if part not in firsts]
        for family, (length, chunk), _, row in [*firsts, *rest][:climbs]:
            starts.append(tasks.RowStart(function, name, family, length, chunk, row))
    return tuple(starts)


def stages(settings, records):
    """The tasks, those first that find most in the least time; a search begins where others have ended."""
    seed, every = settings.seed, EveryFloat32(Fraction(settings.fraction), settings.seed)
    if "rows" in settings.parts:
        for dtype in ("float32", "float64"):
            yield tasks.BuiltRows(f"{dtype} rows built", dtype, settings.rounds, seed, settings.families)
            starts = row_climb_starts(records[f"{dtype} rows built"].findings, settings.row_climbs)
            yield tasks.WorstRowsBySearch(f"{dtype} rows search", dtype, starts, settings.row_steps, seed)
    if "losses" in settings.parts:
        yield from loss_stages(settings, records)
    if "float64" in settings.parts:
        for function in settings.functions:
            strata = Strata(function, settings.points, seed)
            yield tasks.ErrorsOf(f"float64 {function}", function, "float64", strata, seed)
            near = Neighbourhoods(function)
            yield tasks.ErrorsOf(f"float64 {function} cutoffs", function, "float64", near, seed, False)
            starts = climb_starts(records[f"float64 {function}"].findings, settings.climbs)
            climb = Climb(starts, seed)
            yield tasks.WorstBySearch(f"float64 {function} search", function, "float64", climb, seed)
    if "rows" in settings.parts and len(settings.families) == len(FAMILIES):
        for dtype in ("float32", "float64"):
            yield tasks.RandomRows(f"{dtype} rows", dtype, settings.rounds, seed)
    of_odds, of_probability = (tasks.reflected_expit,), (tasks.reflected_logit, tasks.round_trip)
    if "identities" in settings.parts:
        points = settings.points // 10
        odds, probabilities = Strata("expit", points, seed), Strata("logit", points, seed)
        yield tasks.Identities("float64 identities of expit", "float64", odds, of_odds)
        yield tasks.Identities("float64 identities of logit", "float64", probabilities, of_probability)
    if "float32" in settings.parts:
        for function in settings.functions:
            yield tasks.ErrorsOf(f"float32 {function}", function, "float32", every, seed)
    if "identities" in settings.parts:
        yield tasks.Identities("float32 identities", "float32", every, of_odds + of_probability)


def loss_stages(settings, records):
    """Built calls, climbs from the worst of them, and the binary loss of every float32 logit."""
    families = (*settings.families, *loss_families.LOGITS)
    for dtype in ("float32", "float64"):
        name = f"{dtype} losses built"
        yield loss_tasks.BuiltLosses(name, dtype, settings.rounds, settings.seed, families)
        starts = row_climb_starts(records[name].findings, settings.row_climbs, QUANTITIES)
        search = f"{dtype} losses search"
        yield loss_tasks.WorstLossesBySearch(search, dtype, starts, settings.row_steps, settings.seed)
    every = EveryFloat32(Fraction(settings.fraction), settings.seed)
    yield loss_exhaustion.EveryLogit("float32 losses of every logit", every)


def run(folder, settings, jobs=None, fresh=False):
    """Measures, or goes on measuring, and writes ``results.json`` and ``profile.json``."""
    campaign = open_folder(folder, settings, fresh)
    libraries = chosen_libraries(settings.libraries)
    records = {}
    with Workers(libraries, jobs or len(os.sched_getaffinity(0))) as workers:
        for task in stages(settings, records):
            records[task.name] = Record(folder, task)
            workers.run(task, records[task.name])
    return write(folder, campaign, records)


def write(folder, campaign, records):
    """One file for what is counted, one for the profiles that the plots are made from."""
    about = {**campaign, "date": datetime.date.today().isoformat(), "machine": machine()}
    results = {**about, "errors": {}, "comparisons": {}, "control error": {}}
    profiles = {}
    merged = {}
    for name, record in records.items():
        dtype, function, *_ = name.split()
        merged.setdefault((dtype, function), Findings()).add(record.findings)
    for (dtype, function), findings in merged.items():
        for library, errors in sorted(findings.errors.items()):
            row = asdict(errors) | {"mean": errors.sum / max(errors.finite, 1)}
            if function in ("rows", "losses"):
                function_of_rows, _, library = library.partition(" ")
                results["errors"].setdefault(f"{dtype} {function_of_rows}", {})[library] = row
            else:
                results["errors"].setdefault(f"{dtype} {function}", {})[library] = row
        for phrase, comparison in sorted(findings.comparisons.items()):
            results["comparisons"].setdefault(dtype, {})[phrase] = asdict(comparison)
        if findings.control_error:
            results["control error"][f"{dtype} {function}"] = findings.control_error
        if findings.profile and function not in ("rows", "losses"):
            profiles[f"{dtype} {function}"] = findings.profile
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "profile.json").write_text(json.dumps(profiles))
    return results
