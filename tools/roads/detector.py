"""The detector that ships: one network with two heads, for vehicles and people, and for roads."""

from pathlib import Path
from typing import Any

import onnx

from sightflow.models import Card, ModelFile, write_card
from sightflow.models import zoo as shipped
from tools.roads.errors import RoadsError

__all__ = ["LABELS", "write_detector"]

LABELS = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "bus",
    "truck",
    "traffic light",
    "traffic sign",
)
LIGHT, SIGN = LABELS.index("traffic light"), LABELS.index("traffic sign")
OF_ROADS = {"trafficlight": LIGHT, "speedlimit": SIGN, "crosswalk": SIGN, "stop": SIGN}
"""What the classes of the photos are on the card."""
TRUNK = "nanodet"
OF_SIGNS, OF_LIGHTS = 2.0, 1.5
"""Powers of scores: the new head is surer of itself than the trunk is of vehicles, and both are of
lights. With these 0.4 is a good score to begin with for all."""


def write_detector(trained: ModelFile, folder: Path) -> Path:
    """Write the model file and its card into a folder; return where the file is.

    Lights are those of either head: the trunk has seen more of them, the new head smaller ones.

    Args:
        trained: a published version of a DetectionHead on the trunk, of the classes of the photos.
        folder: gets `model.onnx` and `card.yaml`.

    Raises:
        RoadsError: it is of other classes.
    """
    if set(trained.card.labels) != set(OF_ROADS):
        raise RoadsError(
            f"{trained.reference}: must find {sorted(OF_ROADS)}; it finds "
            f"{list(trained.card.labels)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path, trunk = folder / "model.onnx", shipped(TRUNK)
    path.write_bytes(with_both_heads(onnx.load(trunk.path), onnx.load(trained.path)))
    file = ModelFile(str(path), trained.card)
    write_card(_card(trunk, trained, file.sha256()), folder / "card.yaml")
    return path


def with_both_heads(trunk: onnx.ModelProto, trained: onnx.ModelProto) -> bytes:
    """Return a model with what another has behind the same trunk as well."""
    values = {name for node in trunk.graph.node for name in node.output}
    weights = {weight.name for weight in trunk.graph.initializer}
    trunk.graph.node.extend(n for n in trained.graph.node if not values.issuperset(n.output))
    trunk.graph.initializer.extend(w for w in trained.graph.initializer if w.name not in weights)
    trunk.graph.output.extend(trained.graph.output)
    onnx.checker.check_model(trunk)
    data: bytes = trunk.SerializeToString(deterministic=True)
    return data


def _card(trunk: ModelFile, trained: ModelFile, sha256: str) -> Card:
    of_trunk = {trunk.card.labels.index(label): i for i, label in enumerate(LABELS[:SIGN])}
    of_roads = {i: OF_ROADS[label] for i, label in enumerate(trained.card.labels)}

    def part(model: ModelFile, classes: dict[int, int], *kinds: int, power: float) -> Any:
        """Return a part of the head for some classes of the card."""
        chosen = {own: kind for own, kind in classes.items() if kind in kinds}
        return {**model.card.head, "classes": chosen, "power": power}

    return Card(
        name="roads",
        task="detect",
        input=trunk.card.input,
        head={
            "kind": "SeveralHeads",
            "parts": [
                part(trunk, of_trunk, *range(LIGHT), power=1.0),
                part(trunk, of_trunk, LIGHT, power=OF_LIGHTS),
                part(trained, of_roads, LIGHT, power=OF_LIGHTS),
                part(trained, of_roads, SIGN, power=OF_SIGNS),
            ],
        },
        labels=LABELS,
        version="1",
        licence="Apache-2.0 (NanoDet), MIT (the package it was converted from); signs and lights: "
        "Apache-2.0, trained on CC0 photos",
        origin=f"{TRUNK}, and a head trained by examples/road_objects.yaml: {trained.card.origin}",
        sha256=sha256,
    )
