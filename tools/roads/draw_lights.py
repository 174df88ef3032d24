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
ARROW = (((-0.5, 0.0), (0.0, -0.6), (0.5, 0.0)), ((0.0, -0.6), (0.0, 0.7)))
"""Lines through points, x and y in radii of the lens around its middle."""
FIGURE = (
    ((0.0, -0.75), (0.0, -0.6)),
    ((0.0, -0.3), (0.0, 0.2), (-0.25, 0.8)),
    ((0.0, 0.2), (0.25, 0.8)),
    ((-0.3, 0.2), (-0.2, -0.3), (0.2, -0.3), (0.3, 0.2)),
)
QUARTER_TURN = np.array([[0, 1], [-1, 0]])
GREY = 90
"""What grey glass shows of daylight."""
HEIGHT = 256
"""Of a housing, in pixels, before it is seen from aside."""
AROUND = 40
"""Pixels of the canvas around the housing: room for its plate and for a tilt."""
BESIDE = 120
"""The same, where there are tubes."""

SIGHT = 1.6
"""Radii of a lens between it and the end of its tube, as a picture shows them, that hide it."""


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
class Glass:
    """What the lenses of a light are like."""

    greyness: float = 0.0
    """Of one that is not lit, from 0: dark, in its colour, to 1: grey."""
    strength: float = 1.0
    """Of the lamp behind one that is lit, to 1."""
    whiteness: float = 0.0
    """Of one that is lit, as in a picture that was exposed for too long, to 1."""
    symbol: str = "disc"
    """What is lit of it: a `disc`, an `arrow` or a `figure`."""
    quarters: int = 0
    """Quarter turns of the arrow from upwards, clockwise."""


@dataclass(frozen=True)
class Shape:
    """What a light is made of; lengths are in pixels of the canvas."""

    lenses: tuple[str, ...]
    """From the top down."""
    width: int
    corner: int
    radius: int
    housing: Colour
    around: int
    """Pixels of the canvas, around the housing."""
    glass: Glass

    def centre(self, lens: int) -> tuple[int, int]:
        """Return x and y of the middle of a lens."""
        return self.around + self.width // 2, self.around + int(
            HEIGHT * (lens + 0.5) / len(self.lenses)
        )


def draw_light(
    rng: np.random.Generator, state: str | None = None, *, is_hard: bool = False
) -> DrawnLight:
    """Draw a traffic light; equal generators draw equal ones.

    Args:
        rng: Where chance comes from.
        state: `red`, `yellow`, `green` or `off`; None leaves it to chance.
        is_hard: Whether its state is hard to see. Hoods are tubes, and it is looked at past them:
            they hide a part of the lenses, or all of them where it is `off`, as what nobody can
            see shows nothing. The glass may be grey, and the lamp weak.
    """
    state = state or str(rng.choice(STATES))
    shape = _shape(rng, state, is_hard=is_hard)
    size = HEIGHT + 2 * shape.around, shape.width + 2 * shape.around
    canvas = Canvas(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))
    if rng.random() < 0.25:
        _plate(canvas, shape, rng)
    _housing(canvas, shape)
    has_hoods = not is_hard and rng.random() < 0.75
    for i, lens in enumerate(shape.lenses):
        if lens == state:
            _lit_lens(canvas, shape, i, rng)
        else:
            _dark_lens(canvas, shape, i, rng)
        if has_hoods:
            _hood(canvas, shape, i, rng)
    if is_hard:
        _tubes(canvas, shape, rng, is_off=state == "off")
    if state in shape.lenses and rng.random() < 0.4:
        _glow(canvas, shape, shape.lenses.index(state))
    return DrawnLight(_cropped(_seen(canvas, rng)), state)


def _shape(rng: np.random.Generator, state: str, *, is_hard: bool) -> Shape:
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
        around=BESIDE if is_hard else AROUND,
        glass=_glass(rng) if is_hard else Glass(),
    )


def _glass(rng: np.random.Generator) -> Glass:
    """Choose lenses whose state is hard to see."""
    greyness, strength = rng.uniform([0.3, 0.55], [0.95, 1])
    symbol = str(rng.choice(["disc", "arrow", "figure"], p=[0.75, 0.15, 0.1]))
    whiteness = rng.uniform(0, 0.8) if rng.random() < 0.3 else 0
    return Glass(greyness, strength, whiteness, symbol, int(rng.choice([-1, 0, 1])))


def _near(rng: np.random.Generator, colour: npt.ArrayLike, by: int) -> Colour:
    """Return a colour that differs by so much at most in each part."""
    red, green, blue = np.clip(np.asarray(colour) + rng.integers(-by, by + 1, 3), 0, 255).tolist()
    return int(red), int(green), int(blue)


