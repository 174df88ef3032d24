"""Heads: how the outputs of a model are read. A card names one by its kind and its options.

A head of a classifier is made with the card's options and called with the outputs; it returns
float32 [B, classes]. A head of a detector is also told `min_score`, and returns one `Found` for
each image. Heads of your own are named `package.module:Class` on the card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError, ModelError
from sightflow.ops.boxes import cxcywh_to_xyxy
from sightflow.ops.scores import softmax
from sightflow.tasks.model_step import build_head, output_of

__all__ = [
    "Found",
    "Logits",
    "NanoDet",
    "Probabilities",
    "SeveralHeads",
    "XyxyScoreClass",
    "Yolo",
    "joined",
]

Outputs = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Candidates in one image, before suppression; row i of every column is one."""

    boxes_xyxy: npt.NDArray[np.float32]
    """float32 [N, 4] in pixels of the model's input."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1]."""
    class_ids: npt.NDArray[np.int32]
    """int32 [N]."""

    def take(self, rows: Any) -> "Found":
        """Return the candidates of these rows: numbers, or bool [N]."""
        return Found(self.boxes_xyxy[rows], self.scores[rows], self.class_ids[rows])


@dataclass(frozen=True)
class Probabilities:
    """A classifier whose output is [B, classes] probabilities."""

    output: str | None = None
    """Name of the output; None takes the first."""

    def __call__(self, outputs: Outputs) -> npt.NDArray[np.float32]:
        """Return the output as it is."""
        return output_of(outputs, self.output).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Logits:
    """A classifier whose output is [B, classes] before the softmax."""

    output: str | None = None
    """Name of the output; None takes the first."""

    def __call__(self, outputs: Outputs) -> npt.NDArray[np.float32]:
        """Return the softmax of the output."""
        return softmax(output_of(outputs, self.output).astype(np.float32, copy=False))


@dataclass(frozen=True)
class XyxyScoreClass:
    """A detector whose output is [B, k, 6]: x1, y1, x2, y2 in pixels, score, class id."""

    output: str | None = None
    """Name of the output; None takes the first."""

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[Found]:
        """Return the rows that score at least `min_score`."""
        rows = output_of(outputs, self.output)
        _check_rank(rows, "[B, k, 6]", last=6)
        return [_found(r[:, :4], r[:, 4], r[:, 5]) for r in (x[x[:, 4] >= min_score] for x in rows)]


@dataclass(frozen=True)
class Yolo:
    """A detector whose output is [B, 4 + classes, k] or [B, 5 + classes, k], cxcywh in pixels."""

    output: str | None = None
    """Name of the output; None takes the first."""
    objectness: bool = False
    """Whether a score for "any object" stands before those of the classes (YOLO v5 and v7)."""
    transposed: bool = False
    """Whether the output is [B, k, ...]."""

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[Found]:
        """Return the candidates whose best class scores at least `min_score`."""
        rows = output_of(outputs, self.output)
        _check_rank(rows, "[B, 4 + classes, k]")
        return [self._one(r if self.transposed else r.T, min_score) for r in rows]

    def _one(self, rows: npt.NDArray[np.float32], min_score: float) -> Found:
        class_scores = rows[:, 5:] * rows[:, 4:5] if self.objectness else rows[:, 4:]
        scores = class_scores.max(axis=1)
        kept = scores >= min_score
        boxes = cxcywh_to_xyxy(rows[kept, :4])
        return _found(boxes, scores[kept], class_scores[kept].argmax(axis=1))


