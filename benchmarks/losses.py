"""The losses beside those of PyTorch and of scikit-learn: loss and gradient, ``python benchmarks/losses.py``.

All are called in turns in one process, and the figures are the least of their times in milliseconds. PyTorch
computes the loss forwards and the gradient backwards; scikit-learn's private losses write both, one by one.
``--docs docs`` writes the table of the page on speed.
"""

import argparse
from importlib.metadata import version

import numpy as np
from contest import least_times
from machine import describe, versions_of
from report import keep_table

import fastlogit

ROUNDS = 15
BINARY = 2**22
SHAPES = [(8192, 1000), (262144, 10), (128, 65536)]
COLUMNS = ["fastlogit", "loss alone", "PyTorch", "scikit-learn", "softplus or softmax"]


def backwards(loss, logits, target):
    """A call of PyTorch that computes loss and gradient."""
    import torch

    z, y = torch.from_numpy(logits.copy()).requires_grad_(), torch.from_numpy(target)

    def call():
        z.grad = None
        loss(z, y).backward()

    return call


def binary_calls(generator, dtype):
    import torch
    from sklearn._loss import HalfBinomialLoss

    logits = generator.normal(0, 3, BINARY).astype(dtype)
    target = generator.integers(0, 2, BINARY).astype(dtype)
    grad, loss, out = np.empty_like(logits), np.empty_like(logits), np.empty_like(logits)
    threads = fastlogit.get_num_threads()
    return {
        "fastlogit": lambda: fastlogit.binary_cross_entropy_with_logits(logits, target, grad=grad),
        "PyTorch": backwards(torch.nn.functional.binary_cross_entropy_with_logits, logits, target),
        "scikit-learn": lambda: HalfBinomialLoss().loss_gradient(
            y_true=target, raw_prediction=logits, loss_out=loss, gradient_out=out, n_threads=threads
        ),
        "loss alone": lambda: fastlogit.binary_cross_entropy_with_logits(logits, target),
        "softplus or softmax": lambda: fastlogit.softplus(logits, out=out),
    }


def class_calls(generator, dtype, shape):
    import torch
    from sklearn._loss import HalfMultinomialLoss

    logits = generator.normal(0, 3, shape).astype(dtype)
    target = generator.integers(0, shape[1], shape[0])
    grad, out, loss = np.empty_like(logits), np.empty_like(logits), np.empty(shape[0], dtype)
    theirs = HalfMultinomialLoss(n_classes=shape[1])
    labels = target.astype(dtype)
    threads = fastlogit.get_num_threads()
    return {
        "fastlogit": lambda: fastlogit.cross_entropy(logits, target, grad=grad),
        "loss alone": lambda: fastlogit.cross_entropy(logits, target),
        "PyTorch": backwards(torch.nn.functional.cross_entropy, logits, target),
        "scikit-learn": lambda: theirs.loss_gradient(
            y_true=labels, raw_prediction=logits, loss_out=loss, gradient_out=out, n_threads=threads
        ),
        "softplus or softmax": lambda: fastlogit.softmax(logits, -1, out=out),
    }


def row(name, dtype, times):
    ours = times["fastlogit"]
    ratios = [f"{times[column]:.2f} ({times[column] / ours:.2f}×)" for column in COLUMNS[1:]]
    return [name, dtype, f"{ours:.2f}", *ratios]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=fastlogit.get_num_threads())
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--docs", help="folder of the documentation, whose table is written anew")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    fastlogit.set_num_threads(arguments.threads)
    generator = np.random.default_rng(0)
    rows = []
    for dtype in ("float32", "float64"):
        cases = {f"binary, {BINARY} logits": binary_calls(generator, dtype)}
        cases |= {"{}×{}".format(*shape): class_calls(generator, dtype, shape) for shape in SHAPES}
        for name, calls in cases.items():
            rows.append(row(name, dtype, least_times(calls, arguments.rounds)))
            print(*rows[-1], sep="  ", flush=True)
    if arguments.docs:
        versions = versions_of() | {name: version(name) for name in ("torch", "scikit-learn")}
        machine = describe(arguments.threads, versions)
        keep_table(arguments.docs, "losses", machine, "Milliseconds.", (["loss", "dtype", *COLUMNS], rows))


if __name__ == "__main__":
    main()
