"""Frames, and objects to paste into them, for a detector of signs and lights."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tools.roads.draw_lights import draw_light
from tools.roads.package import package_crops
from tools.roads.photos import (
    Pixels,
    coco_part,
    cut,
    read_coco,
    read_photos,
    read_picture,
    write_png,
)

__all__ = ["ANNOTATIONS", "write_cutouts", "write_frames"]

ANNOTATIONS = "original4.json"
ROUND = ("speedlimit", "stop")
"""Labels of what an ellipse fits better than its box."""
LIGHT = "trafficlight"
MIN_SIDE = 16
"""In pixels; what is smaller says little about how it looks."""
MIN_SLENDERNESS = 1.2
"""Height over width of a crop that shows the whole of a light."""


def write_frames(photos: Path, out: Path) -> dict[str, int]:
    """Copy the photos into `train` and `test`, with annotations beside them; return counts.

    Raises:
        RoadsError: annotations or photos are not what they must be.
    """
    coco = read_coco(photos / ANNOTATIONS)
    counts = {}
    for part in ("train", "test"):
        ours = coco_part(coco, held_out=part == "test")
        (out / part).mkdir(parents=True, exist_ok=True)
        for image in ours["images"]:
            shutil.copyfile(photos / "images" / image["file_name"], out / part / image["file_name"])
        (out / f"{part}.json").write_text(json.dumps(ours), encoding="utf-8")
        counts[part] = len(ours["images"])
    return counts


def write_cutouts(
    photos: Path, crops: Path, out: Path, *, n_drawn: int, seed: int
) -> dict[str, int]:
    """Write what can be pasted into frames as `LABEL/*.png`, RGBA; return counts by label.

    Args:
        photos: A folder with `images` and annotations; of those for training.
        crops: The folder of pictures of the package.
        out: Where to write.
        n_drawn: How many traffic lights to draw.
        seed: Equal seeds draw equal lights.

    Raises:
        RoadsError: annotations or pictures are not what they must be.
    """
    counts: Counter[str] = Counter()
    rng = np.random.default_rng(seed)
    drawn = ((LIGHT, f"drawn{i}", draw_light(rng).rgba) for i in range(n_drawn))
    for some in (_from_photos(photos), _from_package(crops), drawn):
        for label, name, rgba in some:
            write_png(out / label / f"{name}.png", rgba)
            counts[label] += 1
    return dict(counts)


def _from_photos(folder: Path) -> Iterator[tuple[str, str, Pixels]]:
    """Yield label, name and RGBA of what is large enough in the photos for training."""
    for photo in read_photos(folder, ANNOTATIONS):
        if photo.is_held_out:
            continue
        pixels = photo.pixels()
        for i, box in enumerate(photo.boxes):
            shown = cut(pixels, box)
            if min(shown.shape[:2]) >= MIN_SIDE:
                name = f"{photo.path.stem}_{i}"
                yield box.label, name, _with_alpha(shown, is_round=box.label in ROUND)


def _from_package(folder: Path) -> Iterator[tuple[str, str, Pixels]]:
    """Yield the crops of the package that show the whole of a light."""
    for state, path in package_crops(folder, "train"):
        pixels = read_picture(path)
        height, width = pixels.shape[:2]
        if height >= MIN_SLENDERNESS * width:
            yield LIGHT, f"{state}_{path.stem}", _with_alpha(pixels, is_round=False)


def _with_alpha(pixels: Pixels, *, is_round: bool) -> Pixels:
    """Return RGBA, opaque within the ellipse of a picture, or all of it."""
    height, width = pixels.shape[:2]
    alpha = np.zeros((height, width), np.uint8) if is_round else np.full((height, width), 255)
    if is_round:
        middle, axes = ((width - 1) / 2, (height - 1) / 2), (width, height)
        cv2.ellipse(alpha, (middle, axes, 0), 255, -1)
    return np.dstack([pixels, alpha.astype(np.uint8)])
