"""The largest errors of fastlogit and its peers, in units in the last place of the exact result.

    python benchmarks/accuracy.py [--inputs N]

Samples and exact results are those of the test suite (tests/reference.py). A peer that is not installed is
left out, and said so.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import fastlogit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reference import DTYPES, FUNCTIONS, ulp_error

NAMES = ("logit", "expit", "log_expit")


def libraries():
    yield "fastlogit", {name: getattr(fastlogit, name) for name in NAMES}
    try:
        from scipy import special
    except ImportError:
        print("SciPy is not installed", file=sys.stderr)
    else:
        yield "SciPy", {name: getattr(special, name) for name in NAMES}
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed", file=sys.stderr)
    else:
        functions = (torch.logit, torch.sigmoid, torch.nn.functional.logsigmoid)
        yield (
            "PyTorch",
            {
                name: lambda x, function=function: function(torch.from_numpy(x)).numpy()
                for name, function in zip(NAMES, functions, strict=True)
            },
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=2**20, help="inputs per function and dtype")
    options = parser.parse_args()
    print("| library | function | dtype | normal results | subnormal results |")
    print("| --- | --- | --- | --: | --: |")
    for library, functions in libraries():
        for name, function in functions.items():
            for dtype in DTYPES:
                x = FUNCTIONS[name].inputs(options.inputs, dtype)
                exact = FUNCTIONS[name].exact(x)
                with np.errstate(all="ignore"):
                    error = ulp_error(function(x), exact)
                    finite = np.isfinite(exact)
                    subnormal = finite & (np.abs(exact) < np.finfo(dtype).smallest_normal)
                largest = [
                    f"{error[kind].max():.4g}" if kind.any() else "–"
                    for kind in (finite & ~subnormal, subnormal)
                ]
                print(f"| {library} | {name} | {dtype} | {' | '.join(largest)} |")


if __name__ == "__main__":
    main()
