"""Chunks: the units of work that a runner hands to its workers, and what comes back for each."""

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from sightflow.protocols import Outcome
from sightflow.records import (
    Claim,
    EncodedImage,
    ImageRecord,
    Origin,
    Rejected,
    rejected_row,
    result_row,
)

__all__ = ["ChunkResult", "Frame", "chunked", "decode_claims", "encode_claims"]

# msgspec makes its plan for a type at the first use and is not safe against a second thread then:
# it reads the half-made plan and the process dies. Here the import lock keeps others away.
for _kind in (Claim, Origin, Rejected):
    msgspec.convert([], list[_kind])  # type: ignore[valid-type]


def chunked(claims: Iterable[Claim], batch_size: int) -> Iterator[list[Claim]]:
    """Group claims, in order, into chunks of at least `batch_size` images; the last may have fewer.

    Each chunk costs Flink something of its own, so chunks grow, batch by batch, to four batches;
    but never beyond a sixteenth of what came before, so that the first results come soon and few
    images make many chunks.

    Examples:
        >>> from sightflow.testing import a_claim
        >>> [len(chunk) for chunk in chunked([a_claim()] * 400, 2)][::16]
        [2, 2, 4, 8, 8]
    """
    chunk: list[Claim] = []
    size = n_before = 0
    for claim in claims:
        chunk.append(claim)
        size += claim.n_images
        n_batches = min(_MAX_BATCHES, n_before // (_PARTS * batch_size))
        if size >= batch_size * max(1, n_batches):
            yield chunk
            n_before += size
            chunk, size = [], 0
    if chunk:
        yield chunk


_MAX_BATCHES = 4
_PARTS = 16


def encode_claims(claims: Sequence[Claim]) -> bytes:
    """Return the claims of a chunk as one line of JSON, in ASCII.

    Python writes a file name that is no UTF-8 with lone surrogates, which only `json` takes.
    """
    return _as_json(claims)


def _as_json(value: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(value)).encode()


def decode_claims(line: bytes) -> list[Claim]:
    """Return the claims of a line that `encode_claims` made."""
    return msgspec.convert(json.loads(line), list[Claim])


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a stream on its way to a worker; it is a chunk of its own."""

    number: int
    """Position of the chunk, from 0."""
    read_at: float
    """When it was read, in seconds since 1970."""
    image: EncodedImage | Rejected | None
    """None behind the last image, whose `number` says how many there were."""

    def encode(self) -> bytes:
        """Return the frame as bytes: number, time, kind, length of the head, head, picture."""
        image = self.image
        if image is None:
            return _FRAME.pack(self.number, self.read_at, _END, 0)
        if isinstance(image, Rejected):
            head = _as_json(image)
            return _FRAME.pack(self.number, self.read_at, _NO_PICTURE, len(head)) + head
        head = _as_json(image.origin)
        start = _FRAME.pack(self.number, self.read_at, _PICTURE, len(head))
        return b"".join((start, head, image.data))

    @classmethod
    def decode(cls, data: bytes) -> "Frame":
        """Return the frame that `encode` made."""
        number, read_at, kind, n_head = _FRAME.unpack_from(data)
        if kind == _END:
            return cls(number, read_at, None)
        end = _FRAME.size + n_head
        head = data[_FRAME.size : end]
        if kind == _NO_PICTURE:
            return cls(number, read_at, msgspec.convert(json.loads(head), Rejected))
        origin = msgspec.convert(json.loads(head), Origin)
        return cls(number, read_at, EncodedImage(origin, data[end:]))


_FRAME = struct.Struct("<qdBI")
_END, _NO_PICTURE, _PICTURE = range(3)


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a chunk, as rows."""

    number: int
    """Position of the chunk, from 0."""
    n_read: int
    rows: Sequence[dict[str, Any]]
    rejected: Sequence[dict[str, Any]]
    is_end: bool = False
    """Whether it only says that no chunk has this number or a higher one."""

    @classmethod
    def of(cls, number: int, outcomes: Iterable[Outcome]) -> "ChunkResult":
        """Make the outcomes of a chunk into rows; each outcome is let go before the next."""
        rows, rejected, n_read = [], [], 0
        for outcome in outcomes:
            n_read += 1
            if isinstance(outcome, ImageRecord):
                rows.append(result_row(outcome))
            else:
                rejected.append(rejected_row(outcome))
        return cls(number, n_read, rows, rejected)

    @classmethod
    def end(cls, number: int) -> "ChunkResult":
        """Return what says that the chunk before this number was the last one."""
        return cls(number, 0, [], [], is_end=True)

    def encode(self) -> bytes:
        """Return the result as JSON, to travel between processes."""
        return orjson.dumps((self.number, self.n_read, self.rows, self.rejected, self.is_end))

    @classmethod
    def decode(cls, data: bytes) -> "ChunkResult":
        """Return the result that `encode` made."""
        return cls(*orjson.loads(data))
