"""Boxes: areas, overlaps, suppression of duplicates."""

from typing import cast

import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError

__all__ = ["box_iou", "box_share", "clip_boxes", "cxcywh_to_xyxy", "nms"]

Boxes = npt.NDArray[np.float32]


def _check(name: str, boxes: Boxes) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"`{name}` must be [N, 4]; got {list(boxes.shape)}")


def box_iou(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Return the intersection over union of every pair of boxes.

    Args:
        a: float32 [N, 4], xyxy in pixels, x2 and y2 exclusive.
        b: float32 [M, 4], the same.

    Returns:
        float32 [N, M] in [0, 1]; 0 where both boxes are empty.

    Raises:
        ShapeError: `a` or `b` is not [*, 4].

    Source:
        Jaccard index; the [N, M] form is that of torchvision.ops.box_iou.

    Examples:
        >>> unit = np.array([[0, 0, 2, 2]], np.float32)
        >>> f"{box_iou(unit, unit + 1).item():.3f}"
        '0.143'
    """
    _check("a", a)
    _check("b", b)
    common = _common(a, b)
    union = _areas(a)[:, None] + _areas(b)[None, :] - common
    iou: npt.NDArray[np.float32] = np.divide(
        common, union, out=np.zeros_like(common), where=union > 0
    )
    return iou


def box_share(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Return which part of each box of `a` lies in each box of `b`.

    Args:
        a: float32 [N, 4], xyxy in pixels, x2 and y2 exclusive.
        b: float32 [M, 4], the same.

    Returns:
        float32 [N, M] in [0, 1]; 0 where the box of `a` is empty.

    Raises:
        ShapeError: `a` or `b` is not [*, 4].

    Examples:
        >>> unit = np.array([[0, 0, 2, 2]], np.float32)
        >>> box_share(unit, unit * 3).item(), box_share(unit, unit + 1).item()
        (1.0, 0.25)
    """
    _check("a", a)
    _check("b", b)
    common, areas = _common(a, b), np.broadcast_to(_areas(a)[:, None], (len(a), len(b)))
    share: npt.NDArray[np.float32] = np.divide(
        common, areas, out=np.zeros_like(common), where=areas > 0
    )
    return share


def _common(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Return the area that each pair of boxes has in common, float32 [N, M]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    size = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0, None)
    return cast("npt.NDArray[np.float32]", size[..., 0] * size[..., 1])


def _areas(boxes: Boxes) -> npt.NDArray[np.float32]:
    size = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return cast("npt.NDArray[np.float32]", size[:, 0] * size[:, 1])


def nms(
    boxes_xyxy: Boxes,
    scores: npt.NDArray[np.float32],
    class_ids: npt.NDArray[np.int32],
    *,
    max_iou: float,
) -> npt.NDArray[np.intp]:
    """Return the rows that survive class-wise non-maximum suppression, best score first.

    Args:
        boxes_xyxy: float32 [N, 4] in pixels.
        scores: float32 [N].
        class_ids: int32 [N]; boxes of different classes do not suppress each other.
        max_iou: a box that overlaps a better one of its class by more than this is dropped.

    Returns:
        intp [K], indices into the rows; equal scores keep their order.

    Source:
        Greedy suppression, as torchvision.ops.batched_nms.

    Examples:
        >>> boxes = np.array([[0, 0, 9, 9], [0, 0, 10, 9]], np.float32)
        >>> nms(boxes, np.array([0.5, 0.9], np.float32), np.zeros(2, np.int32), max_iou=0.5)
        array([1])
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for class_id in np.unique(class_ids):
        rows = order[class_ids[order] == class_id]
        while len(rows):  # a row of overlaps at a time: all pairs at once would not fit in memory
            best, rows = rows[:1], rows[1:]
            kept.append(int(best[0]))
            rows = rows[box_iou(boxes_xyxy[best], boxes_xyxy[rows])[0] <= max_iou]
    survivors = np.array(kept, np.intp)
    best_first: npt.NDArray[np.intp] = survivors[np.lexsort((survivors, -scores[survivors]))]
    return best_first


def clip_boxes(boxes_xyxy: Boxes, *, width: int, height: int) -> Boxes:
    """Return the boxes cut at the edges of an image of this size."""
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes_xyxy, 0, limit).astype(np.float32)


def cxcywh_to_xyxy(boxes: Boxes) -> Boxes:
    """Return boxes given by centre and size, float32 [N, 4], by their corners."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
