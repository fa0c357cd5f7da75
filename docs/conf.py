"""Sphinx configuration: ``spin docs``."""

import re
import sys
from pathlib import Path

import fastlogit

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests"))
sys.path.append(str(HERE / "_extensions"))

from reference import BOUND_ULP, DTYPES, FUNCTIONS, PUBLIC  # noqa: E402 (in tests)

project = "fastlogit"
author = "the fastlogit developers"
copyright = author
version = release = fastlogit.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "inventories",
    "mathml",
    "picture",
]
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "logo": {"text": "fastlogit"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": {
        "**": ["page-toc", "sourcelink"],
        **{page: [] for page in ("index", "accuracy", "beside", "containers", "scaling", "speed")},
    },
    "footer_start": ["sphinx-version"],
    "footer_end": ["theme-version"],
}
html_title = f"fastlogit {release}"
html_sidebars = {page: [] for page in ("index", "install", "tour", "changelog", "contributing")}
html_static_path = ["_static"]
html_css_files = ["fastlogit.css"]
html_show_sourcelink = True
html_copy_source = True
html_show_copyright = False
exclude_patterns = ["build", "_extensions", "pictures"]
sphinx_gallery_conf = {
    "examples_dirs": "pictures",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 60,
    "show_signature": False,
}
linkcheck_timeout = 15
linkcheck_anchors = False  # pages that scripts make have none
copybutton_prompt_text = r">>> |\.\.\. |\$ "  # what is copied has no prompts and no output
copybutton_prompt_is_regexp = True
default_role = "autolink"
nitpicky = True
# The types of numpydoc's parameter lists are prose, not references.
nitpick_ignore_regex = [("py:class", r".*")]

autosummary_generate = False  # write_function_pages does it
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"GL01", "GL03", "GL08", "PR01", "PR02", "RT01", "SS03"}

MODULES = ("_elementwise", "_axis", "_losses", "_threads")


def list_functions(app, document, source):
    """api.rst names no function: it has those of ``fastlogit.__all__``, in the order of their modules."""
    if document == "api":
        source[0] = with_functions(source[0])


def with_functions(text):
    for module in MODULES:
        names = [name for name in vars(getattr(fastlogit, module)) if name in fastlogit.__all__]
        text = text.replace(f"{{{module}}}", "\n   ".join(name for name in names if name != "ufuncs"))
    return text


def write_function_pages(app):
    """A page for each function and source file; autosummary would look for the lists of api.rst too early."""
    text = with_functions((Path(app.srcdir) / "api.rst").read_text())
    folder = Path(app.srcdir) / "api"
    (folder / "source").mkdir(parents=True, exist_ok=True)
    modules = set()
    for name in re.findall(r"(?m)^   ([a-z_]+)$", text):
        public = "fastlogit.ufuncs" if name == "clamped_logit" else "fastlogit"
        module = module_of(name)
        modules.add(module)
        page = [
            *heading(name),
            f".. currentmodule:: {public}\n",
            f".. autofunction:: {name}\n",
            f":doc:`Source code of fastlogit/{module} <source/{module.partition('.')[0]}>`",
        ]
        write(folder / f"{name}.rst", page)
    for module in modules:
        page = [
            ":orphan:\n",
            *heading(f"fastlogit/{module}"),
            f".. literalinclude:: ../../../src/fastlogit/{module}\n   :language: cython\n   :linenos:",
        ]
        write(folder / "source" / f"{module.partition('.')[0]}.rst", page)


def module_of(name):
    """The file that a function stands in."""
    if name == "clamped_logit":
        return "ufuncs.pyx"
    return next(f"{stem}.pyx" for stem in MODULES if name in vars(getattr(fastlogit, stem)))


def heading(title):
    return [title, "=" * len(title), ""]


def write(path, lines):
    """Only if something has changed: Sphinx reads again what is newer."""
    page = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text() != page:
        path.write_text(page)


def list_promises(app, document, source):
    """The rows of the elementwise functions in accuracy.rst: the bounds that the tests hold them to."""
    if document != "accuracy":
        return
    rows = []
    for name in PUBLIC:
        eps = ", with and without ``eps``" if f"clamped_{name}" in FUNCTIONS else ""
        bounds = (f"{f'< {BOUND_ULP[name, dtype]:g} ulp':9}" for dtype in DTYPES)
        rows.append(f"{f'`~fastlogit.{name}`{eps}':48}  {'  '.join(bounds)}".rstrip())
    source[0] = source[0].replace("{_elementwise}", "\n".join(rows))


def setup(app):
    app.connect("builder-inited", write_function_pages)
    app.connect("source-read", list_functions)
    app.connect("source-read", list_promises)
