"""Name the main subject of each image, and the scene around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError
from sightflow.models import Card, ModelFile, zoo
from sightflow.ops.scores import best_of
from sightflow.options import check_count, check_share
from sightflow.protocols import Context, Process
from sightflow.records import Classification, ImageRecord, Scene
from sightflow.tasks.following import Following
from sightflow.tasks.model_step import (
    CLASSIFIER,
    check_model,
    labels_of,
    open_classifier,
    use_of,
)

__all__ = ["Classify"]


@dataclass(frozen=True)
class Classify(Following):
    """Name the main subject of each image."""

    model: ModelFile = field(default_factory=lambda: zoo(CLASSIFIER))
    top_k: int = 5
    """How many classes a result holds."""
    min_score: float = 0.0
    """Classes that score less are left out, in [0, 1]."""
    scenes: bool = False
    """Also name the scene, by the model card's map from classes to scenes."""

    gives: ClassVar[tuple[str, ...]] = ("classification", "scene")
    adjustable: ClassVar[tuple[str, ...]] = ("top_k", "min_score")

    def _check(self) -> None:
        """Refuse a model for another task, and scenes where the card has none."""
        check_count(self, "top_k", at_least=1)
        check_share(self, "min_score")
        check_model(self.model, task="classify")
        if self.scenes and not self.model.card.scenes:
            raise CardError(
                f"model {self.model.card.name!r} has no `scenes` on its card; add them, or leave "
                "`scenes` out of the step"
            )

    def _open(self, context: Context) -> Process:
        classify, use = open_classifier(self.model, context), use_of(self.model, context)
        card = self.model.card
        weights = _scene_weights(card) if self.scenes else None

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            probabilities = classify([record.pixels for record in records])
            return [
                replace(
                    record,
                    models=(*record.models, use),
                    classification=self._best(row),
                    scene=None if weights is None else _scene(tuple(card.scenes), weights @ row),
                )
                for record, row in zip(records, probabilities, strict=True)
            ]

        return process

    def _best(self, probabilities: npt.NDArray[np.float32]) -> Classification:
        order = best_of(probabilities, self.top_k)
        order = order[probabilities[order] >= self.min_score]
        labels = labels_of(self.model.card, order)
        return Classification(labels, order.astype(np.int32), probabilities[order])


def _scene_weights(card: Card) -> npt.NDArray[np.float32]:
    """Return the card's map as float32 [scenes, classes]."""
    weights = np.zeros((len(card.scenes), len(card.labels)), np.float32)
    for row, (scene, classes) in enumerate(card.scenes.items()):
        for class_id, weight in classes.items():
            if not 0 <= class_id < len(card.labels):
                raise CardError(
                    f"model {card.name!r}: scene {scene!r} names class {class_id}; there are "
                    f"{len(card.labels)} labels"
                )
            weights[row, class_id] = weight
    return weights


def _scene(labels: Sequence[str], evidence: npt.NDArray[np.float32]) -> Scene:
    """Return all scenes, most likely first; the scores sum to 1 where there is any evidence."""
    scores = (evidence / max(float(evidence.sum()), 1e-9)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return Scene(tuple(labels[i] for i in order), scores[order])
