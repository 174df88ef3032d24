"""Models: cards, files, back ends, the packaged zoo, and registries of versions."""

from sightflow.models.card import Card, ModelInput, Threshold, read_card, write_card
from sightflow.models.files import ModelFile, zoo, zoo_names
from sightflow.models.finding import find_model
from sightflow.models.registry import Registry
from sightflow.models.versions import DataRange, Facts, Pointer, Version

__all__ = [
    "Card",
    "DataRange",
    "Facts",
    "ModelFile",
    "ModelInput",
    "Pointer",
    "Registry",
    "Threshold",
    "Version",
    "find_model",
    "read_card",
    "write_card",
    "zoo",
    "zoo_names",
]
