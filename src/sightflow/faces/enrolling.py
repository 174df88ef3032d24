"""Enrol people from a folder of their pictures."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from sightflow.faces.describing import DescribedFace, FaceModels, OnProgress, describe
from sightflow.ops.decode import decode
from sightflow.records import Row
from sightflow.settings import RunSettings
from sightflow.sources.directory import Directory
from sightflow.sources.labelled import Labelled
from sightflow.storage.files import Reader
from sightflow.storage.galleryfile import GalleryFacts, GalleryFile, NewFace
from sightflow.tasks.face_index import FaceIndex

__all__ = ["Enrolment", "Likeness", "enrol"]

_THUMBNAIL_PX, _THUMBNAIL_QUALITY, _AROUND = 112, 85, 0.25


@dataclass(frozen=True)
class Likeness:
    """A picture that is more like somebody else than two people should be."""

    uri: str
    person_id: str
    other_id: str
    similarity: float


@dataclass(frozen=True)
class Enrolment:
    """What came of enrolling a folder."""

    version: int
    """Of the gallery."""
    n_faces: int
    """Enrolled, or there already."""
    n_people: int
    rejected: tuple[Row, ...]
    """Pictures that were not enrolled: `uri`, `reason`, `message`."""
    alike: tuple[Likeness, ...]
    """Who may be in the folder of somebody else."""


def enrol(
    gallery: Path,
    directory: str,
    models: FaceModels,
    settings: RunSettings,
    *,
    person_id: str | None = None,
    several: Literal["take", "reject"] = "reject",
    thumbnails: bool = False,
    alike: float = 1.0,
    on_progress: OnProgress = lambda ledger, n_images: None,
) -> Enrolment:
    """Put the people of a folder into a gallery: all of them at once, when all are described.

    Args:
        gallery: folder of the gallery; it is made if there is none.
        directory: has a folder for each person; or all pictures of one, with `person_id`.
        models: that find and describe the faces.
        settings: of the run.
        person_id: whose pictures all are.
        several: what happens to a picture with several faces, see `MainFace`.
        thumbnails: whether a small picture of each face is kept.
        alike: similarity from which another person's picture is told.
        on_progress: told the ledger so far and how many pictures there are, now and then.

    Raises:
        GalleryError: the gallery is one of another model, or cannot be written.
    """
    file = GalleryFile(gallery)
    if file.exists():
        file.check()
    source = Labelled(Directory(directory))
    faces, rejected = describe(source, models, settings, several=several, on_progress=on_progress)
    if person_id is not None:
        faces = [replace(face, label=person_id) for face in faces]
    named = [face for face in faces if person_id is not None or _has_folder(face, directory)]
    nobody = [_nobody(face) for face in faces if face not in named]
    new = [_new(face, thumbnails=thumbnails) for face in named]
    embedder = models.embedder
    if not new:
        version = file.version() if file.exists() else 0
        return Enrolment(version, 0, 0, (*rejected, *nobody), ())
    facts = GalleryFacts(embedder.card.name, embedder.version, new[0].embedding.size)
    version = file.enrol(new, facts)
    n_people = len({face.person_id for face in new})
    rejects = (*rejected, *nobody)
    return Enrolment(version, len(new), n_people, rejects, _alike(file, new, alike))


def _has_folder(face: DescribedFace, directory: str) -> bool:
    """Return whether a picture lies in a folder of a person, and not beside these."""
    folder = os.path.dirname(face.uri.rpartition("::")[0] or face.uri)
    return bool(face.label) and os.path.abspath(folder) != os.path.abspath(directory)


def _nobody(face: DescribedFace) -> Row:
    message = "it is in no folder of a person; put it into one, or say whose picture it is"
    return {"uri": face.uri, "step": "enrol", "reason": "no_person", "message": message}


def _new(face: DescribedFace, *, thumbnails: bool) -> NewFace:
    thumbnail = _thumbnail(face) if thumbnails else None
    return NewFace(str(face.label), face.embedding, face.uri, thumbnail)


def _thumbnail(face: DescribedFace) -> bytes:
    """Return a small JPEG of a face; its picture is read once more."""
    pixels = decode(Reader().read(face.uri)).pixels
    x1, y1, x2, y2 = face.box_xyxy
    around = _AROUND * max(x2 - x1, y2 - y1)
    height, width = pixels.shape[:2]
    box = (
        max(0, x1 - around),
        max(0, y1 - around),
        min(width, x2 + around),
        min(height, y2 + around),
    )
    image = Image.fromarray(pixels).crop([round(side) for side in box])  # type: ignore[arg-type]
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_THUMBNAIL_QUALITY)
    return buffer.getvalue()


def _alike(file: GalleryFile, new: Sequence[NewFace], alike: float) -> tuple[Likeness, ...]:
    """Return which new faces are as alike to somebody else as the same person would be."""
    index = FaceIndex()
    rows = {entry.key: (entry.person_id, entry.embedding) for entry in file.entries()}
    index.change(rows, version=0)
    found = []
    for face in new:
        other_id, similarity = index.most_alike_other(face.embedding, face.person_id)
        if other_id is not None and similarity >= alike:
            found.append(Likeness(face.uri, face.person_id, other_id, similarity))
    return tuple(found)
