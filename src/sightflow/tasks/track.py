"""Follow objects through a stream: the same object has the same id, image after image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.options import check_choices, check_count, check_number, check_share
from sightflow.protocols import Context, Fold
from sightflow.records import Detections, Event, Faces, ImageRecord, Tracks
from sightflow.records.arrays import plain_floats
from sightflow.tasks.tracker import Objects, Tracking, Update, update
from sightflow.tasks.tracker_state import TrackedStream, decode_stream, encode_stream

__all__ = ["Track"]

FACE = "face"
"""The label of a face that is followed."""


@dataclass(frozen=True)
class Track(Tracking):
    """Follow the objects that an earlier step detected; tell when one appears and leaves."""

    of: Literal["detections", "faces"] = "detections"
    """What is followed; each is told the `track_id` that it has."""
    labels: tuple[str, ...] = ()
    """Only objects of these classes are followed; empty: all are. A face has the label `face`."""
    max_out_of_order_ms: int = 0
    """How much later than a younger image of its stream an image may come, in ms; it is put in
    order."""

    word_options: ClassVar[tuple[str, ...]] = ("labels",)
    adjustable: ClassVar[tuple[str, ...]] = (
        "labels",
        "high_score",
        "relative_score",
        "low_score",
        "min_iou",
        "min_low_iou",
        "grown_by",
        "max_age_ms",
        "min_hits",
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """What is followed."""
        return (self.of,)

    @property
    def gives(self) -> tuple[str, ...]:
        """Tracks, and which one each of what is followed has."""
        return ("tracks", self.of, f"{self.of}.track_ids")

    def check(self) -> None:
        """Refuse a method that is none, and numbers that cannot be."""
        check_choices(self)
        check_share(self, "high_score", "relative_score", "low_score", "min_iou", "min_low_iou")
        if self.low_score > self.high_score:
            raise PipelineError(
                f"Track: `low_score` is at most `high_score`; got {self.low_score} and "
                f"{self.high_score}"
            )
        check_number(self, "grown_by", within="[0, inf)")
        check_count(self, "max_age_ms", "max_out_of_order_ms")
        check_count(self, "min_hits", at_least=1)

    def open_fold(self, context: Context) -> Fold[TrackedStream]:
        """Return the tracker as a fold."""

        def step(
            state: TrackedStream, record: ImageRecord
        ) -> tuple[TrackedStream, ImageRecord, list[Event]]:
            origin = record.origin
            rows, found = self._wanted(record, context.step)
            tracker, news = update(state.tracker, found, origin.event_time_ms, self)
            known = dict(zip(found.class_ids.tolist(), found.labels, strict=True))
            labels = {**state.labels, **known}
            state = TrackedStream(tracker, labels, origin.source_id, origin.sequence)
            events = [
                *_events("appeared", news.seen.take(news.appeared), state, context.step),
                *_events("left", news.left, state, context.step),
            ]
            record = replace(record, tracks=_tracks(news, found, labels))
            return state, self._told(record, rows[news.detections], news.seen.track_ids), events

        def end(state: TrackedStream) -> list[Event]:
            objects = state.tracker.objects
            return [*_events("left", objects.take(objects.track_ids > 0), state, context.step)]

        return Fold(TrackedStream, step, end, encode_stream, decode_stream)

    def _wanted(self, record: ImageRecord, step: str) -> tuple[npt.NDArray[np.intp], Detections]:
        """Return the detections to follow, and which of those in the image they are."""
        found = record.detections if self.of == "detections" else _as_objects(record.faces)
        if found is None:
            maker = "Detect" if self.of == "detections" else "DetectFaces"
            raise PipelineError(
                f"step {step!r} follows what an earlier step detected; add one, such as {maker}"
            )
        rows = np.arange(len(found))
        if self.labels:
            rows = rows[np.isin(found.labels, self.labels)]
            found = found.take(rows)
        return rows, found

    def _told(
        self,
        record: ImageRecord,
        rows: npt.NDArray[np.intp],
        track_ids: npt.NDArray[np.int64],
    ) -> ImageRecord:
        """Return an image whose objects of these rows are told their tracks, the others none."""
        followed: Detections | Faces = getattr(record, self.of)
        track_of = dict(zip(rows.tolist(), track_ids.tolist(), strict=True))
        known = tuple(track_of.get(i) for i in range(len(followed)))
        told: dict[str, Any] = {self.of: replace(followed, track_ids=known)}
        return replace(record, **told)


def _as_objects(faces: Faces | None) -> Detections | None:
    """Return faces as objects of one class."""
    if faces is None:
        return None
    n = len(faces)
    return Detections(faces.boxes_xyxy, faces.scores, np.zeros(n, np.int32), (FACE,) * n)


def _tracks(news: Update, found: Detections, labels: Mapping[int, str]) -> Tracks:
    """Return the objects that are seen in an image, in the order of their ids."""
    order = news.seen.track_ids.argsort(kind="stable")
    seen, detections = news.seen.take(order), news.detections[order]
    class_ids = seen.class_ids
    return Tracks(
        seen.track_ids,
        seen.last_boxes_xyxy,
        found.scores[detections],
        class_ids,
        tuple(labels[class_id] for class_id in class_ids.tolist()),
        seen.motion.velocities_xy,
        seen.last_ms - seen.first_ms,
        seen.n_hits,
    )


def _events(kind: str, objects: Objects, state: TrackedStream, step: str) -> Iterator[Event]:
    """Yield an event of this kind for each object."""
    class_ids = objects.class_ids
    for i in objects.track_ids.argsort(kind="stable"):
        class_id = int(class_ids[i])
        x1, y1, x2, y2 = plain_floats(objects.last_boxes_xyxy[i])
        seen_ms = int(objects.last_ms[i] - objects.first_ms[i])
        yield Event(
            kind,
            step,
            state.source_id,
            state.sequence,
            state.tracker.time_ms,
            int(objects.track_ids[i]),
            class_id,
            state.labels[class_id],
            (x1, y1, x2, y2),
            duration_ms=seen_ms if kind == "left" else None,
        )
