"""Place landmarks on the faces that were found: eyes, nose, corners of the mouth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.models import ModelFile, zoo
from sightflow.ops.alignment import inverted, transformed, turned_squares
from sightflow.options import check_count
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord
from sightflow.tasks.face_crops import FaceCrops, face_record
from sightflow.tasks.face_heads import Landmarks
from sightflow.tasks.following import Following
from sightflow.tasks.model_step import check_model, head_of, make_head, open_model, use_of

__all__ = ["AlignFaces"]

Array: TypeAlias = npt.NDArray[np.float64]
Look: TypeAlias = Callable[[Array], Landmarks]
"""Places landmarks in squares, given as similarities [N, 2, 3] from the pictures to the crops."""

_LARGEST_STEP = 3.0
"""A box is corrected by at most this factor: a model that sees no face may say anything."""


@dataclass(frozen=True)
class AlignFaces(Following):
    """Place landmarks on each face, exactly enough to bring it into the form that a network knows.

    A face is turned until the eyes of the detector are level, since the model knows upright faces
    only; then the model looks at the square around it, and at the ones that it corrects.
    """

    model: ModelFile = field(default_factory=lambda: zoo("mtcnn_onet"))
    passes: int = 3
    """How often the model looks, each time at the square that the last look corrected; from 1."""

    needs: ClassVar[tuple[str, ...]] = ("faces",)
    gives: ClassVar[tuple[str, ...]] = ("faces",)

    def scale_for(self, width: int, height: int) -> float:
        """Return 1: a face may be small."""
        return 1.0

    @property
    def n_landmarks(self) -> int | None:
        """How many landmarks each face has then; None where the head of the model does not say."""
        return getattr(head_of(self.model.card), "n_landmarks", None)

    def _check(self) -> None:
        """Refuse a model for another task."""
        check_count(self, "passes", at_least=1)
        check_model(self.model, task="align_faces")

    def _specimen(self) -> ImageRecord:
        return face_record()

    def _open(self, context: Context) -> Process:
        call, use = open_model(self.model, context), use_of(self.model, context)
        read = make_head(self.model.card)
        size = max(self.model.card.input.preprocess.size or (0, 0))

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            faces = FaceCrops(records, context.step)

            def look(squares: Array) -> Landmarks:
                found = [read(call(crops).outputs) for crops in faces.crops(squares, size)]
                return Landmarks(
                    np.concatenate([one.points_xy for one in found]),
                    np.concatenate([one.boxes_xyxy for one in found]),
                )

            landmarks = faces.landmarks_xy if not faces.n else self._place(faces, look, size)
            return [
                replace(
                    record,
                    models=(*record.models, use),
                    faces=replace(found, landmarks_xy=points),
                )
                for record, found, points in faces.split(faces.in_original(landmarks))
            ]

        return process

    def _place(self, faces: FaceCrops, look: Look, size: int) -> Array:
        """Return the landmarks of all faces, float64 [N, K, 2] in pixels of decoded pictures."""
        centres, sides, angles = faces.centres_xy, faces.sides, faces.eye_angles
        for _ in range(self.passes):
            squares = turned_squares(centres, sides, angles, size)
            back = inverted(squares)
            found = look(squares)
            low, high = np.split(found.boxes_xyxy.astype(np.float64), 2, axis=1)
            centres = transformed((low + high)[:, None] / 2 * size, back)[:, 0]
            factors = np.clip((high - low).max(axis=1), 1 / _LARGEST_STEP, _LARGEST_STEP)
            sides = sides * factors
        return transformed(found.points_xy * size, back)
