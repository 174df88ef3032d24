"""Find objects in each image."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from sightflow.models import ModelFile, zoo
from sightflow.ops.boxes import clip_boxes, nms
from sightflow.ops.preprocess import Placement
from sightflow.options import check_count, check_share
from sightflow.protocols import Context, Process
from sightflow.records import Detections, ImageRecord
from sightflow.tasks.following import Following
from sightflow.tasks.heads import Found
from sightflow.tasks.model_step import check_model, labels_of, make_head, open_model

__all__ = ["Detect"]


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

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            batch = call([record.pixels for record in records])
            found = decode(batch.outputs, min_score=self.min_score)
            return [
                replace(
                    record,
                    models=(*record.models, batch.use),
                    detections=self._detections(record, objects, placement),
                )
                for record, objects, placement in zip(records, found, batch.placements, strict=True)
            ]

        return process

    def _detections(self, record: ImageRecord, found: Found, placement: Placement) -> Detections:
        """Suppress duplicates and bring the boxes into pixels of the original."""
        kept = nms(found.boxes_xyxy, found.scores, found.class_ids, max_iou=self.max_iou)
        height, width = record.pixels.shape[:2]
        reduced = np.array([record.width / width, record.height / height] * 2, np.float32)
        boxes = placement.to_source(found.boxes_xyxy[kept]) * reduced
        boxes = clip_boxes(boxes, width=record.width, height=record.height)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not wholly in a letterbox's bar
        kept, boxes = kept[inside][: self.max_objects], boxes[inside][: self.max_objects]
        return Detections(
            boxes_xyxy=boxes,
            scores=found.scores[kept],
            class_ids=found.class_ids[kept],
            labels=labels_of(self.model.card, found.class_ids[kept]),
        )
