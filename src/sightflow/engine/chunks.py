"""Chunks: the units of work that a runner hands to its workers, and what comes back for each."""

import json
import struct
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec
import orjson

from sightflow.errors import PipelineError
from sightflow.protocols import Polled
from sightflow.records import (
    Claim,
    EncodedImage,
    Event,
    ImageRecord,
    Label,
    Origin,
    Outcome,
    Rejected,
    Skipped,
    SourceEnd,
    event_row,
    rejected_row,
    result_row,
)
from sightflow.records.codec import decode_outcomes, encode_outcomes
from sightflow.records.state import as_bytes, as_text

__all__ = [
    "ARRIVED",
    "Chunk",
    "ChunkResult",
    "Content",
    "Frame",
    "Recognised",
    "StreamEnd",
    "chunked",
]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Claims that one worker redeems at a time."""

    claims: tuple[Claim, ...]
    source_id: str = ""
    """The stream of all its images, where keyed steps need to know; empty: the stream of all."""
    index: int = 0
    """Position among the chunks of this stream, from 0."""
    is_last: bool = False
    """Whether it is the last of them; known once all are listed."""

    @property
    def n_images(self) -> int:
        """How many images the claims are for."""
        return sum(claim.n_images for claim in self.claims)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of earlier images that are taken behind this chunk."""
        return tuple(label for claim in self.claims for label in claim.labels)

    def encode(self) -> bytes:
        """Return the chunk as one line of JSON, in ASCII.

        Python writes a file name that is no UTF-8 with lone surrogates, which only `json` takes.
        """
        return _as_json(self)

    @classmethod
    def decode(cls, line: bytes) -> "Chunk":
        """Return the chunk of a line that `encode` made."""
        return msgspec.convert(json.loads(line), cls)


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Says that no image will come any more."""

    n_images: int
    """How many there were, those that were skipped included."""


# One thread must make the plan of msgspec for a type, which a second would read half-made: the
# process dies. See `records.state`.
for _kind in (Chunk, Claim, Label, Origin, Rejected, Skipped, SourceEnd, StreamEnd):
    msgspec.convert([], list[_kind])  # type: ignore[valid-type]
msgspec.convert([], tuple[Label, ...])


def chunked(
    claims: Iterable[Claim], batch_size: int, *, by_source: bool = False, n_trainers: int = 1
) -> Iterator[Chunk]:
    """Group claims, in order, into chunks of at least `batch_size` images; the last may have fewer.

    Each chunk costs Flink something of its own, so chunks grow, batch by batch, to four batches;
    but never beyond a sixteenth of what came before, so that the first results come soon and few
    images make many chunks.

    Args:
        claims: what a source lists.
        batch_size: images in one call of a model.
        by_source: whether a chunk has images of one stream only and knows its place in it: keyed
            steps need that.
        n_trainers: to how many places chunks are dealt out by turns; the stream of each is named by
            its number.

    Raises:
        PipelineError: labels come later, and there are several trainers.

    Examples:
        >>> from sightflow.testing import a_claim
        >>> [chunk.n_images for chunk in chunked([a_claim()] * 400, 2)][::16]
        [2, 2, 4, 8, 8]
    """
    counts: Counter[str] = Counter()
    for number, group in enumerate(_grouped(claims, batch_size, by_source=by_source)):
        source_id = group[0].origin.source_id if by_source else ""
        if n_trainers > 1:
            if any(claim.labels for claim in group):
                raise PipelineError(
                    f"{n_trainers} trainers share the images, and labels that come later are "
                    "joined with them in one place; leave out `trainers`"
                )
            source_id = str(number % n_trainers)
        yield Chunk(tuple(group), source_id, counts[source_id])
        counts[source_id] += 1


def _grouped(claims: Iterable[Claim], batch_size: int, *, by_source: bool) -> Iterator[list[Claim]]:
    group: list[Claim] = []
    size = n_before = 0
    for claim in claims:
        is_other = group and (
            (by_source and claim.origin.source_id != group[0].origin.source_id)
            or _begins_a_test(claim, group)
        )
        n_batches = min(_MAX_BATCHES, n_before // (_PARTS * batch_size))
        if is_other or size >= batch_size * max(1, n_batches):
            yield group
            n_before += size
            group, size = [], 0
        group.append(claim)
        size += claim.n_images
    if group:
        yield group


def _begins_a_test(claim: Claim, group: list[Claim]) -> bool:
    """Return whether labels behind these images must be taken before the next image.

    What is tested has learned all before it.
    """
    is_test = claim.origin.held_out != group[-1].origin.held_out
    return is_test and any(one.labels for one in group)


_MAX_BATCHES = 4
_PARTS = 16


def _as_json(value: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(value)).encode()


Content: TypeAlias = Polled | StreamEnd
"""What a stream gives: an image, where images are, or news."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a stream on its way to a worker, or news of the stream; a chunk of its own."""

    number: int
    """Position of the chunk, from 0."""
    index: int
    """Position among the chunks of its stream (`source_id`), from 0."""
    read_at: float
    """When it was read, in seconds since 1970."""
    content: Content

    def encode(self) -> bytes:
        """Return the frame as bytes: its numbers, kind, length of the head, head, picture."""
        content, picture = self.content, b""
        kind = _KINDS.index(type(content))
        if isinstance(content, EncodedImage):
            head, picture = _as_json(content.origin), content.data
        else:
            head = _as_json(content)
        start = _FRAME.pack(self.number, self.index, self.read_at, kind, len(head))
        return b"".join((start, head, picture))

    @classmethod
    def decode(cls, data: bytes) -> "Frame":
        """Return the frame that `encode` made."""
        number, index, read_at, kind, n_head = _FRAME.unpack_from(data)
        end = _FRAME.size + n_head
        head = json.loads(data[_FRAME.size : end])
        if _KINDS[kind] is EncodedImage:
            image = EncodedImage(msgspec.convert(head, Origin), data[end:])
            return cls(number, index, read_at, image)
        return cls(number, index, read_at, msgspec.convert(head, _KINDS[kind]))


