"""Gradient boosting with an objective of one's own: gradient and Hessian in one pass over the scores.

LightGBM and XGBoost each come with these two objectives, binary and multi-class, so that the models can be
compared: written with fastlogit, they predict the same. From here it is a short way to objectives that the
libraries do not have: soft targets, weights of classes, label smoothing.

Run it with: python boosting.py [--library {lightgbm,xgboost}]
"""

import argparse
import importlib.util
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from fastlogit import binary_cross_entropy_with_logits, cross_entropy, expit, softmax

AGREEMENT = 1e-6  # of the probabilities
ROUNDS = 50
LIBRARIES = "lightgbm", "xgboost"


def binary_objective(scores, labels):
    """What both libraries want to know of each score: d loss / d score, and once more."""
    grad, hess = np.empty_like(scores), np.empty_like(scores)
    binary_cross_entropy_with_logits(scores, labels, reduction="sum", grad=grad, hess=hess)
    return grad, hess


def softmax_objective(scores, labels, factor):
    """`scores` has a row for each sample.

    The libraries take `factor` times the diagonal of the Hessian: classes/(classes - 1) in LightGBM, 2 in
    XGBoost.
    """
    grad, hess = np.empty_like(scores), np.empty_like(scores)
    cross_entropy(scores, labels, reduction="sum", grad=grad, hess=hess)
    hess *= factor
    return grad, hess


def boost_lightgbm(features, labels, classes):
    """Probabilities by the objective of the library, and by ours."""
    import lightgbm

    # An objective of one's own starts at 0, so the other one shall too.
    options = {"verbosity": -1, "boost_from_average": False, "deterministic": True, "num_threads": 2}
    if classes == 2:
        native, objective, transform = "binary", binary_objective, expit
    else:
        native, options["num_class"] = "multiclass", classes

        def objective(scores, labels):
            return softmax_objective(scores, labels, classes / (classes - 1))

        def transform(scores):
            return softmax(scores, axis=1)

    def train(objective):
        data = lightgbm.Dataset(features, labels)
        return lightgbm.train({**options, "objective": objective}, data, ROUNDS)

    ours = train(lambda scores, data: objective(scores, labels))
    return train(native).predict(features), transform(ours.predict(features))


def boost_xgboost(features, labels, classes):
    import xgboost

    data = xgboost.DMatrix(features, labels)
    options = {"nthread": 2}
    if classes == 2:
        native, objective, options["base_score"] = "binary:logistic", binary_objective, 0.5
        start, transform = 0.0, expit  # the score that 0.5 stands for
    else:
        native, options["num_class"] = "multi:softprob", classes
        start = options["base_score"] = 0.0

        def objective(scores, labels):
            return softmax_objective(scores, labels, 2)

        def transform(scores):
            return softmax(scores, axis=1)

    theirs = xgboost.train({**options, "objective": native}, data, ROUNDS)
    ours = xgboost.train(
        {**options, "base_score": start, "disable_default_eval_metric": True},
        data,
        ROUNDS,
        obj=lambda scores, data: objective(scores, labels),
    )
    return theirs.predict(data), transform(ours.predict(data, output_margin=True))


BOOST = {"lightgbm": boost_lightgbm, "xgboost": boost_xgboost}


def compare(library):
    """Print how far the predictions are apart; whether they agree."""
    agree = True
    for name, dataset in (("binary", load_breast_cancer()), ("multi-class", load_digits())):
        features, labels = dataset.data, dataset.target
        theirs, ours = BOOST[library](features, labels, len(dataset.target_names))
        difference = np.max(np.abs(theirs - ours))
        agree &= difference <= AGREEMENT
        print(f"{library:10}{name:13}{len(labels):>8}{ROUNDS:>8}{difference:>26.1e}")
    return agree


def main(arguments=None):
    parser = argparse.ArgumentParser(description="LightGBM and XGBoost with objectives by fastlogit.")
    parser.add_argument("--library", choices=LIBRARIES, help="default: every one that is installed")
    options = parser.parse_args(arguments)
    wanted = [options.library] if options.library else LIBRARIES
    libraries = [library for library in wanted if importlib.util.find_spec(library)]
    if not libraries:
        parser.error(f"{' or '.join(wanted)} is not installed; try: pip install {wanted[0]}")
    print(f"{'':10}{'objective':13}{'samples':>8}{'rounds':>8}{'difference of predictions':>26}")
    results = [compare(library) for library in libraries]
    agree = all(results)
    print(f"\nThe predictions agree to {AGREEMENT:g}: {'yes' if agree else 'NO'}.")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
