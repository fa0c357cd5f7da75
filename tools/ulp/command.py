"""The command line."""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import ulp
from ulp import ROOT, campaign, promises
from ulp.libraries import PEERS, builds
from ulp.rows import FAMILIES
from ulp.tasks import FUNCTIONS


def whole_number(text):
    """Also 1e9, in which the zeros need not be counted."""
    number = float(text)
    if number != int(number) or number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number; write 100000000 or 1e8")
    return int(number)


def fraction(text):
    try:
        part = Fraction(text)
    except (ValueError, ZeroDivisionError):
        part = Fraction(0)
    if not 0 < part <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of the inputs; write 1, or 1/256")
    return str(part)


def parser():
    results = {"type": Path, "default": ROOT / "build" / "ulp", "metavar": "FOLDER"}
    purpose = ulp.__doc__.partition(":")[0]
    top = argparse.ArgumentParser(prog="python tools/ulp", description=purpose)
    commands = top.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="measure, or go on measuring where a run was interrupted")
    run.add_argument("--results", **results, help="where chunks and results are kept (build/ulp)")
    run.add_argument("--parts", nargs="+", choices=campaign.PARTS, default=campaign.PARTS)
    run.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=FUNCTIONS, help="elementwise ones")
    run.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="of rows, losses too")
    run.add_argument("--libraries", nargs="+", metavar="NAME", default=[*builds(), *PEERS])
    run.add_argument("--fraction", type=fraction, default="1", help="part of all float32 (1: exhaustive)")
    run.add_argument("--points", type=whole_number, default=10**8, help="float64 inputs per function (1e8)")
    run.add_argument("--climbs", type=whole_number, default=64, help="climbs per function and build (64)")
    run.add_argument("--rounds", type=whole_number, default=16, help="rounds of rows (16)")
    run.add_argument("--row-climbs", type=whole_number, default=20, help="climbs over rows, likewise (20)")
    run.add_argument("--row-steps", type=whole_number, default=300, help="steps of each of these (300)")
    run.add_argument("--seed", type=int, default=4)
    run.add_argument("--jobs", type=whole_number, help="processes (one for each core)")
    run.add_argument("--fresh", action="store_true", help="drop the chunks that are done")

    report = commands.add_parser("report", help="make the tables and plots of the documentation")
    report.add_argument(
        "--results",
        nargs="+",
        **{**results, "default": [results["default"]]},
        help="what run has written (build/ulp), or docs/measured; further folders add what they have tried "
        "more inputs of",
    )
    report.add_argument("--docs", type=Path, default=ROOT / "docs" / "measured", metavar="FOLDER")
    return top


def main(arguments=None):
    options = parser().parse_args(arguments)
    if options.command == "run":
        settings = campaign.Settings(
            tuple(options.parts),
            tuple(options.libraries),
            options.fraction,
            options.points,
            options.climbs,
            options.rounds,
            options.row_climbs,
            options.row_steps,
            tuple(options.functions),
            tuple(options.families),
            options.seed,
        )
        try:
            results = campaign.run(options.results, settings, options.jobs, options.fresh)
        except KeyboardInterrupt:
            raise SystemExit("interrupted; the same command goes on where it was") from None
        print(f"{options.results / 'results.json'} is written; make the tables with python tools/ulp report")
        broken = promises.broken(results)
        if broken:
            raise SystemExit("\n".join(["fastlogit does not keep its promises:", *broken]))
    else:
        from ulp import report

        for folder in options.results:
            if not (folder / "results.json").exists():
                raise SystemExit(f"{folder} has no results.json; python tools/ulp run writes it")
        # The folder of the documentation has no profiles; without any the plots stay as they are.
        results, profiles = report.combined(
            [
                [
                    json.loads(path.read_text("utf-8")) if (path := folder / name).exists() else {}
                    for name in ("results.json", "profile.json")
                ]
                for folder in options.results
            ]
        )
        report.write(options.docs, results, profiles)
        for function, x in report.new_literals(results):
            print(f"not among the literals of the test suite yet: {function} {x}")
