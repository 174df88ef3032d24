"""Crops of traffic lights, by what they show, for a classifier."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from tools.roads.draw_lights import STATES, draw_light
from tools.roads.package import package_crops
from tools.roads.photos import Box, Photo, Pixels, cut, read_photos, write_png

__all__ = ["ANNOTATIONS", "STATE_OF", "Amounts", "around", "write_lights"]

ANNOTATIONS = "lightstate.json"
STATE_OF = MappingProxyType({"redlight": "red", "greenlight": "green", "unlight": "off"})
"""What a light shows, by the label of its box."""
UNCLEAR = frozenset(
    {
        *("road36_1", "road40_0", "road40_1", "road40_2", "road124_1", "road124_2"),
        *("road826_1", "road826_2", "road36_2"),
    }
)
"""Boxes, photo and place in the list, of photos for training that no network learns from: eight of
`unlight` where a lamp is seen to be lit, and the last, of `redlight`, where none is. The boxes of
photos that are held out are taken as they are."""
MIN_SIDE = 10
"""In pixels, of a box to learn from: in smaller ones nobody sees which lamp is lit."""
HEIGHTS = 20, 128
"""Of drawn lights, in pixels: as far away and as near as those of photos."""


@dataclass(frozen=True)
class Amounts:
    """How much is made of what there is."""

    n_drawn: int
    """Lights to draw, of each state."""
    n_views: int
    """Crops of each light in the photos for training, with more or less around it."""
    seed: int = 0
    """Equal seeds make equal pictures."""


def write_lights(photos: Path, crops: Path, out: Path, amounts: Amounts) -> dict[str, int]:
    """Write `train/STATE/*` and `test/STATE/*`; return counts, such as of `train/red`.

    Args:
        photos: A folder with `images` and annotations.
        crops: The folder of pictures of the package.
        out: Where to write.
        amounts: How much to draw, and to cut out.

    Raises:
        RoadsError: annotations or pictures are not what they must be.
    """
    counts: Counter[str] = Counter()
    for part in ("train", "test"):
        for state, path in package_crops(crops, part):
            folder = out / part / state
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / f"package_{path.name}")
            counts[f"{part}/{state}"] += 1
    rng = np.random.default_rng(amounts.seed)
    of_photos = list(read_photos(photos, ANNOTATIONS))
    cut_out = _from_photos(of_photos, amounts.n_views, rng)
    drawn = _drawn([one for one in of_photos if not one.is_held_out], amounts.n_drawn, rng)
    for some in (cut_out, drawn):
        for where, name, pixels in some:
            write_png(out / where / f"{name}.png", pixels)
            counts[where] += 1
    return dict(counts)


def _from_photos(
    photos: Sequence[Photo], n_views: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, Pixels]]:
    """Yield place, name and pixels of each light; of one for training, several views."""
    for photo in photos:
        lights = [box for box in photo.boxes if box.label in STATE_OF]
        pixels = photo.pixels() if lights else None
        for i, box in enumerate(lights):
            assert pixels is not None
            name, state = f"{photo.path.stem}_{i}", STATE_OF[box.label]
            if photo.is_held_out:
                yield f"test/{state}", name, cut(pixels, box)
                continue
            if name in UNCLEAR or min(box.right - box.left, box.bottom - box.top) < MIN_SIDE:
                continue
            for view in range(n_views):
                yield f"train/{state}", f"{name}_{view}", cut(pixels, around(box, rng))


def around(box: Box, rng: np.random.Generator) -> Box:
    """Return a box as a detector may find it: each edge a little outside, or inside."""
    width, height = box.right - box.left, box.bottom - box.top
    left, right = rng.uniform(-0.08, 0.2, 2) * width
    top, bottom = rng.uniform(-0.05, 0.12, 2) * height
    return Box(box.label, box.left - left, box.top - top, box.right + right, box.bottom + bottom)


def _drawn(
    photos: Sequence[Photo], n: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, Pixels]]:
    """Yield place, name and pixels of n drawn lights of each state, before parts of photos.

    Half as many parts with nothing before them are `off`: a detector may be wrong.
    """
    for i in range(n):
        photo = photos[rng.integers(len(photos))]
        pixels = photo.pixels()
        for state in STATES:
            rgba = _sized(draw_light(rng, state, is_hard=rng.random() < 0.8).rgba, rng)
            behind = _background(photo, pixels, rgba, rng)
            yield f"train/{state}", f"drawn{i}", _weathered(_pasted(rgba, behind, rng), rng)
        if i % 2 == 0:
            yield "train/off", f"nothing{i}", _background(photo, pixels, rgba, rng)


def _sized(rgba: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a light as far away as chance has it."""
    height = float(np.exp(rng.uniform(*np.log(HEIGHTS))))
    by = height / len(rgba)
    size = max(4, round(rgba.shape[1] * by)), max(8, round(height))
    return cv2.resize(rgba, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _background(photo: Photo, pixels: Pixels, rgba: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a part of a photo without any box in it, a little larger than a light.

    Where none of 20 places is free it is the one that was looked at last, in a single colour.
    """
    size = np.array(rgba.shape[:2]) * (1 + rng.uniform(0, [0.2, 0.5]))
    height, width = np.minimum(np.ceil(size).astype(int), pixels.shape[:2]).tolist()
    part = pixels[:height, :width]
    for _ in range(20):
        top, left = rng.integers(0, np.array(pixels.shape[:2]) - (height, width) + 1).tolist()
        part = pixels[top : top + height, left : left + width]
        place = Box("", left, top, left + width, top + height)
        if not any(_touch(place, box) for box in photo.boxes):
            return part.copy()
    return np.full_like(part, part.mean((0, 1)))


def _touch(a: Box, b: Box) -> bool:
    apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
    return not apart


def _pasted(rgba: Pixels, behind: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a picture with a light somewhere in it; where it has no room, it is cut off."""
    height, width = np.minimum(rgba.shape[:2], behind.shape[:2]).tolist()
    top, left = rng.integers(0, np.array(behind.shape[:2]) - (height, width) + 1).tolist()
    light = rgba[:height, :width]
    share = light[..., 3:] / np.float32(255)
    shown = behind.copy()
    place = shown[top : top + height, left : left + width]
    place[:] = np.rint(share * light[..., :3] + (1 - share) * place)
    return shown


def _weathered(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a picture at dusk, in haze, not sharp, with noise: each now and then."""
    shown = pixels.astype(np.float32)
    if rng.random() < 0.3:
        shown = shown * rng.uniform(0.35, 1)
    if rng.random() < 0.4:
        haze, share = rng.uniform(120, 255, 3), rng.uniform(0, 0.5)
        shown = shown * (1 - share) + np.float32(haze * share)
    if rng.random() < 0.4:
        shown = cv2.GaussianBlur(shown, (0, 0), max(0.3, rng.uniform(0, 0.02) * len(pixels)))
    if rng.random() < 0.3:
        shown = shown + rng.normal(0, rng.uniform(2, 10), shown.shape)
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)
