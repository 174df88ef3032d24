"""Two versions of a model are held against each other."""

from dataclasses import replace

import pytest
from tests.registries import CARD, publish, weights

from sightflow.errors import ModelError
from sightflow.models.comparison import compare
from sightflow.models.finding import Address


def test_what_differs_in_two_versions_is_told(registry):
    of = weights(moved=[3, 4], grown=[1], same=[5], zero=[0])
    publish(registry, 1, of=of, metrics={"accuracy": 0.5, "loss": 2})
    card = replace(CARD, labels=("fence", "gate", "wall"), notes="new")
    of = weights(moved=[3, 4.5], grown=[1, 1], same=[5], zero=[1], new=[1])
    publish(registry, 2, of=of, card=card, onnx=b"other", metrics={"accuracy": 0.75, "f1": 1})

    found = compare(*(Address(registry, "gates", n) for n in (1, 2)))

    metrics = {name: (change.first, change.second) for name, change in found.metrics.items()}
    assert metrics == {"accuracy": (0.5, 0.75), "loss": (2, None), "f1": (None, 1)}
    assert (found.labels_added, found.labels_removed) == (("wall",), ())
    assert found.labels_moved == ("fence", "gate")
    assert {name: change.second for name, change in found.card.items()} == {"notes": "new"}
    moved = {weight.name: weight.relative for weight in found.weights}
    # (3, 4) has the norm 5; it moved by 0.5
    assert moved == {"moved": 0.1, "grown": None, "same": 0, "zero": None, "new": None}
    assert ["weights moved", "(2,)", "(2,)", "0.1 of its norm"] in found.rows()
    assert ["metric accuracy", "0.5", "0.75", "+0.25"] in found.rows()
    assert ["labels added", "", "", "wall"] in found.rows()


def test_weights_that_are_no_safetensors_are_told(folder):
    publish(folder, of=b"no weights")

    with pytest.raises(ModelError, match="gates@1: the weights are no safetensors"):
        compare(Address(folder, "gates", 1), Address(folder, "gates", 1))
