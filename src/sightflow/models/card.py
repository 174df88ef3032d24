"""A model's card: what the model wants, gives, may be used for, and how good it was measured."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sightflow.errors import CardError
from sightflow.ops.preprocess import Preprocess

__all__ = ["Card", "ModelInput", "Threshold", "encode_card", "read_card", "write_card"]


@dataclass(frozen=True)
class ModelInput:
    """The one input of a model: float32 [B, 3, H, W] or [B, H, W, 3]."""

    preprocess: Preprocess
    """Makes an image into one item of the batch."""
    name: str | None = None
    """Name of the input in the file; None takes the only one."""


@dataclass(frozen=True)
class Threshold:
    """From which similarity on two faces are said to be the same person's, as measured."""

    similarity: float
    """Cosine in [-1, 1]."""
    false_accept_rate: float
    """Share of pairs of different people that reach it."""
    true_accept_rate: float
    """Share of pairs of one person that reach it."""
    data: str = "not stated"
    """What it was measured on."""


@dataclass(frozen=True)
class Card:
    """What is known of a model; `docs/reference/cards.md` shows one as YAML."""

    name: str
    task: str
    """What the model is for: `classify`, `detect`."""
    input: ModelInput
    head: Mapping[str, Any]
    """How outputs are read: `kind` (see `docs/reference/cards.md`) and its options."""
    labels: tuple[str, ...]
    """Name of each class; in the YAML also the name of a text file with one label a line."""
    version: str | None = None
    """None takes the first 12 digits of the sha256."""
    licence: str = "not stated"
    origin: str = "not stated"
    """Where the weights come from, what they were trained on."""
    sha256: str | None = None
    """Of the model file; checked when it is loaded."""
    features: str | None = None
    """Name of the output float32 [B, D] that heads can be trained on."""
    maps: Mapping[int, str] = field(default_factory=dict)
    """Of a detector: for strides in pixels of the input the name of the value, float32
    [B, C, H / stride, W / stride], that detection heads can be trained on."""
    backend: str = "onnx"
    """What runs the file: a kind of the group `backends`."""
    fp16: bool = False
    """Whether 16-bit floats are accurate enough for it; used by `tensorrt`."""
    scenes: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """For a classifier: weight of each class id for each scene; in the YAML also a file name."""
    measured: tuple[Mapping[str, str | float], ...] = ()
    """Accuracy as measured: `data`, `metric`, `value`."""
    thresholds: tuple[Threshold, ...] = ()
    """Of a model that describes faces, for some false accept rates."""
    notes: str = ""

    def threshold_for(self, false_accept_rate: float) -> Threshold:
        """Return the threshold for a false accept rate.

        Raises:
            CardError: there is none for it.
        """
        for threshold in self.thresholds:
            if threshold.false_accept_rate == false_accept_rate:
                return threshold
        known = ", ".join(f"{one.false_accept_rate:g}" for one in self.thresholds) or "none"
        raise CardError(
            f"model {self.name!r}: its card has no threshold for the false accept rate "
            f"{false_accept_rate:g}, but for {known}; `sightflow faces calibrate` measures them"
        )


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises:
        CardError: the file is missing, is no YAML, or a field is not what it must be; the message
            names the field.
    """
    try:
        fields = msgspec.yaml.decode(path.read_bytes(), type=dict[str, Any])
        _refuse_unknown(fields)
        _read_labels(path, fields)
        _read_scenes(path, fields)
        return msgspec.convert(fields, Card)
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise CardError(f"{error.filename}: {what}; {_WHAT_IS_A_CARD}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: {error}; {_WHAT_IS_A_CARD}") from error


def write_card(card: Card, path: Path) -> None:
    """Write a card as YAML; see `encode_card`."""
    path.write_bytes(encode_card(card))


def encode_card(card: Card) -> bytes:
    """Return a card as YAML, with labels and scenes in it: it needs no file but its model's.

    Fields that have their default are left out.
    """
    return msgspec.yaml.encode(msgspec.to_builtins(_chosen(card)))


def _chosen(value: Any) -> Any:
    """Return the fields of a dataclass that differ from their default, and so on inside."""
    if not dataclasses.is_dataclass(value):
        return value
    fields = dataclasses.fields(value)
    return {f.name: _chosen(v) for f in fields if (v := getattr(value, f.name)) != _default(f)}


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


_WHAT_IS_A_CARD = "docs/reference/cards.md shows what a card holds"


def _refuse_unknown(fields: dict[str, Any]) -> None:
    """Refuse a misspelt field: it would change what the model sees, and nobody would know."""
    card_input = fields.get("input")
    nested = card_input.get("preprocess") if isinstance(card_input, dict) else None
    places = (("$", fields, Card), ("$.input", card_input, ModelInput))
    for place, given, kind in (*places, ("$.input.preprocess", nested, Preprocess)):
        known = [field.name for field in dataclasses.fields(kind)]
        for name in given if isinstance(given, dict) else ():
            if name not in known:
                raise msgspec.ValidationError(f"no field is named {name!r} - at `{place}`")


def _read_labels(path: Path, fields: dict[str, Any]) -> None:
    if isinstance(fields.get("labels"), str):
        lines = (path.parent / fields["labels"]).read_text("utf-8").splitlines()
        fields["labels"] = [line.strip() for line in lines if line.strip()]


def _read_scenes(path: Path, fields: dict[str, Any]) -> None:
    if isinstance(fields.get("scenes"), str):
        text = (path.parent / fields["scenes"]).read_bytes()
        fields["scenes"] = msgspec.yaml.decode(text, type=dict[str, Any]).get("scenes")
