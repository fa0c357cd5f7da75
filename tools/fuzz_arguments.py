"""Arbitrary arguments from libFuzzer, for as long as one likes; the tests have some from hypothesis.

    pip install atheris
    python tools/fuzz_arguments.py -runs=1000000 -max_len=400 -len_control=0
    python tools/fuzz_arguments.py -max_total_time=3600 corpus/

Options are those of libFuzzer, which is led by the coverage of the Python part of fastlogit. What it finds is
written to a file, and ``python tools/fuzz_arguments.py FILE`` does it again.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

with atheris.instrument_imports(include=["fastlogit"]):
    import fastlogit._arguments  # noqa: F401

from argument_pool import arbitrary, check


def one(data: bytes) -> None:
    source = atheris.FuzzedDataProvider(data)
    check(arbitrary(lambda choices: choices[source.ConsumeIntInRange(0, len(choices) - 1)]))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
