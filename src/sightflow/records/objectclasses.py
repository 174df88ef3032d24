"""What a classifier says of each object in an image, such as what a traffic light shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError
from sightflow.records.arrays import check_array

__all__ = ["UNKNOWN", "ObjectClasses"]

UNKNOWN = "unknown"
"""The label of an object of which no class is sure enough."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectClasses:
    """The classes of N objects; row i of every column is about object i."""

    labels: tuple[str | None, ...]
    """None of an object that was not looked at."""
    class_ids: tuple[int | None, ...]
    """Index into the model's labels; None where the label is none of them."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1], of the best class; 0 of an object that was not looked at."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.labels)
        if len(self.class_ids) != n:
            raise ShapeError(f"`class_ids` must have {n} items; got {len(self.class_ids)}")
        check_array("scores", self.scores, (n,), np.float32)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.labels)

    def take(self, rows: Any) -> "ObjectClasses":
        """Return the classes of these objects: numbers, or bool [N]."""
        chosen = np.arange(len(self))[rows]
        return ObjectClasses(
            tuple(self.labels[i] for i in chosen),
            tuple(self.class_ids[i] for i in chosen),
            self.scores[rows],
        )
