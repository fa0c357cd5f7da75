"""Bounds that a machine has checked: ``python tools/proofs`` proves them from the text of the formulas.

`source` translates ``formulas.pxd`` and ``arithmetic.h`` into Python, `arithmetic` traces them, `gappa`
writes the trace as a script and has it proven. A changed operation changes the script, and what no longer
follows fails. Needs gappa and sollya. Exits with 1 if a bound is not below the one that is promised, with 2
without the tools.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import expit
import log_expit
import logit

PROOFS = {
    ("expit", "float64", "fused"): (expit.bound, 1.0),
    ("logit", "float64", "fused"): (logit.bound, 1.0),
    ("log_expit", "float64", "fused"): (log_expit.bound, 1.0),
}


def main():
    missing = [tool for tool in ("gappa", "sollya") if shutil.which(tool) is None]
    if missing:
        print(f"not proven: {', '.join(missing)} not installed (apt install gappa sollya)")
        return 2
    failed = False
    for (function, dtype, arithmetic), (bound, promised) in PROOFS.items():
        proven = bound()
        print(f"{function} {dtype} {arithmetic}: < {proven:.4f} ulp", flush=True)
        failed |= not proven < promised
    return failed


if __name__ == "__main__":
    sys.exit(main())
