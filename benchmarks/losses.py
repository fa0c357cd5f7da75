"""The losses beside those of PyTorch and of scikit-learn: loss and gradient, ``python benchmarks/losses.py``.

All are called in turns in one process, and the figures are the least of their times in milliseconds. PyTorch
computes the loss forwards and the gradient backwards; scikit-learn's private losses write both, one by one.
"""

import argparse
import time

import numpy as np

import fastlogit

ROUNDS = 15
BINARY = 2**22
SHAPES = [(8192, 1000), (262144, 10), (128, 65536)]


def least_times(calls, rounds):
    times = {}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times.setdefault(name, []).append(time.perf_counter() - start)
    return {name: min(of_call) * 1e3 for name, of_call in times.items()}


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
        "own softplus": lambda: fastlogit.softplus(logits, out=out),
    }


def class_calls(generator, dtype, shape):
    import torch

    logits = generator.normal(0, 3, shape).astype(dtype)
    target = generator.integers(0, shape[1], shape[0])
    grad, out = np.empty_like(logits), np.empty_like(logits)
    return {
        "fastlogit": lambda: fastlogit.cross_entropy(logits, target, grad=grad),
        "loss alone": lambda: fastlogit.cross_entropy(logits, target),
        "PyTorch": backwards(torch.nn.functional.cross_entropy, logits, target),
        "own softmax": lambda: fastlogit.softmax(logits, -1, out=out),
    }


def print_row(name, dtype, times):
    ratio = times["PyTorch"] / times["fastlogit"]
    row = ", ".join(f"{call} {milliseconds:.2f}" for call, milliseconds in times.items())
    print(f"{name} {dtype}: {row} ms; PyTorch / fastlogit {ratio:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=fastlogit.get_num_threads())
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    fastlogit.set_num_threads(arguments.threads)
    generator = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        times = least_times(binary_calls(generator, dtype), arguments.rounds)
        print_row(f"binary cross-entropy of {BINARY}", dtype, times)
        for shape in SHAPES:
            times = least_times(class_calls(generator, dtype, shape), arguments.rounds)
            print_row("cross-entropy of {}x{}".format(*shape), dtype, times)


if __name__ == "__main__":
    main()
