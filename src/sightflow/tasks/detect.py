"""Find objects in each image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.models import ModelFile, zoo
from sightflow.ops.boxes import clip_boxes, nms
from sightflow.ops.preprocess import Placement
from sightflow.options import check_count, check_share
from sightflow.protocols import Context, Process
from sightflow.records import Detections, ImageRecord
from sightflow.tasks.following import Following
from sightflow.tasks.heads import Found
from sightflow.tasks.model_step import check_model, labels_of, make_head, open_model, scale_of

__all__ = ["Detect", "detections_of"]


@dataclass(frozen=True)
class Detect(Following):
    """Find objects in each image: boxes, labels, scores."""

    model: ModelFile = field(default_factory=lambda: zoo("nanodet"))
    min_score: float = 0.4
    """Objects that score less are left out, in [0, 1]."""
    max_iou: float = 0.6
    """Of two objects of one class that overlap more than this, the better one stays."""
    max_objects: int = 100
    """At most this many objects of an image are kept, the best ones; from 1."""

    gives: ClassVar[tuple[str, ...]] = ("detections",)

    def _check(self) -> None:
        """Refuse a model for another task and thresholds that cannot be."""
        check_share(self, "min_score", "max_iou")
        check_count(self, "max_objects", at_least=1)
        check_model(self.model, task="detect")

    def _open(self, context: Context) -> Process:
        call = open_model(self.model, context)
        decode = make_head(self.model.card)
        name_classes = partial(labels_of, self.model.card)

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            batch = call([record.pixels for record in records])
            found = decode(batch.outputs, min_score=self.min_score)
            return [
                replace(
                    record,
                    models=(*record.models, batch.use),
                    detections=detections_of(
                        objects,
                        placement.behind(*scale_of(record)),
                        size=(record.width, record.height),
                        max_iou=self.max_iou,
                        max_objects=self.max_objects,
                        name_classes=name_classes,
                    ),
                )
                for record, objects, placement in zip(records, found, batch.placements, strict=True)
            ]

        return process


def detections_of(
    found: Found,
    placement: Placement,
    *,
    size: tuple[int, int],
    max_iou: float,
    max_objects: int,
    name_classes: Callable[[npt.NDArray[np.int32]], tuple[str, ...]],
) -> Detections:
    """Suppress duplicates and bring boxes into pixels of an image.

    Args:
        found: candidates, in pixels of what a model saw.
        placement: where these came from.
        size: (width, height) of the image.
        max_iou: of two objects of one class that overlap more than this, the better one stays.
        max_objects: at most this many are kept, the best ones.
        name_classes: returns the labels of classes.
    """
    kept = nms(found.boxes_xyxy, found.scores, found.class_ids, max_iou=max_iou)
    width, height = size
    boxes = clip_boxes(placement.to_source(found.boxes_xyxy[kept]), width=width, height=height)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not wholly in a letterbox's bar
    kept, boxes = kept[inside][:max_objects], boxes[inside][:max_objects]
    class_ids = found.class_ids[kept]
    return Detections(boxes, found.scores[kept], class_ids, name_classes(class_ids))
