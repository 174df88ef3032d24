"""Prepare images: scale, crop, normalise, for training data or another program."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord

__all__ = ["Prepare"]


@dataclass(frozen=True)
class Prepare:
    """Scale, crop and normalise each image; `ImageFolder` writes the result."""

    preprocess: Preprocess = field(default_factory=Preprocess)

    def check(self) -> None:
        """Accept any preprocessing: it has checked itself."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale of the result."""
        return self.preprocess.scale_for(width, height)

    def open(self, context: Context) -> Process:
        """Compile the preprocessing."""
        prepare = self.preprocess.compile()

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            return [replace(record, prepared=prepare(record.pixels)[0]) for record in records]

        return process
