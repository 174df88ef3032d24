"""The state of `Track` as bytes, for checkpoints: exact to the last bit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from sightflow.ops.motion import Motion
from sightflow.records.arrays import PackedArray
from sightflow.records.state import StateCodec, as_bytes, as_text
from sightflow.tasks.tracker import Objects, TrackerState

__all__ = ["TrackedStream", "decode_stream", "encode_stream"]


@dataclass(frozen=True)
class TrackedStream:
    """What `Track` knows of one stream."""

    tracker: TrackerState = field(default_factory=TrackerState)
    labels: Mapping[int, str] = field(default_factory=dict)
    """Of each class that was seen."""
    source_id: str = ""
    sequence: int = 0
    """Of the last image."""


class _Wire(msgspec.Struct, array_like=True):
    """A `TrackedStream` in plain values."""

    time_ms: int
    next_id: int
    best_score: float
    source_id: bytes
    sequence: int
    labels: dict[int, str]
    votes: tuple[dict[int, float], ...]
    arrays: dict[str, PackedArray]


_STATES = StateCodec(_Wire, "tracks", version=2)


def encode_stream(stream: TrackedStream) -> bytes:
    """Return the state as MessagePack."""
    objects = stream.tracker.objects
    arrays: dict[str, Any] = {
        column.name: getattr(objects, column.name)
        for column in fields(objects)
        if column.name not in ("motion", "votes")
    }
    arrays |= {"means": objects.motion.means, "covariances": objects.motion.covariances}
    return _STATES.encode(
        _Wire(
            stream.tracker.time_ms,
            stream.tracker.next_id,
            stream.tracker.best_score,
            as_bytes(stream.source_id),
            stream.sequence,
            dict(stream.labels),
            tuple(dict(votes) for votes in objects.votes),
            {name: PackedArray.of(array) for name, array in arrays.items()},
        )
    )


def decode_stream(data: bytes) -> TrackedStream:
    """Return the state that `encode_stream` made.

    Raises:
        JobError: another version wrote it.
    """
    wire = _STATES.decode(data)
    arrays = {name: packed.unpack() for name, packed in wire.arrays.items()}
    motion = Motion(arrays.pop("means"), arrays.pop("covariances"))
    objects = Objects(motion=motion, votes=wire.votes, **arrays)
    return TrackedStream(
        TrackerState(objects, wire.next_id, wire.time_ms, wire.best_score),
        wire.labels,
        as_text(wire.source_id),
        wire.sequence,
    )
