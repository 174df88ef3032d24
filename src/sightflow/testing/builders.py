"""Small records and pictures for tests."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sightflow.protocols import Context
from sightflow.records import Claim, ImageRecord, Origin

__all__ = [
    "a_claim",
    "a_context",
    "a_record",
    "an_origin",
    "draw_scene",
    "encode_image",
]


def an_origin(**changes: Any) -> Origin:
    """Return where an image comes from; changes name fields."""
    return replace(Origin("photos/a.jpg", "photos", 0, 0, "a.jpg"), **changes)


def a_claim(**changes: Any) -> Claim:
    """Return a claim for one image; changes name fields of its origin."""
    return Claim(an_origin(**changes))


def a_context(step: str = "step") -> Context:
    """Return the context of an opened part."""
    return Context(step)


def a_record(pixels: npt.NDArray[np.uint8] | None = None, **changes: Any) -> ImageRecord:
    """Return a record of a small grey picture; changes name fields of the record."""
    if pixels is None:
        pixels = np.full((24, 32, 3), 128, np.uint8)
    height, width = pixels.shape[:2]
    return replace(ImageRecord(an_origin(), width, height, pixels), **changes)


def draw_scene(
    width: int = 320, height: int = 240, *, boxes: Iterable[Sequence[int]] = ((40, 60, 140, 200),)
) -> npt.NDArray[np.uint8]:
    """Return a picture, uint8 [H, W, 3] RGB: a sky, ground, and a coloured block for each box."""
    image = Image.new("RGB", (width, height), (150, 190, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 2 // 3, width, height), fill=(90, 110, 70))
    for i, box in enumerate(boxes):
        draw.rectangle(tuple(box), fill=(200, 60 + 50 * i, 40), outline=(0, 0, 0))
    return np.array(image)


def encode_image(pixels: npt.NDArray[Any], format: str = "JPEG", **options: Any) -> bytes:
    """Return a picture as the bytes of a file; options go to Pillow's writer."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()
