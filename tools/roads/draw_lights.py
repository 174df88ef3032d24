"""Draw traffic lights as a camera shows them, with two or three lenses, one of them lit or none."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tools.roads.photos import Pixels

__all__ = ["STATES", "DrawnLight", "draw_light"]

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue."""

STATES = ("red", "yellow", "green", "off")
LENSES: dict[str, Colour] = {
    "red": (235, 30, 30),
    "yellow": (250, 190, 30),
    "green": (40, 220, 120),
}
HOUSINGS: tuple[Colour, ...] = (
    (25, 25, 25),
    (30, 35, 30),
    (210, 160, 20),
    (40, 80, 60),
    (90, 90, 90),
    (15, 15, 15),
)
HEIGHT = 256
"""Of a housing, in pixels, before it is seen from aside."""
AROUND = 40
"""Pixels of the canvas around the housing: room for its plate and for a tilt."""


@dataclass(frozen=True)
class DrawnLight:
    """A traffic light on nothing."""

    rgba: Pixels
    """uint8 [H, W, 4], alpha not multiplied, cropped to what is not transparent."""
    state: str
    """Which lens is lit: `red`, `yellow`, `green`; or `off`."""


@dataclass
class Canvas:
    """What is drawn so far."""

    rgb: Pixels
    """uint8 [H, W, 3]."""
    alpha: Pixels
    """uint8 [H, W]."""


@dataclass(frozen=True)
class Shape:
    """What a light is made of; lengths are in pixels of the canvas."""

    lenses: tuple[str, ...]
    """From the top down."""
    width: int
    corner: int
    radius: int
    housing: Colour

    def centre(self, lens: int) -> tuple[int, int]:
        """Return x and y of the middle of a lens."""
        return AROUND + self.width // 2, AROUND + int(HEIGHT * (lens + 0.5) / len(self.lenses))


def draw_light(rng: np.random.Generator, state: str | None = None) -> DrawnLight:
    """Draw a traffic light; equal generators draw equal ones.

    Args:
        rng: Where chance comes from.
        state: `red`, `yellow`, `green` or `off`; None leaves it to chance.
    """
    state = state or str(rng.choice(STATES))
    shape = _shape(rng, state)
    size = HEIGHT + 2 * AROUND, shape.width + 2 * AROUND
    canvas = Canvas(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))
    if rng.random() < 0.25:
        _plate(canvas, shape, rng)
    _housing(canvas, shape)
    has_hoods = rng.random() < 0.75
    for i, lens in enumerate(shape.lenses):
        _lens(canvas, shape, i, rng, is_lit=lens == state)
        if has_hoods:
            _hood(canvas, shape, i, rng)
    if state in shape.lenses and rng.random() < 0.4:
        _glow(canvas, shape, shape.lenses.index(state))
    return DrawnLight(_cropped(_seen(canvas, rng)), state)


def _shape(rng: np.random.Generator, state: str) -> Shape:
    """Choose what a light looks like; only one with three lenses can show yellow."""
    has_three = state == "yellow" or rng.random() < 0.85
    lenses = ("red", "yellow", "green") if has_three else ("red", "green")
    width = int(HEIGHT * rng.uniform(0.32, 0.46) * (1 if has_three else 1.35))
    return Shape(
        lenses=lenses,
        width=width,
        corner=int(rng.uniform(0.02, 0.2) * width),
        radius=int(min(width, HEIGHT / len(lenses)) * rng.uniform(0.33, 0.44)),
        housing=_near(rng, HOUSINGS[rng.integers(len(HOUSINGS))], 16),
    )


def _near(rng: np.random.Generator, colour: npt.ArrayLike, by: int) -> Colour:
    """Return a colour that differs by so much at most in each part."""
    red, green, blue = np.clip(np.asarray(colour) + rng.integers(-by, by + 1, 3), 0, 255).tolist()
    return int(red), int(green), int(blue)


