"""A training in a checkpoint."""

import msgspec

from sightflow.learn.contest import Result
from sightflow.protocols import Place
from sightflow.records import Moment
from sightflow.records.arrays import PackedArray
from sightflow.records.state import StateCodec

__all__ = ["SNAPSHOTS", "Kept", "Snapshot"]


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A sample in a checkpoint: where it was listed, or, where that is gone, itself."""

    place: Place
    truth: int | PackedArray
    array: PackedArray | None
    group: int


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A training in a checkpoint."""

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
    last: Moment
    """Of the last image."""
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
    told: tuple[int, int]
    """Step and `n_unknown` when they were told last."""


SNAPSHOTS = StateCodec(Snapshot, "training", version=4)
