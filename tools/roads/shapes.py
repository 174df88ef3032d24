"""Flat shapes, and how they become pixels.

Coordinates are in half sides of a square: x from -1 at the left to 1, y from -1 at the top to 1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Point: TypeAlias = tuple[float, float]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Inks: TypeAlias = Mapping[str, tuple[int, int, int]]
"""RGB of each ink, from 0 to 255."""

_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Fill:
    """A polygon."""

    points: tuple[Point, ...]
    ink: str = "black"


@dataclass(frozen=True)
class Line:
    """A line through some points, with round ends."""

    points: tuple[Point, ...]
    width: float
    ink: str = "black"


@dataclass(frozen=True)
class Disc:
    """A filled circle."""

    middle: Point
    radius: float
    ink: str = "black"


Shape: TypeAlias = Fill | Line | Disc
Shapes: TypeAlias = tuple[Shape, ...]


def arc(
    middle: Point, radii: Point, start_deg: float, end_deg: float, n: int = 13
) -> tuple[Point, ...]:
    """Return n points of an ellipse; 0 degrees are at the right, 90 at the bottom."""
    angles = np.radians(np.linspace(start_deg, end_deg, n)).tolist()
    return tuple(
        (middle[0] + radii[0] * math.cos(a), middle[1] + radii[1] * math.sin(a)) for a in angles
    )


def regular(n: int, radius: float, turn_deg: float = 0.0) -> tuple[Point, ...]:
    """Return the n corners of a regular polygon; the first is at the right, turned."""
    return arc((0, 0), (radius, radius), turn_deg, turn_deg + 360 * (n - 1) / n, n)


def box(left: float, top: float, right: float, bottom: float, ink: str = "black") -> Fill:
    """Return a rectangle."""
    return Fill(((left, top), (right, top), (right, bottom), (left, bottom)), ink)


def arrow(points: Sequence[Point], width: float, head: float, ink: str = "black") -> Shapes:
    """Return a line that ends in a triangle; `head` is its length, and half its breadth."""
    (x0, y0), (x1, y1) = points[-2:]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    neck = (x1 - head * dx, y1 - head * dy)
    half = 0.85 * head
    corners = (
        (neck[0] - half * dy, neck[1] + half * dx),
        (neck[0] + half * dy, neck[1] - half * dx),
    )
    return (Line((*points[:-1], neck), width, ink), Fill(((x1, y1), *corners), ink))


def placed(shapes: Iterable[Shape], at: Point = (0, 0), scale: Point = (1, 1)) -> Shapes:
    """Return shapes about another middle, scaled; a negative scale mirrors."""

    def moved(point: Point) -> Point:
        return (at[0] + scale[0] * point[0], at[1] + scale[1] * point[1])

    size = math.sqrt(abs(scale[0] * scale[1]))

    def one(shape: Shape) -> Shape:
        if isinstance(shape, Disc):
            return replace(shape, middle=moved(shape.middle), radius=shape.radius * size)
        points = tuple(moved(point) for point in shape.points)
        if isinstance(shape, Line):
            return replace(shape, points=points, width=shape.width * size)
        return replace(shape, points=points)

    return tuple(one(shape) for shape in shapes)


def weighed(shapes: Iterable[Shape], factor: float) -> Shapes:
    """Return shapes whose lines are so many times as wide."""
    return tuple(replace(s, width=s.width * factor) if isinstance(s, Line) else s for s in shapes)


def inked(shapes: Iterable[Shape], ink: str) -> Shapes:
    """Return shapes in one ink."""
    return tuple(replace(shape, ink=ink) for shape in shapes)


def paint(canvas: Pixels, shapes: Iterable[Shape], inks: Inks) -> None:
    """Paint shapes over a square uint8 [S, S, 3] RGB."""
    half = canvas.shape[0] / 2
    for shape in shapes:
        colour = inks[shape.ink]
        if isinstance(shape, Disc):
            _paint_disc(canvas, shape, half, colour)
        elif isinstance(shape, Fill):
            cv2.fillPoly(canvas, [_fixed(shape.points, half)], colour, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            thickness = max(round(shape.width * half), 1)
            points = [_fixed(shape.points, half)]
            cv2.polylines(canvas, points, False, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _paint_disc(canvas: Pixels, disc: Disc, half: float, colour: tuple[int, int, int]) -> None:
    middle = _fixed([disc.middle], half)[0].tolist()
    radius = round(disc.radius * half * (1 << _SUBPIXEL_BITS))
    cv2.circle(canvas, middle, radius, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(points: Sequence[Point], half: float) -> npt.NDArray[np.int32]:
    """Return positions as OpenCV takes them: int32 [N, 2] in sixteenths of a pixel."""
    pixels = (np.asarray(points, np.float64) + 1) * half - 0.5
    return np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
