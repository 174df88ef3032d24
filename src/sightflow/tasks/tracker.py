"""The tracker: which detection is which object, image after image. A pure function of its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from sightflow.ops.association import best_pairs, grown
from sightflow.ops.boxes import box_iou
from sightflow.ops.motion import Motion, Noise, correct, motion_of, predict
from sightflow.records import Detections

__all__ = ["Objects", "TrackerState", "Tracking", "Update", "update"]

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_OTHER_CLASS = 0.5
"""The share of an overlap that counts between an object and a detection of another class."""
_FADING_S = 60.0
"""The best score of late is halved in this time."""
_MAX_LOST = 1_000
"""How many lost objects are waited for, the last seen first, also where time stands still."""
_JUST_MS = 300
"""Up to this long before the last image an object was just seen."""


@dataclass(frozen=True)
class Tracking:
    """How detections become tracks."""

    method: Literal["byte", "sort"] = "byte"
    """`byte`: good detections first, then poor ones for objects that were just seen; `sort`: good
    detections only, and boxes are not grown."""
    high_score: float = 0.5
    """Detections from this score on are good: they start tracks, and find lost objects again."""
    relative_score: float = 0.7
    """A good detection also has at least this share of the best score of the last minutes, in
    [0, 1]: some detectors give everything that is there almost 1. 0: it need not."""
    low_score: float = 0.2
    """Detections below are left out; those between only continue objects that were just seen."""
    min_iou: float = 0.1
    """Least overlap (intersection over union) of an object's expected box and a good detection."""
    min_low_iou: float = 0.4
    """The same for a poor one, without growing."""
    grown_by: float = 0.4
    """Before boxes are compared with good detections, both grow by this part of themselves, so that
    near ones overlap and nearer ones overlap more."""
    max_age_ms: int = 2_000
    """How long an object that is not seen is waited for, in ms, from 0. After that it has left:
    seen again, it gets a new id."""
    min_hits: int = 2
    """How many detections in a row make an object, from 1; it gets its id with the last of them."""
    noise: Noise = field(default_factory=Noise)
    """How objects move."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """N objects that are followed; row i of every column describes object i."""

    motion: Motion
    track_ids: npt.NDArray[np.int64]
    """int64 [N], from 1; 0 before `min_hits` detections."""
    n_hits: npt.NDArray[np.int32]
    """int32 [N], detections so far."""
    first_ms: npt.NDArray[np.int64]
    """int64 [N], time of the first detection."""
    last_ms: npt.NDArray[np.int64]
    """int64 [N], time of the last detection."""
    last_boxes_xyxy: npt.NDArray[np.float32]
    """float32 [N, 4], where the object was then."""
    votes: tuple[Mapping[int, float], ...]
    """For each class of its detections, the sum of their scores."""

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.votes)

    @property
    def class_ids(self) -> npt.NDArray[np.int32]:
        """int32 [N], the class with the most votes; of equal ones the first."""
        winners = [min(votes, key=lambda c: (-votes[c], c)) for votes in self.votes]
        return np.array(winners, np.int32)

    def take(self, rows: Rows | Mask) -> "Objects":
        """Return the objects of these rows."""
        return Objects(
            self.motion.take(rows),
            self.track_ids[rows],
            self.n_hits[rows],
            self.first_ms[rows],
            self.last_ms[rows],
            self.last_boxes_xyxy[rows],
            tuple(self.votes[row] for row in np.arange(len(self))[rows]),
        )

    def join(self, other: "Objects") -> "Objects":
        """Return these objects and then the others."""
        return Objects(
            self.motion.join(other.motion),
            np.concatenate([self.track_ids, other.track_ids]),
            np.concatenate([self.n_hits, other.n_hits]),
            np.concatenate([self.first_ms, other.first_ms]),
            np.concatenate([self.last_ms, other.last_ms]),
            np.concatenate([self.last_boxes_xyxy, other.last_boxes_xyxy]),
            self.votes + other.votes,
        )


def _nobody() -> Objects:
    nothing = np.zeros(0, np.float32), np.zeros(0, np.int32), ()
    return _born(Detections(np.zeros((0, 4), np.float32), *nothing), 0, Noise())


@dataclass(frozen=True)
class TrackerState:
    """What a tracker knows of one stream."""

    objects: Objects = field(default_factory=_nobody)
    next_id: int = 1
    time_ms: int = 0
    """Of the last image."""
    best_score: float = 0.0
    """The best score of a detection; halved each minute unless it is reached again."""


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What one image brought."""

    seen: Objects
    """Objects that have an id and a detection in this image."""
    detections: Rows
    """intp [K]: the detection of each of them."""
    appeared: Mask
    """bool [K]: whether it got its id now."""
    left: Objects
    """Objects with an id that are given up."""


