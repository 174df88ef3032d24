"""Enrol people from a folder of their pictures."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from sightflow.errors import GalleryError
from sightflow.faces.describing import DescribedFace, FaceModels, OnProgress, describe
from sightflow.models import ModelFile
from sightflow.ops.decode import decode
from sightflow.records import Row
from sightflow.settings import RunSettings
from sightflow.sources.directory import Directory
from sightflow.storage.files import Reader
from sightflow.storage.galleryfile import Enrolled, GalleryFacts, GalleryFile, NewFace
from sightflow.storage.gallerylog import as_person_id
from sightflow.tasks.face_index import FaceIndex

__all__ = ["Enrolment", "Likeness", "Unlikeness", "by_person", "enrol", "uri_of"]

_THUMBNAIL_PX, _THUMBNAIL_QUALITY, _AROUND = 112, 85, 0.25


@dataclass(frozen=True)
class Likeness:
    """A picture that is more like somebody else than two people should be."""

    uri: str
    person_id: str
    other_id: str
    similarity: float


@dataclass(frozen=True)
class Unlikeness:
    """A picture that is less like all others of its person than two people may be."""

    uri: str
    person_id: str
    similarity: float
    """With the most alike of the others."""


@dataclass(frozen=True)
class Enrolment:
    """What came of enrolling a folder."""

    version: int
    """Of the gallery."""
    n_new: int
    """Faces that were not there."""
    n_faces: int
    """Of the folder, those included that were there."""
    n_people: int
    rejected: tuple[Row, ...]
    """Pictures that were not enrolled: `uri`, `reason`, `message`."""
    alike: tuple[Likeness, ...] = ()
    """Who may be in the folder of somebody else."""
    unlike: tuple[Unlikeness, ...] = ()
    """What may be the face of nobody, or of somebody else."""


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
    unlike: float = -1.0,
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
        unlike: similarity up to which a picture is told that is unlike the person's others.
        on_progress: told the ledger so far and how many pictures there are, now and then.

    Raises:
        GalleryError: the gallery is one of another model, or cannot be written.
    """
    file, before = GalleryFile(gallery), 0
    if file.exists():
        file.check()
        _check_same_model(file, models.embedder)
        before = file.version()
    if person_id is not None:
        person_id = as_person_id(person_id)
    faces, rejected = describe(
        Directory(directory), models, settings, several=several, on_progress=on_progress
    )
    if person_id is None:
        named, nobody = by_person(faces, directory)
    else:
        named, nobody = [(face, person_id) for face in faces], []
    new = [_new(face, person, thumbnails=thumbnails) for face, person in named]
    rejects = (*rejected, *nobody)
    if not new:
        return Enrolment(before, 0, 0, 0, rejects)
    embedder = models.embedder
    facts = GalleryFacts(embedder.card.name, embedder.version, new[0].embedding.size)
    version = file.enrol(new, facts)
    n_people = len({face.person_id for face in new})
    entries = file.entries()
    told = _alike(entries, new, alike), _unlike(entries, new, unlike)
    return Enrolment(version, version - before, len(new), n_people, rejects, *told)


def _check_same_model(file: GalleryFile, embedder: ModelFile) -> None:
    """Raise `GalleryError` early where embeddings could not be compared."""
    facts = file.facts()
    if (facts.model, facts.model_version) != (embedder.card.name, embedder.version):
        raise GalleryError(
            f"{file.folder}: has embeddings of {facts}; the embedder is {embedder.card.name} "
            f"{embedder.version}; take that model, or enrol into a new gallery"
        )


def by_person(
    faces: Sequence[DescribedFace], directory: str
) -> tuple[list[tuple[DescribedFace, str]], list[Row]]:
    """Return faces with whose they are, the name of the first folder below a directory.

    And as rejected ones those that are in no such folder, or whose name cannot be a person's.
    """
    named, nobody = list[tuple[DescribedFace, str]](), list[Row]()
    for face in faces:
        below = os.path.relpath(os.path.abspath(face.uri), os.path.abspath(directory))
        folder, *inside = below.split(os.sep)
        try:
            if not inside or folder == os.pardir:
                raise GalleryError(
                    "it is in no folder with the name of a person; put it into one, or say whose "
                    "picture it is"
                )
            named.append((face, as_person_id(folder)))
        except GalleryError as error:
            message = str(error)
            nobody.append(
                {"uri": face.uri, "step": "enrol", "reason": "no_person", "message": message}
            )
    return named, nobody


def uri_of(path: str) -> str:
    """Return by which URI the gallery knows a picture: where it is, however it was named."""
    return path if "://" in path else os.path.abspath(path)


def _new(face: DescribedFace, person_id: str, *, thumbnails: bool) -> NewFace:
    thumbnail = _thumbnail(face) if thumbnails else None
    return NewFace(person_id, face.embedding, uri_of(face.uri), thumbnail)


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


def _unlike(
    entries: Sequence[Enrolled], new: Sequence[NewFace], unlike: float
) -> tuple[Unlikeness, ...]:
    """Return which new faces are unlike all others of their person, where there are others."""
    theirs: dict[str, list[Enrolled]] = {face.person_id: [] for face in new}
    for entry in entries:
        if entry.person_id in theirs:
            theirs[entry.person_id].append(entry)
    found = []
    for face in new:
        others = [one.embedding for one in theirs[face.person_id] if one.uri != face.uri]
        best = max((float(face.embedding @ other) for other in others), default=1.0)
        if best <= unlike:
            found.append(Unlikeness(face.uri, face.person_id, best))
    return tuple(found)


def _alike(
    entries: Sequence[Enrolled], new: Sequence[NewFace], alike: float
) -> tuple[Likeness, ...]:
    """Return which new faces are as alike to somebody else as the same person would be."""
    index = FaceIndex()
    rows = {entry.key: (entry.person_id, entry.embedding) for entry in entries}
    index.change(rows, version=0)
    embeddings = np.stack([face.embedding for face in new])
    others = index.most_alike_others(embeddings, [face.person_id for face in new])
    return tuple(
        Likeness(face.uri, face.person_id, other_id, similarity)
        for face, (other_id, similarity) in zip(new, others, strict=True)
        if other_id is not None and similarity >= alike
    )
