"""What AnnotatedVideo waits with until the run is complete: rows and events in one staged file.

Rows stay in the file. In memory is where each begins: 16 bytes for a frame, 8 for a count.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import orjson

from sightflow.records import Row
from sightflow.sinks.annotations import Tally

__all__ = ["Timeline", "first_row", "read_timelines", "staged_entries"]

_COUNTED = ("crossed", "entered", "exited")


def staged_entries(
    rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row]
) -> list[Row]:
    """Return what is staged of results, rejected images and events, a line each."""
    return [
        *({"row": row} for row in rows),
        *({"rejected": row["uri"]} for row in rejected),
        *({"event": event} for event in events if event["kind"] in _COUNTED and "zone" in event),
    ]


def first_row(lines: Path) -> dict[str, Any] | None:
    """Return the first row of a staged file, if there is one."""
    return next((entry["row"] for _, entry in _entries(lines) if "row" in entry), None)


@dataclass(frozen=True)
class Timeline:
    """The rows of one stream in order, and what was counted in it."""

    source_id: str
    lines: Path
    """The staged file."""
    numbers: npt.NDArray[np.int64]
    """int64 [N], `sequence` of each row, ascending."""
    offsets: npt.NDArray[np.int64]
    """int64 [N], where the line of each row begins, in bytes."""
    has_many_uris: bool
    """True for pictures; the frames of a video have one URI."""
    n_rejected: int
    """Images of the first URI that were rejected."""
    tally: Tally

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in order; reads one at a time."""
        with open(self.lines, "rb") as file:
            yield from (_row_at(file, offset) for offset in self.offsets)

    def row(self, i: int) -> dict[str, Any]:
        """Return one row."""
        with open(self.lines, "rb") as file:
            return _row_at(file, self.offsets[i])

    def taken(self, n_frames: int) -> range | list[int]:
        """Return the numbers of the frames of a video that the run took, rejected ones as well.

        What is rejected does not say which frame it is. Where the rows lie on every n-th frame, and
        there are as many of those as rows and rejected images, the others are the rejected ones.
        """
        step = int(np.gcd.reduce(self.numbers)) or n_frames
        n_taken = len(self.numbers) + self.n_rejected
        every = (n for n in range(1, step + 1) if step % n == 0 or not self.numbers.any())
        for n in every if self.n_rejected else ():
            if len(range(0, n_frames, n)) in (n_taken, n_taken - 1):  # one may stand for a cut end
                return range(0, n_frames, n)
        return [int(number) for number in self.numbers]


@dataclass
class _Draft:
    """What is noted of one stream while its lines are read."""

    uri: str = ""
    has_many_uris: bool = False
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    events: "dict[tuple[str, str], array[int]]" = field(default_factory=dict)

    def note_row(self, row: Row, offset: int) -> None:
        self.numbers.append(row["sequence"])
        self.offsets.append(offset)
        self.uri = self.uri or row["uri"]
        self.has_many_uris = self.has_many_uris or row["uri"] != self.uri

    def note_event(self, event: Row) -> None:
        key = (event["zone"], event.get("direction") or event["kind"])
        self.events.setdefault(key, array("q")).append(event["sequence"])


def read_timelines(lines: Path) -> list[Timeline]:
    """Return the streams of a staged file that have rows, sorted by `source_id`."""
    drafts: dict[str, _Draft] = {}
    n_rejected: dict[str, int] = {}
    for offset, entry in _entries(lines):
        if "row" in entry:
            drafts.setdefault(entry["row"]["source_id"], _Draft()).note_row(entry["row"], offset)
        elif "event" in entry:
            drafts.setdefault(entry["event"]["source_id"], _Draft()).note_event(entry["event"])
        else:
            n_rejected[entry["rejected"]] = n_rejected.get(entry["rejected"], 0) + 1
    return [
        _timeline(source_id, lines, draft, n_rejected.get(draft.uri, 0))
        for source_id, draft in sorted(drafts.items())
        if draft.numbers
    ]


def _timeline(source_id: str, lines: Path, draft: _Draft, n_rejected: int) -> Timeline:
    numbers, order = np.unique(np.array(draft.numbers, np.int64), return_index=True)
    offsets = np.array(draft.offsets, np.int64)[order]
    tally = Tally(draft.events)
    return Timeline(source_id, lines, numbers, offsets, draft.has_many_uris, n_rejected, tally)


def _entries(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (offset in bytes, entry) of a staged file."""
    offset = 0
    with open(path, "rb") as file:
        for line in file:
            yield offset, orjson.loads(line)
            offset += len(line)


def _row_at(file: IO[bytes], offset: int) -> dict[str, Any]:
    file.seek(offset)
    row: dict[str, Any] = orjson.loads(file.readline())["row"]
    return row