@dataclass(frozen=True)
class NanoDet:
    """NanoDet: for each stride, scores [B, k, classes] and side distances [B, k, 4 x bins].

    A side's distance is the mean of a distribution over bins, in units of the stride.

    Source:
        NanoDet with Generalized Focal Loss (Li et al. 2020), anchor points at cell centres.
    """

    scores: tuple[str, ...]
    """Names of the score outputs, a stride each."""
    distances: tuple[str, ...]
    """Names of the distance outputs, in the same order."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Pixels of the input for one cell."""
    size: tuple[int, int] = (416, 416)
    """(height, width) of the model's input."""

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[Found]:
        """Return each class of each cell that scores at least `min_score`."""
        levels = [
            (output_of(outputs, s), output_of(outputs, d), stride)
            for s, d, stride in zip(self.scores, self.distances, self.strides, strict=True)
        ]
        n_images = len(levels[0][0])
        return [
            joined([self._level(s[i], d[i], n, min_score) for s, d, n in levels])
            for i in range(n_images)
        ]

    def _level(
        self,
        scores: npt.NDArray[np.float32],  # [k, classes]
        distances: npt.NDArray[np.float32],  # [k, 4 x bins]
        stride: int,
        min_score: float,
    ) -> Found:
        cells, class_ids = np.nonzero(scores >= min_score)  # a cell may speak for several classes
        n_columns = -(-self.size[1] // stride)
        centres = np.stack([cells % n_columns, cells // n_columns], axis=1) * stride + stride / 2
        bins = softmax(distances[cells].reshape(len(cells), 4, distances.shape[1] // 4))
        sides = bins @ np.arange(bins.shape[2], dtype=np.float32) * stride  # left top right bottom
        boxes = np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1)
        return _found(boxes, scores[cells, class_ids], class_ids)


@dataclass(frozen=True)
class SeveralHeads:
    """A detector with several heads, each of which finds objects of classes of its own."""

    parts: tuple[Mapping[str, Any], ...]
    """Each has the `kind` and the options of a head, and `classes`: for a class id of this head the
    class id on the card; other classes are left out. It may have `power`: scores are raised to it,
    so that the same score is as sure from each head; 1 leaves them as they are."""

    def __post_init__(self) -> None:
        """Refuse parts that could not find anything."""
        if not self.parts:
            raise CardError("`parts` of SeveralHeads are one or more heads; got none")
        for part in self.parts:
            classes, power = part.get("classes"), part.get("power", 1.0)
            if not isinstance(classes, Mapping) or not classes:
                raise CardError(
                    f"a part of SeveralHeads has `classes`, from its class ids to those of the "
                    f"card; got {classes!r}"
                )
            if not isinstance(power, int | float) or power <= 0:
                raise CardError(f"`power` of a part of SeveralHeads is above 0; got {power!r}")

    def __call__(self, outputs: Outputs, *, min_score: float) -> Sequence[Found]:
        """Return what all of them find that scores at least `min_score`."""
        found = [self._of_part(part, outputs, min_score) for part in self.parts]
        return [joined(of_image) for of_image in zip(*found, strict=True)]

    def _of_part(self, part: Mapping[str, Any], outputs: Outputs, min_score: float) -> list[Found]:
        options = dict(part)
        classes, power = options.pop("classes"), float(options.pop("power", 1.0))
        known = {int(own): int(other) for own, other in classes.items()}
        found = build_head(options)(outputs, min_score=min_score ** (1 / power))
        return [_as_on_card(one, known, power, min_score) for one in found]


def _as_on_card(
    found: Found, class_ids: Mapping[int, int], power: float, min_score: float
) -> Found:
    """Return candidates with the class ids and the scores of the card, without other classes."""
    new = np.array([class_ids.get(own, -1) for own in found.class_ids.tolist()], np.int32)
    scores = (found.scores**power).astype(np.float32)
    kept = (new >= 0) & (scores >= min_score)
    return Found(found.boxes_xyxy[kept], scores[kept], new[kept])


def _found(boxes: npt.NDArray[Any], scores: npt.NDArray[Any], class_ids: npt.NDArray[Any]) -> Found:
    return Found(
        np.ascontiguousarray(boxes, np.float32),
        np.ascontiguousarray(scores, np.float32),
        class_ids.astype(np.int32),
    )


def joined(parts: Sequence[Found]) -> Found:
    """Return the candidates of several in one, in their order."""
    return Found(
        np.concatenate([part.boxes_xyxy for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
    )


def _check_rank(rows: npt.NDArray[Any], form: str, *, last: int | None = None) -> None:
    if rows.ndim != 3 or (last is not None and rows.shape[2] != last):
        raise ModelError(
            f"the card's head reads an output {form}; got {list(rows.shape)}; take another head "
            "or output"
        )