def update(
    state: TrackerState, detections: Detections, time_ms: int, how: Tracking
) -> tuple[TrackerState, Update]:
    """Follow the objects into the next image.

    Args:
        state: from the image before.
        detections: of this image.
        time_ms: of this image, not before that of the last one.
        how: the rules.

    Source:
        Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV
        2022, for the two stages; Yang et al., "Hard to Track Objects with Irregular Motions and
        Similar Appearances? Make It Easier by Buffering the Matching Space", WACV 2023, for boxes
        that are grown; Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016, for `sort`.
    """
    too_old = time_ms - state.objects.last_ms > how.max_age_ms
    left = state.objects.take(too_old & (state.objects.track_ids > 0))
    known = state.objects.take(~too_old)
    seconds = max(0.0, (time_ms - state.time_ms) / 1000)  # before the first image it is 1970
    known = replace(known, motion=predict(known.motion, seconds, how.noise))
    faded = state.best_score * 0.5 ** (seconds / _FADING_S)
    best_score = max(faded, float(detections.scores.max(initial=0)))
    good = detections.scores >= max(how.high_score, how.relative_score * best_score)
    rows, columns = _associate(known, detections, good, state.time_ms, how)
    new = np.flatnonzero(good & ~_mask(len(detections), columns))

    seen = _hit(known.take(rows), detections, columns, time_ms, how.noise)
    seen = seen.join(_born(detections.take(new), time_ms, how.noise))
    seen, appeared = _with_ids(seen, state.next_id, how.min_hits)
    lost = (known.track_ids > 0) & ~_mask(len(known), rows)
    next_id = state.next_id + int(appeared.sum())
    waiting = known.take(np.flatnonzero(lost)[:_MAX_LOST])
    behind = TrackerState(seen.join(waiting), next_id, time_ms, best_score)
    shown = seen.track_ids > 0
    found = np.concatenate([columns, new])[shown]
    return behind, Update(seen.take(shown), found, appeared[shown], left)


class _Pairs:
    """Pairs of objects and detections that were found so far."""

    def __init__(self, objects: Objects, detections: Detections) -> None:
        self._boxes = objects.motion.boxes_xyxy
        self._detections = detections
        self._same = objects.class_ids[:, None] == detections.class_ids[None, :]
        self.columns = np.full(len(objects), -1, np.intp)
        self._taken = np.zeros(len(detections), bool)

    def find(self, objects: Mask, detections: Mask, min_iou: float, grown_by: float = 0.0) -> None:
        """Pair free ones of these objects with free ones of these detections."""
        rows = np.flatnonzero(objects & (self.columns < 0))
        columns = np.flatnonzero(detections & ~self._taken)
        if not len(rows) or not len(columns):
            return
        overlap = box_iou(
            grown(self._boxes[rows], grown_by),
            grown(self._detections.boxes_xyxy[columns], grown_by),
        )
        overlap *= np.where(self._same[np.ix_(rows, columns)], 1.0, _OTHER_CLASS)
        found, of = best_pairs(overlap, min_similarity=min_iou)
        self.columns[rows[found]] = columns[of]
        self._taken[columns[of]] = True


def _associate(
    objects: Objects, detections: Detections, good: Mask, last_time_ms: int, how: Tracking
) -> tuple[Rows, Rows]:
    """Return which object has which detection: rows, and columns."""
    pairs = _Pairs(objects, detections)
    poor = (detections.scores >= how.low_score) & ~good
    has_id = objects.track_ids > 0
    just_seen = objects.last_ms >= last_time_ms - _JUST_MS
    if how.method == "sort":
        pairs.find(np.ones(len(objects), bool), good, how.min_iou)
    else:
        pairs.find(has_id, good, how.min_iou, how.grown_by)
        pairs.find(has_id & just_seen, poor, how.min_low_iou)
        pairs.find(~has_id, good, how.min_iou, how.grown_by)
    rows = np.flatnonzero(pairs.columns >= 0)
    return rows, pairs.columns[rows]


def _hit(
    objects: Objects, detections: Detections, columns: Rows, time_ms: int, noise: Noise
) -> Objects:
    """Return objects after a detection of each."""
    motion = correct(objects.motion, detections.boxes_xyxy[columns], noise)
    votes = [
        {**votes, class_id: votes.get(class_id, 0.0) + score}
        for votes, class_id, score in zip(
            objects.votes,
            detections.class_ids[columns].tolist(),
            detections.scores[columns].tolist(),
            strict=True,
        )
    ]
    return replace(
        objects,
        motion=motion,
        n_hits=objects.n_hits + np.int32(1),
        last_ms=np.full(len(objects), time_ms, np.int64),
        last_boxes_xyxy=motion.boxes_xyxy,
        votes=tuple(votes),
    )


def _born(detections: Detections, time_ms: int, noise: Noise) -> Objects:
    """Return objects that were seen once."""
    n = len(detections)
    columns = zip(detections.class_ids.tolist(), detections.scores.tolist(), strict=True)
    return Objects(
        motion_of(detections.boxes_xyxy, noise),
        track_ids=np.zeros(n, np.int64),
        n_hits=np.ones(n, np.int32),
        first_ms=np.full(n, time_ms, np.int64),
        last_ms=np.full(n, time_ms, np.int64),
        last_boxes_xyxy=detections.boxes_xyxy,
        votes=tuple({class_id: score} for class_id, score in columns),
    )


def _with_ids(objects: Objects, next_id: int, min_hits: int) -> tuple[Objects, Mask]:
    """Give an id to the objects that have earned one now; return also which these are."""
    appeared = (objects.track_ids == 0) & (objects.n_hits >= min_hits)
    track_ids = objects.track_ids.copy()
    track_ids[appeared] = next_id + np.arange(int(appeared.sum()))
    return replace(objects, track_ids=track_ids), appeared


def _mask(n: int, rows: Rows) -> Mask:
    """Return bool [n], true at these rows."""
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask
