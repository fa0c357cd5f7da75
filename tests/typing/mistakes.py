"""Calls that a type checker refuses, each of them: an ignored error that is none is an error itself."""

import numpy as np

from fastlogit import binary_cross_entropy_with_logits, cross_entropy, expit, logit, logsumexp, softmax

x = np.zeros(3)

expit("abc")  # type: ignore[arg-type]
expit(["a", "b"])  # type: ignore[arg-type]
expit(1j)  # type: ignore[call-overload]
expit(None)  # type: ignore[call-overload]
expit(x, out="abc")  # type: ignore[call-overload]
expit(x=x)  # type: ignore[call-overload]
expit(x, order="Z")  # type: ignore[call-overload]
logit(x, "abc")  # type: ignore[call-overload]
logit("abc", out=x)  # type: ignore[arg-type]
softmax("abc")  # type: ignore[arg-type]
softmax(x, axis=0.5)  # type: ignore[call-overload]
softmax(x, 0, x)  # type: ignore[call-overload]
logsumexp("abc")  # type: ignore[arg-type]
logsumexp(x, keepdims="yes")  # type: ignore[call-overload]
binary_cross_entropy_with_logits(x, x, reduction="average")  # type: ignore[call-overload]
binary_cross_entropy_with_logits("abc", x)  # type: ignore[arg-type]
cross_entropy(x, x, grad="abc")  # type: ignore[call-overload]
count: int = expit(x)  # type: ignore[assignment]
name: str = logsumexp(x)  # type: ignore[assignment]
