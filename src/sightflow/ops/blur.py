"""Hide faces: nobody can be recognised in what is left."""

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["blur_boxes"]

Pixels = npt.NDArray[np.uint8]

_AROUND = 0.3
"""Part of its side by which a box grows: hair, chin and ears tell much."""
_CELLS = 5
"""So many cells across are left of a face, too few to tell whose it is."""


def blur_boxes(pixels: Pixels, boxes_xyxy: npt.NDArray[np.float32]) -> None:
    """Blur the inside of boxes and a little around them, in place.

    Args:
        pixels: uint8 [H, W, 3], which may be written to.
        boxes_xyxy: float32 [N, 4] in pixels of the picture.
    """
    height, width = pixels.shape[:2]
    limits = np.array([width, height, width, height])
    for x1, y1, x2, y2 in boxes_xyxy:
        around = _AROUND * max(x2 - x1, y2 - y1)
        grown = np.array([x1 - around, y1 - around, x2 + around, y2 + around])
        left, top, right, bottom = np.clip(np.round(grown), 0, limits).astype(int)
        part = pixels[top:bottom, left:right]
        if part.size:
            part[:] = _blurred(part)


def _blurred(part: Pixels) -> Pixels:
    """Return a part that is averaged into few cells, and smooth between them."""
    height, width = part.shape[:2]
    cells = (min(_CELLS, width), min(_CELLS, height))
    few = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
