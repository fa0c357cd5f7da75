"""Blend the probabilities of several models that lie on disk, many times larger than the memory allowed.

    python examples/out_of_core.py scores.zarr --write 320   # chunks of 9.6 MB: makes up the data first
    python examples/out_of_core.py scores.zarr --workers 2 --memory 400MB

Two processes share the work, chunk by chunk: clamped logit, the mean over the models, log_softmax,
cross-entropy, and one softmax along the axis that is cut into chunks. Needs dask, distributed and zarr.
"""

import argparse
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, progress

import fastlogit
from fastlogit import cross_entropy, log_softmax, logit, softmax

MODELS, CLASSES = 3, 32
ROWS = 25_000  # of a chunk
EPS = 1e-6


def probabilities(block_id):
    """Those of one chunk of made-up rows: the right class has the largest score in most."""
    rng = np.random.default_rng(block_id[1])
    scores = rng.normal(0, 1.5, (MODELS, ROWS, CLASSES)).astype(np.float32)
    scores[:, np.arange(ROWS), labels(block_id[1])] += 3
    return softmax(scores, axis=2, out=scores)


def labels(chunk):
    return np.random.default_rng([chunk, 1]).integers(0, CLASSES, ROWS)


def write(folder, chunks):
    """Chunks of made-up data in float32."""
    shape = ((MODELS,), (ROWS,) * chunks, (CLASSES,))
    made = da.map_blocks(probabilities, chunks=shape, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    known = da.map_blocks(
        lambda block_id: labels(block_id[0]), chunks=((ROWS,) * chunks,), dtype=np.int64,
        meta=np.empty(0, np.int64),
    )
    with dask.config.set(scheduler="synchronous"):
        made.to_zarr(str(folder / "probabilities"))
        known.to_zarr(str(folder / "labels"))


def loss_of_block(blended, known):
    """The sum over the rows of a chunk, as an array of one number."""
    return np.atleast_1d(cross_entropy(blended, known[:, 0], reduction="sum"))


def blend(folder):
    """Everything lazy: log-probabilities, the mean loss, and how much each row counts among all."""
    p = da.from_zarr(str(folder / "probabilities"))
    known = da.from_zarr(str(folder / "labels"))
    blended = logit(p, EPS).mean(axis=0)
    logs = log_softmax(blended, axis=1)
    losses = da.map_blocks(
        loss_of_block, blended, known[:, np.newaxis], drop_axis=1, chunks=((1,) * blended.numblocks[0],),
        dtype=float, meta=np.empty(0),
    )
    confidence = logs.max(axis=1)
    weights = softmax(confidence, axis=0)  # along the rows, which are in several chunks
    return logs, losses.sum() / len(known), weights


def run(folder, workers, memory, *, show=True):
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, memory_limit=memory, dashboard_address=None, processes=True
    )
    with cluster, Client(cluster) as client:
        threads = client.run(fastlogit.get_num_threads)  # beside the one of dask
        logs, loss, weights = blend(folder)
        stored = logs.to_zarr(str(folder / "logs"), overwrite=True, compute=False)
        results = client.compute([stored, loss, weights.max(), weights.sum()])
        if show:
            progress(results)
        _, loss, largest, total = client.gather(results)
        peaks = client.run(peak_memory)
    return {"threads": threads, "loss": loss, "largest": largest, "total": total, "peaks": peaks}


def peak_memory():
    """Of this process, in bytes."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=int, metavar="CHUNKS", help="make up that many chunks, and stop")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="400MB", help="that each worker may use")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.folder, arguments.write)
        return
    results = run(arguments.folder, arguments.workers, arguments.memory)
    size = da.from_zarr(str(arguments.folder / "probabilities")).nbytes
    print(f"\nmean loss {results['loss']:.12g}, weights add up to {results['total']:.7g}")
    print(f"{size / 1e6:.0f} MB on disk")
    for worker, peak in results["peaks"].items():
        print(f"{worker}: at most {peak / 1e6:.0f} MB, {results['threads'][worker]} thread(s) of fastlogit")


if __name__ == "__main__":
    main()
