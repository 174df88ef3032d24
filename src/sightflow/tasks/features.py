"""Describe images by the features of a network, for heads that learn on top of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from sightflow.errors import CardError, ModelError
from sightflow.models import ModelFile, zoo
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord
from sightflow.tasks.model_step import (
    CLASSIFIER,
    check_model,
    naming,
    open_model,
    output_of,
    try_out,
)

__all__ = ["Features"]


@dataclass(frozen=True)
class Features:
    """Describe each image by the numbers that a classifier makes its answer from."""

    model: ModelFile = field(default_factory=lambda: zoo(CLASSIFIER))
    """Its card names the output in `features`."""

    gives: ClassVar[tuple[str, ...]] = ("features",)

    def check(self) -> None:
        """Refuse a model that does not name its features."""
        check_model(self.model, task="classify")
        self._output()
        try_out(self.open)

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale at which the model looks at the image."""
        return self.model.card.input.preprocess.scale_for(width, height)

    def open(self, context: Context) -> Process:
        """Load the model."""
        call, output = open_model(self.model, context), self._output()

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            batch = call([record.pixels for record in records])
            with naming(self.model.card):
                rows = output_of(batch.outputs, output)
            if rows.ndim != 2 or rows.dtype != np.float32:
                raise ModelError(
                    f"model {self.model.card.name!r}: the features must be float32 [B, D]; output "
                    f"{output!r} is {rows.dtype} {list(rows.shape)}"
                )
            return [
                replace(record, models=(*record.models, batch.use), features=row)
                for record, row in zip(records, rows, strict=True)
            ]

        return process

    def _output(self) -> str:
        if self.model.card.features is None:
            raise CardError(
                f"model {self.model.card.name!r} names no `features` on its card; add the name of "
                "that output, or take another model"
            )
        return self.model.card.features
