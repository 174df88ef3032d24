"""What every step with a model does: prepare images, call the model on the batch, note its use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError
from sightflow.models import ModelFile
from sightflow.ops.preprocess import Placement
from sightflow.protocols import Context
from sightflow.records import ImageRecord, ModelUse

__all__ = ["Batch", "check_model", "open_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The answer of a model for B images."""

    outputs: Mapping[str, npt.NDArray[Any]]
    """Each [B, ...], by name."""
    placements: Sequence[Placement]
    """Where the model's pixels came from, for each image."""
    use: ModelUse


def check_model(model: ModelFile, *, task: str) -> None:
    """Raise an error unless the model is for this task and fits its card."""
    if model.card.task != task:
        raise ModelError(
            f"model {model.card.name!r} is for the task {model.card.task!r}; this step needs one "
            f"for {task!r}"
        )
    model.check()


def open_model(model: ModelFile, context: Context) -> Callable[[Sequence[ImageRecord]], Batch]:
    """Load a model and return a function that runs it on a batch of images."""
    run = model.load(n_threads=context.n_threads)
    prepare = model.card.input.preprocess.compile()
    use = ModelUse(context.step, model.card.name, model.version)

    def call(records: Sequence[ImageRecord]) -> Batch:
        arrays, placements = zip(*(prepare(record.pixels) for record in records), strict=True)
        return Batch(run(np.stack(arrays)), placements, use)

    return call


def output_of(outputs: Mapping[str, npt.NDArray[Any]], name: str | None) -> npt.NDArray[Any]:
    """Return the named output, or the first one.

    Raises:
        ModelError: the model has no output of this name.
    """
    if name is None:
        return next(iter(outputs.values()))
    if name not in outputs:
        raise ModelError(f"the card's `head` names the output {name!r}; there are {list(outputs)}")
    return outputs[name]
