"""Memory and start-up."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

import fastlogit

from .inputs import DTYPES, QUICK, cases

ROWS = 2**10 if QUICK else 2**14
FUNCTIONS = {
    **{case.name: case.call for case in cases.ELEMENTWISE},
    "softmax": lambda x, out: fastlogit.softmax(x, -1, out=out),
    "softmax, axis 0": lambda x, out: fastlogit.softmax(x, 0, out=out),
    "log_softmax": lambda x, out: fastlogit.log_softmax(x, -1, out=out),
    "log_softmax, axis 0": lambda x, out: fastlogit.log_softmax(x, 0, out=out),
    "logsumexp": lambda x, out: fastlogit.logsumexp(x, -1),
    "logsumexp, axis 0": lambda x, out: fastlogit.logsumexp(x, 0),
    "logsumexp, weights": lambda x, out: fastlogit.logsumexp(x, -1, b=x),
    "binary_cross_entropy_with_logits": lambda x, out: fastlogit.binary_cross_entropy_with_logits(
        x, np.broadcast_to(True, x.shape), reduction="sum", grad=out
    ),
    "cross_entropy": lambda x, out: fastlogit.cross_entropy(
        x, np.zeros(len(x), np.int8), reduction="sum", grad=out
    ),
}


class Memory:
    """What a call in place adds to the peak of the process: next to nothing, whatever the strides."""

    params = (list(FUNCTIONS), DTYPES, ["contiguous", "[:, ::2]"])
    param_names = ("function", "dtype", "layout")

    def setup(self, function, dtype, layout):
        self.x = np.full((ROWS, 2048), 0.25, dtype)[:, :: 2 if layout == "[:, ::2]" else 1]

    def track_peak_added(self, function, dtype, layout):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        FUNCTIONS[function](self.x, out=self.x)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    track_peak_added.unit = "MiB"


class Import:
    def track_import(self):
        """Seconds for ``import fastlogit`` after ``import numpy``: the best of five new interpreters."""
        code = (
            "import time, numpy; start = time.perf_counter(); import fastlogit; "
            "print(time.perf_counter() - start)"
        )
        # asv may have put the package on the path of this process only.
        environment = {**os.environ, "PYTHONPATH": str(Path(fastlogit.__file__).parent.parent)}
        runs = [
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
            for _ in range(5)
        ]
        return min(float(run.stdout) for run in runs)

    track_import.unit = "s"
