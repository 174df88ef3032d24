"""Changed copies of training images, so that a network does not learn them by heart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from sightflow.ops.moving import Objects, keep_visible, mirrored_before, move_objects
from sightflow.options import check_number, check_share

__all__ = ["Augment"]

Pixels: TypeAlias = npt.NDArray[np.uint8]
Draws: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Augment:
    """By how much images are changed at most, each by its own draw."""

    rotation_deg: float = 0.0
    shift: float = 0.0
    """Part of the side."""
    scale: float = 0.0
    """Part of the size."""
    brightness: float = 0.0
    """Part of 255."""
    contrast: float = 0.0
    """Part of the contrast."""
    flip: bool = False
    """Whether half of them are mirrored left to right."""
    colour: float = 0.0
    """Part by which there is more or less of red, of green and of blue."""
    erase: float = 0.0
    """Side of a square, as a part of the image's shorter side: half of the images have one of a
    single grey, somewhere on them or at their edge. So a network learns to look at every part."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_number(self, "rotation_deg", within="[0, 180]")
        check_share(self, "shift", "scale", "brightness", "contrast", "colour", "erase")

    def apply(self, images: Pixels, rng: np.random.Generator) -> Pixels:
        """Return changed images, uint8 [B, H, W, 3]; the draws are those of `rng`."""
        return self._changed(images, rng)[0]

    def apply_to_objects(
        self, images: Pixels, objects: Sequence[Objects], rng: np.random.Generator
    ) -> tuple[Pixels, list[Objects]]:
        """Return changed images, uint8 [B, H, W, 3], and where their objects are then.

        Of an object that is mostly outside nothing is left: its rest becomes grey.

        Args:
            images: uint8 [B, H, W, 3].
            objects: of each, float32 [N, 5]: x1, y1, x2, y2 in pixels, and anything more.
            rng: draws the same for `apply`.
        """
        changed, moves = self._changed(images, rng)
        moved = [move_objects(one, move) for one, move in zip(objects, moves, strict=True)]
        kept = [keep_visible(image, one) for image, one in zip(changed, moved, strict=True)]
        return changed, kept

    def _changed(
        self, images: Pixels, rng: np.random.Generator
    ) -> tuple[Pixels, list[npt.NDArray[np.float64]]]:
        """Return changed images, and for each the matrix [2, 3] that moved its pixels."""
        draws = rng.uniform(-1, 1, (len(images), 6))
        mirrored = rng.random(len(images)) < (0.5 if self.flip else 0.0)
        tints = rng.uniform(-1, 1, (len(images), 3)) if self.colour else None
        tables = self._tables(draws[:, 4], draws[:, 5], tints)
        changed, moves = np.empty_like(images), []
        for i, (turn, x, y, size, _, _) in enumerate(draws.tolist()):
            move = self._move(images.shape[1], images.shape[2], turn, x, y, size)
            image = images[i, :, ::-1] if mirrored[i] else images[i]
            self._write_moved(image, move, changed[i])
            if self.brightness or self.contrast or self.colour:
                cv2.LUT(changed[i], tables[i], dst=changed[i])
            moves.append(mirrored_before(move, images.shape[2]) if mirrored[i] else move)
        if self.erase:
            self._erase(changed, rng.random((len(images), 4)))
        return changed, moves

    def _move(
        self, height: int, width: int, turn: float, x: float, y: float, size: float
    ) -> npt.NDArray[np.float64]:
        """Return the matrix [2, 3] that turns about the middle, scales and shifts.

        The draws are in [-1, 1].
        """
        middle = (width - 1) / 2, (height - 1) / 2
        angle, zoom = turn * self.rotation_deg, 1 + size * self.scale
        move = np.array(cv2.getRotationMatrix2D(middle, angle, zoom), np.float64)
        move[:, 2] += x * self.shift * width, y * self.shift * height
        return move

    def _write_moved(self, image: Pixels, move: npt.NDArray[np.float64], target: Pixels) -> None:
        """Write a moved image into `target`; what comes from outside is what lies at the edge."""
        if not (self.rotation_deg or self.shift or self.scale):
            target[:] = image
            return
        cv2.warpAffine(
            np.ascontiguousarray(image),
            move,
            image.shape[1::-1],
            dst=target,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _tables(self, light: Draws, contrast: Draws, tints: Draws | None) -> npt.NDArray[np.uint8]:
        """Return what becomes of each level from 0 to 255, for draws [B], and [B, 3] of colours.

        Contrast is changed about the middle grey.

        Returns:
            uint8 [B, 256], or [B, 1, 256, 3] where colours have levels of their own.
        """
        gain = 1 + contrast * self.contrast
        offset = 255 * light * self.brightness + 127.5 * (1 - gain)
        levels = _LEVELS * gain.astype(np.float32)[:, None] + offset.astype(np.float32)[:, None]
        if tints is not None:
            levels = levels[:, None, :, None] * (1 + self.colour * tints)[:, None, None]
        tables: Pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return tables

    def _erase(self, images: Pixels, draws: Draws) -> None:
        """Fill a square of half of the images, in place; of the draws [B, 4] in [0, 1)."""
        height, width = images.shape[1:3]
        side = max(1, round(self.erase * min(height, width)))
        for image, (which, x, y, grey) in zip(images, draws.tolist(), strict=True):
            if which < 0.5:
                left, top = round(x * width) - side // 2, round(y * height) - side // 2
                image[max(0, top) : top + side, max(0, left) : left + side] = round(255 * grey)


_LEVELS = np.arange(256, dtype=np.float32)
