"""Let a second classifier look at the same images, on trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Outcome
from sightflow.tasks.classify import Classify
from sightflow.tasks.following import Following

__all__ = ["Shadow"]


@dataclass(frozen=True)
class Shadow(Following):
    """Classify each image by a model on trial; `classification` stays as it is."""

    top_k: int = 5
    """How many classes a result holds."""

    gives: ClassVar[tuple[str, ...]] = ("shadow",)
    adjustable: ClassVar[tuple[str, ...]] = ("top_k",)

    def check(self) -> None:
        """Refuse what `Classify` refuses."""
        self._classify().check()

    def open(self, context: Context) -> Process:
        """Load the model."""
        classify = self._classify().open(context)

        def process(records: Sequence[ImageRecord]) -> list[Outcome]:
            return [
                replace(record, models=found.models, shadow=found.classification)
                if isinstance(found, ImageRecord)
                else found
                for record, found in zip(records, classify(records), strict=True)
            ]

        return process

    def _classify(self) -> Classify:
        return Classify(model=self.model, top_k=self.top_k, follow=self.follow)
