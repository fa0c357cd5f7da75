"""The figure of blend_scores.py: is what a model says with probability p true in p of all cases?"""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

BINS = np.linspace(0, 1, 8)  # sevenths: no score of a vote of 5 or of 100 lies on an edge between two
LOG_ODDS_BINS = np.linspace(-15, 15, 31)
QUANTILE = 1.96  # of the normal distribution, for intervals of 95 %
EVEN, ODD, MODEL, BLEND, BLEND_BACKGROUND = "#8fa3b5", "#e0a458", "#33658a", "#b0413e", "#fbf1ee"
LEFT = 0.055  # of the grid and of the titles


def reliability(labels, p):
    """Per bin of p that is not empty: count, mean p, observed frequency, ends of its Wilson interval."""
    bin_of = np.clip(np.digitize(p, BINS) - 1, 0, len(BINS) - 2)
    sums = np.stack([np.bincount(bin_of, weights, len(BINS) - 1) for weights in (None, p, labels)])
    sums = sums[:, sums[0] > 0]
    n, said, seen = sums[0], sums[1] / sums[0], sums[2] / sums[0]
    centre = (seen + QUANTILE**2 / (2 * n)) / (1 + QUANTILE**2 / n)
    half = QUANTILE * np.sqrt(seen * (1 - seen) / n + QUANTILE**2 / (4 * n**2)) / (1 + QUANTILE**2 / n)
    return n, said, seen, centre - half, centre + half


def draw_diagram(axes, color, labels, p, loss):
    n, said, seen, low, high = reliability(labels, p)
    axes.plot([0, 1], [0, 1], color="0.75", linewidth=1, zorder=1)
    axes.vlines(said, low, high, color=color, alpha=0.35, linewidth=3, zorder=2)
    axes.plot(said, seen, color=color, linewidth=1, zorder=3)
    axes.scatter(said, seen, 14 + n / 10, color=color, zorder=3, clip_on=False)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.text(0.98, 0.07, f"log-loss {loss:.4f}", ha="right", transform=axes.transAxes, color=color)


def draw_histogram(axes, labels, z):
    groups = [z[labels == 0], z[labels == 1]]
    axes.hist(groups, LOG_ODDS_BINS, stacked=True, color=[EVEN, ODD], label=["even", "odd"])
    axes.set(xlim=(-15, 15), ylim=(0, 950), xticks=[-14, -7, 0, 7, 14], yticks=[0, 900])


def draw_reliability(path, names, labels, log_odds, probabilities, losses):
    """One diagram per row over the histogram of its log odds; the last row is the blend."""
    columns = (len(names) + 1) // 2
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(13, 8.4))
        cells = figure.add_gridspec(
            2, columns, left=LEFT, right=0.985, top=0.87, bottom=0.07, hspace=0.32, wspace=0.16
        )
        rows = zip(names, log_odds, probabilities, losses, strict=True)
        for i, (name, z, p, loss) in enumerate(rows):
            is_blend = i == len(names) - 1
            color = BLEND if is_blend else MODEL
            upper, lower = cells[i].subgridspec(2, 1, height_ratios=[3, 1], hspace=0.32).subplots()
            draw_diagram(upper, color, labels, p, loss)
            draw_histogram(lower, labels, z)
            title = f"after: the {name}" if is_blend else name
            upper.set_title(title, loc="left", color=color, fontweight="bold", fontsize=10.5, pad=8)
            if i % columns == 0:
                upper.set_ylabel("observed frequency of odd")
                lower.set_ylabel("digits")
            else:
                upper.tick_params(labelleft=False)
                lower.tick_params(labelleft=False)
            if i >= columns:
                lower.set_xlabel("log odds; with eps, certainty is ±13.8")
            if is_blend:
                upper.set_facecolor(BLEND_BACKGROUND)
                lower.set_facecolor(BLEND_BACKGROUND)
                lower.legend(frameon=False, loc="upper center", ncols=2, fontsize=8, handlelength=1)
        headline = f"Before: {len(names) - 1} classifiers.  After: the mean of their log odds."
        figure.text(LEFT, 0.955, headline, fontsize=14, fontweight="bold")
        explanation = (
            f"Is this handwritten digit odd? How often it is, against the held-out probability "
            f"({labels.size} digits in {len(BINS) - 1} bins, 95 % intervals). "
            "Under each diagram: the log odds."
        )
        figure.text(LEFT, 0.925, explanation, color="0.3")
        figure.savefig(path, dpi=130)
