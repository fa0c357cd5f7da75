"""logit, expit and their family over NumPy arrays: in place, threaded, accurate to the last bit."""

from fastlogit import _runtime, ufuncs  # noqa: F401 (_runtime, before any extension)
from fastlogit._axis import log_softmax, logsumexp, softmax
from fastlogit._build_config import VERSION as __version__
from fastlogit._elementwise import expit, log_expit, logit, softplus
from fastlogit._threads import get_num_threads, num_threads, set_num_threads, show_config

__all__ = [
    "__version__",
    "expit",
    "get_num_threads",
    "log_expit",
    "log_softmax",
    "logit",
    "logsumexp",
    "num_threads",
    "set_num_threads",
    "show_config",
    "softmax",
    "softplus",
    "ufuncs",
]
