"""Parts of a picture that a model looks at by themselves: small objects are large in them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.ops.preprocess import Placement
from sightflow.tasks.model_step import Pixels

__all__ = ["AS_IT_IS", "VIEWS_AT_ONCE", "View", "are_cut", "tile_sides", "tiles_of"]

Boxes: TypeAlias = npt.NDArray[np.float32]

AS_IT_IS = Placement(1, 1, 0, 0)
VIEWS_AT_ONCE = 32
"""Views in one call of a model: tiles make many of one picture."""
_OVERLAP = 0.2
"""Part of a tile that lies on the next one too: nothing smaller is cut by both."""
_CUT = 0.02
"""A box so near to an edge inside the picture, in sides of the tile, shows a part of an object."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a model looks at: a part of a picture, or more than all of it."""

    image: int
    """Number of the image in the batch."""
    pixels: Pixels
    placement: Placement = AS_IT_IS
    """Where they lay in the picture."""


def tile_sides(width: int, height: int, tiles: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of each of (rows, columns) tiles that overlap, in pixels.

    Examples:
        >>> tile_sides(900, 500, (1, 2)), tile_sides(900, 500, (2, 2))
        ((500, 500), (500, 278))
    """
    rows, columns = tiles
    return _side(width, columns), _side(height, rows)


def tiles_of(whole: View, tiles: tuple[int, int]) -> Iterator[View]:
    """Yield the (rows, columns) tiles of a picture, row by row; (1, 1) yields none."""
    if tiles == (1, 1):
        return
    rows, columns = tiles
    height, width = whole.pixels.shape[:2]
    side_x, side_y = tile_sides(width, height, tiles)
    for top in np.linspace(0, height - side_y, rows).round().astype(int).tolist():
        for left in np.linspace(0, width - side_x, columns).round().astype(int).tolist():
            part = whole.pixels[top : top + side_y, left : left + side_x]
            yield View(whole.image, part, Placement(1, 1, -left, -top))


def are_cut(boxes_xyxy: Boxes, view: View, picture: Pixels) -> npt.NDArray[np.bool_]:
    """Return which boxes touch an edge of a view that is none of the picture.

    Args:
        boxes_xyxy: float32 [N, 4], in pixels of the picture.
        view: in which they were found.
        picture: uint8 [H, W, 3] RGB, of which the view is a part.
    """
    height, width = view.pixels.shape[:2]
    left, top = -view.placement.pad_x, -view.placement.pad_y
    inner = np.array([left, top, left + width, top + height], np.float32)
    near = np.abs(boxes_xyxy - inner) <= _CUT * np.array([width, height] * 2, np.float32)
    past = (boxes_xyxy - inner) * np.array([-1, -1, 1, 1], np.float32) > 0
    outer = np.array([0, 0, picture.shape[1], picture.shape[0]], np.float32)
    return np.asarray(((near | past) & (inner != outer)).any(axis=1), np.bool_)


def _side(length: int, n_tiles: int) -> int:
    """Return the length of each of so many tiles that cover a length."""
    return math.ceil(length / (n_tiles - (n_tiles - 1) * _OVERLAP))
