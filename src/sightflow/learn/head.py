"""A head: one or two layers of weights on the features of a network that stays as it is."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError, JobError, ModelError
from sightflow.learn.network import Exported, Predict, Tensors
from sightflow.learn.optimiser import Optimiser
from sightflow.models import ModelFile, zoo
from sightflow.models.graft import OUTPUT, with_head
from sightflow.ops.scores import softmax
from sightflow.options import check_count
from sightflow.tasks.features import Features
from sightflow.tasks.model_step import CLASSIFIER

__all__ = ["Head"]

Floats = npt.NDArray[np.float32]

_EPSILON = 1e-8
_BETA_1, _BETA_2 = 0.9, 0.999


@dataclass(frozen=True)
class Head:
    """Layers on the features of a model; in numpy, so that it needs nothing more."""

    model: ModelFile = field(default_factory=lambda: zoo(CLASSIFIER))
    """Makes the features; it is not trained."""
    hidden: int | None = None
    """Units of the hidden layer; None: a linear head."""

    takes: ClassVar[str] = "features"

    @property
    def preparation(self) -> Features:
        """The step that makes the features."""
        return Features(self.model)

    def check(self) -> None:
        """Refuse a layer without units, and a model without features."""
        check_count(self, "hidden", at_least=1)
        if self.model.card.features is None:
            raise CardError(
                f"model {self.model.card.name!r} names no `features` on its card; add the name of "
                "that output, or take another model"
            )

    def open(
        self, n_classes: int, shape: tuple[int, ...], optimiser: Optimiser, seed: int
    ) -> "TrainableHead":
        """Return the head with its first weights."""
        sizes = (*shape, *(() if self.hidden is None else (self.hidden,)), n_classes)
        return TrainableHead(self, sizes, optimiser, seed)


class TrainableHead:
    """A head in training. Features are standardised by the mean and deviation of those so far."""

    def __init__(self, head: Head, sizes: tuple[int, ...], optimiser: Optimiser, seed: int) -> None:
        """Draw the first weights; `sizes` are the units of each layer, the features first."""
        rng = np.random.default_rng(seed)
        self._head = head
        self._optimiser = optimiser
        self._weights: dict[str, Floats] = {}
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            is_last = i == len(sizes) - 2
            drawn = rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)
            self._weights[f"layer{i}.weight"] = np.float32(0 if is_last else 1) * drawn.astype("f4")
            self._weights[f"layer{i}.bias"] = np.zeros(n_out, np.float32)
        self._n_layers = len(sizes) - 1
        self._average = {name: value.copy() for name, value in self._weights.items()}
        self._memory = {
            f"{kind}.{name}": np.zeros_like(value)
            for kind in ("first", "second")
            for name, value in self._weights.items()
        }
        self._seen = {
            "features.n": np.zeros(1, np.float64),
            "features.sum": np.zeros(sizes[0], np.float64),
            "features.squares": np.zeros(sizes[0], np.float64),
        }

    def predict(self, inputs: npt.NDArray[np.float32]) -> Floats:
        """Return float32 [B, classes], the probability of each class, for features [B, D]."""
        return softmax(self._forward(self._standardised(inputs), self._predicting())[-1])

    def learn(
        self, inputs: npt.NDArray[np.float32], class_ids: npt.NDArray[np.int64], step: int
    ) -> float:
        """Make one step of gradient descent and return the mean loss before it."""
        self._see(inputs)
        layers = self._forward(self._standardised(inputs), self._weights)
        probabilities = softmax(layers[-1])
        rows = np.arange(len(class_ids))
        loss = -float(np.log(probabilities[rows, class_ids] + _EPSILON).mean())
        error = probabilities
        error[rows, class_ids] -= 1
        error /= len(class_ids)
        gradients: dict[str, Floats] = {}
        for i in reversed(range(self._n_layers)):
            gradients[f"layer{i}.weight"] = layers[i].T @ error
            gradients[f"layer{i}.bias"] = error.sum(axis=0)
            if i:
                error = (error @ self._weights[f"layer{i}.weight"].T) * (layers[i] > 0)
        self._descend(gradients, step)
        return loss

    def weights(self) -> Tensors:
        """Return the weights that predict, for features as they are."""
        mean, deviation = self._scale()
        weights = dict(self._predicting())
        first = (weights["layer0.weight"] / deviation[:, None]).astype(np.float32)
        weights["layer0.bias"] = weights["layer0.bias"] - mean.astype(np.float32) @ first
        weights["layer0.weight"] = first
        return {**weights, **self._seen}

    def start(self, weights: Tensors) -> None:
        """Begin with the weights of another head, and with what it knew of the features.

        Raises:
            ModelError: they are of another head.
        """
        here, there = _shapes(self._weights), _shapes(weights)
        if here != there:
            raise ModelError(
                f"a head with {here} cannot start from {there}; give it the `hidden` and the "
                "number of labels of the version to start from"
            )
        self._seen = {name: weights.get(name, zeros).copy() for name, zeros in self._seen.items()}
        mean, deviation = self._scale()
        first = weights["layer0.weight"]
        self._weights = {name: weights[name].copy() for name in self._weights}
        self._weights["layer0.weight"] = (first * deviation[:, None]).astype(np.float32)
        self._weights["layer0.bias"] += mean.astype(np.float32) @ first
        self._average = {name: value.copy() for name, value in self._weights.items()}

    def predictor(self, weights: Tensors) -> Predict | None:
        """Return what predicts with other weights; None where they are of another head."""
        if _shapes(weights) != _shapes(self._weights):
            return None
        frozen = {name: np.array(weights[name]) for name in self._weights}
        return lambda inputs: softmax(self._forward(inputs, frozen)[-1])

    def tensors(self) -> Tensors:
        """Return weights, averages, the optimiser's memory, and what is known of the features."""
        average = {f"average.{name}": value for name, value in self._average.items()}
        return {**self._weights, **average, **self._memory, **self._seen}

    def shared(self) -> list[str]:
        """Return the names of the weights, of their averages, and of the sums of features."""
        averages = (f"average.{name}" for name in self._weights)
        return [*self._weights, *averages, *self._seen]

    def restore(self, tensors: Tensors) -> None:
        """Go on from what `tensors` gave.

        Raises:
            JobError: they are of another head.
        """
        here = {name: value.shape for name, value in self.tensors().items()}
        there = {name: value.shape for name, value in tensors.items()}
        if here != there:
            raise JobError(f"the checkpoint has a head with {there}; this one has {here}")
        for part in (self._weights, self._memory, self._seen):
            for name in part:
                part[name] = tensors[name].copy()
        for name in self._average:
            self._average[name] = tensors[f"average.{name}"].copy()

    def export(self) -> Exported:
        """Return the model with this head in place of its own, from pictures to probabilities."""
        weights = self.weights()
        layers = [
            (weights[f"layer{i}.weight"], weights[f"layer{i}.bias"]) for i in range(self._n_layers)
        ]
        head = {"kind": "Probabilities", "output": OUTPUT}
        return Exported(with_head(self._head.model, layers), self._head.model.card.input, head)

    def _predicting(self) -> dict[str, Floats]:
        """Return the weights that predict, for standardised features."""
        return self._average if self._optimiser.averaging else self._weights

    def _forward(self, features: Floats, weights: dict[str, Floats]) -> list[Floats]:
        """Return the input of each layer, and the output of the last."""
        layers = [features]
        for i in range(self._n_layers):
            out = layers[-1] @ weights[f"layer{i}.weight"] + weights[f"layer{i}.bias"]
            layers.append(np.maximum(out, 0) if i < self._n_layers - 1 else out)
        return layers

    def _see(self, inputs: Floats) -> None:
        """Add a batch to the sums of the features, which are those of all trainers when added."""
        values = inputs.astype(np.float64)
        seen = self._seen
        self._seen = {
            "features.n": seen["features.n"] + len(values),
            "features.sum": seen["features.sum"] + values.sum(axis=0),
            "features.squares": seen["features.squares"] + (values**2).sum(axis=0),
        }

    def _scale(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return mean and deviation of each feature; before two were seen, 0 and 1."""
        n, total = float(self._seen["features.n"][0]), self._seen["features.sum"]
        if n < 2:
            return np.zeros_like(total), np.ones_like(total)
        mean = total / n
        variance = np.maximum(self._seen["features.squares"] / n - mean**2, 0)
        return mean, np.maximum(np.sqrt(variance), 1e-3)

    def _standardised(self, inputs: Floats) -> Floats:
        mean, deviation = self._scale()
        return ((inputs - mean) / deviation).astype(np.float32)

    def _descend(self, gradients: dict[str, Floats], step: int) -> None:
        """Change the weights, and their average."""
        how = self._optimiser
        rate = np.float32(how.rate_at(step))
        change = self._adam if how.rule == "adamw" else self._momentum
        stays = np.float32(how.averaging_at(step))
        for name, gradient in gradients.items():
            weight = self._weights[name]
            decay = np.float32(how.weight_decay) if name.endswith("weight") else np.float32(0)
            weight = weight * (1 - rate * decay) - rate * change(name, gradient, step)
            self._weights[name] = weight
            self._average[name] = self._average[name] * stays + weight * (1 - stays)

    def _adam(self, name: str, gradient: Floats, step: int) -> Floats:
        """Return the direction of Adam.

        Source:
            Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
        """
        first = self._moved(f"first.{name}", gradient, _BETA_1)
        second = self._moved(f"second.{name}", gradient**2, _BETA_2)
        unbiased = np.float32(1 / (1 - _BETA_1 ** (step + 1)))
        root = np.sqrt(second * np.float32(1 / (1 - _BETA_2 ** (step + 1)))) + np.float32(_EPSILON)
        direction: Floats = first * unbiased / root
        return direction

    def _momentum(self, name: str, gradient: Floats, step: int) -> Floats:
        velocity: Floats = (
            self._memory[f"first.{name}"] * np.float32(self._optimiser.momentum) + gradient
        )
        self._memory[f"first.{name}"] = velocity
        return velocity

    def _moved(self, name: str, value: Floats, stays: float) -> Floats:
        moved: Floats = self._memory[name] * np.float32(stays) + value * np.float32(1 - stays)
        self._memory[name] = moved
        return moved


def _shapes(weights: Tensors) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the layers."""
    names = sorted(name for name in weights if name.startswith("layer"))
    return {name: weights[name].shape for name in names}
