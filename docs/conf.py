"""Sphinx configuration: ``spin docs``."""

from itertools import chain

import fastlogit

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
        for module in ("_elementwise", "_axis", "_threads")
    }
    for module, names in listed.items():
        directives = "\n".join(f".. autofunction:: {name}" for name in names)
        source[0] = source[0].replace(f"{{{module}}}", directives)
    source[0] = source[0].replace("{all}", "\n   ".join(chain.from_iterable(listed.values())))


def setup(app):
    app.connect("source-read", list_functions)
