"""Prepare images: scale, crop, normalise, for training data or another program."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from sightflow.ops.decode import MAX_PIXELS
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Outcome, Rejected

__all__ = ["Prepare"]


@dataclass(frozen=True)
class Prepare:
    """Scale, crop and normalise each image; `ImageFolder` writes the result."""

    preprocess: Preprocess = field(default_factory=Preprocess)

    gives: ClassVar[tuple[str, ...]] = ("prepared",)

    def check(self) -> None:
        """Accept any preprocessing: it has checked itself."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale of the result."""
        return self.preprocess.scale_for(width, height)

    def open(self, context: Context) -> Process:
        """Compile the preprocessing."""
        prepare = self.preprocess.compile()

        def prepared(record: ImageRecord) -> Outcome:
            height, width = record.pixels.shape[:2]
            n_pixels = self.preprocess.n_pixels_for(width, height)
            if n_pixels > MAX_PIXELS:
                message = f"scaled as asked it has {n_pixels:,} pixels, more than {MAX_PIXELS:,}"
                return Rejected(record.origin, context.step, "too_large", message)
            return replace(record, prepared=prepare(record.pixels)[0])

        return lambda records: [prepared(record) for record in records]
