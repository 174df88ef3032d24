"""Enrolments as a table: pictures of people in a stream, which are described in the job itself."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from sightflow.errors import DecodeError, SourceError
from sightflow.models import ModelFile
from sightflow.ops.decode import decode
from sightflow.options import check_choices
from sightflow.protocols import Context, Process
from sightflow.records import Event, ImageRecord, Origin, Outcome, Rejected, TableUpdate
from sightflow.storage.files import Reader
from sightflow.storage.gallerylog import as_person_id, as_typed
from sightflow.storage.growinglines import GrowingLines
from sightflow.tasks.align_faces import AlignFaces
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.tasks.gallery import GalleryTable, change_of, face_row, person_of
from sightflow.tasks.main_face import MainFace

__all__ = ["Enrolments"]

_Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """What a line says; one of the two."""

    enrol: _Name | None = None
    picture: _Name | None = None
    forget: _Name | None = None

    def __post_init__(self) -> None:
        """Refuse a line that says neither or both."""
        if (self.enrol is None) == (self.forget is None):
            raise ValueError("a line has either `enrol` and `picture`, or `forget`")
        if (self.picture is None) != (self.enrol is None):
            raise ValueError("`enrol` and `picture` go together")


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_LINES = msgspec.json.Decoder(_Line)


@dataclass(frozen=True)
class Enrolments:
    """People who are enrolled and forgotten by the lines of a file that grows.

    A line is `{"enrol": "ann", "picture": "ann/1.jpg"}` or `{"forget": "ann"}`. The gallery is in
    the state of the job and nowhere else. A picture that cannot be enrolled is an event `refused`.
    """

    path: str
    """Of the file, which need not be there yet. Pictures are looked for beside it."""
    several: Literal["take", "reject"] = "reject"
    """What happens to a picture with several faces, see `MainFace`."""
    detector: ModelFile = field(default_factory=lambda: DetectFaces().model)
    aligner: ModelFile | None = field(default_factory=lambda: AlignFaces().model)
    """None: the landmarks of the detector are those that the embedder knows."""
    embedder: ModelFile = field(default_factory=lambda: EmbedFaces().model)
    """The same as that of the pipeline."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """Refuse models that do not fit."""
        check_choices(self)
        *earlier, embed = self._operators()
        for operator in (*earlier, embed):
            operator.check()
        embed.check_after(earlier)

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> "EnrolmentUpdates":
        """Return what the lines say, from the first or behind a byte."""
        steps = [operator.open(context) for operator in self._operators()]
        return EnrolmentUpdates(self, context.step, steps, int(position or 0), rows)

    def open_table(self) -> GalleryTable:
        """Return an index without faces."""
        return GalleryTable()

    @property
    def embedder_name(self) -> str:
        """Name and version of the model whose embeddings it has."""
        return f"{self.embedder.card.name} {self.embedder.version}"

    def _operators(self) -> tuple[Any, ...]:
        """Return the steps that describe a picture; the last one embeds."""
        align = () if self.aligner is None else (AlignFaces(self.aligner),)
        detect, embed = DetectFaces(self.detector), EmbedFaces(self.embedder)
        return (detect, MainFace(self.several), *align, embed)


class EnrolmentUpdates:
    """The lines of a file as updates of a table."""

    def __init__(
        self,
        source: Enrolments,
        step: str,
        steps: list[Process],
        start: int,
        rows: Mapping[str, bytes],
    ) -> None:
        """Take the steps that describe a picture, and who is enrolled by now."""
        self._source, self._step, self._steps = source, step, steps
        self._lines = GrowingLines(source.path, start, follow=True)
        self._end = self._lines.size()
        self._is_new, self._is_caught_up = start == 0, False
        self._reader = Reader()
        self._keys: dict[str, list[str]] = {}
        for key, row in rows.items():
            self._keys.setdefault(as_typed(person_of(row)), []).append(key)

    def poll(self, timeout_s: float) -> TableUpdate | None:
        """Return what the next line says; what cannot be enrolled is told, and no change."""
        found = self._lines.poll(timeout_s)
        version = self._lines.next
        self._is_caught_up = self._is_caught_up or found is None or version >= self._end
        if found is None:
            return None
        start, line = found
        try:
            said = _LINES.decode(line)
            if said.forget is not None:
                gone = self._keys.pop(as_typed(said.forget), [])
                return self._changed(version, dict.fromkeys(gone))
            person_id = as_person_id(str(said.enrol))
        except ValueError as error:  # msgspec's errors are ValueErrors, as is ours
            return self._refused(start, version, "bad_line", error)
        return self._enrolled(person_id, str(said.picture), start, version)

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when it was opened."""
        return self._is_caught_up

    def position(self) -> str:
        """Return the byte behind the last line."""
        return str(self._lines.next)

    def _enrolled(self, person_id: str, picture: str, start: int, version: int) -> TableUpdate:
        """Return the row of a picture; or why there is none."""
        outcome = self._described(picture)
        if isinstance(outcome, Rejected):
            return self._refused(start, version, outcome.reason, None)
        embeddings = outcome.faces.embeddings if outcome.faces is not None else None
        if embeddings is None:
            raise SourceError(f"{self._source.path}: no step has described the face of a picture")
        row = face_row(person_id, embeddings[0], self._source.embedder_name)
        key = f"line {version}"  # says nothing of the person
        self._keys.setdefault(person_id, []).append(key)
        return self._changed(version, {key: row})

    def _described(self, picture: str) -> Outcome:
        """Return the picture with its face described."""
        is_url = "://" in picture
        uri = picture if is_url else str(Path(self._source.path).parent / picture)
        origin = Origin(uri, self._source.path, 0, 0, picture)
        try:
            decoded = decode(self._reader.read(uri))
        except OSError as error:
            return Rejected(origin, self._step, "unreadable", str(error))
        except DecodeError as error:
            return Rejected(origin, self._step, error.reason, error.message)
        outcome: Outcome = ImageRecord(origin, decoded.width, decoded.height, decoded.pixels)
        for process in self._steps:
            if isinstance(outcome, Rejected):
                return outcome
            (outcome,) = process([outcome])
        return outcome

    def _changed(self, version: int, rows: Mapping[str, bytes | None]) -> TableUpdate:
        """Return a change, and what the output is told of one behind the first ones."""
        if self._is_new and version <= self._end:
            return TableUpdate(version, rows)
        return TableUpdate(version, rows, (change_of(rows, self._step, version),))

    def _refused(
        self, start: int, version: int, reason: str, error: Exception | None
    ) -> TableUpdate:
        """Return an update that changes nothing and tells which line, and why, in one word.

        The line and the picture may name a person: they stay in the file.
        """
        if isinstance(error, msgspec.MsgspecError):
            reason = f"{reason}: {error}"
        uri, now_ms = f"{self._source.path}#{start}", int(time.time() * 1000)
        told = Event("refused", self._step, "", 0, now_ms, uri=uri, reason=reason)
        return TableUpdate(version, {}, (told,))
