"""How a camera sees a board at the road: from aside, in any light, blurred, small."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tools.roads.draw_signs import Board
from tools.roads.shapes import Inks, inked, paint

__all__ = ["SIDE", "Image", "photograph", "rephotograph"]

Image: TypeAlias = npt.NDArray[np.float32]
"""float32 [H, W, 3] RGB, linear in what is drawn, 1 is white; more is light beyond white."""
Rng: TypeAlias = np.random.Generator

SIDE = 64
"""Pixels of a side before the camera makes it smaller."""
_CANVAS = 144
_LEAST_SIDE, _LARGEST_SIDE = 12, 60


@dataclass(frozen=True)
class _Surface:
    """A board as flat pixels."""

    colours: Image
    cover: Image


def photograph(board: Board, background: Image, rng: Rng, *, beside: Board | None = None) -> Image:
    """Return a picture of a board in front of a background.

    Args:
        board: fills the middle; between a hair and a fifth of its side is around it.
        background: float32 [SIDE, SIDE, 3] in [0, 1].
        rng: of all draws.
        beside: a board above or below, of which the edge is seen.
    """
    scene = background * _gain(rng, 0.7)
    light, inks = _gain(rng, 0.75) * rng.choice([1.0, 1.0, 0.5]), _inks(rng)
    scene = _pole(scene, light, rng)
    where = _pose(rng)
    if beside is not None:
        away = float(rng.choice([-1, 1])) * rng.uniform(1.85, 2.3)
        scene = _stand(scene, _surface(beside, inks), where @ _shift(0, away), light, rng)
    scene = _stand(scene, _surface(board, inks), where, light, rng)
    return _exposed(_covered(scene, rng), rng)


def rephotograph(crop: Image, rng: Rng) -> Image:
    """Return a part of a real picture as another camera would have seen it."""
    scene = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    turn = np.radians(rng.normal(0, 4))
    about = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0],
                      [*rng.normal(0, 0.03, 2), 1]])  # fmt: skip
    scene = cv2.warpPerspective(
        scene, _to_pixels() @ about @ np.linalg.inv(_to_pixels()), (SIDE, SIDE),
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return _exposed(_covered(scene * _gain(rng, 0.4), rng), rng)


def _gain(rng: Rng, deviation: float) -> float:
    return float(np.exp(rng.normal(0, deviation)))


def _inks(rng: Rng) -> Inks:
    """Return the colours of one sign: of its paint, its age and the light."""
    base = {
        "white": (235, 235, 235),
        "black": (18, 18, 20),
        "red": (rng.uniform(150, 225), rng.uniform(8, 50), rng.uniform(10, 60)),
        "blue": (rng.uniform(0, 40), rng.uniform(50, 120), rng.uniform(130, 225)),
        "yellow": (rng.uniform(220, 255), rng.uniform(150, 200), rng.uniform(0, 60)),
        "green": (rng.uniform(0, 60), rng.uniform(120, 200), rng.uniform(70, 130)),
        "grey": (rng.uniform(70, 140),) * 3,
    }
    faded = rng.uniform(0, 0.4) if rng.random() < 0.25 else rng.uniform(0, 0.08)
    grey = rng.uniform(120, 220)
    cast = np.exp(rng.normal(0, 0.07, 3))
    old = {
        ink: np.clip(((1 - faded) * np.array(rgb) + faded * grey) * cast, 0, 255)
        for ink, rgb in base.items()
    }
    return {ink: tuple(int(level) for level in rgb) for ink, rgb in old.items()}  # type: ignore[misc]


def _surface(board: Board, inks: Inks) -> _Surface:
    colours = np.full((_CANVAS, _CANVAS, 3), inks["white"], np.uint8)
    cover = np.zeros((_CANVAS, _CANVAS, 3), np.uint8)
    paint(colours, board.shapes, inks)
    paint(cover, inked(board.outline, "white"), {"white": (255, 255, 255)})
    return _Surface(colours.astype(np.float32) / 255, cover.astype(np.float32) / 255)


def _shift(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _to_pixels() -> npt.NDArray[np.float64]:
    """Return the map from the square [-1, 1] to the pixels of the picture."""
    half = SIDE / 2
    return np.array([[half, 0, half - 0.5], [0, half, half - 0.5], [0, 0, 1]])


def _pose(rng: Rng) -> npt.NDArray[np.float64]:
    """Return the map from the square of a board to the picture's: how it is seen."""
    turn = np.radians(rng.normal(0, 5))
    size = 1 / (1 + rng.choice([rng.uniform(-0.04, 0.2), rng.uniform(0.12, 0.4)]))
    narrow = size * np.exp(-abs(rng.normal(0, 0.08)))
    if rng.random() < 0.7:  # a box is cut to what is seen: one that is narrow is stretched
        narrow = size * np.exp(rng.normal(0, 0.03))
    tilt = rng.normal(0, 0.05, 2)
    rotation = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0],
                         [0, 0, 1]])  # fmt: skip
    shear = np.array([[narrow, rng.normal(0, 0.04), 0], [rng.normal(0, 0.04), size, 0],
                      [*tilt, 1]])  # fmt: skip
    return _shift(*rng.normal(0, 0.055, 2)) @ shear @ rotation


