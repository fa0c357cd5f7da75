from typing import Any

import numpy as np

PART_SUM: np.dtype[Any]

def sum_of_parts(
    x: np.ndarray[Any, Any], axes: tuple[int, ...], mask: np.ndarray[Any, Any] | None = None
) -> np.ndarray[Any, Any]: ...
def merged(sums: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]: ...
def from_sums(
    name: str,
    x: np.ndarray[Any, Any],
    sums: np.ndarray[Any, Any],
    axes: tuple[int, ...],
    mask: np.ndarray[Any, Any] | None = None,
) -> np.ndarray[Any, Any]: ...
def logsumexp_from_sums(sums: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]: ...
