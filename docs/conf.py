"""Sphinx configuration: ``spin docs``."""

import sys
from itertools import chain
from pathlib import Path

import fastlogit

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from reference import BOUND_ULP, DTYPES, FUNCTIONS, PUBLIC

project = "fastlogit"
author = "the fastlogit developers"
copyright = author
version = release = fastlogit.__version__

extensions = ["numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
html_theme = "alabaster"
html_theme_options = {"page_width": "70em"}
html_show_copyright = False
exclude_patterns = ["build"]
default_role = "autolink"
nitpicky = True
# The types of numpydoc's parameter lists are prose, not references.
nitpick_ignore = [("py:obj", "numpy.ufunc")]
nitpick_ignore_regex = [("py:class", r".*")]

autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"GL01", "GL03", "GL08", "PR01", "PR02", "RT01", "SS03"}


def list_functions(app, document, source):
    """api.rst names no function: it has those of ``fastlogit.__all__``, in the order of their modules."""
    if document != "api":
        return
    listed = {
        module: [
            name
            for name in vars(getattr(fastlogit, module))
            if name in fastlogit.__all__ and name != "ufuncs"
        ]
        for module in ("_elementwise", "_axis", "_losses", "_threads")
    }
    for module, names in listed.items():
        directives = "\n".join(f".. autofunction:: {name}" for name in names)
        source[0] = source[0].replace(f"{{{module}}}", directives)
    source[0] = source[0].replace("{all}", "\n   ".join(chain.from_iterable(listed.values())))


def list_promises(app, document, source):
    """The rows of the elementwise functions in accuracy.rst: the bounds that the tests hold them to."""
    if document != "accuracy":
        return
    rows = []
    for name in PUBLIC:
        eps = ", with and without ``eps``" if f"clamped_{name}" in FUNCTIONS else ""
        bounds = (f"< {BOUND_ULP[name, dtype]:g} ulp" for dtype in DTYPES)
        rows.append(f"{f'`~fastlogit.{name}`{eps}':48}  {'  '.join(bounds)}")
    source[0] = source[0].replace("{_elementwise}", "\n".join(rows))


def setup(app):
    app.connect("source-read", list_functions)
    app.connect("source-read", list_promises)
