"""Describe each face by numbers that are alike for pictures of one person."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.models import ModelFile, zoo
from sightflow.ops.alignment import fit_similarities
from sightflow.protocols import Context, Process, last_giver
from sightflow.records import ImageRecord
from sightflow.tasks.face_crops import FaceCrops, face_record
from sightflow.tasks.following import Following
from sightflow.tasks.main_face import MainFace
from sightflow.tasks.model_step import check_model, head_of, make_head, open_model, use_of

__all__ = ["EmbedFaces"]

_NONE = np.zeros((0, 0), np.float32)
"""Of a picture without faces, in whatever batch it is."""


@dataclass(frozen=True)
class EmbedFaces(Following):
    """Describe each face by an embedding; the cosine of two is how alike the faces are.

    Embeddings are personal data. They are in results, unless `Identify` follows, which says who it
    is in their place.
    """

    model: ModelFile = field(default_factory=lambda: zoo("mobilefacenet"))

    needs: ClassVar[tuple[str, ...]] = ("faces",)
    gives: ClassVar[tuple[str, ...]] = ("faces", "faces.embeddings")

    def check_after(self, earlier: Sequence[object]) -> None:
        """Refuse landmarks that are not those of the template."""
        steps = (step for step in earlier if not isinstance(step, MainFace | EmbedFaces))
        n_landmarks = getattr(last_giver(steps, "faces"), "n_landmarks", None)
        if n_landmarks is not None:
            self._check_landmarks(n_landmarks, "EmbedFaces")

    def scale_for(self, width: int, height: int) -> float:
        """Return 1: a face may be small."""
        return 1.0

    def _check(self) -> None:
        """Refuse a model for another task."""
        check_model(self.model, task="embed_faces")

    def _specimen(self) -> ImageRecord:
        return face_record()

    def _open(self, context: Context) -> Process:
        call, use = open_model(self.model, context), use_of(self.model, context)
        card = self.model.card
        read, template = make_head(card), np.array(head_of(card).template, np.float64)
        size = max(card.input.preprocess.size or (0, 0))

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            faces = FaceCrops(records, context.step)
            matrices = self._alignments(faces, template, context.step)
            rows = [read(call(crops).outputs) for crops in faces.crops(matrices, size)]
            embeddings = np.concatenate(rows) if rows else _NONE
            return [
                replace(
                    record,
                    models=(*record.models, use),
                    faces=replace(found, embeddings=some if len(some) else _NONE),
                )
                for record, found, some in faces.split(embeddings)
            ]

        return process

    def _alignments(
        self, faces: FaceCrops, template: npt.NDArray[np.float64], step: str
    ) -> npt.NDArray[np.float64]:
        """Return the similarities that bring the faces into the model's input."""
        landmarks = faces.landmarks_xy
        if faces.n:
            self._check_landmarks(landmarks.shape[1], f"step {step!r}")
        return fit_similarities(landmarks, template)

    def _check_landmarks(self, n_landmarks: int, place: str) -> None:
        template = head_of(self.model.card).template
        if n_landmarks != len(template):
            raise PipelineError(
                f"{place}: the template of model {self.model.card.name!r} has {len(template)} "
                f"landmarks, and the faces have {n_landmarks}; put AlignFaces before it, or take "
                "another detector"
            )
