"""Blend seven classifiers by averaging their log odds, in place: first a real table, then 2**25 values.

The table (data/digit_scores.csv, made by data/make_scores.py) holds the held-out probability, from
each of seven classifiers, that a handwritten digit is odd. Some of these probabilities are exactly 0 or
1, and a few of those are wrong. Their log odds are infinite, so that a single one makes a log-loss
infinite, and two that contradict each other make a mean undefined. That is what eps is for.

Run it with: python blend_scores.py [--size VALUES] [--plot FILE.png]
"""

import argparse
import importlib.util
import resource
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

import fastlogit
from fastlogit import expit, log_expit, logit

DATA = Path(__file__).parent / "data" / "digit_scores.csv"
EPS = 1e-6
MIB = 2**20


def load_scores(path):
    """Names of the classifiers, labels (0 or 1), and one row of probabilities per classifier."""
    with open(path) as file:
        next(file)  # which versions made it
        names = next(file).rstrip("\n").split(",")[1:]
        labels, *scores = np.loadtxt(file, delimiter=",", unpack=True)
    return names, labels, np.array(scores)


def log_odds(scores, eps):
    """Log odds of each model and, in an additional last row, their mean: the blend."""
    table = np.empty((len(scores) + 1, scores.shape[1]))
    p, blend = table[:-1], table[-1]
    p[...] = scores
    z = logit(p, eps, out=p)  # z is p: nothing is allocated
    with np.errstate(invalid="ignore"):  # inf - inf, where two models are certain of opposite answers
        np.mean(z, axis=0, out=blend)
    return table


def log_loss(labels, z):
    """Mean of -log(probability of the true label), from log odds.

    The probability of label 1 is expit(z), that of label 0 is 1 - expit(z) = expit(-z). log_expit takes
    the logarithm of either straight from z. Where p is close to 1, log(1 - p) has lost the digits that
    1 - p lost, and where p has rounded to 1 it is -inf; log_expit(-z) is right in both cases.
    """
    return -np.mean(log_expit(np.where(labels == 1, z, -z)))


def print_losses(names, labels, scores, z):
    """The table that shows what eps is for and what the blend is worth."""
    losses = [log_loss(labels, row) for row in z]
    unclamped = [log_loss(labels, row) for row in log_odds(scores, eps=None)]
    certain = (scores == 0) | (scores == 1)
    wrong = certain & (scores != labels)

    print(f"Is a handwritten digit odd? {len(names)} classifiers, {labels.size} digits, held out\n")
    print(f"{'':22}{'scores of':>12}{'of these':>11}{'log-loss':>13}{'log-loss':>12}")
    print(f"{'':22}{'0 or 1':>12}{'wrong':>11}{'without eps':>13}{'with eps':>12}")
    columns = [*names, "blend"], [*certain.sum(axis=1), ""], [*wrong.sum(axis=1), ""], unclamped, losses
    for name, n_certain, n_wrong, without_eps, with_eps in zip(*columns, strict=True):
        print(f"{name:22}{n_certain:>12}{n_wrong:>11}{without_eps:13.4f}{with_eps:12.4f}")
    best = int(np.argmin(losses[:-1]))
    verdict = "beats" if losses[-1] < losses[best] else "does not beat"
    print(f"\nThe blend, the mean of the log odds, {verdict} the best single model ({names[best]}).\n")


def peak_memory():
    """The most memory that this process has had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def fill_by_tiling(table, scores):
    """Repeat the columns of `scores` until all rows of `table` but the last are full."""
    for start in range(0, table.shape[1], scores.shape[1]):
        tile = table[:-1, start : start + scores.shape[1]]
        tile[...] = scores[:, : tile.shape[1]]
    table[-1] = 0


def blend_with_expressions(p):
    """The same blend the way it is written without fastlogit: each operation makes another array."""
    p = np.clip(p, EPS, 1 - EPS)
    z = np.log(p / (1 - p))
    blend = z.mean(axis=0)
    return 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-blend))


def blend_large(scores, small, size):
    """Blend `size` values and time each step. Whether every tile came out as the table `small` did."""
    models, tile = scores.shape
    columns = max(1, size // (models + 1))
    before = peak_memory()
    table = np.empty((models + 1, columns))
    p, blend = table[:-1], table[-1]
    fill_by_tiling(table, scores)

    times = [perf_counter()]
    z = logit(p, EPS, out=p)
    times.append(perf_counter())
    np.mean(z, axis=0, out=blend)
    times.append(perf_counter())
    expit(table, out=table)
    times.append(perf_counter())
    after = peak_memory()
    same_bits = all(
        np.array_equal(table[:, start : start + tile], small[:, : columns - start])
        for start in range(0, columns, tile)
    )

    print(
        f"The same for {table.size:,} float64 values: {models} models and the blend, {columns:,}\n"
        f"columns (the {tile} real ones, repeated); threads: {fastlogit.get_num_threads()}\n"
    )
    print(f"{'':30}{'values':>13}{'ms':>9}{'10^9 values/s':>16}{'GB/s':>8}")
    row_bytes = blend.nbytes
    steps = [
        ("z = logit(p, EPS, out=p)", p.size, 2 * models * row_bytes),
        ("np.mean(z, axis=0, out=blend)", p.size, (models + 1) * row_bytes),
        ("expit(table, out=table)", table.size, 2 * table.nbytes),
    ]
    for (step, values, traffic), seconds in zip(steps, np.diff(times), strict=True):
        speed = f"{values / seconds / 1e9:16.2f}{traffic / seconds / 1e9:8.1f}"
        print(f"{step:30}{values:13,}{1e3 * seconds:9.1f}{speed}")
    total = times[-1] - times[0]
    print(f"{'all three':30}{'':13}{1e3 * total:9.1f}")

    fill_by_tiling(table, scores)
    start = perf_counter()
    blend_with_expressions(p)
    naive = perf_counter() - start
    naive_extra = peak_memory() - after
    print(f"{'as NumPy expressions':30}{'':13}{1e3 * naive:9.1f}{naive / total:16.1f} times as long\n")
    print("GB/s counts each value read once and written once.")
    print(
        f"Peak memory: {after / MIB:.0f} MiB. Of this the array is {table.nbytes / MIB:.0f} MiB; "
        f"before it was made, the peak was {before / MIB:.0f} MiB.\n"
        f"The NumPy expressions need another {naive_extra / MIB:.0f} MiB."
    )
    print(f"Every tile has the bits of the small table: {'yes' if same_bits else 'NO'}.")
    return same_bits


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Blend classifier scores in logit space, in place.")
    parser.add_argument(
        "--size", type=int, default=2**25, metavar="VALUES", help="of the large array (default: 2**25)"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw the reliability diagrams")
    options = parser.parse_args(arguments)
    if options.size < 1:
        parser.error("--size must be at least 1")
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib, which is not installed; try: pip install matplotlib")

    names, labels, scores = load_scores(DATA)
    table = log_odds(scores, EPS)
    print_losses(names, labels, scores, table)
    probabilities = expit(table)
    same_bits = blend_large(scores, probabilities, options.size)
    if options.plot:
        # Not earlier: what matplotlib takes is not to count as memory of the blend.
        from reliability import draw_reliability

        losses = [log_loss(labels, row) for row in table]
        draw_reliability(options.plot, [*names, "blend"], labels, table, probabilities, losses)
        print(f"Reliability diagrams: {options.plot}")
    return 0 if same_bits else 1


if __name__ == "__main__":
    sys.exit(main())
