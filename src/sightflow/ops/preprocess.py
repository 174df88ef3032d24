"""Preprocessing declared as data, and compiled into one function."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.options import check_choices

cv2.setNumThreads(1)  # workers run in parallel; OpenCV's own threads would only displace them

__all__ = ["INTERPOLATIONS", "Placement", "PrepareFunction", "Preprocess"]

Interpolation = Literal["nearest", "bilinear", "bicubic", "area"]

INTERPOLATIONS: dict[str, int] = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
"""By OpenCV's formulas: none but `area` averages over more pixels when it shrinks. Where a picture
grows, OpenCV's `area` would repeat pixels: there it is `bilinear`."""

_MAX_CROPS = 4
"""A picture is scaled to at most this many times the length of the crop."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pixels of a prepared image came from: x = (u - pad) / scale, in source pixels."""

    scale_x: float
    scale_y: float
    pad_x: float
    pad_y: float

    def to_source(self, boxes_xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return boxes of the prepared image, float32 [N, 4], in pixels of the source image."""
        pad = np.array([self.pad_x, self.pad_y] * 2, np.float32)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        return (boxes_xyxy - pad) / scale

    def from_source(self, boxes_xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return boxes of the source image, float32 [N, 4], in pixels of the prepared image."""
        pad = np.array([self.pad_x, self.pad_y] * 2, np.float32)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        return boxes_xyxy * scale + pad

    def behind(self, scale_x: float, scale_y: float) -> "Placement":
        """Return where the pixels came from in an image of which the source is a scaled copy."""
        return Placement(self.scale_x * scale_x, self.scale_y * scale_y, self.pad_x, self.pad_y)


class PrepareFunction(Protocol):
    """Prepares an image, see `Preprocess.compile`."""

    def __call__(
        self, pixels: npt.NDArray[np.uint8], out: Array | None = None, /
    ) -> tuple[Array, Placement]:
        """Return the prepared image and where its pixels lay."""


@dataclass(frozen=True)
class Preprocess:
    """How an image is made into what a model, or a folder of training data, wants.

    The steps run in the order of the fields. Sizes are in pixels, (height, width).
    """

    resize: int | None = None
    """Length of the short side; the aspect ratio stays."""
    stretch: tuple[int, int] | None = None
    """Exactly this size; the aspect ratio changes."""
    letterbox: tuple[int, int] | None = None
    """Fit inside this size, keep the aspect ratio and fill the rest with `fill`."""
    anchor: Literal["top_left", "center"] = "center"
    """Where a letterboxed image lies."""
    fill: tuple[int, int, int] = (0, 0, 0)
    """RGB of the letterbox's bars, 0 to 255."""
    crop: tuple[int, int] | None = None
    """Cut this size from the middle; a smaller image is filled up with `fill`."""
    interpolation: Interpolation = "bilinear"
    channels: Literal["RGB", "BGR"] = "RGB"
    """Order of the channels in the result."""
    mean: tuple[float, float, float] | None = None
    """Subtracted from samples of 0 to 255, in the order of `channels`."""
    std: tuple[float, float, float] | None = None
    """Divides after `mean`."""
    layout: Literal["CHW", "HWC"] = "CHW"
    """Order of the axes of a normalised result."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        sized = [n for n in ("resize", "stretch", "letterbox") if getattr(self, n) is not None]
        if len(sized) > 1:
            raise PipelineError(
                f"Preprocess: at most one of resize, stretch and letterbox; got {sized}"
            )
        for name in ("resize", "stretch", "letterbox", "crop"):
            value = getattr(self, name)
            if value is not None and np.min(value) < 1:
                raise PipelineError(f"Preprocess: `{name}` is in pixels, from 1; got {value}")
        check_choices(self)
        if self.std is not None and 0 in self.std:
            raise PipelineError(f"Preprocess: `std` must not contain 0; got {self.std}")

    @property
    def normalizes(self) -> bool:
        """Whether the result is float32 rather than uint8."""
        return self.mean is not None or self.std is not None

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every result, or None when it depends on the image."""
        return self.crop or self.letterbox or self.stretch

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Shape of every result, or None when it depends on the image."""
        if self.size is None:
            return None
        planar = self.normalizes and self.layout == "CHW"
        return (3, *self.size) if planar else (*self.size, 3)

    def scale_for(self, width: int, height: int) -> float:
        """Return by how much an image of this size is scaled, at most 1."""
        scale_y, scale_x = self._scales(height, width)
        return min(1.0, max(scale_x, scale_y))

    def n_pixels_for(self, width: int, height: int) -> int:
        """Return how many pixels the result for an image of this size has."""
        if self.size is not None:
            return self.size[0] * self.size[1]
        scale_y, scale_x = self._scales(height, width)
        return round(width * scale_x) * round(height * scale_y)

    def placement_for(self, width: int, height: int) -> Placement:
        """Return where the pixels of an image of this size will lie, to a pixel."""
        scale_y, scale_x = self._scales(height, width)
        have = [max(1, round(height * scale_y)), max(1, round(width * scale_x))]
        scale_y, scale_x = have[0] / height, have[1] / width
        pads = [0, 0]
        centre = 0.0 if self.anchor == "top_left" else 0.5
        for size, at in ((self.letterbox, centre), (self.crop, 0.5)):
            if size is not None:
                slack = [want - there for want, there in zip(size, have, strict=True)]
                pads = [pad + round(free * at) for pad, free in zip(pads, slack, strict=True)]
                have = list(size)
        return Placement(scale_x, scale_y, pads[1], pads[0])

    def compile(self) -> PrepareFunction:
        """Return one function: uint8 [H, W, 3] RGB to (prepared image, where its pixels lay).

        Given `out`, a contiguous array of the result's shape and type, it writes the prepared
        image there.

        The prepared image is uint8 [h, w, 3] in the order of `channels`, or, with `mean` or
        `std`, float32 [3, h, w] (or [h, w, 3], by `layout`).
        """
        shrinking = INTERPOLATIONS[self.interpolation]
        enlarging = cv2.INTER_LINEAR if shrinking == cv2.INTER_AREA else shrinking
        finish = self._finisher()

        def prepare(
            pixels: npt.NDArray[np.uint8], out: Array | None = None, /
        ) -> tuple[Array, Placement]:
            scale_y, scale_x = self._scales(*pixels.shape[:2])
            pixels, cut_x, cut_y = self._cut_ends(pixels, scale_y)
            height, width = pixels.shape[:2]
            new = (max(1, round(width * scale_x)), max(1, round(height * scale_y)))
            scaled: npt.NDArray[Any] = pixels
            if new != (width, height):
                grows = new[0] >= width and new[1] >= height
                scaled = cv2.resize(pixels, new, interpolation=enlarging if grows else shrinking)
            framed, pad_x, pad_y = self._frame(scaled)
            scale_x, scale_y = new[0] / width, new[1] / height
            pad_x, pad_y = pad_x - cut_x * scale_x, pad_y - cut_y * scale_y
            return finish(framed, out), Placement(scale_x, scale_y, pad_x, pad_y)

        return prepare

    def _scales(self, height: int, width: int) -> tuple[float, float]:
        if self.resize is not None:
            scale = self.resize / min(height, width)
            return scale, scale
        if self.letterbox is not None:
            scale = min(self.letterbox[0] / height, self.letterbox[1] / width)
            return scale, scale
        if self.stretch is not None:
            return self.stretch[0] / height, self.stretch[1] / width
        return 1.0, 1.0

    def _cut_ends(
        self, pixels: npt.NDArray[np.uint8], scale: float
    ) -> tuple[npt.NDArray[np.uint8], int, int]:
        """Cut the ends of a very long picture, of which a crop shows only the middle.

        Without this a line of 20,000 pixels scaled to a short side of 256 would take gigabytes.
        Returns the picture and the (x, y) at which it was cut out.
        """
        if self.resize is None or self.crop is None:
            return pixels, 0, 0
        longest = math.ceil(_MAX_CROPS * max(self.crop) / scale)
        height, width = pixels.shape[:2]
        y, x = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
        return pixels[y : height - y, x : width - x], x, y

    def _frame(self, pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], int, int]:
        """Letterbox and crop; return the pixels and the offset of the image inside them."""
        pad_x = pad_y = 0
        if self.letterbox is not None:
            at = 0.0 if self.anchor == "top_left" else 0.5
            pixels, pad_x, pad_y = _place(pixels, self.letterbox, at, self.fill)
        if self.crop is not None:
            pixels, crop_x, crop_y = _place(pixels, self.crop, 0.5, self.fill)
            pad_x, pad_y = pad_x + crop_x, pad_y + crop_y
        return pixels, pad_x, pad_y

    def _finisher(self) -> Callable[[npt.NDArray[np.uint8], Array | None], Array]:
        """Return the part that orders channels, normalises and orders axes, in one pass."""
        flip = self.channels == "BGR"

        def ordered(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
            return pixels[:, :, ::-1] if flip else pixels

        def copied(pixels: npt.NDArray[np.uint8], out: Array | None) -> Array:
            if out is None:
                return np.ascontiguousarray(ordered(pixels))
            out[:] = ordered(pixels)
            return out

        if not self.normalizes:
            return copied
        factor = 1 / np.array(self.std or (1, 1, 1), np.float32)
        offset = -np.array(self.mean or (0, 0, 0), np.float32) * factor

        def interleaved(pixels: npt.NDArray[np.uint8], out: Array | None) -> Array:
            normalised: Array = np.multiply(ordered(pixels), factor, out=out)
            normalised += offset
            return normalised

        def planes(pixels: npt.NDArray[np.uint8], out: Array | None) -> Array:
            if out is None:
                out = np.empty((3, *pixels.shape[:2]), np.float32)
            split = cv2.split(pixels)
            for i, plane in enumerate(split[::-1] if flip else split):
                normalise = float(factor[i]), plane, 0.0, float(offset[i])
                cv2.addWeighted(plane, *normalise, dst=out[i], dtype=cv2.CV_32F)
            return out

        return interleaved if self.layout == "HWC" else planes


def _place(
    pixels: npt.NDArray[np.uint8],
    size: tuple[int, int],
    at: float,
    fill: tuple[int, int, int],
) -> tuple[npt.NDArray[np.uint8], int, int]:
    """Cut or fill an image to (height, width); `at` is where the slack goes, 0 start, 0.5 middle.

    Returns the image and the offset (x, y) of the old origin in the new one.
    """
    offset = [round((want - have) * at) for want, have in zip(size, pixels.shape[:2], strict=True)]
    if tuple(pixels.shape[:2]) == size:
        return pixels, 0, 0
    cut = pixels[
        max(0, -offset[0]) : max(0, -offset[0]) + size[0],
        max(0, -offset[1]) : max(0, -offset[1]) + size[1],
    ]
    if cut.shape[:2] != size:
        canvas = np.empty((*size, 3), np.uint8)
        canvas[:] = fill
        y, x = max(0, offset[0]), max(0, offset[1])
        canvas[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
        cut = canvas
    return cut, offset[1], offset[0]
