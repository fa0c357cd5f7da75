"""
Softmax of long slices
======================

The largest error of softmax along the first axis, against the number of rows. NumPy adds row after row along
that axis, and each addition rounds: the error grows with the rows. fastlogit keeps what additions lose, and
stays below 2 ulp.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastlogit import softmax


def by_hand(x):
    terms = np.exp(x - x.max(axis=0))
    return terms / terms.sum(axis=0)


def largest_error(result, exact):
    ulp = np.spacing(exact.astype(np.float32))
    return np.max(np.abs(result - exact) / ulp)


lengths = [10, 100, 1000, 10_000, 100_000, 1_000_000]
errors = {"NumPy, by hand": [], "fastlogit": []}
for n in lengths:
    x = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    exact = softmax(x.astype(float), axis=0)
    errors["NumPy, by hand"].append(largest_error(by_hand(x), exact))
    errors["fastlogit"].append(largest_error(softmax(x, axis=0), exact))

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, marker in zip(errors, "s^", strict=True):
    axes.loglog(lengths, errors[name], marker=marker, label=name)
axes.set(xlabel="rows, float32", ylabel="largest error in ulp")
axes.legend()
axes.grid(alpha=0.3)