def _stand(
    scene: Image, surface: _Surface, where: npt.NDArray[np.float64], light: float, rng: Rng
) -> Image:
    """Return a scene with a board in it."""
    canvas = _CANVAS / 2
    to_square = np.array([[1 / canvas, 0, -1 + 0.5 / canvas], [0, 1 / canvas, -1 + 0.5 / canvas],
                          [0, 0, 1]])  # fmt: skip
    to_scene = _to_pixels() @ where @ to_square
    soft = cv2.GaussianBlur(surface.colours, (0, 0), 1.0)
    colours = cv2.warpPerspective(
        soft, to_scene, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cover = cv2.warpPerspective(
        cv2.GaussianBlur(surface.cover, (0, 0), 1.0), to_scene, (SIDE, SIDE), flags=cv2.INTER_LINEAR
    )
    lit = colours * light * _shading(rng)
    return scene * (1 - cover) + lit * cover


def _ramp(rng: Rng) -> Image:
    """Return how far each pixel lies along some direction, in [-1, 1]: float32 [SIDE, SIDE, 1]."""
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return (math.cos(angle) * x + math.sin(angle) * y)[..., None].astype(np.float32)


def _clouds(rng: Rng, n: int) -> Image:
    """Return soft blots, about n along a side: float32 [SIDE, SIDE, 1] in [0, 1]."""
    grid = rng.random((n + 2, n + 2)).astype(np.float32)
    return cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]


def _shading(rng: Rng) -> Image:
    """Return the light on each part of a board: a slope, a shadow with an edge, one of leaves."""
    light = np.ones((SIDE, SIDE, 1), np.float32)
    if rng.random() < 0.4:
        light = light * (1 + rng.uniform(0, 0.4) * _ramp(rng))
    dark = rng.uniform(0.3, 0.8)
    if rng.random() < 0.12:
        light = light * np.where(_ramp(rng) > rng.uniform(-0.6, 0.6), dark, 1)
    elif rng.random() < 0.12:
        light = light * np.where(_clouds(rng, int(rng.integers(3, 8))) > 0.55, dark, 1)
    return light.astype(np.float32)


def _pole(scene: Image, light: float, rng: Rng) -> Image:
    """Return a scene in which, perhaps, a pole stands."""
    if rng.random() < 0.5:
        middle, half = rng.normal(SIDE / 2, 3), rng.uniform(1.5, 4)
        left, right = max(int(middle - half), 0), max(int(middle + half), 1)
        top = 0 if rng.random() < 0.4 else SIDE // 2
        scene = scene.copy()
        scene[top:, left:right] = rng.uniform(0.3, 0.7) * light
    return scene


