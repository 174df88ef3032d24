"""The shape of a back end: what runs a model file."""

from typing import Protocol

from sightflow.models.card import Card
from sightflow.protocols import Inference, Model

__all__ = ["Backend"]


class Backend(Protocol):
    """Runs files of one format. Instances are made without arguments."""

    def load(self, path: str, card: Card, inference: Inference) -> Model:
        """Return the model as a function, which several threads call at once.

        A function whose attribute `gains_from_batches` is true is called by one thread at a time,
        with the images of several workers in one batch.

        Raises:
            ModelError: the file's input does not take what the card's preprocessing gives, or the
                device is not there.
        """
