"""Model files: checked against their card, loaded by a back end; and those that ship."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sightflow.errors import CardError, ModelError
from sightflow.kinds import resolve_kind
from sightflow.models.backend import Backend
from sightflow.models.card import Card, read_card
from sightflow.models.shared import load_shared
from sightflow.protocols import Inference, Model

__all__ = ["ModelFile", "zoo", "zoo_names"]

_ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class ModelFile:
    """A file with weights and the card that describes it."""

    path: str
    card: Card
    address: str | None = None
    """Of a model from a registry: `REGISTRY/NAME@VERSION`."""

    def __repr__(self) -> str:
        """Show what it is found by; a card may be long."""
        return f"ModelFile({self.reference!r})"

    @property
    def version(self) -> str:
        """The version of the card, or the first 12 digits of the file's sha256."""
        return self.card.version or self.sha256()[:12]

    @property
    def reference(self) -> str:
        """What `find_model` finds this model by."""
        if self.address is not None:
            return self.address
        path = Path(self.path)
        return path.parent.name if path.parent.parent == _ZOO else self.path

    def sha256(self) -> str:
        """Return the sha256 of the file, in hexadecimal."""
        digest = hashlib.sha256()
        with open(self.path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def check(self) -> None:
        """Raise `ModelError` unless the file is what its card says, loads, and takes its input."""
        self.check_file()
        self.load()

    def check_file(self) -> None:
        """Raise `ModelError` unless the file is there and is the one of its card."""
        if not os.path.isfile(self.path):
            raise ModelError(f"{self.path}: no such file, which the card {self.card.name!r} names")
        if self.card.sha256 and self.sha256() != self.card.sha256:
            raise ModelError(
                f"{self.path}: sha256 must be {self.card.sha256} as on its card; got "
                f"{self.sha256()}; take the file that belongs to the card, or correct the card"
            )
        self._backend()

    def load(self, inference: Inference | None = None) -> Model:
        """Return the model, loaded and warmed up, as a function that several threads may call.

        Raises:
            ModelError: the file does not fit its card, or the device is not there.
        """
        return load_shared(self._backend(), self.path, self.card, inference or Inference())

    def _backend(self) -> Backend:
        backend: Backend = resolve_kind("backends", self.card.backend)()
        return backend


def zoo_names() -> tuple[str, ...]:
    """Return the names of the models that ship with Sightflow, sorted."""
    return tuple(sorted(path.parent.name for path in _ZOO.glob("*/card.yaml")))


def zoo(name: str) -> ModelFile:
    """Return a model that ships with Sightflow.

    Raises:
        CardError: none has this name.
    """
    if name not in zoo_names():
        raise CardError(f"no model {name!r} ships with Sightflow; there are {zoo_names()}")
    return ModelFile(str(_ZOO / name / "model.onnx"), read_card(_ZOO / name / "card.yaml"))