def _covered(scene: Image, rng: Rng) -> Image:
    """Return a scene of which, perhaps, a part is hidden by leaves, snow or stickers, or shines."""
    if rng.random() < 0.1:
        edge = _clouds(rng, 4) * 0.6 + _ramp(rng)
        snow = rng.random() < 0.3
        colour = np.array((0.9, 0.92, 0.95) if snow else rng.uniform(0.02, 0.45, 3), np.float32)
        scene = np.where(edge > rng.uniform(0.75, 1.1), colour, scene)
    if rng.random() < 0.07:
        scene = scene.copy()
        left, top = rng.integers(8, SIDE - 16, 2)
        wide, high = rng.integers(3, 14, 2)
        scene[top : top + high, left : left + wide] = rng.uniform(0, 1, 3)
    if rng.random() < 0.1:
        scene = scene + np.exp(-((_ramp(rng) - rng.uniform(-0.8, 0.8)) ** 2) / 0.05) * rng.uniform(
            0.1, 0.8
        )
    return scene.astype(np.float32)


def _exposed(scene: Image, rng: Rng) -> Image:
    """Return what the camera makes of a scene: [H, W, 3] in [0, 1], as small as it saw it."""
    scene = _blurred(scene, rng)
    scene = scene * np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    level = float(np.exp(rng.uniform(math.log(0.18), math.log(1.5))))
    scene = scene * level
    if rng.random() < 0.25:  # haze, or a lens that is not clean
        haze = rng.uniform(0, 0.35)
        scene = scene * (1 - haze) + haze * rng.uniform(0.2, 1.0)
    if rng.random() < 0.3:  # light flows over where it is too much
        beyond = np.clip(scene - 0.9, 0, 2)
        scene = scene + rng.uniform(0.2, 1) * cv2.GaussianBlur(beyond, (0, 0), rng.uniform(1, 4))
    side = math.exp(rng.uniform(math.log(_LEAST_SIDE), math.log(_LARGEST_SIDE)))
    size = (max(round(side * np.exp(rng.normal(0, 0.06))), 8), max(round(side), 8))
    small = cv2.resize(scene, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        small = _sharpened(small, rng.uniform(0.3, 1.2))
    small = small + rng.normal(0, 1, small.shape) * rng.uniform(0, 0.03) * math.sqrt(level)
    return _compressed(np.clip(small, 0, 1).astype(np.float32), rng)


def _blurred(scene: Image, rng: Rng) -> Image:
    """Return a scene out of focus, moved, with colours beside each other."""
    scene = cv2.GaussianBlur(scene, (0, 0), abs(rng.normal(0, 1.5)) + 0.3)
    if rng.random() < 0.2:
        length, angle = rng.uniform(2, 9), rng.uniform(0, math.pi)
        kernel = np.zeros((11, 11), np.uint8)
        reach = length / 2 * np.array([math.cos(angle), math.sin(angle)])
        start, end = np.round(5 - reach).astype(int), np.round(5 + reach).astype(int)
        cv2.line(kernel, start.tolist(), end.tolist(), 255, 1, cv2.LINE_AA)
        scene = cv2.filter2D(scene, -1, (kernel / kernel.sum()).astype(np.float32))
    if rng.random() < 0.3:
        for channel in (0, 2):
            move = np.float32([[1, 0, rng.normal(0, 0.8)], [0, 1, rng.normal(0, 0.8)]])
            scene[..., channel] = cv2.warpAffine(
                np.ascontiguousarray(scene[..., channel]), move, (SIDE, SIDE),
                borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
    return scene


def _sharpened(image: Image, amount: float) -> Image:
    return image + amount * (image - cv2.GaussianBlur(image, (0, 0), 1.0))


def _compressed(image: Image, rng: Rng) -> Image:
    """Return a picture after JPEG, or as it is."""
    if rng.random() < 0.6:
        return image
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
    _, encoded = cv2.imencode(".jpg", np.round(image * 255).astype(np.uint8), quality)
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR).astype(np.float32) / 255