_FRAME = struct.Struct("<qqdBI")
_KINDS: tuple[Any, ...] = (EncodedImage, Rejected, Skipped, Label, SourceEnd, StreamEnd, Claim)


ARRIVED = -1
"""Position of a chunk that has none but the order in which it comes."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a worker made of a chunk, as records."""

    number: int
    """Position of the chunk, from 0, or `ARRIVED`."""
    outcomes: Iterable[Outcome] = ()
    """May be made while they are taken."""
    source_id: str = ""
    """The stream of the chunk, where keyed steps need to know."""
    index: int = 0
    """Position among the chunks of its stream, from 0, or `ARRIVED`."""
    n_skipped: int = 0
    has_ended: bool = False
    """Whether it is the last of its stream."""
    n_images: int | None = None
    """Of the whole run; given by what follows the last chunk of all."""
    labels: tuple[Label, ...] = ()
    """Of earlier images, to be taken behind these."""
    read_at: float = 0.0
    """When its first image was read, in seconds since 1970; 0 where it has none."""

    @property
    def only_ends_the_run(self) -> bool:
        """Whether it says how many images there were, and nothing to any step."""
        return self.n_images is not None and not self.has_ended

    def numbered(self, index: int) -> "Recognised":
        """Return it with a position, the next of its stream, where it has none."""
        return self if self.index != ARRIVED else replace(self, number=index, index=index)

    def encode(self, arrays: Collection[str] = ()) -> bytes:
        """Return it as bytes: numbers and two lengths, head, labels, outcomes with these arrays."""
        head = as_bytes(self.source_id)
        labels = _as_json(self.labels) if self.labels else b""
        n_images = -1 if self.n_images is None else self.n_images
        numbers = self.number, self.index, self.read_at, self.n_skipped, self.has_ended, n_images
        start = _RECOGNISED.pack(*numbers, len(labels), len(head))
        return b"".join((start, head, labels, encode_outcomes(self.outcomes, arrays)))

    @classmethod
    def decode(cls, data: bytes) -> "Recognised":
        """Return what `encode` made."""
        *numbers, n_images, n_labels, n_head = _RECOGNISED.unpack_from(data)
        number, index, read_at, n_skipped, has_ended = numbers
        end = _RECOGNISED.size + n_head + n_labels
        told = json.loads(data[end - n_labels : end]) if n_labels else ()
        labels = msgspec.convert(told, tuple[Label, ...])
        outcomes = decode_outcomes(data[end:])
        source_id, n_all = cls.source_of(data), None if n_images < 0 else n_images
        return cls(number, outcomes, source_id, index, n_skipped, has_ended, n_all, labels, read_at)

    @staticmethod
    def source_of(data: bytes) -> str:
        """Return the `source_id` of what `encode` made, without decoding the rest."""
        *_, n_head = _RECOGNISED.unpack_from(data)
        head = data[_RECOGNISED.size : _RECOGNISED.size + n_head]
        return as_text(head)


_RECOGNISED = struct.Struct("<qqdq?qII")


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a chunk, as rows; or news that belong to none."""

    number: int | None
    """Position of the chunk, from 0; None: these are news, which are delivered as they come."""
    n_read: int
    rows: Sequence[dict[str, Any]] = ()
    rejected: Sequence[dict[str, Any]] = ()
    events: Sequence[dict[str, Any]] = ()
    n_skipped: int = 0
    n_images: int | None = None
    """Of the whole run; given by what follows the last chunk of all."""
    read_at: float = 0.0
    """When the first image of its chunk was read, in seconds since 1970; 0 where it has none."""

    @property
    def age_ms(self) -> float | None:
        """How long ago that was; None of what has no image, or by a clock that was set back."""
        age_s = time.time() - self.read_at
        return age_s * 1e3 if self.read_at and self.n_read and age_s >= 0 else None

    @classmethod
    def of(cls, recognised: Recognised, events: Iterable[Event] = ()) -> "ChunkResult":
        """Make the outcomes of a chunk into rows; each outcome is let go before the next."""
        rows, rejected = [], []
        for outcome in recognised.outcomes:
            if isinstance(outcome, ImageRecord):
                rows.append(result_row(outcome))
            else:
                rejected.append(rejected_row(outcome))
        return cls(
            recognised.number,
            len(rows) + len(rejected) + recognised.n_skipped,
            rows,
            rejected,
            [event_row(event) for event in events],
            recognised.n_skipped,
            recognised.n_images,
            recognised.read_at,
        )

    def encode(self) -> bytes:
        """Return the result as JSON, to travel between processes."""
        return orjson.dumps([getattr(self, name) for name in self.__slots__])

    @classmethod
    def decode(cls, data: bytes) -> "ChunkResult":
        """Return the result that `encode` made."""
        return cls(*orjson.loads(data))
