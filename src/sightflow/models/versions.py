"""What is known of a published model: its versions, and which of them served when."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from sightflow.errors import ModelError

__all__ = ["DataRange", "Facts", "Pointer", "Serving", "Version"]


@dataclass(frozen=True)
class DataRange:
    """The images that a version was trained on."""

    first_event_time_ms: int
    """When the first was taken: milliseconds since 1970, UTC."""
    last_event_time_ms: int
    n_images: int


@dataclass(frozen=True)
class Facts:
    """How a version came to be."""

    run_id: str
    """Of the training; a run and a step are published once."""
    step: int
    """Of gradient descent."""
    n_samples: int
    """How many samples were learned from until then."""
    data: DataRange
    metrics: Mapping[str, float] = field(default_factory=dict)
    """How good it was measured, by the name of the measure; finite numbers."""
    parent: int | None = None
    """The version before it of the same training, or the one that this began with."""

    def check(self) -> None:
        """Raise `ModelError` for a measure that is no finite number."""
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise ModelError(
                    f"Facts: metrics[{name!r}] is a finite number; got {value}; leave out what "
                    "could not be measured"
                )


@dataclass(frozen=True)
class Version:
    """A version of a model, as `version.json` has it."""

    number: int
    """From 1."""
    sha256: Mapping[str, str]
    """Of each file of the version, by its name."""
    created_time_ms: int
    """When it was published: milliseconds since 1970, UTC."""
    facts: Facts


@dataclass(frozen=True)
class Pointer:
    """Which version serves, since when, and why."""

    number: int
    since_time_ms: int
    """Milliseconds since 1970, UTC."""
    reason: str = ""
    rolled_back: bool = False
    """Whether a rollback led to it, and no promotion."""


@dataclass(frozen=True)
class Serving:
    """All pointers there were, the oldest first, as `serving.json` has them."""

    history: tuple[Pointer, ...] = ()

    def current(self) -> Pointer | None:
        """Return the pointer of now, or None before the first promotion."""
        return self.history[-1] if self.history else None

    def before(self) -> int | None:
        """Return the version that the next rollback leads to.

        A rollback takes the last promotion back, so that a second one goes further back.

        Examples:
            >>> to_2 = Serving((Pointer(1, 10), Pointer(2, 20)))
            >>> to_2.before()
            1
            >>> Serving((*to_2.history, Pointer(1, 30, rolled_back=True))).before()
        """
        promoted: list[int] = []
        for pointer in self.history:
            promoted = promoted[:-1] if pointer.rolled_back else [*promoted, pointer.number]
        return promoted[-2] if len(promoted) > 1 else None


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_DECODERS: Mapping[type, "msgspec.json.Decoder[Any]"] = {
    kind: msgspec.json.Decoder(kind) for kind in (Version, Serving)
}
_ENCODER = msgspec.json.Encoder()

T = TypeVar("T")


def to_json(value: Version | Serving) -> bytes:
    """Return the bytes of `version.json` or `serving.json`, for people too."""
    return msgspec.json.format(_ENCODER.encode(value), indent=2) + b"\n"


def from_json(data: bytes, kind: type[T], path: str) -> T:
    """Return what a file of a registry says.

    Raises:
        ModelError: it is damaged.
    """
    try:
        value: T = _DECODERS[kind].decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: is no {kind.__name__} as a registry writes it: {error}; restore the file"
        ) from error
    return value
