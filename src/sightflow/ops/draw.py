"""Drawing for people: boxes and labels that can be read on a picture of any size."""

import colorsys
import functools
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from sightflow.records import UNKNOWN, Classification, Detections, Faces

__all__ = [
    "Colour",
    "Pixels",
    "colour_of",
    "colour_of_object",
    "colour_of_person",
    "draw_classification",
    "draw_detections",
    "draw_faces",
    "enlarged",
    "font_of",
    "ink_on",
    "object_text",
]

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Said = tuple[str, float]
"""What a light shows or a sign means, and the score."""

_READABLE_SIDE = 320
_GOLDEN_ANGLE = 0.618034
_NOBODY: Colour = (150, 150, 150)
_PLATE: Colour = (250, 250, 250)
"""What a sign means stands in black on white."""
_DARK = ("off", UNKNOWN)
"""What neither a colour nor a plate shows."""
_LIGHTS: dict[str, Colour] = {
    "red": (225, 40, 40),
    "yellow": (245, 195, 30),
    "green": (40, 185, 85),
}


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
    shown = [i for i in range(len(detections)) if detections.scores[i] >= min_score]
    said = [_said_of(detections, i) for i in shown]
    texts = [
        object_text(detections.labels[i], float(detections.scores[i]), one)
        for i, one in zip(shown, said, strict=True)
    ]
    colours = [
        colour_of_object(int(detections.class_ids[i]), one)
        for i, one in zip(shown, said, strict=True)
    ]
    return _draw_boxes(pixels, detections.boxes_xyxy[shown] * scale, texts, colours)


def object_text(label: str, score: float, said: Said | None) -> str:
    """Return what stands at an object: what it is and how surely, or what it shows or means.

    Examples:
        >>> object_text("car", 0.914, None), object_text("traffic light", 0.8, ("red", 0.977))
        ('car 0.91', 'red')
        >>> object_text("traffic sign", 0.8, ("unknown", 0.31))
        'traffic sign: unknown'
    """
    if said is None:
        return f"{label} {score:.2f}"
    return f"{label}: {said[0]}" if said[0] in _DARK else said[0]


def colour_of_object(class_id: int, said: Said | None) -> Colour:
    """Return the colour that a traffic light shows, white for a sign, or else that of the class."""
    if said is None:
        return colour_of(class_id)
    return _NOBODY if said[0] in _DARK else _LIGHTS.get(said[0], _PLATE)


def _said_of(detections: Detections, row: int) -> Said | None:
    """Return what a step says that an object shows or means."""
    for classes in (detections.states, detections.signs):
        label = None if classes is None else classes.labels[row]
        if classes is not None and label is not None:
            return label, float(classes.scores[row])
    return None


def draw_faces(
    pixels: Pixels, faces: Faces, *, scale: float = 1.0, min_score: float = 0.0
) -> Pixels:
    """Return the picture with a box for each face, and who it is where a step has looked that up.

    Args:
        pixels: uint8 [H, W, 3] RGB.
        faces: boxes in pixels of the original image.
        scale: pixels of the picture for one of the original.
        min_score: faces that score less are left out, in [0, 1].
    """
    shown = [i for i in range(len(faces)) if faces.scores[i] >= min_score]
    texts = [_face_text(faces, i) for i in shown]
    colours = [colour_of_person(faces.names[i]) for i in shown]
    return _draw_boxes(pixels, faces.boxes_xyxy[shown] * scale, texts, colours)


def colour_of_person(person_id: str | None) -> Colour:
    """Return a colour for a person, the same in every picture; grey for nobody."""
    return _NOBODY if person_id is None else colour_of(zlib.crc32(person_id.encode()) % 360)


def _face_text(faces: Faces, row: int) -> str:
    if faces.person_ids is None or faces.similarities is None:
        return f"face {float(faces.scores[row]):.2f}"
    name = faces.person_ids[row]
    return "unknown" if name is None else f"{name} {float(faces.similarities[row]):.2f}"


def _draw_boxes(
    pixels: Pixels,
    boxes_xyxy: npt.NDArray[np.float32],
    texts: Sequence[str],
    colours: Sequence[Colour],
) -> Pixels:
    """Return the picture with boxes and texts; the first lie on top."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    width = max(2, round(max(image.size) / 400))
    for box, text, colour in reversed(list(zip(boxes_xyxy.tolist(), texts, colours, strict=True))):
        corner = (max(box[0], box[2] - 1), max(box[1], box[3] - 1))
        draw.rectangle((box[0], box[1], *corner), outline=colour, width=width)
        _label(draw, image.size, text, (box[0], box[1]), colour)
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
