"""A gallery as a table: those who are enrolled, while others are enrolled and forgotten."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.protocols import Context
from sightflow.records import Event, TableUpdate
from sightflow.records.state import StateCodec
from sightflow.storage.galleryfile import (
    Enrolled,
    Forgotten,
    GalleryFacts,
    GalleryFile,
    GalleryFollower,
)
from sightflow.tasks.face_index import FaceIndex

__all__ = ["Gallery", "GalleryTable", "change_of", "face_row", "person_of"]

_LOOK_EVERY_S = 0.2
_AT_ONCE = 500
"""Changes in one update."""


class _Row(msgspec.Struct, array_like=True):
    """One face, as it is kept in checkpoints and told to workers."""

    person_id: str
    embedding: bytes
    """float32 [D], little-endian."""
    model: str
    """Name and version of the model that made it."""


_ROWS = StateCodec(_Row, "gallery", version=1)


def face_row(person_id: str, embedding: npt.NDArray[np.float32], model: str) -> bytes:
    """Return a face as the row of a table; the model is its name and its version."""
    return _ROWS.encode(_Row(person_id, embedding.astype("<f4").tobytes(), model))


def person_of(row: bytes) -> str:
    """Return whose face a row is."""
    return _ROWS.decode(row).person_id


def change_of(rows: Mapping[str, bytes | None], step: str, version: int) -> Event:
    """Return the event of an update: how many, and nobody's name, which would outlive them."""
    n_gone = sum(row is None for row in rows.values())
    figures = {
        "version": float(version),
        "n_enrolled": float(len(rows) - n_gone),
        "n_forgotten": float(n_gone),
    }
    return Event("gallery", step, "", 0, int(time.time() * 1000), figures=figures)


class GalleryTable(FaceIndex):
    """An index that takes the updates of a table."""

    model = ""
    """Name and version of the model that made the embeddings; empty without any."""

    def update(self, update: TableUpdate) -> None:
        """Put in and take out what an update says."""
        faces = {k: None if row is None else _ROWS.decode(row) for k, row in update.rows.items()}
        self.model = next((face.model for face in faces.values() if face), self.model)
        rows = {k: None if face is None else _named(face) for k, face in faces.items()}
        self.change(rows, version=update.version)


def _named(face: _Row) -> tuple[str, npt.NDArray[np.float32]]:
    embedding = np.frombuffer(face.embedding, "<f4").astype(np.float32, copy=False)
    return face.person_id, embedding


def _name_of(facts: GalleryFacts) -> str:
    return f"{facts.model} {facts.model_version}"


@dataclass(frozen=True)
class Gallery:
    """The faces in a folder that `sightflow faces enrol` fills.

    While a job runs, others may be enrolled there and forgotten: the job learns of it at once.
    """

    path: str

    def __post_init__(self) -> None:
        """Let a folder have one name."""
        object.__setattr__(self, "path", os.path.normpath(self.path))

    @property
    def embedder_name(self) -> str:
        """Name and version of the model whose embeddings it has."""
        return _name_of(GalleryFile(Path(self.path)).facts())

    def check(self) -> None:
        """Refuse a folder that is no gallery, or cannot be read with the key that is there."""
        GalleryFile(Path(self.path)).check()

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> "GalleryUpdates":
        """Return the changes of the gallery, from the first or behind a number."""
        file = GalleryFile(Path(self.path))
        facts, gallery_id = file.facts(), file.gallery_id()
        there, _, number = (position or f"{gallery_id} 0").partition(" ")
        follower = file.follow(int(number), there)
        return GalleryUpdates(
            follower, (there, int(number)), _name_of(facts), context.step, is_new=position is None
        )

    def open_table(self) -> GalleryTable:
        """Return an index without faces."""
        return GalleryTable()


class GalleryUpdates:
    """The changes of a gallery as updates of a table."""

    def __init__(
        self,
        follower: GalleryFollower,
        place: tuple[str, int],
        model: str,
        step: str,
        *,
        is_new: bool,
    ) -> None:
        """Take what follows the file, and which gallery and change it begins behind.

        What is there at first is no news.
        """
        self._follower, self._model, self._step = follower, model, step
        self._gallery_id, self._number = place
        self._waiting: Iterator[Enrolled | Forgotten] = iter(())
        self._is_new, self._is_caught_up = is_new, False
        self._last_of_first_look = self._number
        """The last change that was there when it was opened."""
        self._looked_at = -float("inf")

    def poll(self, timeout_s: float) -> TableUpdate | None:
        """Return what has changed, some of it at a time."""
        changes = list(islice(self._waiting, _AT_ONCE)) or self._looked(timeout_s)
        if not changes:
            self._is_caught_up = True
            return None
        self._number = changes[-1].number
        self._is_caught_up = self._is_caught_up or self._number >= self._last_of_first_look
        rows: dict[str, bytes | None] = {}
        for change in changes:
            if isinstance(change, Forgotten):
                rows.update(dict.fromkeys(change.keys))
            else:
                rows[change.key] = face_row(change.person_id, change.embedding, self._model)
        return TableUpdate(self._number, rows, self._news(rows))

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when it was opened."""
        return self._is_caught_up

    def position(self) -> str:
        """Return which gallery it is, and the number of the last change."""
        return f"{self._gallery_id} {self._number}"

    def _looked(self, timeout_s: float) -> list[Enrolled | Forgotten]:
        """Look at the file, no more often than needed."""
        wait_s = self._looked_at + _LOOK_EVERY_S - time.monotonic()
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            return []
        time.sleep(max(0.0, wait_s))
        is_first = self._looked_at == -float("inf")
        self._looked_at = time.monotonic()
        found = self._follower.poll()
        if is_first:
            self._last_of_first_look = found[-1].number if found else self._number
        self._waiting = iter(found)
        return list(islice(self._waiting, _AT_ONCE))

    def _news(self, rows: Mapping[str, bytes | None]) -> tuple[Event, ...]:
        """Return what the output is told of a change behind the first ones."""
        if self._is_new and self._number <= self._last_of_first_look:
            return ()
        return (change_of(rows, self._step, self._number),)
