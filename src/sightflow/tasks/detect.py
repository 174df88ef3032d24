"""Find objects in each image, small ones in tiles of it too."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.models import ModelFile, zoo
from sightflow.ops.boxes import box_share, clip_boxes, nms
from sightflow.ops.preprocess import Placement
from sightflow.options import check_count, check_share
from sightflow.protocols import Context, Process
from sightflow.records import Detections, ImageRecord
from sightflow.tasks.following import Following
from sightflow.tasks.heads import Found, joined
from sightflow.tasks.model_step import (
    check_model,
    labels_of,
    make_head,
    open_model,
    scale_of,
    use_of,
)
from sightflow.tasks.views import AS_IT_IS, VIEWS_AT_ONCE, View, are_cut, tile_sides, tiles_of

__all__ = ["Detect", "detections_of"]

_INSIDE = 0.8
"""A box of which so much is in a better one, found in another view, shows a part of that object."""


@dataclass(frozen=True)
class Detect(Following):
    """Find objects in each image: boxes, labels, scores.

    With tiles the model looks at the whole picture and at parts of it that overlap by a fifth, in
    which small objects are larger. What an edge between tiles cuts is left to the views that show
    it whole: what is smaller than the overlap is whole in a tile, and what is larger is not small.
    """

    model: ModelFile = field(default_factory=lambda: zoo("nanodet"))
    min_score: float = 0.4
    """Objects that score less are left out, in [0, 1]."""
    max_iou: float = 0.6
    """Of two objects of one class that overlap more than this, the better one stays."""
    max_objects: int = 100
    """At most this many objects of an image are kept, the best ones; from 1."""

    tiles: tuple[int, int] = (1, 1)
    """Rows and columns of tiles that are looked at beside the whole picture, each from 1; (1, 1):
    only the whole."""

    gives: ClassVar[tuple[str, ...]] = ("detections",)
    adjustable: ClassVar[tuple[str, ...]] = ("min_score", "max_iou", "max_objects")

    def _check(self) -> None:
        """Refuse a model for another task and thresholds that cannot be."""
        check_share(self, "min_score", "max_iou")
        check_count(self, "max_objects", at_least=1)
        check_model(self.model, task="detect")
        if len(self.tiles) != 2 or any(type(n) is not int or n < 1 for n in self.tiles):
            raise PipelineError(
                "Detect: `tiles` are rows and columns, two whole numbers from 1; got "
                f"{self.tiles!r}"
            )

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale at which the model looks at a tile, or at the whole picture."""
        scale_for = self.model.card.input.preprocess.scale_for
        return max(scale_for(width, height), scale_for(*tile_sides(width, height, self.tiles)))

    def _open(self, context: Context) -> Process:
        call, use = open_model(self.model, context), use_of(self.model, context)
        decode = make_head(self.model.card)
        name_classes = partial(labels_of, self.model.card)

        def look(views: Sequence[View]) -> Iterator[Found]:
            for start in range(0, len(views), VIEWS_AT_ONCE):
                some = views[start : start + VIEWS_AT_ONCE]
                batch = call([view.pixels for view in some])
                found = decode(batch.outputs, min_score=self.min_score)
                for view, one, placement in zip(some, found, batch.placements, strict=True):
                    boxes = view.placement.to_source(placement.to_source(one.boxes_xyxy))
                    yield replace(one, boxes_xyxy=boxes)

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            wholes = [View(i, record.pixels) for i, record in enumerate(records)]
            tiles = [tile for whole in wholes for tile in tiles_of(whole, self.tiles)]
            seen: list[list[tuple[View, Found]]] = [[] for _ in records]
            for view, found in zip([*wholes, *tiles], look([*wholes, *tiles]), strict=True):
                seen[view.image].append((view, found))
            return [
                replace(
                    record,
                    models=(*record.models, use),
                    detections=detections_of(
                        _merged(some, max_iou=self.max_iou),
                        AS_IT_IS.behind(*scale_of(record)),
                        size=(record.width, record.height),
                        max_iou=self.max_iou,
                        max_objects=self.max_objects,
                        name_classes=name_classes,
                    ),
                )
                for record, some in zip(records, seen, strict=True)
            ]

        return process


def _merged(seen: Sequence[tuple[View, Found]], *, max_iou: float) -> Found:
    """Return what the views of a picture show whole, and each object once.

    Args:
        seen: each view with what was found in it, in pixels of the picture; the first is all of it.
        max_iou: of two objects of one class that overlap more than this, the better one stays.
    """
    (whole, found), *tiles = seen
    if not tiles:
        return found
    parts = [
        found,
        *(one.take(~are_cut(one.boxes_xyxy, view, whole.pixels)) for view, one in tiles),
    ]
    numbers = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    together = joined(parts)
    kept = nms(together.boxes_xyxy, together.scores, together.class_ids, max_iou=max_iou)
    best = together.take(kept)
    return best.take(~_are_parts(best, numbers[kept]))


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


def _are_parts(found: Found, numbers: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return which boxes, best first, lie in a better one of their class and of another view."""
    inside = box_share(found.boxes_xyxy, found.boxes_xyxy) >= _INSIDE
    alike = found.class_ids[:, None] == found.class_ids[None, :]
    elsewhere = numbers[:, None] != numbers[None, :]
    return np.asarray(np.tril(inside & alike & elsewhere, -1).any(axis=1), np.bool_)
