"""PyTorch, and oneDNN by way of it."""

import importlib

import numpy as np
from cases import EPS, SPELLINGS, named

from .library import Calls, Library, of_elements


def load_pytorch():
    torch = importlib.import_module("torch")
    calls = {
        **{name: of_elements(named(spellings.pytorch)) for name, spellings in SPELLINGS.items()},
        "logit, eps": Calls(in_place=lambda x: x.logit_(EPS), new=lambda x: torch.logit(x, EPS)),
        "softmax": Calls(
            preallocated=lambda x, axis, out: torch.softmax(x, axis, out=out), new=torch.softmax
        ),
        "log_softmax": Calls(
            preallocated=lambda x, axis, out: torch._log_softmax(x, axis, False, out=out),
            new=torch.log_softmax,
        ),
        "logsumexp": Calls(
            preallocated=lambda x, axis, out: torch.logsumexp(x, axis, out=out), new=torch.logsumexp
        ),
    }
    return Library("PyTorch", torch.__version__, calls, torch.from_numpy, torch.set_num_threads)


def load_onednn():
    """PyTorch on tensors in the layout of oneDNN, which it has copied before the time is taken; float32."""
    torch = importlib.import_module("torch")
    if not torch.backends.mkldnn.is_available():
        raise ImportError("this build of PyTorch has no oneDNN")

    def wrap(array):
        if array.dtype != np.float32:
            raise ValueError("float32 only")
        return torch.from_numpy(array).to_mkldnn()

    return Library(
        "oneDNN",
        torch.__version__,
        {"expit": Calls(new=torch.sigmoid), "softmax": Calls(new=torch.softmax)},
        wrap,
        torch.set_num_threads,
        lambda tensor: tensor.to_dense().numpy(),
    )
