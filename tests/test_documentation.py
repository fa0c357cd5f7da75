"""The documentation: every public name has its page and example, every line of old and new runs."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fastlogit

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.rst"))
ROW = re.compile(r"^   \* - ``(.+)``\n     - ``(.+)``$", re.MULTILINE)
SECTION = re.compile(r"^From (\S+)[^\n]*\n-+\n(.*?)(?=^From |\Z)", re.MULTILINE | re.DOTALL)


def rows():
    """(heading, old line, new line) of each row of docs/migration.rst but the heads of the tables."""
    for heading, text in SECTION.findall((ROOT / "docs" / "migration.rst").read_text()):
        for old, new in ROW.findall(text):
            if new != "import fastlogit":
                yield heading, old, new


def names(heading):
    """What the lines may use: the arrays that the page shows, and the libraries of the section."""
    known = {}
    for example in doctest.DocTestParser().get_examples((ROOT / "docs" / "migration.rst").read_text()):
        exec(example.source, known)
    if heading == "SciPy":
        known["special"] = pytest.importorskip("scipy.special")
    elif heading == "PyTorch":
        torch = pytest.importorskip("torch")
        known |= {"torch": torch, "F": torch.nn.functional}
        known |= {"t": torch.from_numpy(known["x"]), "q": torch.from_numpy(known["p"])}
    elif heading == "scikit-learn":
        pytest.importorskip("sklearn.metrics")
        pytest.importorskip("sklearn.utils.extmath")
        known["sklearn"] = importlib.import_module("sklearn")
    return known


def test_tables_of_old_and_new_lines_are_read():
    """So that a table of another form is not passed over in silence."""
    counts = {heading: 0 for heading, _ in SECTION.findall((ROOT / "docs" / "migration.rst").read_text())}
    for heading, _, _ in rows():
        counts[heading] += 1
    assert counts.keys() == {"SciPy", "NumPy", "PyTorch", "scikit-learn"}
    lines = (ROOT / "docs" / "migration.rst").read_text().count("\n   * - ")
    assert sum(counts.values()) == lines - len(counts)  # each table has a head


@pytest.mark.parametrize(("heading", "old", "new"), list(rows()))
def test_old_and_new_line_agree(heading, old, new):
    before, after = names(heading), names(heading)
    with np.errstate(divide="ignore"):
        expected = np.asarray(eval(old, before))
    result = eval(new, after)
    np.testing.assert_allclose(result, expected, rtol=1e-9)
    if "out=" in new:
        assert result is after[re.search(r"out=(\w+)", new)[1]]


def public_objects():
    for name in fastlogit.__all__:
        thing = getattr(fastlogit, name)
        if callable(thing):
            yield f"fastlogit.{name}", thing
    yield "fastlogit.ufuncs", fastlogit.ufuncs
    yield "fastlogit.ufuncs.clamped_logit", fastlogit.ufuncs.clamped_logit


@pytest.mark.parametrize(("name", "thing"), list(public_objects()))
def test_public_name_has_an_example_that_runs(name, thing):
    examples = doctest.DocTestParser().get_examples(thing.__doc__)
    assert any(example.want for example in examples)
    runner = doctest.DocTestRunner(verbose=False)
    test = doctest.DocTestParser().get_doctest(thing.__doc__, {}, name, None, None)
    assert runner.run(test).failed == 0


def code_blocks(path):
    """(language, text) of the blocks of code of a page."""
    text = path.read_text()
    if path.suffix == ".md":
        yield from re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return
    pattern = r"^( *)(?:\.\. (?:code-block|code):: *(\w+)|(?! *\.\. ).*::) *\n\n((?:\1 +.*\n|\n)+)"
    for _, language, block in re.findall(pattern, text, re.MULTILINE):
        yield language or "literal", inspect.cleandoc(block)


COMMAND = re.compile(r"([A-Z_]+=\S+ )*(pip|python|pytest|asv|cd|spin|tools/\w+|git|source)\b")
FORMULAS = "losses.rst"  # its literal blocks are definitions in mathematical notation
COMPILED = "scalar.rst"  # test_scalar.py runs its blocks


@pytest.mark.parametrize(
    "path", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_code_is_run_or_is_a_command(path):
    """Python stands in doctests, which pytest runs; what else looks like code is for the shell."""
    for language, text in code_blocks(path):
        if path.name == COMPILED:
            assert language in ("cython", "python"), language
        elif language in ("python", "pycon", "py"):
            assert text.lstrip().startswith(">>>"), text
        elif language in ("literal", "sh", "console", "bash") and path.name != FORMULAS:
            assert all(COMMAND.match(line) for line in text.splitlines() if line.strip()), text
        else:
            assert language in ("text", "literal"), language


def test_guides_are_run():
    """Whatever page has an example is among those that pytest collects."""
    config = (ROOT / "pyproject.toml").read_text()
    assert '"docs",' in config
    assert '"--doctest-glob=*.rst"' in config
