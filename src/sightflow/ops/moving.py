"""Objects of images whose pixels move: where they are then, and what is left of them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Objects", "keep_visible", "mirrored_before", "move_objects"]

Objects: TypeAlias = npt.NDArray[np.float32]
"""float32 [N, 5]: x1, y1, x2, y2 in pixels of an image, and the number of the class."""

_MIN_VISIBLE = 0.4
"""An object of which less can be seen is none."""
_MIN_SIDE = 3.0
_GREY = 114


def move_objects(objects: Objects, move: npt.NDArray[np.float64]) -> Objects:
    """Return objects as they lie after an affine move [2, 3] of the pixels' centres.

    The new box holds the middles of the four sides. For what is round that is exact; the box of
    the corners would grow with each turn.
    """
    x1, y1, x2, y2 = objects[:, :4].T
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    x = np.stack([x1, x2, middle_x, middle_x]) - 0.5  # from edges to centres of pixels
    y = np.stack([middle_y, middle_y, y1, y2]) - 0.5
    new_x = move[0, 0] * x + move[0, 1] * y + move[0, 2] + 0.5
    new_y = move[1, 0] * x + move[1, 1] * y + move[1, 2] + 0.5
    moved = objects.copy()
    corners = new_x.min(0), new_y.min(0), new_x.max(0), new_y.max(0)
    moved[:, :4] = np.stack(corners, axis=1)
    return moved


def mirrored_before(move: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Return the move [2, 3] of pixels that are mirrored left to right first."""
    mirrored = move.copy()
    mirrored[:, 2] += move[:, 0] * (width - 1)
    mirrored[:, 0] = -move[:, 0]
    return mirrored


def keep_visible(image: npt.NDArray[Any], objects: Objects) -> Objects:
    """Return the objects cut at the edges of an image, without those that are hardly there.

    What is left of these in the image, uint8 [H, W, 3], is made grey in place where no other object
    is, so that nothing is seen that nobody names.
    """
    height, width = image.shape[:2]
    cut = objects.copy()
    cut[:, :4] = np.clip(cut[:, :4], 0, [width, height, width, height])
    sides = cut[:, 2:4] - cut[:, :2]
    whole = np.prod(objects[:, 2:4] - objects[:, :2], axis=1)
    is_there = (sides.min(axis=1, initial=np.inf) >= _MIN_SIDE) & (
        sides.prod(axis=1) >= _MIN_VISIBLE * whole
    )
    kept: Objects = cut[is_there]
    places = [_pixels_of(box) for box in kept[:, :4].tolist()]
    seen = [image[place].copy() for place in places]
    for box in cut[~is_there, :4].tolist():
        image[_pixels_of(box)] = _GREY
    for place, pixels in zip(places, seen, strict=True):
        image[place] = pixels
    return kept


def _pixels_of(box: Sequence[float]) -> tuple[slice, slice]:
    """Return the rows and columns of pixels that a box touches."""
    x1, y1, x2, y2 = box
    return slice(int(y1), -int(-y2 // 1)), slice(int(x1), -int(-x2 // 1))
