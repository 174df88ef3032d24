"""Numbers that a step has measured in one image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.records.arrays import check_array

__all__ = ["Measures"]


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """N numbers, each with a name that tells its unit; row i of every column is one number.

    This is where a step of a package of your own puts what no other field has a place for.
    """

    names: tuple[str, ...]
    """Such as `sharpness` or `height_px`."""
    values: npt.NDArray[np.float32]
    """float32 [N]."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        check_array("values", self.values, (len(self.names),), np.float32)

    def and_of(self, others: "Measures | None") -> "Measures":
        """Return these numbers behind others; one with the same name replaces the other's."""
        if others is None:
            return self
        kept = [i for i, name in enumerate(others.names) if name not in self.names]
        names = (*(others.names[i] for i in kept), *self.names)
        return Measures(names, np.concatenate([others.values[kept], self.values]))
