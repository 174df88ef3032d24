"""A training in a checkpoint."""

import msgspec

from sightflow.learn.contest import Result
from sightflow.protocols import Place
from sightflow.records.arrays import PackedArray

__all__ = ["VERSION", "Kept", "Snapshot", "decode_snapshot", "encode_snapshot"]

VERSION = 2
"""Of the form of a `Snapshot`; a change of the fields takes the next number."""


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A sample in a checkpoint: where it was listed, or, where that is gone, itself."""

    place: Place
    class_id: int
    array: PackedArray | None


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A training in a checkpoint."""

    version: int
    """Of this form; a change of the fields takes the next number."""
    labels: tuple[str, ...]
    shape: tuple[int, ...] | None
    """Of the network's input; None before the first image."""
    step: int
    n_samples: int
    loss: float
    tensors: bytes
    """In the form of safetensors."""
    waiting: list[Kept]
    remembered: list[Kept]
    n_seen: dict[int, int]
    full: list[int]
    rows: dict[int, list[int]]
    last: tuple[bytes, int, int]
    """Source, sequence and time of the last image; not every name of a source is UTF-8."""
    times_ms: tuple[int, int]
    """Of the first and the last sample, in event time."""
    serving: int | None
    """Number of the version that serves."""
    contest: tuple[list[Result], list[Result], bool]
    rounds: dict[int, bytes]
    """The last that this trainer, one of several, gave to the others."""
    start: bytes
    """Where it began the round of now."""
    last_version: int | None
    """The last version that this training published."""
    n_unknown: int
    """Labels that came later and are none of the classes."""


# Made here, since msgspec may make its plan for a type in one thread only: see `chunks`.
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return a training as bytes."""
    return _ENCODER.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """Return what `encode_snapshot` made."""
    return _DECODER.decode(data)
