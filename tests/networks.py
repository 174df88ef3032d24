"""Networks for tests, importable by name in every worker."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightflow.learn.head import Head, TrainableHead
from sightflow.learn.network import Exported
from sightflow.learn.optimiser import Optimiser
from sightflow.models import ModelInput
from sightflow.ops.preprocess import Preprocess
from sightflow.tasks.prepare import Prepare

__all__ = ["Thumbnails"]


@dataclass(frozen=True)
class Thumbnails:
    """One layer on pictures of 6 x 8 pixels; no model and nothing to install."""

    takes: ClassVar[str] = "prepared"

    @property
    def preparation(self) -> Prepare:
        """The step that scales pictures down."""
        return Prepare(Preprocess(stretch=(6, 8), interpolation="area"))

    def check(self) -> None:
        """Accept everything."""

    def open(
        self, n_classes: int, shape: tuple[int, ...], optimiser: Optimiser, seed: int
    ) -> "_Trainable":
        """Return the network with its first weights."""
        return _Trainable(Head(), (int(np.prod(shape)), n_classes), optimiser, seed)


class _Trainable(TrainableHead):
    def predict(self, inputs):
        return super().predict(_flat(inputs))

    def learn(self, inputs, class_ids, step):
        return super().learn(_flat(inputs), class_ids, step)

    def predictor(self, weights):
        predict = super().predictor(weights)
        return None if predict is None else lambda inputs: predict(_flat(inputs))

    def export(self):
        """Return something that only looks like a model; nothing recognises with it."""
        data = b"".join(weight.tobytes() for weight in self.weights().values())
        made = Thumbnails().preparation.preprocess
        return Exported(data, ModelInput(made), {"kind": "Probabilities", "output": "p"})


def _flat(inputs):
    return inputs.reshape(len(inputs), -1).astype(np.float32)
