"""The shape of a back end: what runs a model file."""

from typing import Protocol

from sightflow.models.card import Card
from sightflow.protocols import Model

__all__ = ["Backend"]


class Backend(Protocol):
    """Runs files of one format. Instances are made without arguments."""

    def check(self, path: str, card: Card) -> None:
        """Raise `ModelError` unless the file's input takes what the card's preprocessing gives."""

    def load(self, path: str, card: Card, *, n_threads: int) -> Model:
        """Return the model as a function; calls come from one thread at a time."""
