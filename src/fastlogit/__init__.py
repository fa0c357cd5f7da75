"""logit, expit and their family over NumPy arrays: in place, threaded, accurate."""

from fastlogit import _runtime, _elementwise, ufuncs  # noqa: F401, I001 (_runtime, before any extension)
from fastlogit._axis import log_softmax, logsumexp, softmax
from fastlogit._build_config import VERSION as __version__
from fastlogit._elementwise import *  # noqa: F403 (all that its __all__ has)
from fastlogit._losses import binary_cross_entropy_with_logits, cross_entropy
from fastlogit._threads import get_num_threads, num_threads, set_num_threads, show_config

__all__ = [
    "__version__",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "get_num_threads",
    "log_softmax",
    "logsumexp",
    "num_threads",
    "set_num_threads",
    "show_config",
    "softmax",
    "ufuncs",
]
__all__ += _elementwise.__all__
__all__.sort()
