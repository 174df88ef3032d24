"""Look closer at objects that were found: what traffic lights show, and what signs mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.models import ModelFile, zoo
from sightflow.options import check_number, check_share
from sightflow.protocols import Context, Process
from sightflow.records import UNKNOWN, Detections, ImageRecord, ObjectClasses
from sightflow.tasks.following import Following
from sightflow.tasks.model_step import (
    Pixels,
    check_model,
    grey_record,
    open_classifier,
    scale_of,
    use_of,
)

__all__ = ["ClassifyObjects", "ClassifySign", "ClassifyTrafficLight"]

Rows: TypeAlias = npt.NDArray[np.intp]
Scores: TypeAlias = npt.NDArray[np.float32]

_AT_ONCE = 64
"""Crops in one call of a model: a picture may show hundreds of objects."""


@dataclass(frozen=True)
class ClassifyObjects(Following):
    """Classify each object with one of some labels, from the part of the picture that shows it.

    All objects of a batch of images are classified together. What fills `column` is a subclass.
    """

    min_score: float = 0.5
    """Where no class scores so much the object is `unknown`, in [0, 1]."""
    margin: float = 0.0
    """What is looked at goes beyond the box by this part of its longer side, from 0."""
    of: tuple[str, ...] = field(kw_only=True)
    """Labels of the objects that are looked at."""

    column: ClassVar[str]
    """Which column of the detections it fills."""
    needs: ClassVar[tuple[str, ...]] = ("detections",)
    adjustable: ClassVar[tuple[str, ...]] = ("min_score",)
    word_options: ClassVar[tuple[str, ...]] = ("of",)

    @property
    def gives(self) -> tuple[str, ...]:
        """Detections, with one column more."""
        return ("detections", f"detections.{self.column}")

    def scale_for(self, width: int, height: int) -> float:
        """Return 1: an object may be small."""
        return 1.0

    def _check(self) -> None:
        """Refuse a model for another task, and options that cannot be."""
        check_share(self, "min_score")
        check_number(self, "margin", within="[0, inf)")
        check_model(self.model, task="classify")
        if not self.of:
            raise PipelineError(
                f"{type(self).__name__}: `of` are labels of objects; got none; give one or more"
            )

    def _specimen(self) -> ImageRecord:
        box, one = np.array([[16, 12, 48, 52]], np.float32), np.ones(1, np.float32)
        found = Detections(box, one, np.zeros(1, np.int32), self.of[:1])
        return replace(grey_record(), detections=found)

    def _open(self, context: Context) -> Process:
        classify, use = open_classifier(self.model, context), use_of(self.model, context)

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            found = [_found(record, context.step) for record in records]
            rows = [np.flatnonzero(np.isin(one.labels, self.of)) for one in found]
            crops = [
                _crop(record, box, self.margin)
                for record, one, chosen in zip(records, found, rows, strict=True)
                for box in one.boxes_xyxy[chosen]
            ]
            parts = range(0, len(crops), _AT_ONCE)
            scores = (row for start in parts for row in classify(crops[start : start + _AT_ONCE]))
            return [
                replace(
                    record,
                    models=(*record.models, use),
                    detections=self._told(one, chosen, [next(scores) for _ in chosen]),
                )
                for record, one, chosen in zip(records, found, rows, strict=True)
            ]

        return process

    def _told(self, found: Detections, rows: Rows, probabilities: Sequence[Scores]) -> Detections:
        """Return objects with the classes of those of some rows."""
        told: dict[str, Any] = {self.column: self._classes(len(found), rows, probabilities)}
        return replace(found, **told)

    def _classes(self, n: int, rows: Rows, probabilities: Sequence[Scores]) -> ObjectClasses:
        """Return the classes of n objects, of which those of some rows were looked at."""
        labels: list[str | None] = [None] * n
        class_ids: list[int | None] = [None] * n
        scores = np.zeros(n, np.float32)
        for row, some in zip(rows, probabilities, strict=True):
            best = int(some.argmax())
            label = self.model.card.labels[best]
            scores[row] = some[best]
            is_sure = some[best] >= self.min_score and label != UNKNOWN
            labels[row], class_ids[row] = (label, best) if is_sure else (UNKNOWN, None)
        return ObjectClasses(tuple(labels), tuple(class_ids), scores)


@dataclass(frozen=True)
class ClassifySign(ClassifyObjects):
    """Say what each traffic sign means."""

    model: ModelFile = field(default_factory=lambda: zoo("road_signs"))
    of: tuple[str, ...] = field(default=("traffic sign", "stop sign"), kw_only=True)
    """Labels of the objects that are signs."""

    column: ClassVar[str] = "signs"


@dataclass(frozen=True)
class ClassifyTrafficLight(ClassifyObjects):
    """Say what each traffic light shows; the model that ships knows lights that are off too."""

    model: ModelFile = field(default_factory=lambda: zoo("traffic_lights"))
    of: tuple[str, ...] = field(default=("traffic light",), kw_only=True)
    """Labels of the objects that are traffic lights."""

    column: ClassVar[str] = "states"


def _found(record: ImageRecord, step: str) -> Detections:
    if record.detections is None:
        raise PipelineError(
            f"step {step!r} looks closer at what an earlier step detected; add one, such as Detect"
        )
    return record.detections


def _crop(record: ImageRecord, box_xyxy: Scores, margin: float) -> Pixels:
    """Return the part of a decoded picture that a box shows, one pixel of it at least."""
    height, width = record.pixels.shape[:2]
    x1, y1, x2, y2 = (box_xyxy * np.tile(scale_of(record), 2)).tolist()
    around = margin * max(x2 - x1, y2 - y1)
    low = np.floor([x1 - around, y1 - around])
    left, top = np.clip(low, 0, [width - 1, height - 1]).astype(int).tolist()
    high = np.ceil([x2 + around, y2 + around])
    right, bottom = np.clip(high, [left + 1, top + 1], [width, height]).astype(int).tolist()
    return record.pixels[top:bottom, left:right]
