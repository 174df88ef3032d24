"""The shapes of what is trained: a description of a network, and the network that it opens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from sightflow.learn.optimiser import Optimiser
from sightflow.models import ModelInput
from sightflow.protocols import Operator

__all__ = ["Exported", "Network", "Predict", "Tensors", "Trainable", "packed"]

Tensors: TypeAlias = Mapping[str, npt.NDArray[Any]]

Predict: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
"""Returns float32 [B, classes], the probability of each class, for inputs [B, ...]."""


class Trainable(Protocol):
    """A network that is trained; it changes in place.

    The same steps from the same tensors give the same tensors, to the last bit.
    """

    def predict(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return float32 [B, classes], the probability of each class, for inputs [B, ...]."""

    def learn(self, inputs: npt.NDArray[Any], class_ids: npt.NDArray[np.int64], step: int) -> float:
        """Make one step of gradient descent and return the mean loss before it.

        All randomness of a step follows from its number, so that none is in the state.
        """

    def weights(self) -> Tensors:
        """Return the weights that predict: their average, where one is kept. They are published."""

    def predictor(self, weights: Tensors) -> Predict | None:
        """Return what predicts with other weights; None where they are of another network."""

    def start(self, weights: Tensors) -> None:
        """Begin with weights that another training gave; the optimiser remembers nothing.

        Raises:
            ModelError: they are of another network.
        """

    def tensors(self) -> Tensors:
        """Return all that `restore` needs: weights, averages, the optimiser's memory."""

    def shared(self) -> Sequence[str]:
        """Return the names of the tensors that several trainers average."""

    def restore(self, tensors: Tensors) -> None:
        """Go on from what `tensors` gave.

        Raises:
            JobError: they are of another network.
        """

    def export(self) -> "Exported":
        """Return the network as a model file for recognition."""


@dataclass(frozen=True)
class Exported:
    """A network as an ONNX file, from pictures to probabilities."""

    onnx: bytes
    input: ModelInput
    output: str
    """Name of the output [B, classes] that holds the probabilities."""


@runtime_checkable
class Network(Protocol):
    """The description of a network: a frozen dataclass."""

    takes: ClassVar[str]
    """The array of a record that is its input: `features` or `prepared`."""

    @property
    def preparation(self) -> Operator:
        """The step that makes this input from the pixels."""

    def check(self) -> None:
        """Raise an error if this configuration cannot work."""

    def open(
        self, n_classes: int, shape: tuple[int, ...], optimiser: Optimiser, seed: int
    ) -> Trainable:
        """Return the network with its first weights, for inputs of this shape."""


def packed(tensors: Tensors) -> bytes:
    """Return tensors in the form of safetensors."""
    data: bytes = safetensors.numpy.save(
        {name: np.asarray(value, order="C") for name, value in tensors.items()}
    )
    return data
