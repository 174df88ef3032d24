"""Drawing over the frames of a video: objects with their trails, zones and lines with counts."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sightflow.errors import PipelineError
from sightflow.ops.draw import Colour, Pixels, font_of, ink_on

__all__ = ["Count", "Mark", "Outline", "draw_overlay"]

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Points = npt.NDArray[np.int32]

_ZONE: Colour = (255, 196, 0)
_LINE: Colour = (255, 255, 255)
_SHADOW: Colour = (0, 0, 0)
_FILL = 0.15
"""How much of a zone's colour lies over the picture, in [0, 1]."""
_SHIFT = 4
"""Bits of a pixel's fractions in OpenCV's coordinates: what moves slowly must not jump."""
_SMALL = 4.0
"""What is smaller, in heights of the font, would be hidden by a text."""
_FAR = 30_000
"""Beyond this nothing can be seen; OpenCV's whole numbers end not much farther."""


@dataclass(frozen=True)
class Outline:
    """A zone or a line that is drawn over each frame, with what was counted there."""

    name: str
    """As in the field `zone` of its events."""
    points: tuple[Point, ...]
    """x, y in pixels of the original image. Of a line, `in` is from its left to its right, walking
    from the first point to the last."""
    closed: bool
    """True for a zone, the polygon of the points; false for a line."""

    def __post_init__(self) -> None:
        """Refuse what has no extent."""
        needed = 3 if self.closed else 2
        if len(set(self.points)) < needed:
            raise PipelineError(
                f"Outline {self.name!r}: a {'zone' if self.closed else 'line'} needs {needed} "
                f"different points or more; got {list(self.points)}"
            )


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted at an outline so far."""

    n_in: int = 0
    n_out: int = 0
    n_inside: int = 0
    """How many are in the zone now."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An object as it is drawn."""

    box_xyxy: Box
    """In pixels of the picture; x2, y2 exclusive."""
    text: str
    colour: Colour
    trail: tuple[tuple[float, float, float], ...] = ()
    """Where it was, oldest first: x, y, and how strongly that is drawn, in [0, 1]."""


def draw_overlay(
    pixels: Pixels,
    marks: Sequence[Mark] = (),
    *,
    outlines: Sequence[tuple[Outline, Count]] = (),
    captions: Sequence[tuple[str, Colour]] = (),
) -> None:
    """Draw into the picture, in place: outlines below, then trails and boxes, labels on top.

    Labels lie inside the picture, and where there is room none lies on another or a small object.

    Args:
        pixels: uint8 [H, W, 3] RGB, contiguous; is changed.
        marks: objects; where two overlap, the first lies on top.
        outlines: zones and lines with their counts.
        captions: lines of text for the lower left corner, from top to bottom.
    """
    labels = _Labels(pixels)
    labels.spare(marks)
    for outline, _ in outlines:
        if outline.closed:
            _fill(pixels, outline)
    for outline, count in outlines:
        _draw_outline(pixels, outline, count, labels)
    for mark in reversed(marks):
        _draw_trail(pixels, mark)
    for mark in reversed(marks):
        _draw_box(pixels, mark)
    for i, (text, colour) in enumerate(captions):
        labels.caption(text, colour, n_below=len(captions) - 1 - i)
    for mark in marks:
        labels.beside(mark)
    labels.draw()


def _stroke(pixels: Pixels) -> int:
    """Return the width of a line that can be seen well on a picture of this size, in pixels."""
    return max(2, round(_long_side(pixels) / 400))


def _font_size(pixels: Pixels) -> int:
    return max(13, round(_long_side(pixels) / 58))


def _long_side(pixels: Pixels) -> int:
    height, width = pixels.shape[:2]
    return max(int(height), int(width))


def _fixed(points: npt.ArrayLike) -> Points:
    """Return points in OpenCV's coordinates."""
    clipped = np.clip(np.asarray(points, np.float64).reshape(-1, 2), -_FAR, _FAR)
    fixed: Points = np.round(clipped * (1 << _SHIFT)).astype(np.int32)
    return fixed


def _fill(pixels: Pixels, outline: Outline) -> None:
    part, corner = _part_around(pixels, outline.points, 1)
    if part.size:
        filled = part.copy()
        cv2.fillPoly(filled, [_fixed(np.subtract(outline.points, corner))], _ZONE, shift=_SHIFT)
        cv2.addWeighted(filled, _FILL, part, 1 - _FILL, 0, dst=part)


