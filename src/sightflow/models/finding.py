"""Models found by what a person calls them: a name, a path, or a place in a registry."""

from dataclasses import dataclass
from pathlib import Path

from sightflow.errors import CardError, RegistryError
from sightflow.models.card import read_card
from sightflow.models.files import ModelFile, zoo, zoo_names
from sightflow.models.registry import Registry, is_name

__all__ = ["Address", "find_model", "is_published", "parse_address"]


def find_model(reference: str | ModelFile) -> ModelFile:
    """Return the model that a name in the zoo, a path, or a place in a registry refers to.

    Beside a model file `NAME.onnx` lies its card, `NAME.yaml`. `REGISTRY/NAME@VERSION` is a
    published version; `REGISTRY/NAME` is the one that serves, or, before any was promoted, the
    newest. What is found is of a fixed version, whatever is promoted later.

    Raises:
        CardError: there is no such model, or it has no card.
        ModelError: a published model is not what was published, or cannot be reached.
    """
    if isinstance(reference, ModelFile):
        return reference
    if reference in zoo_names():
        return zoo(reference)
    path = Path(reference)
    if not path.is_file():
        return _find_published(reference)
    card = path.with_suffix(".yaml")
    if not card.is_file():
        raise CardError(
            f"{path}: needs a card {card.name!r} beside it that says task, input, labels and "
            "head; docs/reference/cards.md shows one"
        )
    return ModelFile(str(path), read_card(card))


def _find_published(reference: str) -> ModelFile:
    if not is_published(reference):
        raise CardError(
            f"model {reference!r}: neither a file nor a model that ships with Sightflow "
            f"({', '.join(zoo_names())}) nor a published one, REGISTRY/NAME or "
            "REGISTRY/NAME@VERSION"
        )
    return parse_address(reference).find()


@dataclass(frozen=True)
class Address:
    """What `REGISTRY/NAME@VERSION` refers to."""

    registry: Registry
    name: str
    number: int | None
    """None: the version that serves, or, before any was promoted, the newest."""

    def resolve(self) -> int:
        """Return the number of the version that is meant.

        Raises:
            RegistryError: nothing is published there.
        """
        if self.number is not None:
            return self.number
        pointer = self.registry.serving(self.name)
        if pointer is not None:
            return pointer.number
        numbers = self.registry.numbers(self.name)
        newest = max(numbers, default=1)  # where there is none, the next line says so
        return self.registry.version(self.name, newest).number

    def find(self) -> ModelFile:
        """Return the model file that is meant.

        Raises:
            RegistryError: nothing is published there.
            ModelError: a file is not the one that was published.
        """
        return self.registry.fetch(self.name, self.resolve())


def parse_address(reference: str) -> Address:
    """Return what a reference to a published model means; nothing is looked up.

    Raises:
        RegistryError: it is not of the form REGISTRY/NAME or REGISTRY/NAME@VERSION.

    Examples:
        >>> parse_address("s3://shop/models/gates@3")
        Address(registry=Registry(url='s3://shop/models'), name='gates', number=3)
    """
    protocol, separator, path = reference.rpartition("://")
    folder, slash, last = path.rpartition("/")
    name, at, number = last.partition("@")
    is_number = number.isascii() and number.isdigit() and int(number) > 0
    if not slash or not is_name(name) or (at and not is_number):
        raise RegistryError(
            f"{reference!r}: a published model is named REGISTRY/NAME or REGISTRY/NAME@VERSION, "
            "such as models/gates@3; VERSION is a number"
        )
    url = f"{protocol}{separator}{folder or '/'}"
    return Address(Registry(url), name, int(number) if at else None)


def is_published(reference: str) -> bool:
    """Return whether something of the form REGISTRY/NAME@VERSION is meant by a reference.

    So are all URLs, all paths that end in @ and a number, and those of folders with versions.
    """
    if "://" in reference:
        return True
    folder, slash, last = reference.rpartition("/")
    name, _, number = last.partition("@")
    return bool(slash) and (number.isdecimal() or Path(folder or "/", name, "versions").is_dir())
