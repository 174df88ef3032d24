"""Photographs of roads with annotated signs: background, and what real signs look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tools.roads.frames import ANNOTATIONS
from tools.roads.photos import Box, read_photos, read_picture

__all__ = ["Photos", "read_some"]

Image: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photos:
    """Some photographs, and the boxes in them."""

    paths: tuple[Path, ...]
    boxes: Mapping[Path, tuple[tuple[str, tuple[int, int, int, int]], ...]]
    """Of each photograph: category and box xyxy in pixels."""

    def background(self, rng: np.random.Generator, side: int) -> Image:
        """Return float32 [side, side, 3] in [0, 1]: a part where nothing is annotated."""
        while True:  # most parts of a photograph are free
            path = self.paths[int(rng.integers(len(self.paths)))]
            image = _pixels(path)
            size = int(rng.uniform(0.08, 0.5) * min(image.shape[:2]))
            top = int(rng.integers(image.shape[0] - size))
            left = int(rng.integers(image.shape[1] - size))
            if not any(
                _meet((left, top, left + size, top + size), box) for _, box in self.boxes[path]
            ):
                part = image[top : top + size, left : left + size]
                return _resized(part, side)

    def of(self, category: str) -> tuple[tuple[Path, tuple[int, int, int, int]], ...]:
        """Return photograph and box of everything in a category."""
        return tuple(
            (path, box) for path in self.paths for kind, box in self.boxes[path] if kind == category
        )

    def crop(self, category: str, rng: np.random.Generator, side: int) -> Image:
        """Return float32 [side, side, 3] in [0, 1]: one of a category, cut loosely."""
        every = self.of(category)
        path, (x1, y1, x2, y2) = every[int(rng.integers(len(every)))]
        image = _pixels(path)
        loose = rng.uniform(-0.05, 0.18, 4) * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
        low = np.clip(np.array([x1, y1]) - loose[:2], 0, None).astype(int)
        high = np.maximum(np.array([x2, y2]) + loose[2:], low + 4).astype(int)
        return _resized(image[low[1] : high[1], low[0] : high[0]], side)


def read_some(folder: Path, *, held_out: bool) -> Photos:
    """Return the photographs to train with, or those to test with.

    Raises:
        RoadsError: the annotations cannot be read, or a photograph is not there.
    """
    found = [one for one in read_photos(folder, ANNOTATIONS) if one.is_held_out == held_out]
    return Photos(
        tuple(one.path for one in found),
        {one.path: tuple((box.label, _rounded(box)) for box in one.boxes) for one in found},
    )


def _rounded(box: Box) -> tuple[int, int, int, int]:
    left, top = round(box.left), round(box.top)
    return left, top, left + round(box.right - box.left), top + round(box.bottom - box.top)


@cache
def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    return read_picture(path)


def _resized(part: npt.NDArray[np.uint8], side: int) -> Image:
    how = cv2.INTER_AREA if part.shape[0] > side else cv2.INTER_LINEAR
    return cv2.resize(part, (side, side), interpolation=how).astype(np.float32) / 255


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
