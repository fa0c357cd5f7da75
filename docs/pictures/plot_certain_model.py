"""
A model that is certain
=======================

Two models are averaged in logit space. The first one says 0.2, the other one 0.9, 0.999 or exactly 1. A
probability of 1 has an infinite logit, and the average would be 1 whatever the first model says. With ``eps``
the second model is as sure as eps allows.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastlogit import expit, logit

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
bounds = np.logspace(-12, -1, 200)
for other in (1.0, 0.999, 0.9):
    p = np.array([0.2, other])
    blended = [expit(logit(p, eps).mean()) for eps in bounds]
    axes.semilogx(bounds, blended, label=f"0.2 and {other:g}")
axes.set(xlabel="eps", ylabel="the average", ylim=(0, 1.02))
axes.legend(title="the two models say")
axes.grid(alpha=0.3)
