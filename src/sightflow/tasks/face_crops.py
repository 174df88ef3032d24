"""The faces of a batch of images, side by side, and crops of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.ops.alignment import warp
from sightflow.records import Faces, ImageRecord
from sightflow.tasks.model_step import Pixels, grey_record, scale_of

__all__ = ["FaceCrops", "face_record"]

Array: TypeAlias = npt.NDArray[np.float64]

_AT_ONCE = 64
"""Crops in one call of a model: a picture may show hundreds of faces."""


class FaceCrops:
    """The N faces of all images of a batch, in pixels of the decoded pictures."""

    def __init__(self, records: Sequence[ImageRecord], step: str) -> None:
        """Take the images.

        Args:
            records: in which faces were found.
            step: the name of the step that asks.

        Raises:
            PipelineError: nobody has looked for faces.
        """
        self._records = records
        self._faces = [_faces_of(record, step) for record in records]
        self._images = np.repeat(np.arange(len(records)), [len(found) for found in self._faces])
        self._scales = np.array([scale_of(record) for record in records]).reshape(-1, 2)
        self.n = len(self._images)

    @property
    def landmarks_xy(self) -> Array:
        """The landmarks, float64 [N, K, 2]."""
        some = [found.landmarks_xy for found in self._faces if len(found)]
        joined: Array = np.concatenate(some) if some else np.zeros((0, 5, 2))
        return np.asarray(joined * self._scales[self._images][:, None], np.float64)

    @property
    def centres_xy(self) -> Array:
        """The middles of the boxes, float64 [N, 2]."""
        return (self._boxes[:, :2] + self._boxes[:, 2:]) / 2

    @property
    def sides(self) -> Array:
        """The longer sides of the boxes, float64 [N]."""
        longer: Array = (self._boxes[:, 2:] - self._boxes[:, :2]).max(axis=1)
        return longer

    @property
    def eye_angles(self) -> Array:
        """How much the line through the eyes is turned, clockwise, in radians: float64 [N]."""
        eyes = self.landmarks_xy[:, :2]
        angles: Array = np.arctan2(*(eyes[:, 1] - eyes[:, 0])[:, ::-1].T)
        return angles

    def crops(self, matrices: Array, size: int) -> Iterator[list[Pixels]]:
        """Yield the crops of all faces, some at a time.

        Args:
            matrices: float64 [N, 2, 3], from each picture to the crop.
            size: side of a crop in pixels.
        """
        for start in range(0, self.n, _AT_ONCE):
            rows = range(start, min(self.n, start + _AT_ONCE))
            yield [warp(self._records[self._images[i]].pixels, matrices[i], size) for i in rows]

    def in_original(self, points_xy: Array) -> npt.NDArray[np.float32]:
        """Return points [N, K, 2] in pixels of the original images, float32."""
        return np.asarray(points_xy / self._scales[self._images][:, None], np.float32)

    def split(
        self, column: npt.NDArray[np.float32]
    ) -> Iterator[tuple[ImageRecord, Faces, npt.NDArray[np.float32]]]:
        """Yield each image with its faces, and their rows of a column of all faces."""
        ends = np.cumsum([len(found) for found in self._faces])[:-1]
        return zip(self._records, self._faces, np.split(column, ends), strict=True)

    @property
    def _boxes(self) -> Array:
        boxes = np.concatenate([found.boxes_xyxy for found in self._faces])
        return np.asarray(boxes * np.tile(self._scales[self._images], 2), np.float64)


def face_record() -> ImageRecord:
    """Return a grey picture said to show a face, to try a step with."""
    record = grey_record()
    eyes_nose_mouth = [[[24, 24], [40, 24], [32, 32], [26, 40], [38, 40]]]
    face = Faces(
        np.array([[16, 12, 48, 52]], np.float32),
        np.ones(1, np.float32),
        np.array(eyes_nose_mouth, np.float32),
    )
    return replace(record, faces=face)


def _faces_of(record: ImageRecord, step: str) -> Faces:
    if record.faces is None:
        raise PipelineError(
            f"step {step!r} works on the faces of an earlier step; add one, such as DetectFaces"
        )
    return record.faces
