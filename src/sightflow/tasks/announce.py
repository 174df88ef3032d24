"""Say once what a light shows and what a sign means: by a vote of its last images, not of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from sightflow.errors import PipelineError
from sightflow.options import check_choices, check_count
from sightflow.protocols import Context, Fold
from sightflow.records import UNKNOWN, Detections, Event, ImageRecord, ObjectClasses
from sightflow.records.arrays import plain_floats
from sightflow.records.state import StateCodec
from sightflow.tasks.vote import majority

__all__ = ["Announce"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """What one image of an object says."""

    label: str
    class_id: int | None
    score: float
    sequence: int
    time_ms: int
    box_xyxy: Box


@dataclass(frozen=True)
class Said:
    """What is said of an object, since when, and by which images."""

    label: str
    class_id: int | None
    first: Look
    """The first image that says so."""
    last: Look
    """The last image of the object since, whatever it says."""
    n_votes: int
    """Images that say so."""
    score_sum: float
    """Of these images."""

    @property
    def score(self) -> float:
        """Their mean."""
        return self.score_sum / self.n_votes


@dataclass(frozen=True)
class Watched:
    """What is known of an object that is followed."""

    looks: tuple[Look, ...] = ()
    """Its last ones."""
    said: Said | None = None
    seen_ms: int = 0
    """When it was last seen."""


@dataclass(frozen=True)
class WatchedStream:
    """What `Announce` knows of one stream."""

    source_id: str = ""
    objects: Mapping[int, Watched] = field(default_factory=dict)
    """By track id."""


_STATES = StateCodec(WatchedStream, "announced objects", version=1)


@dataclass(frozen=True)
class Announce:
    """Say once for each track what its light shows, or its sign means, and when it ends or changes.

    A single bad image changes nothing. The detections of a track have what is said of the track.
    """

    of: Literal["states", "signs"]
    """What is said: the `state` of traffic lights, or the meaning of each `sign`."""
    n_looks: int = 7
    """How many of the last images of an object vote; from 1."""
    min_votes: int = 3
    """So many of them, and more than half, must say the same; from 1."""
    memory_ms: int = 1_000
    """How long an image votes, in ms."""
    max_age_ms: int = 2_000
    """How long an object that is not seen is remembered, in ms; as in `Track`."""
    max_out_of_order_ms: int = 0
    """As in `Track`; the largest among the steps holds for all."""

    adjustable: ClassVar[tuple[str, ...]] = ("min_votes", "memory_ms", "max_age_ms")

    @property
    def needs(self) -> tuple[str, ...]:
        """What objects show or mean, and which track they have."""
        return (f"detections.{self.of}", "detections.track_ids")

    @property
    def gives(self) -> tuple[str, ...]:
        """Detections, with what is said of their tracks."""
        return ("detections",)

    def check(self) -> None:
        """Refuse numbers that cannot be."""
        check_choices(self)
        check_count(self, "n_looks", "min_votes", "memory_ms", at_least=1)
        check_count(self, "max_age_ms", "max_out_of_order_ms")
        if self.min_votes > self.n_looks:
            raise PipelineError(
                f"Announce: `min_votes` is at most `n_looks`; got {self.min_votes} and "
                f"{self.n_looks}"
            )

    def open_fold(self, context: Context) -> Fold[WatchedStream]:
        """Return the vote as a fold."""

        def step(
            state: WatchedStream, record: ImageRecord
        ) -> tuple[WatchedStream, ImageRecord, list[Event]]:
            origin = record.origin
            found, classes = self._looked_at(record, context.step)
            told = _Teller(context.step, origin.source_id)
            oldest = origin.event_time_ms - self.max_age_ms
            objects = dict(told.kept(state.objects, oldest))
            labels, class_ids = list(classes.labels), list(classes.class_ids)
            for i, track_id, look in _looks(found, classes, record):
                before = objects.get(track_id, Watched())
                now = objects[track_id] = self._watched(before, look)
                told.change(track_id, before.said, now.said)
                if now.said is not None:
                    labels[i], class_ids[i] = now.said.label, now.said.class_id
            said: dict[str, Any] = {
                self.of: replace(classes, labels=tuple(labels), class_ids=tuple(class_ids))
            }
            record = replace(record, detections=replace(found, **said))
            return WatchedStream(origin.source_id, objects), record, told.events

        def end(state: WatchedStream) -> list[Event]:
            told = _Teller(context.step, state.source_id)
            for track_id, watched in sorted(state.objects.items()):
                told.change(track_id, watched.said, None)
            return told.events

        return Fold(WatchedStream, step, end, _STATES.encode, _STATES.decode)

    def _looked_at(self, record: ImageRecord, step: str) -> tuple[Detections, ObjectClasses]:
        found = record.detections
        classes: ObjectClasses | None = getattr(found, self.of, None)
        if found is None or classes is None or found.track_ids is None:
            maker = "ClassifyTrafficLight" if self.of == "states" else "ClassifySign"
            raise PipelineError(
                f"step {step!r} says what objects show that are followed and looked at; put "
                f"{maker} and Track before it"
            )
        return found, classes

    def _watched(self, before: Watched, look: Look) -> Watched:
        """Return what is known of an object with one more look at it."""
        recent = [one for one in before.looks if one.time_ms > look.time_ms - self.memory_ms]
        looks = (*recent, look)[-self.n_looks :]
        label, said = self._vote(looks), before.said
        if label is not None and (said is None or said.label != label):
            votes = [one for one in looks if one.label == label]
            score_sum = sum(one.score for one in votes)
            said = Said(label, votes[-1].class_id, votes[0], look, len(votes), score_sum)
        elif said is not None:
            agrees = look.label == said.label
            said = replace(
                said,
                last=look,
                n_votes=said.n_votes + agrees,
                score_sum=said.score_sum + look.score * agrees,
            )
        return Watched(looks, said, look.time_ms)

    def _vote(self, looks: Sequence[Look]) -> str | None:
        """Return what most looks say, if enough do; `unknown` is never said."""
        labels = [None if look.label == UNKNOWN else look.label for look in looks]
        return majority(labels, min_votes=self.min_votes)


class _Teller:
    """The events of one image."""

    def __init__(self, step: str, source_id: str) -> None:
        self._step, self._source_id = step, source_id
        self.events: list[Event] = []

    def kept(self, objects: Mapping[int, Watched], oldest_ms: int) -> Iterator[tuple[int, Watched]]:
        """Yield the objects that were seen lately; tell the end of what was said of the others."""
        for track_id, watched in sorted(objects.items()):
            if watched.seen_ms >= oldest_ms:
                yield track_id, watched
            else:
                self.change(track_id, watched.said, None)

    def change(self, track_id: int, before: Said | None, now: Said | None) -> None:
        """Tell what is no longer said, with its images, and what is said from now on."""
        goes_on = before is not None and now is not None and before.label == now.label
        if before is not None and not goes_on:
            self._tell("ended", track_id, before, before.last.time_ms - before.first.time_ms)
        if now is not None and not goes_on:
            self._tell("announced", track_id, now, None)

    def _tell(self, kind: str, track_id: int, said: Said, duration_ms: int | None) -> None:
        figures = {
            "score": said.score,
            "n_votes": float(said.n_votes),
            "first_sequence": float(said.first.sequence),
        }
        self.events.append(
            Event(
                kind,
                self._step,
                self._source_id,
                said.last.sequence,
                said.last.time_ms,
                track_id,
                said.class_id,
                said.label,
                said.last.box_xyxy,
                duration_ms=duration_ms,
                figures=figures,
            )
        )


def _looks(
    found: Detections, classes: ObjectClasses, record: ImageRecord
) -> Iterator[tuple[int, int, Look]]:
    """Yield what each object says that is followed: its row, its track, the look."""
    scores, origin = plain_floats(classes.scores), record.origin
    columns = zip(found.track_ids or (), classes.labels, classes.class_ids, scores, strict=True)
    for i, (track_id, label, class_id, score) in enumerate(columns):
        if track_id is not None and label is not None:
            x1, y1, x2, y2 = plain_floats(found.boxes_xyxy[i])
            at = origin.sequence, origin.event_time_ms
            yield i, track_id, Look(label, class_id, score, *at, (x1, y1, x2, y2))
