"""Links into the documentation of others, without asking their servers what there is.

intersphinx wants an inventory of each project. These have the few names that our pages link to, and the build
needs no network. A name that is missing is a warning, so that it is added here.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

GENERATED = "reference/generated/$.html#$"  # $ stands for the name
PROJECTS = {
    "numpy": (
        "https://numpy.org/doc/stable/",
        {
            "py:class": (GENERATED, ["numpy.ndarray", "numpy.ufunc"]),
            "py:function": (GENERATED, ["numpy.errstate", "numpy.show_config"]),
        },
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy/",
        {
            "py:function": (GENERATED, ["scipy.special.logsumexp", "scipy.special.softmax"]),
            "py:data": (GENERATED, ["scipy.special.expit", "scipy.special.logit"]),
        },
    ),
    "python": (
        "https://docs.python.org/3/",
        {"py:function": ("library/os.html#$", ["os.fork"])},
    ),
}


def lines(objects: dict[str, tuple[str, list[str]]]) -> Iterator[str]:
    for kind, (address, names) in objects.items():
        for name in names:
            yield f"{name} {kind} 1 {address.replace('$', name)} -\n"


def write(path: Path, project: str, objects: dict[str, tuple[str, list[str]]]) -> None:
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    path.write_bytes(head.encode() + zlib.compress("".join(lines(objects)).encode()))


def write_all(app: Sphinx, config: Config) -> None:
    folder = Path(app.doctreedir) / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    config.intersphinx_mapping = {}
    for project, (address, objects) in PROJECTS.items():
        path = folder / f"{project}.inv"
        write(path, project, objects)
        config.intersphinx_mapping[project] = (address, (str(path),))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", write_all, priority=100)  # before intersphinx looks at the mapping
    return {"parallel_read_safe": True, "parallel_write_safe": True}
