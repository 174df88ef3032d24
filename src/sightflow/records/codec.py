"""Records as bytes, exactly: what travels from the workers to the keyed steps and into checkpoints.

Pixels stay behind, and arrays that no step asks for. Everything else comes back as it was, to the
last bit.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec
import numpy as np

from sightflow.records.arrays import PackedArray
from sightflow.records.findings import FINDINGS
from sightflow.records.image import (
    ImageRecord,
    LabelledObject,
    ModelUse,
    Origin,
    Outcome,
    Rejected,
)
from sightflow.records.objectclasses import ObjectClasses
from sightflow.records.state import as_bytes, as_text

__all__ = ["decode_outcomes", "encode_outcomes", "without_pixels"]

_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


_Column: TypeAlias = PackedArray | list[str | int | None]
"""One column of what was found."""

_Object: TypeAlias = tuple[bytes, tuple[float, float, float, float], bool]
"""A `LabelledObject`."""


class _Wire(msgspec.Struct, array_like=True):
    """An outcome in plain values; `found` is empty and `rejected` is set where it was rejected.

    File names are bytes, since not all are UTF-8.
    """

    uri: bytes
    source_id: bytes
    sequence: int
    event_time_ms: int
    name: bytes
    size: tuple[int, int]
    models: list[tuple[str, str, str]]
    found: dict[str, dict[str, _Column]]
    rejected: tuple[str, str, bytes] | None
    label: bytes | None
    held_out: bool
    awaits_label: bool
    objects: list[_Object] | None
    arrays: dict[str, PackedArray]
    metadata: tuple[tuple[str, str], ...] = ()
    """Absent in checkpoints of before there was any."""


# Made here, as one thread must make the plan of msgspec for a type: see `state`.
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[_Wire])


def without_pixels(record: ImageRecord, arrays: Collection[str] = ()) -> ImageRecord:
    """Return a record as it comes back from bytes: without pixels, and with these arrays only."""
    prepared = record.prepared if "prepared" in arrays else None
    features = record.features if "features" in arrays else None
    return replace(record, pixels=_NO_PIXELS, prepared=prepared, features=features)


def encode_outcomes(outcomes: Iterable[Outcome], arrays: Collection[str] = ()) -> bytes:
    """Return outcomes as MessagePack.

    Args:
        outcomes: what is to travel; pixels stay behind.
        arrays: which of `prepared` and `features` travel as well.
    """
    return _ENCODER.encode([_to_wire(outcome, arrays) for outcome in outcomes])


def decode_outcomes(data: bytes) -> list[Outcome]:
    """Return the outcomes that `encode_outcomes` made; their `pixels` are uint8 [0, 0, 3]."""
    return [_from_wire(wire) for wire in _DECODER.decode(data)]


def _to_wire(outcome: Outcome, arrays: Collection[str]) -> _Wire:
    origin = outcome.origin
    place = (
        as_bytes(origin.uri),
        as_bytes(origin.source_id),
        origin.sequence,
        origin.event_time_ms,
        as_bytes(origin.name),
    )
    label = None if origin.label is None else as_bytes(origin.label)
    truth = label, origin.held_out, origin.awaits_label, _objects_to_wire(origin)
    if isinstance(outcome, Rejected):
        why = outcome.step, outcome.reason, as_bytes(outcome.message)
        return _Wire(*place, (0, 0), [], {}, why, *truth, {}, origin.metadata)
    uses = [(use.step, use.model, use.version) for use in outcome.models]
    found = {
        name: _columns(value) for name in FINDINGS if (value := getattr(outcome, name)) is not None
    }
    packed = {
        name: PackedArray.of(array)
        for name in arrays
        if (array := getattr(outcome, name)) is not None
    }
    size = outcome.width, outcome.height
    return _Wire(*place, size, uses, found, None, *truth, packed, origin.metadata)


def _from_wire(wire: _Wire) -> Outcome:
    origin = Origin(
        as_text(wire.uri),
        as_text(wire.source_id),
        wire.sequence,
        wire.event_time_ms,
        as_text(wire.name),
        None if wire.label is None else as_text(wire.label),
        wire.held_out,
        wire.awaits_label,
        _objects_from_wire(wire),
        wire.metadata,
    )
    if wire.rejected is not None:
        step, reason, message = wire.rejected
        return Rejected(origin, step, reason, as_text(message))
    width, height = wire.size
    uses = tuple(ModelUse(*use) for use in wire.models)
    found: dict[str, Any] = {
        name: FINDINGS[name].kind(**_arrays(columns)) for name, columns in wire.found.items()
    }
    found.update((name, packed.unpack()) for name, packed in wire.arrays.items())
    return ImageRecord(origin, width, height, _NO_PIXELS, uses, **found)


def _objects_to_wire(origin: Origin) -> list[_Object] | None:
    if origin.objects is None:
        return None
    return [(as_bytes(one.label), one.box_xyxy, one.ignored) for one in origin.objects]


def _objects_from_wire(wire: _Wire) -> tuple[LabelledObject, ...] | None:
    if wire.objects is None:
        return None
    return tuple(
        LabelledObject(as_text(label), box, ignored) for label, box, ignored in wire.objects
    )


def _columns(found: Any) -> dict[str, _Column]:
    """Return the columns of what was found that are filled: arrays, and plain values."""
    columns: dict[str, _Column] = {}
    for name in found.__slots__:
        value = getattr(found, name)
        if isinstance(value, np.ndarray):
            columns[name] = PackedArray.of(value)
        elif isinstance(value, ObjectClasses):
            columns.update((f"{name}.{inner}", one) for inner, one in _columns(value).items())
        elif value is not None:
            columns[name] = list(value)
    return columns


def _arrays(columns: dict[str, _Column]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, column in columns.items():
        name, _, inner = path.partition(".")
        value = column.unpack() if isinstance(column, PackedArray) else tuple(column)
        if inner:
            nested.setdefault(name, {})[inner] = value
        else:
            arrays[name] = value
    return arrays | {name: ObjectClasses(**inner) for name, inner in nested.items()}
