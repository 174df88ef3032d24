"""Tables of a run: the updates of each are read in one place and told to all workers."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from sightflow.engine.chunks import ChunkResult
from sightflow.errors import JobError
from sightflow.protocols import Context, Table, TableSource, TableStream
from sightflow.records import TableUpdate, event_row
from sightflow.records.state import StateCodec

__all__ = ["SharedTable", "TableState", "Told", "TablesHere", "in_parts", "news_of", "updates"]

_LOOK_EVERY_S = 0.02
_SHORT_S = 0.1
_PATIENCE_S = 25.0
"""A table that is not complete is told of all the time; after so long in silence its job ends."""


@dataclass(frozen=True)
class TableState:
    """How far a table was read."""

    version: int = 0
    position: str | None = None
    """Where the source said it stood."""

    def encode(self) -> bytes:
        """Return the state as JSON."""
        return _STATES.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "TableState":
        """Return the state that `encode` made.

        Raises:
            JobError: it was written by another version of this class.
        """
        return _STATES.decode(data)


_STATES = StateCodec(TableState, "table", version=1)


def updates(
    stream: TableStream, state: TableState, wait_s: float, at_most_s: float
) -> Iterator[tuple[TableState, TableUpdate]]:
    """Yield the updates that come, each with the state behind it.

    Args:
        stream: of the updates.
        state: behind the last one.
        wait_s: how long it is waited for one.
        at_most_s: after so long it ends even if more is there: a checkpoint may be waiting.
    """
    begun = time.monotonic()
    while True:
        passed_s = time.monotonic() - begun
        update = stream.poll(min(max(0.0, wait_s - passed_s), _LOOK_EVERY_S))
        if update is not None:
            state = replace(state, version=update.version, position=stream.position())
            yield state, update
        passed_s = time.monotonic() - begun
        if passed_s >= at_most_s or (update is None and passed_s >= wait_s):
            return


def news_of(update: TableUpdate) -> ChunkResult | None:
    """Return what the output of the run is told of an update; None: nothing."""
    if not update.events:
        return None
    return ChunkResult(None, 0, events=[event_row(event) for event in update.events])


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What all workers are told of a table."""

    attempt: str
    """Another one after each restart, which tells the table from its beginning."""
    number: int
    """Position among what is told in this attempt, from 0."""
    version: int
    rows: dict[str, bytes | None]
    is_complete: bool
    """Whether all is told by now that was there from the start."""

    def encode(self) -> bytes:
        """Return it as MessagePack."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Told":
        """Return what `encode` made."""
        return _DECODER.decode(data)


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Told)


class SharedTable:
    """A table of this process. Each of its workers is told all, and the first to hear passes it on.

    What is told in one attempt of a job replaces what was told in another.
    """

    def __init__(self, source: TableSource) -> None:
        """Begin with a table that is not complete."""
        self._source = source
        self._changed = threading.Condition()
        self._table: Table
        self._error: Exception | None
        self._begin("")

    def tell(self, told: Told) -> None:
        """Take in what comes next; what another worker has passed on already is left out."""
        with self._changed:
            if told.attempt != self._attempt and told.number == 0:
                self._begin(told.attempt)
            if (told.attempt, told.number) != (self._attempt, self._next):
                return
            self._next += 1
            self._table.update(TableUpdate(told.version, told.rows))
            self._told_at = time.monotonic()
            if told.is_complete:
                self._is_complete = True
                self._changed.notify_all()

    def give_up(self, error: Exception) -> None:
        """Let nobody wait any more, since it cannot be read."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def get(self) -> Table:
        """Return the table, once it is complete.

        Raises:
            JobError: it cannot be read, or nothing more is told of it.
        """
        with self._changed:
            while not self._is_complete:
                if self._error is not None:
                    raise JobError(f"{self._source!r}: {self._error}") from self._error
                left_s = self._told_at + _PATIENCE_S - time.monotonic()
                if left_s <= 0:
                    raise JobError(
                        f"{self._source!r}: nothing of it was read for {_PATIENCE_S:.0f} s; see "
                        "whether its storage answers"
                    )
                self._changed.wait(left_s)
            return self._table

    def _begin(self, attempt: str) -> None:
        self._attempt, self._next, self._is_complete = attempt, 0, False
        self._told_at, self._error = time.monotonic(), None
        self._table = self._source.open_table()


def in_parts(rows: Mapping[str, bytes], n_bytes: int) -> Iterator[dict[str, bytes | None]]:
    """Yield rows some at a time, so that none of what travels is large."""
    part: dict[str, bytes | None] = {}
    size = 0
    for key, value in rows.items():
        part[key] = value
        size += len(key) + len(value)
        if size >= n_bytes:
            yield part
            part, size = {}, 0
    if part:
        yield part


class TablesHere:
    """The tables of a run that works in this process alone: complete from the start."""

    def __init__(self, sources: Sequence[TableSource], context: Context) -> None:
        """Read all that is there of each table."""
        self._sources = list(sources)
        self._tables = [source.open_table() for source in sources]
        self._streams = [source.open_updates(context, None, {}) for source in sources]
        self._state = TableState()
        self._news = list[ChunkResult]()
        for number, stream in enumerate(self._streams):
            while not stream.is_caught_up():
                self._news += self._taken(number, wait_s=_LOOK_EVERY_S)

    def of(self, source: TableSource) -> Callable[[], Table]:
        """Return what gives the table of a source."""
        table = self._tables[self._sources.index(source)]
        return lambda: table

    def told(self, results: Iterable[ChunkResult]) -> Iterator[ChunkResult]:
        """Yield results, and between them the news; the tables are brought up to date there."""
        for result in results:
            yield from self._heard()
            yield result
            self._look()
        yield from self._heard()

    def looking(self, ask: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that asks, and brings the tables up to date: also without results."""

        def look_and_ask() -> bool:
            self._look()
            return ask()

        return look_and_ask

    def _look(self) -> None:
        """Bring the tables up to date; the news are told between the next results."""
        for number in range(len(self._streams)):
            self._news += self._taken(number)

    def _heard(self) -> Iterator[ChunkResult]:
        while self._news:
            yield self._news.pop(0)

    def _taken(self, number: int, wait_s: float = 0.0) -> Iterator[ChunkResult]:
        """Take in updates for a short time; yield the news of them."""
        for _, update in updates(self._streams[number], self._state, wait_s, _SHORT_S):
            self._tables[number].update(update)
            news = news_of(update)
            if news is not None:
                yield news
