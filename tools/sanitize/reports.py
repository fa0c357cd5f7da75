"""What the tools have written down, each process into a file of its own."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

# Frames that valgrind's reports are told apart by: a copy or a kernel. Further out CPython, which reads
# what nobody has written, is called from here and there.
NEAREST = 3


@dataclass(frozen=True)
class Report:
    text: str


def of_valgrind(text: str) -> Iterator[str]:
    if "</error>" not in text:
        return
    # A process that is killed, or becomes another program, leaves the last element open.
    if not text.rstrip().endswith("</valgrindoutput>"):
        text = text[: text.rfind("</error>") + len("</error>")] + "</valgrindoutput>"
    for error in ElementTree.fromstring(text).iter("error"):
        if error.findtext("kind", "").startswith("Leak_"):  # which cannot be switched off for XML
            continue
        what = error.findtext("what") or error.findtext("xwhat/text") or ""
        frames = [
            f"    {frame.findtext('fn', '?')} ({frame.findtext('obj', '?')})" for frame in error.iter("frame")
        ]
        yield "\n".join([what, *frames[:NEAREST]])


def of_sanitizer(text: str) -> Iterator[str]:
    """A file has several, each with its own heading."""
    heading = r"^.*(runtime error: |(ERROR|WARNING): \w+Sanitizer|\w+Sanitizer: CHECK failed)"
    starts = [found.start() for found in re.finditer(heading, text, re.MULTILINE)]
    for start, stop in pairwise([*starts, len(text)]):
        yield text[start:stop]


def collect(folder: Path, ours: str) -> list[Report]:
    """The reports with a frame of ours (a pattern): other libraries have faults of their own."""
    found = []
    for file in sorted(folder.iterdir()):
        text = file.read_text(errors="replace")
        split = of_valgrind if file.name.startswith("valgrind") else of_sanitizer
        found += [Report(report) for report in split(text) if re.search(ours, report)]
    return found
