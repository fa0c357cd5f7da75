"""How far the results of fastlogit and of its peers are from the exact ones: ``python tools/ulp``.

======================  ====================================================================================
module                  what it has
======================  ====================================================================================
`ulp.mpfr`              exact results: the correctly rounded value and the error of any other, by MPFR
`ulp.oracle`            the same for whole arrays: a wider type, and MPFR where that cannot decide
`ulp.inputs`            which float64 inputs are tried; the float32 inputs are all of them
`ulp.rows`              rows that try to break the bounds of functions of slices
`ulp.losses`            calls of the losses, what their results are exactly, how far they are off
`ulp.loss_families`     calls that try to break the bounds of the losses
`ulp.derived`           those bounds
`ulp.libraries`         fastlogit (one build of the kernels to a process), SciPy, PyTorch, JAX, numexpr
`ulp.findings`          what is counted and kept, and how the findings of two chunks become one
`ulp.tasks`             what is measured, cut into chunks of about a second
`ulp.loss_tasks`        the same of the losses
`ulp.loss_exhaustion`   the binary loss of all float32 logits
`ulp.campaign`          runs the chunks on all cores, keeps what is done, writes the result
`ulp.promises`          the contract, held against the result
`ulp.report`            tables and plots
======================  ====================================================================================

The samples, the formulas in a wider type and the bounds are those of the test suite (tests/reference.py).
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))