def _plate(canvas: Canvas, shape: Shape, rng: np.random.Generator) -> None:
    """Draw the dark plate behind a housing, half of them with a white edge."""
    beyond = int(rng.uniform(0.06, 0.15) * shape.width)
    _slab(canvas, shape, beyond, (20, 20, 20))
    if rng.random() < 0.5:
        low = (AROUND - beyond, AROUND - beyond)
        high = (AROUND + shape.width + beyond, AROUND + HEIGHT + beyond)
        for picture, value in ((canvas.rgb, (230, 230, 230)), (canvas.alpha, 255)):
            cv2.rectangle(picture, low, high, value, max(2, beyond // 3))


def _housing(canvas: Canvas, shape: Shape) -> None:
    _slab(canvas, shape, 0, shape.housing)


def _slab(canvas: Canvas, shape: Shape, beyond: int, colour: Colour) -> None:
    """Fill a rectangle with round corners that is larger than the housing by `beyond`."""
    corner, left, top = shape.corner, AROUND - beyond, AROUND - beyond
    right, bottom = AROUND + shape.width + beyond, AROUND + HEIGHT + beyond
    for picture, value in ((canvas.rgb, colour), (canvas.alpha, 255)):
        cv2.rectangle(picture, (left + corner, top), (right - corner, bottom), value, -1)
        cv2.rectangle(picture, (left, top + corner), (right, bottom - corner), value, -1)
        for x in (left + corner, right - corner):
            for y in (top + corner, bottom - corner):
                cv2.circle(picture, (x, y), corner, value, -1)


def _lens(
    canvas: Canvas, shape: Shape, lens: int, rng: np.random.Generator, *, is_lit: bool
) -> None:
    """Draw a lens: dark glass, or its colour with a paler middle."""
    colour, centre = np.array(LENSES[shape.lenses[lens]]), shape.centre(lens)
    if not is_lit:
        dark = colour * rng.uniform(0.08, 0.35) + rng.uniform(5, 40)
        cv2.circle(canvas.rgb, centre, shape.radius, _near(rng, dark.astype(int), 8), -1)
        return
    cv2.circle(canvas.rgb, centre, shape.radius, _near(rng, colour, 30), -1)
    pale = _near(rng, (colour * 0.5 + 150).astype(int), 0)
    cv2.circle(canvas.rgb, centre, int(shape.radius * rng.uniform(0.3, 0.75)), pale, -1)


def _hood(canvas: Canvas, shape: Shape, lens: int, rng: np.random.Generator) -> None:
    """Draw the edge of the hood over the upper half of a lens."""
    red, green, blue = (part // 2 for part in shape.housing)
    axes = (int(shape.radius * 1.08),) * 2
    thickness = max(3, int(shape.radius * rng.uniform(0.1, 0.3)))
    cv2.ellipse(canvas.rgb, shape.centre(lens), axes, 0, 180, 360, (red, green, blue), thickness)


def _glow(canvas: Canvas, shape: Shape, lens: int) -> None:
    """Let the light of a lens fall on the housing."""
    light = np.zeros_like(canvas.rgb)
    colour = LENSES[shape.lenses[lens]]
    cv2.circle(light, shape.centre(lens), int(shape.radius * 1.4), colour, -1)
    light = cv2.GaussianBlur(light, (0, 0), shape.radius * 0.5)
    lit = canvas.rgb + light * (canvas.alpha[..., None] > 0) * 0.6
    canvas.rgb = np.clip(lit, 0, 255).astype(np.uint8)


def _seen(canvas: Canvas, rng: np.random.Generator) -> Pixels:
    """Return a light as a camera sees it: not sharp, lit from a side, turned; uint8 RGBA."""
    height, width = canvas.alpha.shape
    blurred = cv2.GaussianBlur(canvas.rgb, (0, 0), rng.uniform(0.5, 3))
    side_light = np.linspace(rng.uniform(0.6, 1), rng.uniform(0.8, 1.3), width)[None, :, None]
    shaded = np.clip(blurred * side_light, 0, 255).astype(np.uint8)
    turn, lean, narrow = (*rng.normal(0, [math.radians(5), 0.06]), rng.uniform(0.8, 1.05))
    turned = np.array(
        [[math.cos(turn) * narrow, lean - math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    turned *= 0.85
    middle = np.array([width / 2, height / 2])
    matrix = np.column_stack([turned, middle - turned @ middle])
    rgb = cv2.warpAffine(shaded, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.dstack([rgb, cv2.warpAffine(canvas.alpha, matrix, (width, height))])


def _cropped(rgba: Pixels) -> Pixels:
    """Return the part that shows something: alpha of half at least in each outer row and column."""
    ys, xs = np.nonzero(rgba[..., 3] > 127)
    return np.ascontiguousarray(rgba[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])
