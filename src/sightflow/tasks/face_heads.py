"""Heads of models about faces: how their outputs are read. A card names one by its kind.

A head of a detector is called with the outputs and `min_score`, and returns one `FoundFaces` for
each image. A head that places landmarks returns `Landmarks`, one that describes faces float32
[B, D]. The first two may say as `n_landmarks` how many a face has. Heads of your own are named
`package.module:Class` on the card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError, ModelError
from sightflow.tasks.model_step import output_of

__all__ = ["BlazeFace", "Embedding", "FoundFaces", "Landmarks", "OnetLandmarks", "Scrfd", "YuNet"]

Outputs = Mapping[str, npt.NDArray[Any]]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FoundFaces:
    """Candidates in one image, before suppression; row i of every column is one."""

    boxes_xyxy: Array
    """float32 [N, 4] in pixels of the model's input."""
    scores: Array
    """float32 [N] in [0, 1]."""
    landmarks_xy: Array
    """float32 [N, K, 2] in pixels of the model's input; first the eyes, the left one in the picture
    before the other."""

    def take(self, rows: Any) -> "FoundFaces":
        """Return the candidates of these rows."""
        return FoundFaces(self.boxes_xyxy[rows], self.scores[rows], self.landmarks_xy[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Landmarks in B crops, each a square around a face."""

    points_xy: Array
    """float32 [B, K, 2] in units of the crop: (0, 0) to (1, 1)."""
    boxes_xyxy: Array
    """float32 [B, 4], where the face is, in the same units."""

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.points_xy)


@dataclass(frozen=True)
class BlazeFace:
    """BlazeFace: score logits [B, k, 1] and boxes [B, k, 16] for each stride.

    A box is cx, cy, w, h from the middle of its cell, then six points: eyes, nose, mouth, ears.

    Source:
        Bazarevsky et al. 2019; two anchors for each cell at stride 16, six at 32.
    """

    scores: tuple[str, ...]
    """Names of the score outputs, a stride each."""
    boxes: tuple[str, ...]
    """Names of the box outputs, in the same order."""
    strides: tuple[int, ...] = (16, 32)
    """Pixels of the input for one cell."""
    anchors: tuple[int, ...] = (2, 6)
    """How many candidates a cell gives."""
    size: tuple[int, int] = (256, 256)
    """(height, width) of the model's input."""

    n_landmarks: ClassVar[int] = 6

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[FoundFaces]:
        """Return the candidates that score at least `min_score`."""
        logits = _joined(outputs, self.scores, width=1)[:, :, 0]
        rows = _joined(outputs, self.boxes, width=16)
        centres = np.concatenate(
            [
                _cells(self.size, s, n) + s / 2
                for s, n in zip(self.strides, self.anchors, strict=True)
            ]
        )
        scores = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
        _check_cells(scores, centres)
        kept = scores >= min_score
        return [
            self._one(r[k], s[k], centres[k]) for r, s, k in zip(rows, scores, kept, strict=True)
        ]

    def _one(self, rows: Array, scores: Array, centres: Array) -> FoundFaces:
        middle, half = rows[:, :2] + centres, rows[:, 2:4] / 2
        points = rows[:, 4:].reshape(-1, 6, 2) + centres[:, None]
        return FoundFaces(_boxes(middle - half, middle + half), scores, points)


@dataclass(frozen=True)
class YuNet:
    """YuNet: for each stride class and objectness scores, boxes and five points of each cell.

    Outputs are named `cls_8`, `obj_8`, `bbox_8`, `kps_8`, and so on. The points are the eyes, the
    nose and the corners of the mouth.

    Source:
        Wu et al. 2023, as the face detector of OpenCV reads it.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for one cell."""
    size: tuple[int, int] = (640, 640)
    """(height, width) of the model's input."""

    n_landmarks: ClassVar[int] = 5

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[FoundFaces]:
        """Return the candidates that score at least `min_score`."""
        cells = np.concatenate([_cells(self.size, stride, 1) for stride in self.strides])
        steps = _strides(self.size, self.strides, 1)
        classes, objects, boxes, points = (
            _joined(outputs, [f"{name}_{stride}" for stride in self.strides], width=width)
            for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
        )
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))[:, :, 0]
        _check_cells(scores, cells)
        found = []
        for i, kept in enumerate(scores >= min_score):
            cell, step = cells[kept], steps[kept]
            middle = cell + boxes[i, kept, :2] * step
            half = np.exp(boxes[i, kept, 2:]) * step / 2
            marks = cell[:, None] + points[i, kept].reshape(-1, 5, 2) * step[:, None]
            found.append(FoundFaces(_boxes(middle - half, middle + half), scores[i, kept], marks))
        return found


