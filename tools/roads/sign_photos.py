"""Photographs of roads with annotated signs: background, and what real signs look like."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Photos", "is_held_out", "read_photos"]

Image: TypeAlias = npt.NDArray[np.float32]

BLOCK = 16
"""Photographs with neighbouring numbers may show the same street: so many stay together."""
HELD_OUT_PERCENT = 30


def is_held_out(name: str) -> bool:
    """Say whether a photograph, `roadN.jpg`, is one to test with."""
    block = int(name.removeprefix("road").removesuffix(".jpg")) // BLOCK
    return int(hashlib.sha256(str(block).encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT


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


def read_photos(folder: Path, *, held_out: bool) -> Photos:
    """Return the photographs to train with, or those to test with."""
    told = json.loads((folder / "original4.json").read_text())
    names = {one["id"]: one["name"] for one in told["categories"]}
    paths = {
        one["id"]: folder / "images" / one["file_name"]
        for one in told["images"]
        if is_held_out(one["file_name"]) == held_out
    }
    boxes: dict[Path, list[tuple[str, tuple[int, int, int, int]]]] = {p: [] for p in paths.values()}
    for one in told["annotations"]:
        if one["image_id"] in paths:
            x, y, width, height = (round(value) for value in one["bbox"])
            box = (x, y, x + width, y + height)
            boxes[paths[one["image_id"]]].append((names[one["category_id"]], box))
    return Photos(tuple(boxes), {path: tuple(some) for path, some in boxes.items()})


@cache
def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path}: must be a picture; got something else; get the data again")
    return np.ascontiguousarray(image[:, :, ::-1])


def _resized(part: npt.NDArray[np.uint8], side: int) -> Image:
    how = cv2.INTER_AREA if part.shape[0] > side else cv2.INTER_LINEAR
    return cv2.resize(part, (side, side), interpolation=how).astype(np.float32) / 255


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
