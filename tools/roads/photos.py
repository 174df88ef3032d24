"""Photos of roads, with the boxes that people drew in them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tools.roads.errors import RoadsError

__all__ = [
    "Box",
    "Photo",
    "Pixels",
    "coco_part",
    "cut",
    "is_held_out",
    "read_coco",
    "read_photos",
    "read_picture",
    "write_png",
]

Pixels: TypeAlias = npt.NDArray[np.uint8]

NEIGHBOURS = 16
"""File numbers in a block: photos of one place have numbers beside each other."""
HELD_OUT_PERCENT = 30


@dataclass(frozen=True)
class Box:
    """What somebody saw in a photo, and where."""

    label: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Photo:
    """A photo and the boxes in it."""

    path: Path
    boxes: tuple[Box, ...]

    @property
    def is_held_out(self) -> bool:
        """Whether no network may learn from it."""
        return is_held_out(self.path.name)

    def pixels(self) -> Pixels:
        """Return uint8 [H, W, 3] RGB.

        Raises:
            RoadsError: it is not a picture.
        """
        return read_picture(self.path)


def is_held_out(name: str) -> bool:
    """Say whether a photo, such as `road17.jpg`, is for tests: about three blocks in ten are.

    Raises:
        RoadsError: the name has no number.
    """
    number = Path(name).stem.removeprefix("road")
    if not number.isdecimal():
        raise RoadsError(f"{name}: a photo must be called road and a number; got {name!r}")
    digest = hashlib.sha256(str(int(number) // NEIGHBOURS).encode()).hexdigest()
    return int(digest, 16) % 100 < HELD_OUT_PERCENT


def read_coco(path: Path) -> dict[str, Any]:
    """Read annotations in the form of COCO.

    Raises:
        RoadsError: the file is not there, or not of this form.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RoadsError(f"{path}: cannot be read: {error.strerror or error}") from error
    missing = [key for key in ("images", "annotations", "categories") if key not in read]
    if missing:
        raise RoadsError(f"{path}: must be in the form of COCO; {', '.join(missing)} is missing")
    return dict(read)


def coco_part(coco: Mapping[str, Any], *, held_out: bool) -> dict[str, Any]:
    """Return the annotations of one part of the photos: for tests, or for training."""
    images = [one for one in coco["images"] if is_held_out(one["file_name"]) == held_out]
    ids = {one["id"] for one in images}
    annotations = [one for one in coco["annotations"] if one["image_id"] in ids]
    return {"images": images, "annotations": annotations, "categories": coco["categories"]}


def read_photos(folder: Path, annotations: str) -> Iterator[Photo]:
    """Yield the photos of a folder with `images` that a file of annotations names.

    Raises:
        RoadsError: the file cannot be read, or a photo is not there.
    """
    coco = read_coco(folder / annotations)
    labels = {one["id"]: one["name"] for one in coco["categories"]}
    boxes: dict[int, list[Box]] = {one["id"]: [] for one in coco["images"]}
    for one in coco["annotations"]:
        left, top, width, height = one["bbox"]
        box = Box(labels[one["category_id"]], left, top, left + width, top + height)
        boxes[one["image_id"]].append(box)
    for one in coco["images"]:
        path = folder / "images" / one["file_name"]
        if not path.is_file():
            raise RoadsError(f"{path}: {annotations} names it; there is no such file")
        yield Photo(path, tuple(boxes[one["id"]]))


def read_picture(path: Path) -> Pixels:
    """Return uint8 [H, W, 3] RGB of a file.

    Raises:
        RoadsError: it is not a picture.
    """
    bgr = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise RoadsError(f"{path}: must be a picture; it cannot be decoded")
    return np.ascontiguousarray(bgr[..., ::-1])


def cut(pixels: Pixels, box: Box, margin: int = 0) -> Pixels:
    """Return the part of a picture that a box shows, and so many pixels around it."""
    left, top = (max(0, round(side) - margin) for side in (box.left, box.top))
    return pixels[top : round(box.bottom) + margin, left : round(box.right) + margin]


def write_png(path: Path, pixels: Pixels) -> None:
    """Write uint8 [H, W, 3] RGB or [H, W, 4] RGBA, alpha not multiplied, as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = [2, 1, 0, 3][: pixels.shape[2]]
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., order]))
    path.write_bytes(encoded.tobytes())
