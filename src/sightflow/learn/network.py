"""The shapes of what is trained: a description of a network, and the network that it opens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from sightflow.learn.optimiser import Optimiser
from sightflow.models import ModelInput
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Operator

__all__ = [
    "Exported",
    "Network",
    "ObjectNetwork",
    "Predict",
    "Said",
    "Tensors",
    "Trainable",
    "Truth",
    "packed",
]

Tensors: TypeAlias = Mapping[str, npt.NDArray[Any]]

Truth: TypeAlias = int | npt.NDArray[np.float32]
"""What is true of an input: the number of its class; or its objects, float32 [N, 5]: x1, y1, x2, y2
in pixels of the input, and the number of the class, -1 of an object that is ignored."""

Said: TypeAlias = Any
"""What a network says of B inputs: float32 [B, classes], the probability of each class; or the
`Found` of each, objects in pixels of the input."""

Predict: TypeAlias = Callable[[npt.NDArray[Any]], Said]
"""Returns what is said of inputs [B, ...]."""


class Trainable(Protocol):
    """A network that is trained; it changes in place.

    The same steps from the same tensors give the same tensors, to the last bit.
    """

    def predict(self, inputs: npt.NDArray[Any]) -> Said:
        """Return what it says of inputs [B, ...]."""

    def learn(self, inputs: npt.NDArray[Any], truths: Any, step: int) -> float:
        """Make one step of gradient descent and return the mean loss before it.

        `truths` are those of the inputs: int64 [B] of classes, or a list of B arrays of objects.

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
    """A network as an ONNX file, and what its card says of it."""

    onnx: bytes
    input: ModelInput
    head: Mapping[str, Any]
    """How its outputs are read: `kind` and options, as on a card."""
    task: str = "classify"


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


@runtime_checkable
class ObjectNetwork(Network, Protocol):
    """The description of a network that learns where objects are; others learn classes."""

    @property
    def preprocess(self) -> Preprocess:
        """Makes its input."""

    @property
    def max_iou(self) -> float:
        """Of two objects of one class that overlap more than this, the better one stays."""

    @property
    def max_objects(self) -> int:
        """At most this many objects of an image are kept, the best ones."""


def packed(tensors: Tensors) -> bytes:
    """Return tensors in the form of safetensors."""
    data: bytes = safetensors.numpy.save(
        {name: np.asarray(value, order="C") for name, value in tensors.items()}
    )
    return data