def _plate(canvas: Canvas, shape: Shape, rng: np.random.Generator) -> None:
    """Draw the dark plate behind a housing, half of them with a white edge."""
    beyond = int(rng.uniform(0.06, 0.15) * shape.width)
    _slab(canvas, shape, beyond, (20, 20, 20))
    if rng.random() < 0.5:
        low = (shape.around - beyond,) * 2
        high = (shape.around + shape.width + beyond, shape.around + HEIGHT + beyond)
        for picture, value in ((canvas.rgb, (230, 230, 230)), (canvas.alpha, 255)):
            cv2.rectangle(picture, low, high, value, max(2, beyond // 3))


def _housing(canvas: Canvas, shape: Shape) -> None:
    _slab(canvas, shape, 0, shape.housing)


def _slab(canvas: Canvas, shape: Shape, beyond: int, colour: Colour) -> None:
    """Fill a rectangle with round corners that is larger than the housing by `beyond`."""
    corner, (left, top) = shape.corner, (shape.around - beyond,) * 2
    right, bottom = shape.around + shape.width + beyond, shape.around + HEIGHT + beyond
    for picture, value in ((canvas.rgb, colour), (canvas.alpha, 255)):
        cv2.rectangle(picture, (left + corner, top), (right - corner, bottom), value, -1)
        cv2.rectangle(picture, (left, top + corner), (right, bottom - corner), value, -1)
        for x in (left + corner, right - corner):
            for y in (top + corner, bottom - corner):
                cv2.circle(picture, (x, y), corner, value, -1)


def _dark_lens(canvas: Canvas, shape: Shape, lens: int, rng: np.random.Generator) -> None:
    """Draw glass without a light behind it."""
    colour = np.array(LENSES[shape.lenses[lens]])
    dark = colour * rng.uniform(0.08, 0.35) + rng.uniform(5, 40)
    shown = _near(rng, (dark + shape.glass.greyness * (GREY - dark)).astype(int), 8)
    cv2.circle(canvas.rgb, shape.centre(lens), shape.radius, shown, -1)


def _lit_lens(canvas: Canvas, shape: Shape, lens: int, rng: np.random.Generator) -> None:
    """Draw a disc with a paler middle, or a symbol on dark glass."""
    glass, centre = shape.glass, shape.centre(lens)
    colour = (np.array(LENSES[shape.lenses[lens]]) * glass.strength).astype(int)
    lit = _near(rng, (colour + glass.whiteness * (255 - colour) * 0.8).astype(int), 30)
    pale = _near(rng, (colour * 0.5 + 150 * glass.strength + 90 * glass.whiteness).astype(int), 0)
    if glass.symbol != "disc":
        cv2.circle(canvas.rgb, centre, shape.radius, (20, 20, 20), -1)
        _symbol(canvas, shape, centre, lit)
        return
    cv2.circle(canvas.rgb, centre, shape.radius, lit, -1)
    cv2.circle(canvas.rgb, centre, int(shape.radius * rng.uniform(0.3, 0.75)), pale, -1)


def _symbol(canvas: Canvas, shape: Shape, centre: tuple[int, int], colour: Colour) -> None:
    """Draw an arrow, or a person, in a lens."""
    radius = shape.radius
    for line in FIGURE if shape.glass.symbol == "figure" else ARROW:
        points = np.array(line) * radius
        if shape.glass.symbol == "arrow":
            points = points @ np.linalg.matrix_power(QUARTER_TURN, shape.glass.quarters % 4)
        corners = np.rint(points + centre).astype(np.int32)
        cv2.polylines(canvas.rgb, [corners], False, colour, max(2, int(0.25 * radius)))


def _hood(canvas: Canvas, shape: Shape, lens: int, rng: np.random.Generator) -> None:
    """Draw the edge of the hood over the upper half of a lens."""
    red, green, blue = (part // 2 for part in shape.housing)
    axes = (int(shape.radius * 1.08),) * 2
    thickness = max(3, int(shape.radius * rng.uniform(0.1, 0.3)))
    cv2.ellipse(canvas.rgb, shape.centre(lens), axes, 0, 180, 360, (red, green, blue), thickness)


def _tubes(canvas: Canvas, shape: Shape, rng: np.random.Generator, *, is_off: bool) -> None:
    """Draw a tube around each lens, looked at from a side, through which a part of it is seen.

    From beyond `SIGHT` radii nothing of a lens is seen.
    """
    farthest = 1.6 * SIGHT if is_off else 0.8 * SIGHT
    aside = rng.uniform(0, farthest) * rng.choice([-1, 1])
    offset = np.rint(shape.radius * np.array([aside, rng.uniform(-0.2, 0.35)])).astype(int)
    lenses, shade, radius = canvas.rgb.copy(), rng.uniform(0.6, 1.2), int(1.12 * shape.radius)
    outside = _near(rng, (np.array(shape.housing) * shade).astype(int), 8)
    for i in reversed(range(len(shape.lenses))):
        lens, end = np.array(shape.centre(i)), shape.centre(i) + offset
        for picture, value in ((canvas.rgb, outside), (canvas.alpha, 255)):
            cv2.line(picture, lens.tolist(), end.tolist(), value, 2 * radius)
        inside = tuple(part // 4 for part in outside)
        cv2.circle(canvas.rgb, end.tolist(), int(0.95 * radius), inside, -1)
        seen, hole = np.zeros_like(canvas.alpha), np.zeros_like(canvas.alpha)
        cv2.circle(seen, lens.tolist(), shape.radius, 255, -1)
        cv2.circle(hole, end.tolist(), int(0.95 * radius), 255, -1)
        is_seen = (seen & hole) > 0
        canvas.rgb[is_seen] = lenses[is_seen]


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
