"""Every float32 logit against another correctly rounded one: ``crdistr.logit`` (https://pypi.org/project/crdistr).

    pip install crdistr
    python tools/witness.py

The two have nothing in common but the mathematics. All 1,065,353,217 inputs from 0 to 1 are compared bit for
bit, for every build of the kernels that this processor runs; half a minute for each and its witness.
"""

import os
import subprocess
import sys

import numpy as np

BLOCK = 2**24
END = int(np.float32(1).view(np.uint32)) + 1  # the patterns of 0 to 1


def compare():
    """Exits with 1 if any input has different results."""
    import crdistr

    import fastlogit
    from fastlogit import _isa

    differing = []
    for start in range(0, END, BLOCK):
        x = np.arange(start, min(start + BLOCK, END), dtype=np.uint32).view(np.float32)
        ours = fastlogit.logit(x).view(np.uint32)
        differing += list(x[ours != np.asarray(crdistr.logit(x), np.float32).view(np.uint32)])
    print(f"{_isa.chosen}: {END - len(differing):,} of {END:,} results agree in every bit", flush=True)
    for x in differing[:5]:
        print(f"    {float(x).hex()}")
    return bool(differing)


def main():
    from fastlogit import _isa

    failed = False
    for name in _isa.supported():
        environment = os.environ | {"FASTLOGIT_ISA": name}
        done = subprocess.run([sys.executable, __file__, name], env=environment, check=False)
        failed |= done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(compare() if len(sys.argv) > 1 else main())
