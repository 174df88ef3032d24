"""Checks of parallel arrays, made where data enters a record."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError

__all__ = ["check_array"]


def check_array(
    name: str, array: npt.NDArray[Any], shape: tuple[int, ...], dtype: npt.DTypeLike
) -> None:
    """Raise `ShapeError` unless `array` has exactly this shape and dtype."""
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ShapeError(
            f"`{name}` must be {np.dtype(dtype)} {list(shape)}; "
            f"got {array.dtype} {list(array.shape)}"
        )
