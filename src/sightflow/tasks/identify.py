"""Say whose faces they are, among those who are enrolled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sightflow.errors import PipelineError
from sightflow.options import check_number
from sightflow.protocols import Context, Process, TableSource, last_giver
from sightflow.records import Faces, ImageRecord, ModelUse
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.tasks.face_index import Match

__all__ = ["Identify"]


@dataclass(frozen=True)
class Identify:
    """Say whose faces they are. Who is not enrolled stays unknown: `person_id` is None.

    A face is somebody's if it is alike enough, and clearly more so than anybody else's. The
    embeddings of all who pass by are dropped.
    """

    gallery: TableSource
    """Who is enrolled, such as a `Gallery`."""
    min_similarity: float = 0.48
    """Cosine with the most alike picture of the person, in [-1, 1]. What is right depends on the
    pictures and on how many are enrolled: `sightflow faces calibrate` measures it."""
    min_margin: float = 0.05
    """By how much more alike it is than the most alike picture of anybody else."""

    needs: ClassVar[tuple[str, ...]] = ("faces.embeddings",)
    gives: ClassVar[tuple[str, ...]] = ("faces", "faces.person_ids")
    adjustable: ClassVar[tuple[str, ...]] = ("min_similarity", "min_margin")

    def check(self) -> None:
        """Refuse what is no gallery, and thresholds that cannot be."""
        check_number(self, "min_similarity", within="[-1, 1]")
        check_number(self, "min_margin", within="[0, 2]")
        if isinstance(self.gallery, type) or not isinstance(self.gallery, TableSource):
            raise PipelineError(f"Identify: `gallery` is a table of faces; got {self.gallery!r}")
        self.gallery.check()

    def check_after(self, earlier: Sequence[object]) -> None:
        """Refuse embeddings that the gallery cannot have, or that are dropped by now."""
        giver = last_giver(earlier, "faces", "faces.embeddings")
        if isinstance(giver, Identify):
            raise PipelineError(
                "Identify: the Identify before it drops the embeddings; look faces up in one "
                "gallery, or put another EmbedFaces between them"
            )
        if not isinstance(giver, EmbedFaces):
            return
        if giver.follow:
            raise PipelineError(
                "Identify: a version of the embedder that takes over makes embeddings unlike those "
                "of the gallery; leave out `follow` of EmbedFaces"
            )
        used = f"{giver.model.card.name} {giver.model.version}"
        model = getattr(self.gallery, "embedder_name", used)
        if model != used:
            raise PipelineError(f"Identify: {_other_model(model, used)}")

    def scale_for(self, width: int, height: int) -> float:
        """Return almost 0: it looks at no pixels."""
        return 1e-9

    def open(self, context: Context) -> Process:
        """Return the function that looks faces up."""
        index_of = context.tables(self.gallery)

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            index = index_of()
            found = [_embedded(record, context.step) for record in records]
            _check_model(index.model, records[0], context.step)
            rows = [faces.embeddings for faces in found if faces.embeddings is not None]
            rows = [some for some in rows if len(some)]
            embeddings = np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)
            version, matches = index.searched(embeddings)
            use = ModelUse(context.step, "gallery", str(version))
            named = iter(matches)
            return [
                replace(
                    record,
                    models=(*record.models, use),
                    faces=self._named(faces, [next(named) for _ in range(len(faces))]),
                )
                for record, faces in zip(records, found, strict=True)
            ]

        return process

    def _named(self, faces: Faces, matches: Sequence[Match]) -> Faces:
        return replace(
            faces,
            embeddings=None,
            person_ids=tuple(self._person(match) for match in matches),
            similarities=np.array([match.similarity for match in matches], np.float32),
        )

    def _person(self, match: Match) -> str | None:
        margin = match.similarity - match.next_similarity
        is_known = match.similarity >= self.min_similarity and margin >= self.min_margin
        return match.person_id if is_known else None


def _check_model(model: str, record: ImageRecord, step: str) -> None:
    """Raise `PipelineError` unless faces are described by the model of the gallery."""
    used = [f"{use.model} {use.version}" for use in record.models]
    if model and model not in used:
        raise PipelineError(f"step {step!r}: {_other_model(model, used[-1] if used else 'none')}")


def _other_model(model: str, used: str) -> str:
    return (
        f"the gallery has embeddings of {model}; the faces are described by {used}; take the model "
        "that the gallery was made with"
    )


def _embedded(record: ImageRecord, step: str) -> Faces:
    if record.faces is None or record.faces.embeddings is None:
        raise PipelineError(
            f"step {step!r} looks up the embeddings of faces; put EmbedFaces before it"
        )
    return record.faces
