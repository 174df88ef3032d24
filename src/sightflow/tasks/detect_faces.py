"""Find faces in each image, small ones in large pictures too."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.models import ModelFile, zoo
from sightflow.ops.boxes import box_share, clip_boxes, nms
from sightflow.ops.preprocess import Placement, Preprocess
from sightflow.options import check_count, check_share
from sightflow.protocols import Context, Process
from sightflow.records import Faces, ImageRecord
from sightflow.tasks.face_heads import FoundFaces
from sightflow.tasks.following import Following
from sightflow.tasks.model_step import Pixels, check_model, head_of, make_head, open_model, use_of
from sightflow.tasks.views import VIEWS_AT_ONCE, View

__all__ = ["DetectFaces"]

_OVERLAP = 0.25
"""Part of a tile that lies on the next one too: no smaller face is cut by both."""
_LARGEST = 0.5
"""Faces that fill more of a tile than this are found in a larger one, or in the whole picture."""
_CUT = 0.02
"""A box so near to an edge inside the picture, in sides of the tile, shows a part of a face."""
_STRICTER = 0.15
"""By so much more a face must score that is not found in the whole picture: each look is a chance
for a false one."""
_CLOSE_UP = 0.35
"""From this part of the picture's long side on, a face is looked at from farther away as well."""
_CERTAIN = 0.85
"""A picture without a face of this score is looked at from farther away as well."""
_FARTHER = 0.5
"""Then the picture fills so much of the model's input."""
_NEAR = 0.2
"""What is smaller in the picture is not found from farther away, but mistaken for a face."""
_INSIDE = 0.7
"""A box of which so much is in a better one shows a part of that face."""


@dataclass(frozen=True)
class DetectFaces(Following):
    """Find faces in each image: boxes, scores, landmarks.

    A picture in which no face is certain, or one fills much of it, is looked at once more from
    farther away: detectors know faces with something around them.
    """

    model: ModelFile = field(default_factory=lambda: zoo("blazeface_back"))
    min_score: float = 0.5
    """Faces that score less are left out, in [0, 1]."""
    max_iou: float = 0.3
    """Of two faces that overlap more than this, the better one stays."""
    max_faces: int = 100
    """At most this many faces of an image are kept, the best ones; from 1."""
    tile_px: int | None = 640
    """A picture with a longer side is also looked at in tiles of this side, of twice this, and so
    on, which overlap: so faces from a sixteenth of it are found. None: only as a whole."""

    gives: ClassVar[tuple[str, ...]] = ("faces",)
    adjustable: ClassVar[tuple[str, ...]] = ("min_score", "max_iou", "max_faces")

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale at which the model looks at a tile, or at the whole picture."""
        side = max(width, height) if self.tile_px is None else self.tile_px
        return min(1.0, max(self._size) / min(side, max(width, height)))

    @property
    def n_landmarks(self) -> int | None:
        """How many landmarks each face has; None where the head of the model does not say."""
        return getattr(head_of(self.model.card), "n_landmarks", None)

    def _check(self) -> None:
        """Refuse a model for another task and thresholds that cannot be."""
        check_share(self, "min_score", "max_iou")
        check_count(self, "max_faces", at_least=1)
        check_count(self, "tile_px", at_least=64)
        check_model(self.model, task="detect_faces")

    @property
    def _size(self) -> tuple[int, int]:
        """(height, width) of the model's input."""
        return self.model.card.input.preprocess.size or (1, 1)

    def _open(self, context: Context) -> Process:
        call, use = open_model(self.model, context), use_of(self.model, context)
        decode, from_farther = make_head(self.model.card), _far_away(self._size).compile()

        def look(views: Sequence[View]) -> Iterator[tuple[int, FoundFaces]]:
            for start in range(0, len(views), VIEWS_AT_ONCE):
                some = views[start : start + VIEWS_AT_ONCE]
                batch = call([view.pixels for view in some])
                faces = decode(batch.outputs, min_score=self.min_score)
                for view, one, placement in zip(some, faces, batch.placements, strict=True):
                    yield view.image, _in_picture(one, view, placement)

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            pictures = [record.pixels for record in records]
            wholes = [View(i, picture) for i, picture in enumerate(pictures)]
            found = [[faces] for _, faces in look(wholes)]
            tiles = [tile for i, record in enumerate(records) for tile in self._tiles(i, record)]
            for tile, (i, faces) in zip(tiles, look(tiles), strict=True):
                found[i].append(self._sure(faces, _are_whole(faces, tile)))
            again = [i for i, faces in enumerate(found) if _is_close_up(faces, pictures[i])]
            views = [View(i, *from_farther(pictures[i])) for i in again]
            for i, faces in look(views):
                found[i].append(self._sure(faces, _are_near(faces, pictures[i])))
            return [
                replace(record, models=(*record.models, use), faces=self._merged(record, some))
                for record, some in zip(records, found, strict=True)
            ]

        return process

    def _tiles(self, image: int, record: ImageRecord) -> Iterator[View]:
        """Yield the tiles of a large picture: small ones, and larger ones for larger faces."""
        height, width = record.pixels.shape[:2]
        side_px = max(record.width, record.height) if self.tile_px is None else self.tile_px
        while side_px < max(record.width, record.height):
            side = max(1, round(side_px * width / record.width))
            for top in _starts(height, side):
                for left in _starts(width, side):
                    part = record.pixels[top : top + side, left : left + side]
                    yield View(image, part, Placement(1, 1, -left, -top))
            side_px *= 2

    def _sure(self, found: FoundFaces, rows: npt.NDArray[np.bool_]) -> FoundFaces:
        """Return those faces of these rows that score well enough for a second look."""
        least = min(self.min_score + _STRICTER, 1 - (1 - self.min_score) / 2)
        return found.take(rows & (found.scores >= least))

    def _merged(self, record: ImageRecord, found: Sequence[FoundFaces]) -> Faces:
        """Suppress duplicates and bring what all views show into pixels of the original."""
        height, width = record.pixels.shape[:2]
        reduced = np.array([record.width / width, record.height / height], np.float32)
        boxes = np.concatenate([one.boxes_xyxy for one in found]) * np.tile(reduced, 2)
        scores = np.concatenate([one.scores for one in found])
        landmarks = np.concatenate([one.landmarks_xy for one in found]) * reduced
        boxes = clip_boxes(boxes, width=record.width, height=record.height)
        there = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        boxes, scores, landmarks = boxes[there], scores[there], landmarks[there]
        kept = nms(boxes, scores, np.zeros(len(scores), np.int32), max_iou=self.max_iou)
        kept = kept[~_are_parts(boxes[kept])][: self.max_faces]
        return Faces(boxes[kept], scores[kept], landmarks[kept])


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles begin that cover a length and overlap evenly."""
    if length <= side:
        return [0]
    n_tiles = math.ceil((length - _OVERLAP * side) / ((1 - _OVERLAP) * side))
    return [round(start) for start in np.linspace(0, length - side, n_tiles)]


def _is_close_up(found: Sequence[FoundFaces], pixels: Pixels) -> bool:
    """Return whether no face is certain, or one fills much of the picture."""
    largest = max(_sides(one).max(initial=0) for one in found)
    best = max(one.scores.max(initial=0) for one in found)
    return bool(best < _CERTAIN or largest >= _CLOSE_UP * max(pixels.shape[:2]))


def _far_away(size: tuple[int, int]) -> Preprocess:
    """Return what shows a picture with much black around it, in the size of the model's input."""
    height, width = (max(1, round(_FARTHER * length)) for length in size)
    return Preprocess(letterbox=(height, width), crop=size, interpolation="area")