def _part_around(pixels: Pixels, points: Sequence[Point], margin: int) -> tuple[Pixels, Point]:
    """Return the part of the picture that holds the points, a view, and its upper left corner."""
    height, width = pixels.shape[:2]
    xy = np.asarray(points, np.float64)
    x1, y1 = np.clip(np.floor(xy.min(axis=0)) - margin, 0, (width, height)).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(xy.max(axis=0)) + margin, 0, (width, height)).astype(int).tolist()
    return pixels[y1:y2, x1:x2], (x1, y1)


def _draw_outline(pixels: Pixels, outline: Outline, count: Count, labels: "_Labels") -> None:
    colour = _ZONE if outline.closed else _LINE
    _shadowed(pixels, [_fixed(outline.points)], colour, closed=outline.closed)
    if outline.closed:
        top = min(outline.points, key=lambda point: point[1])
        labels.at(f"{outline.name}: {count.n_inside}", colour, top)
        return
    middle, direction = _middle(outline.points)
    labels.at(outline.name, colour, outline.points[0])
    right = (-direction[1], direction[0])
    for text, side in ((f"in {count.n_in}", 1), (f"out {count.n_out}", -1)):
        reach = 1.6 * labels.font_size * side
        tip = (middle[0] + right[0] * reach, middle[1] + right[1] * reach)
        _shadowed(pixels, _arrow(middle, tip), colour, closed=False)
        labels.centred(text, colour, tip, (right[0] * side, right[1] * side))


def _shadowed(pixels: Pixels, lines: list[Points], colour: Colour, *, closed: bool) -> None:
    """Draw lines with a dark edge, so that they are seen on bright and on dark ground."""
    stroke = _stroke(pixels)
    for shade, width in ((_SHADOW, stroke + 2), (colour, stroke)):
        cv2.polylines(pixels, lines, closed, shade, width, cv2.LINE_AA, _SHIFT)


def _middle(points: Sequence[Point]) -> tuple[Point, Point]:
    """Return the point halfway along a line, and the direction there, of length 1."""
    pairs = [(a, b) for a, b in itertools.pairwise(points) if a != b]
    rest = sum(math.dist(a, b) for a, b in pairs) / 2
    for a, b in pairs:
        length = math.dist(a, b)
        if rest <= length:
            break
        rest -= length
    x, y = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    return (a[0] + x * rest, a[1] + y * rest), (x, y)


def _arrow(start: Point, tip: Point) -> list[Points]:
    """Return the lines of an arrow."""
    x, y = (start[0] - tip[0]) * 0.4, (start[1] - tip[1]) * 0.4
    wings = [(tip[0] + x - y, tip[1] + y + x), tip, (tip[0] + x + y, tip[1] + y - x)]
    return [_fixed([start, tip]), _fixed(wings)]


def _draw_trail(pixels: Pixels, mark: Mark) -> None:
    if len(mark.trail) < 2:
        return
    width = _stroke(pixels) + 1
    places = [(x, y) for x, y, _ in mark.trail]
    part, corner = _part_around(pixels, places, width)
    if not part.size:
        return
    mask = np.zeros(part.shape[:2], np.uint8)
    points = _fixed(np.subtract(places, corner)).tolist()
    for start, end, (_, _, strength) in zip(points, points[1:], mark.trail[1:], strict=False):
        cv2.line(mask, start, end, round(255 * strength), width, cv2.LINE_AA, _SHIFT)
    y, x = np.divmod(np.flatnonzero(mask), mask.shape[1])
    weights = mask[y, x].astype(np.uint16)[:, None]
    mixed = part[y, x] * (255 - weights) + np.array(mark.colour, np.uint16) * weights
    part[y, x] = mixed // 255


