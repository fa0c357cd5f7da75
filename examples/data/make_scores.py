"""Write digit_scores.csv: how probable seven classifiers find it that a handwritten digit is odd.

The 1797 digits are those that come with scikit-learn (8 x 8 pixels, collected at Bogazici University).
Every probability is held out: the classifier that gives it was fitted to four fifths of the digits, and
this one was not among them. The classifiers learn ten classes; the probability of "odd" is that of 1, 3,
5, 7 and 9 together.

Everything is seeded. The first line of the file says which versions made it; another version, or another
linear algebra library, can change it in the last digits.

Run it with: python make_scores.py  (needs scikit-learn)
"""

from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CLASSIFIERS = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    "linear discriminant": LinearDiscriminantAnalysis(),
    # Some pixels are blank in every image of a digit; smoothing keeps their variance from being 0.
    "naive Bayes": GaussianNB(var_smoothing=1e-2),
    "nearest neighbours": KNeighborsClassifier(n_neighbors=5),
    "random forest": RandomForestClassifier(random_state=0),
    "extra trees": ExtraTreesClassifier(random_state=0),
    "gradient boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
}


def probability_of_odd(classifier, images, digits):
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
    per_digit = cross_val_predict(classifier, images, digits, cv=folds, method="predict_proba")
    even, odd = per_digit[:, 0::2].sum(axis=1), per_digit[:, 1::2].sum(axis=1)
    # The ten need not sum to exactly 1; this quotient never leaves [0, 1].
    return odd / (odd + even)


def main():
    images, digits = load_digits(return_X_y=True)
    scores = [probability_of_odd(classifier, images, digits) for classifier in CLASSIFIERS.values()]
    with open(Path(__file__).with_name("digit_scores.csv"), "w", newline="\n") as file:
        versions = f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
        file.write(f"# made by make_scores.py with {versions}\n")
        file.write(",".join(["odd", *CLASSIFIERS]) + "\n")
        for digit, *row in zip(digits, *scores, strict=True):
            file.write(",".join([str(digit % 2), *(repr(float(p)) for p in row)]) + "\n")


if __name__ == "__main__":
    main()
