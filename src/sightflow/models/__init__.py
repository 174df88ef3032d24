"""Models: cards, files, back ends, and the packaged zoo."""

from sightflow.models.card import Card, ModelInput, read_card, write_card
from sightflow.models.files import ModelFile, find_model, zoo, zoo_names

__all__ = [
    "Card",
    "ModelFile",
    "ModelInput",
    "find_model",
    "read_card",
    "write_card",
    "zoo",
    "zoo_names",
]
