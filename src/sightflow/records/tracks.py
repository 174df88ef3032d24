"""Objects followed through a stream, and what happens to them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.records.arrays import check_array

__all__ = ["Tracks"]


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """N followed objects as they are in one image; row i of every column describes object i."""

    track_ids: npt.NDArray[np.int64]
    """int64 [N], from 1; unique in the stream (`source_id`) and never given again."""
    boxes_xyxy: npt.NDArray[np.float32]
    """float32 [N, 4] in pixels of the original image; origin top left; x2, y2 exclusive."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1], of the detection in this image."""
    class_ids: npt.NDArray[np.int32]
    """int32 [N], index into the model's labels: what most detections of the object were so far."""
    labels: tuple[str, ...]
    velocities_xy: npt.NDArray[np.float32]
    """float32 [N, 2] of the centre, in pixels of the original image a second."""
    ages_ms: npt.NDArray[np.int64]
    """int64 [N], time since the first detection."""
    n_hits: npt.NDArray[np.int32]
    """int32 [N], detections so far."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.labels)
        check_array("track_ids", self.track_ids, (n,), np.int64)
        check_array("boxes_xyxy", self.boxes_xyxy, (n, 4), np.float32)
        check_array("scores", self.scores, (n,), np.float32)
        check_array("class_ids", self.class_ids, (n,), np.int32)
        check_array("velocities_xy", self.velocities_xy, (n, 2), np.float32)
        check_array("ages_ms", self.ages_ms, (n,), np.int64)
        check_array("n_hits", self.n_hits, (n,), np.int32)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.labels)
