"""Operators for tests, importable by name in every worker."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightflow.protocols import Context, Outcome, Process
from sightflow.records import Detections, ImageRecord, ModelUse, Rejected

__all__ = ["Bright", "FailOnce", "FailWith", "Slow"]


class _Step:
    """Accepts every configuration and looks at every pixel."""

    def check(self) -> None:
        """Accept everything."""

    def scale_for(self, width: int, height: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class Bright(_Step):
    """Reports one object over the whole image, whose score is its mean brightness; no model."""

    reject_below: float = 0.0

    def open(self, context: Context) -> Process:
        """Return the function that measures brightness."""

        def measure(record: ImageRecord) -> Outcome:
            score = np.float32(record.pixels.mean() / 255)
            if score < self.reject_below:
                return Rejected(record.origin, context.step, "dark", f"brightness {score:.2f}")
            box = np.array([[0, 0, record.width, record.height]], np.float32)
            found = Detections(box, score[None], np.zeros(1, np.int32), ("image",))
            use = ModelUse(context.step, "brightness", "1")
            return replace(record, detections=found, models=(*record.models, use))

        return lambda records: [measure(record) for record in records]


@dataclass(frozen=True)
class FailWith(_Step):
    """Fails at the first image, as a broken model would."""

    message: str

    def open(self, context: Context) -> Process:
        """Return a function that fails."""

        def process(records: Sequence[ImageRecord]) -> list[Outcome]:
            raise ArithmeticError(self.message)

        return process


@dataclass(frozen=True)
class FailOnce(_Step):
    """Fails once when it meets an image, and never again; slow, so that checkpoints happen."""

    name: str
    """Of the image."""
    flag: str
    """File that remembers the failure."""
    delay_s: float = 0.02

    def open(self, context: Context) -> Process:
        """Return a function that fails once."""

        def process(records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
            time.sleep(self.delay_s * len(records))
            here = any(record.origin.name == self.name for record in records)
            if here and not os.path.exists(self.flag):
                Path(self.flag).touch()
                raise ConnectionError("the first attempt fails")
            return records

        return process


@dataclass(frozen=True)
class Slow(_Step):
    """Takes its time with each image."""

    delay_s: float

    def open(self, context: Context) -> Process:
        """Return a function that waits."""

        def process(records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
            time.sleep(self.delay_s * len(records))
            return records

        return process
