"""Objects found in one image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.records.arrays import check_array

__all__ = ["Detections"]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N objects found in one image, best first; row i of every column describes object i."""

    boxes_xyxy: npt.NDArray[np.float32]
    """float32 [N, 4] in pixels of the original image; origin top left; x2, y2 exclusive."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1]."""
    class_ids: npt.NDArray[np.int32]
    """int32 [N], index into the model's labels."""
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.labels)
        check_array("boxes_xyxy", self.boxes_xyxy, (n, 4), np.float32)
        check_array("scores", self.scores, (n,), np.float32)
        check_array("class_ids", self.class_ids, (n,), np.int32)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.labels)

    def take(self, rows: Any) -> "Detections":
        """Return the objects of these rows: numbers, or bool [N]."""
        return Detections(
            self.boxes_xyxy[rows],
            self.scores[rows],
            self.class_ids[rows],
            tuple(self.labels[row] for row in np.arange(len(self))[rows]),
        )
