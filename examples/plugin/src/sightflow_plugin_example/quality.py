"""Reject pictures that nobody could recognise anything in: blurred, too dark, too bright."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Measures, Outcome, Rejected

__all__ = ["RejectPoor"]

_SIDE = 512
"""Pictures are measured at about this length of their long side, so that thresholds fit all."""


@dataclass(frozen=True)
class RejectPoor:
    """Measures sharpness and brightness of each picture, and rejects what is poor in one.

    Both numbers are in the result, as `measures`.
    """

    min_sharpness: float = 20.0
    """Variance of the Laplacian of the grey picture, of samples of 0 to 255."""
    min_brightness: float = 20.0
    """Mean of all samples, 0 to 255."""
    max_brightness: float = 240.0
    """The same."""

    gives: ClassVar[tuple[str, ...]] = ("measures",)

    def check(self) -> None:
        """Refuse thresholds that no picture passes."""
        if not 0 <= self.min_brightness < self.max_brightness <= 255:
            raise PipelineError(
                "RejectPoor: `min_brightness` is below `max_brightness`, both in [0, 255]; got "
                f"{self.min_brightness} and {self.max_brightness}"
            )

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale at which pictures are measured."""
        return min(1.0, _SIDE / max(width, height))

    def open(self, context: Context) -> Process:
        """Return the function that measures a batch."""

        def look(record: ImageRecord) -> Outcome:
            grey = _grey(record.pixels)
            sharpness, brightness = _sharpness(grey), float(grey.mean())
            if brightness < self.min_brightness:
                reason, value = "dark", f"brightness {brightness:.1f} < {self.min_brightness:g}"
            elif brightness > self.max_brightness:
                reason, value = "bright", f"brightness {brightness:.1f} > {self.max_brightness:g}"
            elif sharpness < self.min_sharpness:
                reason, value = "blurred", f"sharpness {sharpness:.1f} < {self.min_sharpness:g}"
            else:
                values = np.array([sharpness, brightness], np.float32)
                found = Measures(("sharpness", "brightness"), values)
                return replace(record, measures=found.and_of(record.measures))
            return Rejected(record.origin, context.step, reason, value)

        def process(records: Sequence[ImageRecord]) -> list[Outcome]:
            return [look(record) for record in records]

        return process


def _grey(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return float32 [H, W], shrunk by a whole number to about the size that is measured."""
    n = max(1, round(max(pixels.shape) / _SIDE))
    height, width = (max(1, side // n) for side in pixels.shape[:2])
    rows, columns = min(n, pixels.shape[0]), min(n, pixels.shape[1])
    blocks = pixels[: height * rows, : width * columns].reshape(height, rows, width, columns, 3)
    grey: npt.NDArray[np.float32] = blocks.mean(axis=(1, 3, 4), dtype=np.float32)
    return grey


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian; 0 where a picture has no inside."""
    if min(grey.shape) < 3:
        return 0.0
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * middle).var())
