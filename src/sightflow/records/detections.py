"""Objects found in one image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError
from sightflow.records.arrays import check_array
from sightflow.records.objectclasses import ObjectClasses

__all__ = ["Detections"]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N objects found in one image, best first; row i of every column describes object i.

    The last three columns are None until a step has filled them.
    """

    boxes_xyxy: npt.NDArray[np.float32]
    """float32 [N, 4] in pixels of the original image; origin top left; x2, y2 exclusive."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1]."""
    class_ids: npt.NDArray[np.int32]
    """int32 [N], index into the model's labels."""
    labels: tuple[str, ...]
    track_ids: tuple[int | None, ...] | None = None
    """The track of each object; None of an object that is not followed."""
    states: ObjectClasses | None = None
    """What each traffic light shows."""
    signs: ObjectClasses | None = None
    """What each traffic sign means."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.labels)
        for name in ("track_ids", "states", "signs"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ShapeError(f"`{name}` must have {n} items; got {len(column)}")
        check_array("boxes_xyxy", self.boxes_xyxy, (n, 4), np.float32)
        check_array("scores", self.scores, (n,), np.float32)
        check_array("class_ids", self.class_ids, (n,), np.int32)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.labels)

    def take(self, rows: Any) -> "Detections":
        """Return the objects of these rows: numbers, or bool [N]."""
        chosen = np.arange(len(self))[rows]
        return Detections(
            self.boxes_xyxy[rows],
            self.scores[rows],
            self.class_ids[rows],
            tuple(self.labels[i] for i in chosen),
            None if self.track_ids is None else tuple(self.track_ids[i] for i in chosen),
            None if self.states is None else self.states.take(rows),
            None if self.signs is None else self.signs.take(rows),
        )
