"""Versions of models that tests publish."""

import numpy as np
import safetensors.numpy

from sightflow.models import Card, DataRange, Facts, ModelInput
from sightflow.ops.preprocess import Preprocess

__all__ = ["CARD", "facts", "publish", "weights"]

CARD = Card(
    name="gates",
    task="classify",
    input=ModelInput(Preprocess(stretch=(8, 8), std=(255, 255, 255))),
    head={"kind": "Probabilities"},
    labels=("gate", "fence"),
)


def facts(step=1, run_id="monday", **changes):
    return Facts(run_id, step, n_samples=32 * step, data=DataRange(0, 9_000, 10), **changes)


def weights(**tensors):
    tensors = tensors or {"bias": [0, 0]}
    return safetensors.numpy.save({n: np.array(v, np.float32) for n, v in tensors.items()})


def publish(registry, step=1, *, onnx=b"a model", card=CARD, of=None, **changes):
    of = weights() if of is None else of
    return registry.publish("gates", onnx=onnx, weights=of, card=card, facts=facts(step, **changes))
