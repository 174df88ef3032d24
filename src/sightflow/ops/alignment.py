"""Similarities between pictures: turned, scaled and moved crops, and the one that fits points best.

A similarity is a matrix [2, 3], or [N, 2, 3] for N of them: `matrix @ (x, y, 1)` is where a point
of the picture lies in the crop. Coordinates are those of the centres of pixels, from 0.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["fit_similarities", "inverted", "transformed", "turned_squares", "warp"]

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

_SMALLEST_SCALE = 0.5
"""Below this, bilinear sampling would leave pixels out."""
_MARGIN = 3
"""Pixels around what a crop shows that are kept for the sampling."""


def fit_similarities(points_xy: npt.ArrayLike, template_xy: npt.ArrayLike) -> Array:
    """Return the similarities that bring points as close to a template as they can.

    Args:
        points_xy: float [N, K, 2] in pixels of the picture.
        template_xy: float [K, 2] in pixels of the crop.

    Returns:
        float64 [N, 2, 3]: the sum of squared distances is the least; no reflection. Points that all
        lie in one place have no size: they are brought to the middle of the template.

    Source:
        Least squares over the complex numbers: a similarity is z -> a z + b.

    Examples:
        >>> eyes = [[[10.0, 10.0], [10.0, 30.0]]]
        >>> fit_similarities(eyes, [[0.0, 0.0], [10.0, 0.0]])[0].tolist()
        [[0.0, 0.5, -5.0], [-0.5, 0.0, 5.0]]
    """
    points, template = _complex(points_xy), _complex(template_xy)
    middle, target = points.mean(axis=-1, keepdims=True), template.mean()
    away = points - middle
    size = np.maximum((np.abs(away) ** 2).sum(axis=-1), np.finfo(np.float64).tiny)
    factor = (away.conj() * (template - target)).sum(axis=-1) / size
    return _matrices(factor, target - factor * middle[..., 0])


def turned_squares(
    centres_xy: npt.ArrayLike, sides: npt.ArrayLike, angles: npt.ArrayLike, size: int
) -> Array:
    """Return the similarities that show squares of a picture, turned, as crops of one size.

    Args:
        centres_xy: float [N, 2] in pixels of the picture.
        sides: float [N] in pixels of the picture.
        angles: float [N] in radians: a line at this angle, clockwise, is level in the crop.
        size: side of the crop in pixels.

    Returns:
        float64 [N, 2, 3].
    """
    centres, turns = _complex(centres_xy), np.exp(-1j * np.asarray(angles, np.float64))
    factor = size / np.asarray(sides, np.float64) * turns
    return _matrices(factor, (1 + 1j) * size / 2 - factor * centres)


def transformed(points_xy: npt.ArrayLike, matrices: Array) -> Array:
    """Return where points lie: float64 [N, K, 2] for points [N, K, 2] and matrices [N, 2, 3]."""
    points = np.asarray(points_xy, np.float64)
    moved: Array = points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    return moved


def inverted(matrices: Array) -> Array:
    """Return the similarities that lead back, float64 [N, 2, 3]."""
    linear = matrices[:, :, :2].transpose(0, 2, 1)
    linear = linear / np.maximum((linear[:, :, 0] ** 2).sum(axis=1), 1e-12)[:, None, None]
    back = -linear @ matrices[:, :, 2:]
    return np.concatenate([linear, back], axis=2)


def warp(pixels: Pixels, matrix: Array, size: int) -> Pixels:
    """Return a crop of a picture, sampled bilinearly; beyond its edges the edges go on.

    What shrinks to less than half is averaged first, so that no pixel is left out.

    Args:
        pixels: uint8 [H, W, 3].
        matrix: float64 [2, 3], from the picture to the crop.
        size: side of the crop in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    part, matrix = _part(pixels, matrix, size)
    while _scale(matrix) < _SMALLEST_SCALE and min(part.shape[:2]) > 1:
        height, width = part.shape[:2]
        half = width // 2, height // 2
        part = np.asarray(cv2.resize(part, half, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = _after_scaling(matrix, np.array([width / half[0], height / half[1]]))
    shown = cv2.warpAffine(part, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shown, np.uint8)


def _complex(points_xy: npt.ArrayLike) -> npt.NDArray[np.complex128]:
    points = np.asarray(points_xy, np.float64)
    return points[..., 0] + 1j * points[..., 1]


def _matrices(factor: npt.NDArray[np.complex128], offset: npt.NDArray[np.complex128]) -> Array:
    rows = [
        np.stack([factor.real, -factor.imag, offset.real], axis=-1),
        np.stack([factor.imag, factor.real, offset.imag], axis=-1),
    ]
    return np.stack(rows, axis=-2)


def _scale(matrix: Array) -> float:
    return math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def _part(pixels: Pixels, matrix: Array, size: int) -> tuple[Pixels, Array]:
    """Return the part of a picture that a crop shows, and the similarity from there."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64)
    shown = transformed(corners[None], inverted(matrix[None]))[0]
    height, width = pixels.shape[:2]
    margin = _MARGIN * max(1.0, 1 / max(_scale(matrix), 1e-6))
    limits = np.array([width, height])
    low = np.clip(np.floor(shown.min(axis=0) - margin), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(shown.max(axis=0) + margin), low + 1, limits).astype(int)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ low
    return pixels[low[1] : high[1], low[0] : high[0]], moved


def _after_scaling(matrix: Array, factors: npt.NDArray[np.float64]) -> Array:
    """Return the similarity from a picture that was made smaller by these factors in x and y."""
    linear = matrix[:, :2] * factors
    offset = matrix[:, 2] + matrix[:, :2] @ ((factors - 1) / 2)
    return np.concatenate([linear, offset[:, None]], axis=1)