def _draw_box(pixels: Pixels, mark: Mark) -> None:
    """Draw the outline just inside the box, to the pixel."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = np.clip(np.round(mark.box_xyxy), 0, (width, height) * 2).astype(int).tolist()
    box, stroke = pixels[y1:y2, x1:x2], _stroke(pixels)
    box[:stroke] = box[-stroke:] = box[:, :stroke] = box[:, -stroke:] = mark.colour


class _Labels:
    """Texts on plates, each at the first of its places where none lies yet."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self.font_size = _font_size(pixels)
        self._plates: list[tuple[Pixels, int, int]] = []
        self._taken = np.zeros((0, 4), np.int64)

    def spare(self, marks: Sequence[Mark]) -> None:
        """Take the places of small objects: a text would hide them whole."""
        boxes = np.array([mark.box_xyxy for mark in marks]).reshape(-1, 4)
        small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) < _SMALL * self.font_size
        self._taken = np.concatenate([self._taken, boxes[small].round().astype(np.int64)])

    def at(self, text: str, colour: Colour, point: Point) -> None:
        """Place a text with its lower left corner at a point."""
        plate = _plate(text, self.font_size, colour)
        self._place(plate, [(point[0], point[1] - plate.shape[0])])

    def centred(self, text: str, colour: Colour, tip: Point, direction: Point) -> None:
        """Place a text beyond the tip of an arrow."""
        plate = _plate(text, self.font_size, colour)
        height, width = plate.shape[:2]
        x = tip[0] + direction[0] * (width / 2 + 3) - width / 2
        y = tip[1] + direction[1] * (height / 2 + 3) - height / 2
        self._place(plate, [(x, y)])

    def caption(self, text: str, colour: Colour, *, n_below: int) -> None:
        """Place a text in the lower left corner, above `n_below` others."""
        plate = _plate(text, self.font_size, colour)
        self._place(plate, [(0, self._pixels.shape[0] - plate.shape[0] * (n_below + 1))])

    def beside(self, mark: Mark) -> None:
        """Place the text of an object above its box, or else below, inside or beside it."""
        plate = _plate(mark.text, self.font_size, mark.colour)
        height, width = plate.shape[:2]
        x1, y1, x2, y2 = mark.box_xyxy
        above, below = y1 - height, y2
        places = [(x1, above), (x2 - width, above), (x1, below), (x2 - width, below)]
        beside = [(x2, y1), (x1 - width, y1)]
        self._place(plate, [*places, (x1, y1), (x1, y2 - height), *beside])

    def draw(self) -> None:
        """Draw what was placed; the first lies on top."""
        for plate, x, y in reversed(self._plates):
            part = self._pixels[y : y + plate.shape[0], x : x + plate.shape[1]]
            part[:] = plate[: part.shape[0], : part.shape[1]]

    def _place(self, plate: Pixels, places: Sequence[Point]) -> None:
        """Take the place where the plate hides least of others, moved to lie in the picture."""
        height, width = self._pixels.shape[:2]
        best, least = (0, 0), math.inf
        for place in places:
            x = round(min(max(0, place[0]), max(0, width - plate.shape[1])))
            y = round(min(max(0, place[1]), max(0, height - plate.shape[0])))
            hidden = self._hidden_by(x, y, x + plate.shape[1], y + plate.shape[0])
            if hidden < least:
                best, least = (x, y), hidden
            if not hidden:
                break
        x, y = best
        self._plates.append((plate, x, y))
        box = (x, y, x + plate.shape[1], y + plate.shape[0])
        self._taken = np.concatenate([self._taken, np.array([box], np.int64)])

    def _hidden_by(self, x1: int, y1: int, x2: int, y2: int) -> int:
        """Return how many pixels of what is placed already would be hidden."""
        taken = self._taken
        widths = np.minimum(x2, taken[:, 2]) - np.maximum(x1, taken[:, 0])
        heights = np.minimum(y2, taken[:, 3]) - np.maximum(y1, taken[:, 1])
        return int((np.maximum(widths, 0) * np.maximum(heights, 0)).sum())


@functools.lru_cache(maxsize=1024)
def _plate(text: str, size: int, colour: Colour) -> Pixels:
    """Return a text on a plate of this colour, uint8 [H, W, 3] RGB; not to be changed."""
    font = font_of(size)
    margin = max(3, size // 5)
    _, top, _, bottom = font.getbbox("Ag|")  # the same height for every text
    width = math.ceil(font.getlength(text)) + 2 * margin
    image = Image.new("RGB", (width, math.ceil(bottom - top) + margin), colour)
    ImageDraw.Draw(image).text((margin, margin // 2 - top), text, fill=ink_on(colour), font=font)
    return np.asarray(image)
