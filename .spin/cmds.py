"""The developer's commands that spin does not bring itself."""

import os
import subprocess
import sys
from pathlib import Path

import click
from spin.cmds import meson

ROOT = Path(__file__).resolve().parent.parent


def run(command: list[str], cwd: Path = ROOT) -> None:
    click.secho(f"$ {' '.join(command)}", bold=True)
    code = subprocess.run(command, cwd=cwd, check=False).returncode
    if code:
        sys.exit(code)


def build(ctx: click.Context) -> str:
    """Build the checkout and put the result on the path of the processes that start from here."""
    build_dir = "build"
    ctx.invoke(meson.build, build_dir=build_dir)
    return meson._set_pythonpath(build_dir)


@click.command()
@click.pass_context
def lint(ctx: click.Context) -> None:
    """Check style and types: ruff, cython-lint, mypy, pyright, stubtest."""
    build(ctx)
    run([str(ROOT / "tools" / "lint")])


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--compare", is_flag=True, help="Beside SciPy, PyTorch and others, instead of asv.")
@click.argument("arguments", nargs=-1)
@click.pass_context
def bench(ctx: click.Context, compare: bool, arguments: tuple[str, ...]) -> None:
    """Measure speed with asv; ARGUMENTS go to asv run, or to benchmarks/compare.py.

    \b
    spin bench                      the whole suite
    spin bench -- --quick -b Calls  once, and one part of it
    spin bench --compare --quick    beside the peers that are installed
    """
    site_packages = build(ctx)
    if compare:
        run([sys.executable, "compare.py", *arguments], cwd=ROOT / "benchmarks")
        return
    os.environ["ASV_PYTHONPATH"] = site_packages
    asv = [sys.executable, "-m", "asv"]
    run([*asv, "machine", "--yes"], cwd=ROOT / "benchmarks")
    run([*asv, "run", "--python=same", "--show-stderr", *arguments], cwd=ROOT / "benchmarks")


@click.command()
@click.option("--links", is_flag=True, help="Ask the servers behind the links instead; needs the network.")
@click.pass_context
def docs(ctx: click.Context, links: bool) -> None:
    """Build the documentation into build/html; a warning is an error."""
    build(ctx)
    builder = "linkcheck" if links else "html"
    run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", builder, "docs", f"build/{builder}"])