@dataclass(frozen=True)
class Scrfd:
    """SCRFD: for each stride scores [B, k, 1], side distances [B, k, 4] and points [B, k, 10].

    Distances are in units of the stride; the points are the eyes, the nose and the corners of the
    mouth.

    Source:
        Guo et al. 2021.
    """

    scores: tuple[str, ...]
    """Names of the score outputs, in [0, 1], a stride each."""
    distances: tuple[str, ...]
    """Names of the outputs with distances left, top, right, bottom, in the same order."""
    points: tuple[str, ...]
    """Names of the outputs with points, in the same order."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for one cell."""
    anchors: int = 2
    """How many candidates a cell gives."""
    size: tuple[int, int] = (640, 640)
    """(height, width) of the model's input."""

    n_landmarks: ClassVar[int] = 5

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[FoundFaces]:
        """Return the candidates that score at least `min_score`."""
        cells = np.concatenate([_cells(self.size, s, self.anchors) for s in self.strides])
        steps = _strides(self.size, self.strides, self.anchors)
        scores = _joined(outputs, self.scores, width=1)[:, :, 0]
        sides = _joined(outputs, self.distances, width=4)
        points = _joined(outputs, self.points, width=10)
        _check_cells(scores, cells)
        found = []
        for i, kept in enumerate(scores >= min_score):
            cell, step = cells[kept], steps[kept]
            boxes = _boxes(cell - sides[i, kept, :2] * step, cell + sides[i, kept, 2:] * step)
            marks = cell[:, None] + points[i, kept].reshape(-1, 5, 2) * step[:, None]
            found.append(FoundFaces(boxes, scores[i, kept], marks))
        return found


@dataclass(frozen=True)
class OnetLandmarks:
    """The third network of MTCNN: a correction of the box [B, 4] and five points [B, 10].

    The points are the eyes, the nose and the corners of the mouth: five x, then five y.

    Source:
        Zhang et al. 2016.
    """

    box: str
    """Name of the output with the correction, in units of the crop."""
    points: str
    """Name of the output with the points, in units of the crop."""

    n_landmarks: ClassVar[int] = 5

    def __call__(self, outputs: Outputs) -> Landmarks:
        """Return the points and the corrected box."""
        box, points = output_of(outputs, self.box), output_of(outputs, self.points)
        if box.ndim != 2 or box.shape[1] != 4 or points.shape != (len(box), 10):
            raise ModelError(
                f"the card's head reads outputs [B, 4] and [B, 10]; got {list(box.shape)} and "
                f"{list(points.shape)}; take another head or output"
            )
        whole = np.array([0, 0, 1, 1], np.float32)
        return Landmarks(points.reshape(-1, 2, 5).transpose(0, 2, 1), box + whole)


@dataclass(frozen=True)
class Embedding:
    """A network that describes an aligned face by [B, D] numbers."""

    template: tuple[tuple[float, float], ...]
    """Where the landmarks lie in the input, in pixels, in the order of the step before."""
    output: str | None = None
    """Name of the output; None takes the first."""

    def __post_init__(self) -> None:
        """Refuse a template that tells no size."""
        if len({tuple(point) for point in self.template}) < 2:
            raise CardError(
                f"`template` needs two different points or more; got {list(self.template)}"
            )

    def __call__(self, outputs: Outputs) -> Array:
        """Return the output in unit length."""
        rows = output_of(outputs, self.output)
        if rows.ndim != 2:
            raise ModelError(
                f"the card's head reads an output [B, D]; got {list(rows.shape)}; take another "
                "head or output"
            )
        rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Array = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit


def _cells(size: tuple[int, int], stride: int, anchors: int) -> Array:
    """Return the upper left corner of the cell of each candidate, float32 [k, 2]."""
    rows, columns = (-(-side // stride) for side in size)
    y, x = np.mgrid[:rows, :columns]
    corners = np.stack([x.ravel(), y.ravel()], axis=1) * stride
    return np.repeat(corners, anchors, axis=0).astype(np.float32)


def _strides(size: tuple[int, int], strides: Sequence[int], anchors: int) -> Array:
    """Return the stride of each candidate, float32 [k, 1]."""
    counts = [len(_cells(size, stride, anchors)) for stride in strides]
    return np.repeat(np.array(strides, np.float32), counts)[:, None]


def _joined(outputs: Outputs, names: Sequence[str], *, width: int) -> Array:
    """Return the candidates of all strides, float32 [B, k, width]."""
    parts = [output_of(outputs, name) for name in names]
    for name, part in zip(names, parts, strict=True):
        if part.ndim != 3 or part.shape[2] != width:
            raise ModelError(
                f"the card's head reads an output {name!r} of [B, k, {width}]; got "
                f"{list(part.shape)}; take another head or output"
            )
    joined: Array = np.concatenate(parts, axis=1).astype(np.float32, copy=False)
    return joined


def _check_cells(scores: Array, cells: Array) -> None:
    if scores.shape[1] != len(cells):
        raise ModelError(
            f"the card's head expects {len(cells)} candidates in an input of its `size`; got "
            f"{scores.shape[1]}; correct `size`, `strides` or `anchors`"
        )


def _boxes(low: Array, high: Array) -> Array:
    return np.concatenate([low, high], axis=1).astype(np.float32, copy=False)
