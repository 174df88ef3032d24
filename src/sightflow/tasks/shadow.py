"""Let a second classifier look at the same images, on trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sightflow.models import ModelFile
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Outcome
from sightflow.tasks.classify import Classify
from sightflow.tasks.following import identity_of

__all__ = ["Shadow"]


@dataclass(frozen=True)
class Shadow:
    """Classify each image by a model on trial; `classification` stays as it is."""

    model: ModelFile
    top_k: int = 5
    """How many classes a result holds."""
    follow: bool = False
    """Of a published model: use the version that serves, also when another one begins to."""

    gives: ClassVar[tuple[str, ...]] = ("shadow",)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on."""
        return identity_of(self)

    def check(self) -> None:
        """Refuse what `Classify` refuses."""
        self._classify().check()

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale at which the model looks at the image."""
        return self._classify().scale_for(width, height)

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