def _in_picture(found: FoundFaces, view: View, placement: Placement) -> FoundFaces:
    """Return the faces of a view in pixels of the decoded picture."""
    doubled = np.tile(found.landmarks_xy.reshape(-1, 2), 2)  # `to_source` takes boxes
    rows = np.concatenate([found.boxes_xyxy, doubled])
    rows = view.placement.to_source(placement.to_source(rows))
    boxes, points = np.split(rows, [len(found.scores)])
    return FoundFaces(boxes, found.scores, points[:, :2].reshape(found.landmarks_xy.shape))


def _are_whole(found: FoundFaces, tile: View) -> npt.NDArray[np.bool_]:
    """Return which faces are not cut by the edges of a tile, and not too large for it.

    Those at an edge of the picture itself are found in the whole picture only.
    """
    height, width = tile.pixels.shape[:2]
    side = max(height, width)
    edge, corner = _CUT * side, -np.array([tile.placement.pad_x, tile.placement.pad_y])
    boxes = found.boxes_xyxy - np.tile(corner, 2)
    inside = (boxes[:, :2] >= edge) & (boxes[:, 2:] <= np.array([width, height]) - edge)
    return np.asarray(inside.all(axis=1) & (_sides(found) <= _LARGEST * side), np.bool_)


def _are_near(found: FoundFaces, pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return which faces are large in the picture."""
    return np.asarray(_sides(found) >= _NEAR * max(pixels.shape[:2]), np.bool_)


def _sides(found: FoundFaces) -> npt.NDArray[np.float32]:
    """Return the longer side of each box, float32 [N]."""
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    return np.asarray(sides.max(axis=1, initial=0), np.float32)


def _are_parts(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return which boxes, best first, lie in a better one for the most part."""
    inside = box_share(boxes, boxes) >= _INSIDE
    return np.asarray(np.tril(inside, -1).any(axis=1), np.bool_)
