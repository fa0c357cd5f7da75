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

PROOFS = {"expit": expit.bound, "logit": logit.bound, "log_expit and softplus": log_expit.bound}
PROMISED = 1.0  # ulp


def main():
    missing = [tool for tool in ("gappa", "sollya") if shutil.which(tool) is None]
    if missing:
        print(f"not proven: {', '.join(missing)} not installed (apt install gappa sollya)")
        return 2
    failed = False
    for function, bound in PROOFS.items():
        for fused, arithmetic in ((True, "with"), (False, "without")):
            proven = bound(fused)
            print(f"{function}, float64, {arithmetic} fused multiply-add: < {proven:.4f} ulp", flush=True)
            failed |= not proven < PROMISED
    return failed


if __name__ == "__main__":
    sys.exit(main())
