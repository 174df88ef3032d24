"""Objects followed through a stream, and what happens to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.records.arrays import check_array

__all__ = ["EVENT_KINDS", "Event", "Tracks"]


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


EVENT_KINDS = (
    "appeared",
    "left",
    "crossed",
    "entered",
    "exited",
    "counted",
    "trained",
    "published",
    "evaluated",
    "tested",
    "drifted",
    "scored",
    "confused",
    "calibrated",
    "mistaken",
    "differed",
    "compared",
    "joined",
)
"""What happens: an object is followed from now on; it is lost for good; it crosses a line; it
enters and exits a zone; a window of time ends, with what was counted in it; a network has learned;
a version of it was published; it was held against the labels, on the stream and in a test; a
watched value has changed; and at the end how it did for a class, a pair of classes, a range of
scores, and an image; two classifiers do not say the same of an image; how often they do; labels
that came later were joined with their images."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a stream; what does not apply to its kind is None."""

    kind: str
    """One of `EVENT_KINDS`, or a word of the step's own."""
    step: str
    source_id: str
    sequence: int
    """Of the image that showed it."""
    event_time_ms: int
    """Of that image: milliseconds since 1970, UTC; of `counted`, the end of the window."""
    track_id: int | None = None
    class_id: int | None = None
    label: str | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    """Where the object was, in pixels of the original image."""
    zone: str | None = None
    """Name of the zone or line."""
    direction: str | None = None
    """`in` or `out` of a crossing."""
    duration_ms: int | None = None
    """Of `left`, how long the object was seen; of `exited`, how long it was in the zone; of
    `counted`, the mean time in the zone of those who left it in the window."""
    n_in: int | None = None
    """How many went in, in this window."""
    n_out: int | None = None
    """How many went out, in this window."""
    n_inside: int | None = None
    """How many are inside at the end of the window."""
    window_start_ms: int | None = None
    uri: str | None = None
    """Of the image, or of a model version that was published."""
    predicted: str | None = None
    """What a network said where `label` is right."""
    figures: Mapping[str, float] | None = None
    """Numbers by name, such as `loss` and `accuracy`."""
    reason: str | None = None
    """Why it happened, in words."""
