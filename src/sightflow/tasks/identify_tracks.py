"""Say of each face that is followed whose it is: once, by its best pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.options import check_count
from sightflow.protocols import Context, Fold, TableSource, last_giver
from sightflow.records import Event, Faces, ImageRecord
from sightflow.records.arrays import plain_floats
from sightflow.records.state import StateCodec
from sightflow.tasks.face_index import FaceIndex
from sightflow.tasks.identify import Identify
from sightflow.tasks.vote import majority

__all__ = ["IdentifyTracks"]


@dataclass(frozen=True)
class Look:
    """What one picture of a followed face says."""

    quality: float
    """Side of the face in pixels, times its score."""
    person_id: str | None
    similarity: float
    time_ms: int = 0
    """When it was taken."""


@dataclass(frozen=True)
class Followed:
    """What is known of a face that is followed."""

    looks: tuple[Look, ...] = ()
    """The best of its pictures, best first."""
    person_id: str | None = None
    """Whose it is said to be."""
    seen_ms: int = 0
    """When it was last seen."""
    told_id: str | None = None
    """Whose it was said to be last, which is not told again."""

    def without_those(self, is_gone: Callable[[str], bool]) -> "Followed":
        """Return the same without what points to people who are no longer enrolled."""

        def kept(person_id: str | None) -> str | None:
            return None if person_id is None or is_gone(person_id) else person_id

        looks = tuple(replace(look, person_id=kept(look.person_id)) for look in self.looks)
        person_id, told_id = kept(self.person_id), kept(self.told_id)
        return replace(self, looks=looks, person_id=person_id, told_id=told_id)


@dataclass(frozen=True)
class FollowedFaces:
    """What `IdentifyTracks` knows of one stream."""

    faces: Mapping[int, Followed] = field(default_factory=dict)
    """By track id."""


_STATES = StateCodec(FollowedFaces, "followed faces", version=1)


@dataclass(frozen=True)
class IdentifyTracks:
    """Say once for each track whose face it is, by a vote of its best pictures.

    `Identify` says it for each picture; here a single bad one changes nothing. The faces of a track
    have the name of the track; `similarity` stays that of the picture.
    """

    gallery: TableSource
    """The same as that of `Identify`: who is forgotten is forgotten here too."""
    n_best: int = 7
    """How many of its pictures vote, the largest and sharpest; from 1."""
    min_votes: int = 2
    """So many of them, and more than half, must say the same; from 1."""
    memory_ms: int = 10_000
    """How long a picture votes, in ms: a track that goes over to somebody else is named anew."""
    max_age_ms: int = 2_000
    """How long a track that is not seen is remembered, in ms; as in `Track`."""
    max_out_of_order_ms: int = 0
    """As in `Track`; the largest among the steps holds for all."""

    needs: ClassVar[tuple[str, ...]] = ("faces.person_ids", "faces.track_ids")
    gives: ClassVar[tuple[str, ...]] = ("faces",)
    adjustable: ClassVar[tuple[str, ...]] = ("min_votes", "memory_ms", "max_age_ms")

    def check(self) -> None:
        """Refuse numbers that cannot be."""
        check_count(self, "n_best", "min_votes", "memory_ms", at_least=1)
        check_count(self, "max_age_ms", "max_out_of_order_ms")
        if self.min_votes > self.n_best:
            raise PipelineError(
                f"IdentifyTracks: `min_votes` is at most `n_best`; got {self.min_votes} and "
                f"{self.n_best}"
            )
        self.gallery.check()

    def check_after(self, earlier: Sequence[object]) -> None:
        """Refuse names from another gallery: nobody of it would be known here."""
        giver = last_giver(earlier, "faces.person_ids")
        if isinstance(giver, Identify) and giver.gallery != self.gallery:
            raise PipelineError(
                f"IdentifyTracks: `gallery` is that of Identify, {giver.gallery!r}; got "
                f"{self.gallery!r}"
            )

    def open_fold(self, context: Context) -> Fold[FollowedFaces]:
        """Return the vote as a fold."""
        index_of = context.tables(self.gallery)

        def step(
            state: FollowedFaces, record: ImageRecord
        ) -> tuple[FollowedFaces, ImageRecord, list[Event]]:
            faces, now_ms = _followed(record, context.step), record.origin.event_time_ms
            before = self._still_there(_without_forgotten(state, index_of()), now_ms)
            known = dict(before)
            for track_id, look in _looks(faces, now_ms):
                known[track_id] = self._looked(known.get(track_id), look, now_ms)
            events = list(_news(before, known, faces, record, context.step))
            return FollowedFaces(known), replace(record, faces=_named(faces, known)), events

        def encode(state: FollowedFaces) -> bytes:
            has_names = any(_names(followed) for followed in state.faces.values())
            return _STATES.encode(_without_forgotten(state, index_of()) if has_names else state)

        return Fold(FollowedFaces, step, lambda state: [], encode, _STATES.decode)

    def _still_there(self, state: FollowedFaces, now_ms: int) -> dict[int, Followed]:
        oldest = now_ms - self.max_age_ms
        return {k: followed for k, followed in state.faces.items() if followed.seen_ms >= oldest}

    def _looked(self, before: Followed | None, look: Look, now_ms: int) -> Followed:
        """Return what is known of a face with one more picture of it."""
        looks = [look] if before is None else [look, *before.looks]
        recent = [one for one in looks if one.time_ms > now_ms - self.memory_ms]
        best = sorted(recent, key=lambda one: -one.quality)[: self.n_best]
        person_id, told_id = self._vote(best), None if before is None else before.told_id
        return Followed(tuple(best), person_id, now_ms, person_id or told_id)

    def _vote(self, looks: Sequence[Look]) -> str | None:
        """Return the person that most pictures say, if enough do."""
        return majority([look.person_id for look in looks], min_votes=self.min_votes)


def _looks(faces: Faces, time_ms: int) -> Iterator[tuple[int, Look]]:
    """Yield what each face says that is followed, with its track."""
    sides = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).max(axis=1)
    qualities = plain_floats(sides * faces.scores)
    said = zip(faces.person_ids or (), plain_floats(_similarities(faces)), strict=True)
    for track_id, quality, (person_id, similarity) in zip(
        faces.track_ids or (), qualities, said, strict=True
    ):
        if track_id is not None:
            yield track_id, Look(quality, person_id, similarity, time_ms)


def _similarities(faces: Faces) -> npt.NDArray[np.float32]:
    return np.zeros(len(faces), np.float32) if faces.similarities is None else faces.similarities


def _names(followed: Followed) -> AbstractSet[str]:
    named = {look.person_id for look in followed.looks} | {followed.person_id, followed.told_id}
    return {name for name in named if name is not None}


def _without_forgotten(state: FollowedFaces, index: FaceIndex) -> FollowedFaces:
    """Return the state without what points to people who are no longer enrolled."""
    names = frozenset[str]().union(*(_names(one) for one in state.faces.values()))
    gone = names - index.person_ids if names else names
    if not gone:
        return state
    faces = {k: one.without_those(gone.__contains__) for k, one in state.faces.items()}
    return FollowedFaces(faces)


def _followed(record: ImageRecord, step: str) -> Faces:
    faces = record.faces
    if faces is None or faces.track_ids is None or faces.person_ids is None:
        raise PipelineError(
            f"step {step!r} names faces that are followed and looked up; put Identify and "
            'Track(of="faces") before it'
        )
    return faces


def _named(faces: Faces, known: Mapping[int, Followed]) -> Faces:
    """Return faces with what is known of their tracks."""
    tracks = [known.get(-1 if track is None else track) for track in faces.track_ids or ()]
    names = tuple(None if track is None else track.person_id for track in tracks)
    return replace(faces, person_ids=names)


def _news(
    before: Mapping[int, Followed],
    known: Mapping[int, Followed],
    faces: Faces,
    record: ImageRecord,
    step: str,
) -> Iterator[Event]:
    """Yield an event for each track whose person is known now, or is another one."""
    for i, track_id in enumerate(faces.track_ids or ()):
        person_id = known[track_id].person_id if track_id is not None else None
        if track_id is None or person_id is None:
            continue
        if track_id in before and before[track_id].told_id == person_id:
            continue
        x1, y1, x2, y2 = plain_floats(faces.boxes_xyxy[i])
        votes = [one for one in known[track_id].looks if one.person_id == person_id]
        figures = {
            "similarity": float(np.mean([one.similarity for one in votes])),
            "n_votes": float(len(votes)),
        }
        origin = record.origin
        yield Event(
            "identified",
            step,
            origin.source_id,
            origin.sequence,
            origin.event_time_ms,
            track_id=track_id,
            person_id=person_id,
            box_xyxy=(x1, y1, x2, y2),
            figures=figures,
        )
