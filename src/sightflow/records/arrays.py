"""Arrays of records: checked where data enters, and as bytes that give them back exactly."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError

__all__ = ["PackedArray", "check_array", "plain_floats"]


class PackedArray(msgspec.Struct):
    """An array as it is written, in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> "PackedArray":
        """Return the array, packed."""
        return cls(array.dtype.str, array.shape, array.tobytes())

    def unpack(self) -> npt.NDArray[Any]:
        """Return the array, which must not be written to."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


def check_array(
    name: str, array: npt.NDArray[Any], shape: tuple[int, ...], dtype: npt.DTypeLike
) -> None:
    """Raise `ShapeError` unless `array` has exactly this shape and dtype."""
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ShapeError(
            f"`{name}` must be {np.dtype(dtype)} {list(shape)}; "
            f"got {array.dtype} {list(array.shape)}"
        )


def plain_floats(numbers: npt.NDArray[np.float32]) -> list[float]:
    """Return float32 values as the floats with the fewest digits that give them back."""
    return [float(str(number)) for number in numbers]
