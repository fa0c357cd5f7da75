"""Logistic and softmax regression in a few lines: a loss with its gradient, and an optimiser.

The optimiser is SciPy's L-BFGS-B. What it minimises is written down here: the loss of the logits, which comes
with its derivative in one pass over them, and a penalty of the coefficients. The data sets come with
scikit-learn, and so does the model to compare with, `LogisticRegression`, of the same penalty.

Run it with: python logistic_regression.py
"""

import sys
from time import perf_counter

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import fastlogit
from fastlogit import binary_cross_entropy_with_logits, cross_entropy

C = 0.1  # scikit-learn's: how much the loss counts beside half the sum of the squares of the coefficients
AGREEMENT = 1e-5  # of the coefficients
# Both optimisers stop at a gradient that is far smaller than the agreement asks for.
GRADIENT_TOLERANCE = 1e-9
ITERATIONS = 10_000


def binary_objective(theta, features, labels):
    """Loss and gradient; `theta` has a coefficient for each feature, and the intercept last."""
    coefficients, intercept = theta[:-1], theta[-1]
    z = features @ coefficients + intercept
    loss = binary_cross_entropy_with_logits(z, labels, reduction="sum", grad=z)  # z is the gradient now
    gradient = np.append(C * (features.T @ z) + coefficients, C * z.sum())
    return C * loss + 0.5 * coefficients @ coefficients, gradient


def softmax_objective(theta, features, labels):
    """The same for classes: `theta` has a row per feature, one of intercepts, and a column per class."""
    theta = theta.reshape(features.shape[1] + 1, -1)
    coefficients, intercepts = theta[:-1], theta[-1]
    z = features @ coefficients + intercepts
    loss = cross_entropy(z, labels, reduction="sum", grad=z)
    gradient = np.vstack([C * (features.T @ z) + coefficients, C * z.sum(axis=0)])
    return C * loss + 0.5 * np.sum(coefficients**2), gradient.ravel()


def minimum_of(objective, size, features, labels):
    """The best theta, found from 0, and the seconds that it took."""
    start = perf_counter()
    result = minimize(
        objective,
        np.zeros(size),
        args=(features, labels),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": GRADIENT_TOLERANCE, "ftol": 0.0, "maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS},
    )
    return result.x, perf_counter() - start


def fitted_by_scikit_learn(features, labels):
    start = perf_counter()
    model = LogisticRegression(C=C, tol=GRADIENT_TOLERANCE, max_iter=ITERATIONS).fit(features, labels)
    return model, perf_counter() - start


def split(dataset):
    """Standardised features and the labels: those to learn from, then every fourth one, held out."""
    held_out = np.arange(len(dataset.target)) % 4 == 0
    scaler = StandardScaler().fit(dataset.data[~held_out])
    for rows in (~held_out, held_out):
        yield scaler.transform(dataset.data[rows]), dataset.target[rows]


def report(title, theta, seconds, model, sklearn_seconds, decisions, held_out):
    """Print both; whether coefficients and decisions agree."""
    features, labels = held_out
    coefficients, intercepts = model.coef_.T, model.intercept_
    difference = np.max(np.abs(theta - np.vstack([coefficients, intercepts])))
    same = np.array_equal(decisions, model.predict(features))
    print(f"{title}\n")
    print(f"{'':24}{'seconds':>9}{'held-out accuracy':>20}")
    print(f"{'fastlogit and L-BFGS-B':24}{seconds:9.3f}{np.mean(decisions == labels):20.4f}")
    print(f"{'LogisticRegression':24}{sklearn_seconds:9.3f}{model.score(features, labels):20.4f}")
    print(f"\nLargest difference of {theta.size} coefficients: {difference:.1e}")
    agree = same and difference <= AGREEMENT
    print(f"They agree to {AGREEMENT:g}, and so do all decisions: {'yes' if agree else 'NO'}.\n")
    return agree


def binary():
    train, held_out = split(load_breast_cancer())
    theta, seconds = minimum_of(binary_objective, train[0].shape[1] + 1, *train)
    model, sklearn_seconds = fitted_by_scikit_learn(*train)
    z = held_out[0] @ theta[:-1] + theta[-1]
    decisions = z > 0  # the probability is above 1/2; nobody has to compute it
    title = f"Is a tumour benign? {len(train[1])} to learn from, {len(held_out[1])} held out"
    return report(title, theta[:, np.newaxis], seconds, model, sklearn_seconds, decisions, held_out)


def softmax():
    train, held_out = split(load_digits())
    classes = 10
    theta, seconds = minimum_of(softmax_objective, (train[0].shape[1] + 1) * classes, *train)
    model, sklearn_seconds = fitted_by_scikit_learn(*train)
    theta = theta.reshape(-1, classes)
    z = held_out[0] @ theta[:-1] + theta[-1]
    decisions = np.argmax(z, axis=1)  # softmax would not change the order
    title = f"Which digit is it? {len(train[1])} to learn from, {len(held_out[1])} held out"
    return report(title, theta, seconds, model, sklearn_seconds, decisions, held_out)


def main():
    print(f"Threads: {fastlogit.get_num_threads()}\n")
    results = binary(), softmax()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
