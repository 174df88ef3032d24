"""What drivers look for: vehicles, people, what traffic lights show and what signs mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np

from sightflow.errors import ModelError, RegistryError
from sightflow.models import ModelFile, zoo
from sightflow.options import check_share
from sightflow.protocols import Context, Process
from sightflow.records import UNKNOWN, ImageRecord
from sightflow.tasks.classify_objects import ClassifySign, ClassifyTrafficLight
from sightflow.tasks.detect import Detect
from sightflow.tasks.following import Following, name_of

__all__ = ["Drive"]


@dataclass(frozen=True)
class Drive:
    """Find what is on a road, and say what each traffic light shows and each sign means.

    One pass of a detector finds the objects of a batch of images; then each classifier looks once
    at all that are its own. What a classifier does not know stays, as `unknown`; but a light that
    nobody sees lit must score more.
    """

    model: ModelFile = field(default_factory=lambda: zoo("roads"))
    """Finds vehicles, people, traffic lights and signs."""
    light_model: ModelFile = field(default_factory=lambda: ClassifyTrafficLight().model)
    """Says what a traffic light shows, as in `ClassifyTrafficLight`."""
    sign_model: ModelFile = field(default_factory=lambda: ClassifySign().model)
    """Says what a sign means, as in `ClassifySign`."""
    min_score: float = 0.3
    """Objects that score less are left out, in [0, 1]."""
    unlit_score: float = 0.45
    """A traffic light that is `off` or `unknown` is left out if it scores less, in [0, 1]: much
    that is none looks like it."""
    tiles: tuple[int, int] = (1, 1)
    """As in `Detect`: for small objects."""
    light_labels: tuple[str, ...] = ClassifyTrafficLight.of
    """What the detector calls traffic lights."""
    sign_labels: tuple[str, ...] = ClassifySign.of
    """What the detector calls signs."""
    follow: bool = field(default=False, kw_only=True)
    """Switch to whichever version of each REGISTRY/NAME is promoted, while the job runs."""

    gives: ClassVar[tuple[str, ...]] = ("detections", "detections.states", "detections.signs")
    adjustable: ClassVar[tuple[str, ...]] = ("min_score", "unlit_score")
    word_options: ClassVar[tuple[str, ...]] = ("light_labels", "sign_labels")

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on: of followed models only the names."""
        options = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.follow:
            models = {name: one for name, one in options.items() if _is_published(one)}
            options |= {name: name_of(model) for name, model in models.items()}
        return options

    def check(self) -> None:
        """Refuse models for other tasks, and a detector that finds no lights or no signs."""
        check_share(self, "unlit_score")
        models = self.model, self.light_model, self.sign_model
        if self.follow and not any(map(_is_published, models)):
            raise RegistryError(
                "Drive: `follow` needs a published model, REGISTRY/NAME, among its three; got "
                f"{', '.join(model.reference for model in models)}"
            )
        for part in self._parts:
            part.check()
        for name in ("light_labels", "sign_labels"):
            self._check_labels(name)

    def scale_for(self, width: int, height: int) -> float:
        """Return the largest scale at which one of the models looks: small signs need them all."""
        return max(part.scale_for(width, height) for part in self._parts)

    def open(self, context: Context) -> Process:
        """Load the models; where they are followed, the versions that serve."""
        processes = [part.open(context) for part in self._parts]

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            outcomes: Any = records  # none of the three rejects an image
            for one in processes:
                outcomes = one(outcomes)
            return [self._without_unlit(one) for one in outcomes]

        return process

    @property
    def _parts(self) -> tuple[Following, ...]:
        """The three steps that this one is made of."""

        def follows(model: ModelFile) -> bool:
            return self.follow and _is_published(model)

        return (
            Detect(
                self.model,
                min_score=self.min_score,
                tiles=self.tiles,
                follow=follows(self.model),
            ),
            ClassifyTrafficLight(
                self.light_model, of=self.light_labels, follow=follows(self.light_model)
            ),
            ClassifySign(self.sign_model, of=self.sign_labels, follow=follows(self.sign_model)),
        )

    def _without_unlit(self, record: ImageRecord) -> ImageRecord:
        """Return a record without the lights that are not lit, and hardly there."""
        found = record.detections
        if found is None or found.states is None:
            return record
        unlit = np.array([label in _UNLIT for label in found.states.labels], bool)
        kept = ~unlit | (found.scores >= self.unlit_score)
        return record if kept.all() else replace(record, detections=found.take(kept))

    def _check_labels(self, name: str) -> None:
        card, wanted = self.model.card, getattr(self, name)
        if not set(wanted) & set(card.labels):
            raise ModelError(
                f"Drive: model {card.name!r} finds none of {', '.join(wanted)}; its labels are "
                f"{', '.join(card.labels)}; name them in `{name}`, or take another detector"
            )


_UNLIT = ("off", UNKNOWN)


def _is_published(model: Any) -> bool:
    return isinstance(model, ModelFile) and model.address is not None
