"""Two versions of a model, compared: measures, labels, card, and how far the weights moved."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError
from sightflow.models.card import Card
from sightflow.models.finding import Address

__all__ = ["COLUMNS", "Change", "Difference", "WeightChange", "compare"]

COLUMNS = ("what", "first", "second", "change")

_OWN = ("version", "sha256", "labels")
"""Fields of a card that are of one version, or are compared by themselves."""


@dataclass(frozen=True)
class Change:
    """A value of the first version and of the second; None where it is in one only."""

    first: Any
    second: Any


@dataclass(frozen=True)
class WeightChange:
    """How far a tensor moved from the first version to the second."""

    name: str
    first: tuple[int, ...] | None
    """Its shape; None where it is in the other version only."""
    second: tuple[int, ...] | None
    relative: float | None
    """L2 norm of the difference over the norm in the first version; None where shapes differ or
    the first is all zeros and the second is not."""


@dataclass(frozen=True)
class Difference:
    """What is not the same in two versions, the second against the first."""

    metrics: Mapping[str, Change]
    labels_added: tuple[str, ...]
    labels_removed: tuple[str, ...]
    labels_moved: tuple[str, ...]
    """Labels of both versions that have another class id."""
    card: Mapping[str, Change]
    """By the field of the card."""
    weights: tuple[WeightChange, ...]
    """Of all tensors, those that stayed as well, with 0."""

    def rows(self) -> list[list[str]]:
        """Return a table, with `COLUMNS` as its head."""
        rows = [[f"metric {name}", *_numbers(change)] for name, change in self.metrics.items()]
        for what in ("added", "removed", "moved"):
            labels = ", ".join(getattr(self, f"labels_{what}"))
            rows.extend([[f"labels {what}", "", "", labels]] if labels else [])
        for name, change in self.card.items():
            rows.append([f"card {name}", _text(change.first), _text(change.second), ""])
        for weight in self.weights:
            moved = "" if weight.relative is None else f"{weight.relative:.3g} of its norm"
            shapes = [_text(shape) for shape in (weight.first, weight.second)]
            rows.append([f"weights {weight.name}", *shapes, moved])
        return rows


def compare(first: Address, second: Address) -> Difference:
    """Return what is not the same in two published versions.

    Raises:
        CardError: one of them is not there.
        ModelError: a file is not the one that was published, or the weights are no safetensors.
    """
    a, b = first.resolve(), second.resolve()
    card_a, card_b = (
        first.registry.fetch(first.name, a).card,
        second.registry.fetch(second.name, b).card,
    )
    facts_a, facts_b = (
        address.registry.version(address.name, n).facts for address, n in ((first, a), (second, b))
    )
    ids_a, ids_b = ({label: i for i, label in enumerate(card.labels)} for card in (card_a, card_b))
    return Difference(
        metrics=_changes(facts_a.metrics, facts_b.metrics),
        labels_added=tuple(label for label in ids_b if label not in ids_a),
        labels_removed=tuple(label for label in ids_a if label not in ids_b),
        labels_moved=tuple(
            label for label in ids_b if ids_a.get(label, ids_b[label]) != ids_b[label]
        ),
        card=_changes(_fields(card_a), _fields(card_b)),
        weights=_moved(_tensors(first, a), _tensors(second, b)),
    )


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Change]:
    names = [*a, *(name for name in b if name not in a)]
    return {n: Change(a.get(n), b.get(n)) for n in names if a.get(n) != b.get(n)}


def _fields(card: Card) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(card) if field.name not in _OWN]
    return {name: msgspec.to_builtins(getattr(card, name)) for name in names}


def _tensors(address: Address, number: int) -> dict[str, npt.NDArray[Any]]:
    import safetensors.numpy

    data = address.registry.weights(address.name, number)
    try:
        tensors: dict[str, npt.NDArray[Any]] = safetensors.numpy.load(data)
    except Exception as error:  # of safetensors, and KeyError for a type that numpy has not
        raise ModelError(
            f"{address.registry.url}/{address.name}@{number}: the weights are no safetensors that "
            f"numpy can hold: {error}; publish such weights"
        ) from error
    return tensors


def _moved(
    a: Mapping[str, npt.NDArray[Any]], b: Mapping[str, npt.NDArray[Any]]
) -> tuple[WeightChange, ...]:
    changes = []
    for name in sorted({*a, *b}):
        shapes = [tensors[name].shape if name in tensors else None for tensors in (a, b)]
        relative = _relative(a[name], b[name]) if shapes[0] == shapes[1] else None
        changes.append(WeightChange(name, shapes[0], shapes[1], relative))
    return tuple(changes)


def _relative(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float | None:
    before, after = a.astype(np.float64), b.astype(np.float64)
    norm, moved = (
        float(np.linalg.norm(before.ravel())),
        float(np.linalg.norm((after - before).ravel())),
    )
    if norm == 0:
        return 0.0 if moved == 0 else None
    return moved / norm


def _numbers(change: Change) -> list[str]:
    values = [change.first, change.second]
    both = None not in values
    return [*map(_text, values), f"{change.second - change.first:+.4g}" if both else ""]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
