"""The example of out-of-core work, in worker processes of dask.distributed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastlogit
from fastlogit import cross_entropy, log_softmax, logit

pytest.importorskip("distributed", reason="dask.distributed is not installed: no worker was tried")
zarr = pytest.importorskip("zarr", reason="zarr is not installed: nothing was computed from disk")
pytestmark = pytest.mark.once

SCRIPT = Path(__file__).parents[1] / "examples" / "out_of_core.py"
ROWS = 25_000


def run_example(*arguments):
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env=dict(os.environ, PYTHONPATH=str(Path(fastlogit.__file__).parents[1])),
        capture_output=True, text=True, timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_workers(printed, memory):
    workers = re.findall(r"at most (\d+) MB, (\d+) thread", printed)
    assert len(workers) == 2
    assert sum(int(threads) for _, threads in workers) <= max(2, os.cpu_count())
    assert all(int(peak) <= memory for peak, _ in workers)


def test_out_of_core_example(tmp_path):
    run_example(tmp_path, "--write", 3)
    printed = run_example(tmp_path, "--workers", 2, "--memory", "800MB")
    assert "100% Completed" in printed
    check_workers(printed, 800)
    p = zarr.open_array(tmp_path / "probabilities")[:]
    known = zarr.open_array(tmp_path / "labels")[:]
    assert p.shape == (3, 3 * ROWS, 32)
    blended = logit(p, 1e-6).mean(axis=0)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "logs")[:], log_softmax(blended, axis=1))
    loss, total = re.search(r"mean loss (\S+), weights add up to (\S+)", printed).groups()
    assert float(loss) == pytest.approx(cross_entropy(blended, known), rel=1e-11)
    assert float(total) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_out_of_core_example_with_little_memory(tmp_path):
    """3 GB on disk, two workers that may use 400 MB each."""
    run_example(tmp_path, "--write", 320)
    check_workers(run_example(tmp_path, "--workers", 2, "--memory", "400MB"), 400)
