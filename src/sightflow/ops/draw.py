"""Drawing for people: boxes and labels that can be read on a picture of any size."""

import colorsys
import functools

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from sightflow.records import Classification, Detections

__all__ = [
    "Colour",
    "Pixels",
    "colour_of",
    "draw_classification",
    "draw_detections",
    "enlarged",
    "font_of",
    "ink_on",
]

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_READABLE_SIDE = 320
_GOLDEN_ANGLE = 0.618034


def enlarged(pixels: Pixels) -> tuple[Pixels, int]:
    """Return a picture whose long side is at least 320 pixels, and the factor it grew by."""
    factor = -(-_READABLE_SIDE // max(pixels.shape[:2]))
    if factor <= 1:
        return pixels, 1
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1), factor


def colour_of(class_id: int) -> Colour:
    """Return a strong colour for a class, far from those of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN_ANGLE % 1, 0.85, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_detections(
    pixels: Pixels, detections: Detections, *, scale: float = 1.0, min_score: float = 0.0
) -> Pixels:
    """Return the picture with a box, label and score for each object; the best lie on top.

    Args:
        pixels: uint8 [H, W, 3] RGB.
        detections: boxes in pixels of the original image.
        scale: pixels of the picture for one of the original.
        min_score: objects that score less are left out, in [0, 1].
    """
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    width = max(2, round(max(image.size) / 400))
    for i in reversed(range(len(detections))):
        score = float(detections.scores[i])
        if score >= min_score:
            box = [float(v) * scale for v in detections.boxes_xyxy[i]]
            colour = colour_of(int(detections.class_ids[i]))
            corner = (max(box[0], box[2] - 1), max(box[1], box[3] - 1))
            draw.rectangle((box[0], box[1], *corner), outline=colour, width=width)
            _label(
                draw, image.size, f"{detections.labels[i]} {score:.2f}", (box[0], box[1]), colour
            )
    return np.asarray(image)


def draw_classification(pixels: Pixels, classification: Classification) -> Pixels:
    """Return the picture with its best classes and their scores in the lower left corner."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    step = _line_height(image.size)
    top = image.height - step * min(len(classification.labels), 3)
    for i, label in enumerate(classification.labels[:3]):
        colour = colour_of(int(classification.class_ids[i]))
        text = f"{label} {float(classification.scores[i]):.2f}"
        _label(draw, image.size, text, (0, top + step * (i + 1)), colour)
    return np.asarray(image)


@functools.lru_cache(maxsize=64)
def font_of(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font in a size in pixels."""
    return ImageFont.load_default(size)


def ink_on(colour: Colour) -> Colour:
    """Return black or white: what can be read on a colour."""
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return (0, 0, 0) if luminance > 140 else (255, 255, 255)


def _font_size(size: tuple[int, int]) -> int:
    return max(14, round(max(size) / 32))


def _line_height(size: tuple[int, int]) -> int:
    return _font_size(size) + 6


def _label(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    text: str,
    corner: tuple[float, float],
    colour: Colour,
) -> None:
    """Write on a plate whose lower left corner is `corner`, moved to lie inside the picture."""
    font = font_of(_font_size(size))
    width, height = draw.textlength(text, font) + 6, _line_height(size)
    x = min(max(0.0, corner[0]), max(0.0, size[0] - width))
    y = min(max(0.0, corner[1] - height), max(0.0, size[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + 3, y + 2), text, fill=ink_on(colour), font=font)
