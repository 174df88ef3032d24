"""Chunks: the units of work that a runner hands to its workers, and what comes back for each."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from sightflow.protocols import Outcome
from sightflow.records import Claim, ImageRecord, rejected_row, result_row

__all__ = ["ChunkResult", "chunked", "decode_claims", "encode_claims"]

# msgspec makes its plan for a type at the first use and is not safe against a second thread then:
# it reads the half-made plan and the process dies. Here the import lock keeps others away.
msgspec.convert([], list[Claim])


def chunked(claims: Iterable[Claim], n_images: int) -> Iterator[list[Claim]]:
    """Group claims, in order, into chunks of at least `n_images` images; the last may have fewer.

    Examples:
        >>> from sightflow.testing import a_claim
        >>> [len(chunk) for chunk in chunked([a_claim(), a_claim(), a_claim()], 2)]
        [2, 1]
    """
    chunk: list[Claim] = []
    size = 0
    for claim in claims:
        chunk.append(claim)
        size += claim.n_images
        if size >= n_images:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def encode_claims(claims: Sequence[Claim]) -> bytes:
    """Return the claims of a chunk as one line of JSON, in ASCII.

    Python writes a file name that is no UTF-8 with lone surrogates, which only `json` takes.
    """
    return json.dumps(msgspec.to_builtins(claims)).encode()


def decode_claims(line: bytes) -> list[Claim]:
    """Return the claims of a line that `encode_claims` made."""
    return msgspec.convert(json.loads(line), list[Claim])


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a chunk, as rows."""

    number: int
    """Position of the chunk, from 0."""
    n_read: int
    rows: Sequence[dict[str, Any]]
    rejected: Sequence[dict[str, Any]]

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

    def encode(self) -> bytes:
        """Return the result as JSON, to travel between processes."""
        return orjson.dumps((self.number, self.n_read, self.rows, self.rejected))

    @classmethod
    def decode(cls, data: bytes) -> "ChunkResult":
        """Return the result that `encode` made."""
        return cls(*orjson.loads(data))
