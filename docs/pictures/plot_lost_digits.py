"""
Digits that formulas lose
=========================

The errors of float32 results, in units in the last place (ulp), of the formula that one writes first and of
fastlogit. float64 is the reference: there, too, fastlogit is within 1 ulp.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastlogit import log_expit, logit


def show(x, formula, function):
    exact = function(x.astype(float))
    ulp = np.abs(np.spacing(exact.astype(np.float32)))
    _, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, call in [("the formula", formula), ("fastlogit", function)]:
        error = np.abs(call(x) - exact) / ulp
        axes.semilogy(x, error, ".", markersize=2, label=name)
    axes.axhline(1, color="0.6", linewidth=0.8)
    axes.locator_params(axis="x", nbins=5)
    axes.set(xlabel="x", ylabel="error in ulp")
    axes.legend(markerscale=6)


# %%
# The logit near 1/2. The quotient is near 1 and is rounded there, and its logarithm, near 0, has half of the
# digits.


def by_quotient(x):
    return np.log(x / (1 - x))


show(np.linspace(0.49, 0.51, 4001, dtype=np.float32), by_quotient, logit)

# %%
# The logarithm of the sigmoid. For large x the sigmoid is 1 to the last digit, and its logarithm 0: from 17
# on no digit is right.


def of_sigmoid(x):
    return np.log(1 / (1 + np.exp(-x)))


show(np.linspace(0, 20, 4001, dtype=np.float32), of_sigmoid, log_expit)
