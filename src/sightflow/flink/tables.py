"""Tables on Flink: their rows are the state of one place, and all workers are told of them."""

import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pyflink.common import Types
from pyflink.datastream import FlatMapFunction, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from sightflow.engine.tables import SharedTable, TableState, Told, in_parts, news_of, updates
from sightflow.flink.environment import TICK_S
from sightflow.flink.failures import reporting
from sightflow.flink.metrics import FlinkMetrics
from sightflow.flink.runfiles import RunFiles
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Inference, Tables, TableSource, TableStream

__all__ = ["KeepTable", "TellTable", "hold_tables", "news_from"]

_LISTENING = 0.5
"""Part of the time until the next tick in which updates are waited for."""
_AT_MOST_S = 0.2
"""Then a checkpoint has its turn, however much has changed."""
_WAITED_MS = 2 * TICK_S * 1000
_PART_BYTES = 256 << 10
_TOLD, _NEWS = b"t", b"n"


class KeepTable(KeyedProcessFunction):
    """Reads the updates of a table at the beat of a clock, keeps its rows, and tells of them.

    Rows are keyed state, so each checkpoint has all of them once. After a restart they are told
    from there, in a new attempt; then it goes on behind them.
    """

    def __init__(
        self, pipeline: Pipeline, source: TableSource, inference: Inference, files: RunFiles
    ) -> None:
        """Take the description; work begins in `open`."""
        self._pipeline, self._source = pipeline, source
        self._inference, self._files = inference, files

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        kept = Types.PICKLED_BYTE_ARRAY()
        self._place = runtime_context.get_state(ValueStateDescriptor("table", kept))
        self._rows = runtime_context.get_map_state(MapStateDescriptor("rows", Types.STRING(), kept))
        self._metrics = FlinkMetrics.of(runtime_context)
        self._resources = ExitStack()
        self._streams: list[TableStream] = []
        self._state = TableState()
        self._attempt, self._n_told, self._is_complete = uuid.uuid4().hex, 0, False

    def process_element(self, value: int, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Tell what comes until shortly before the next tick; one that waited is for nothing."""
        if time.time() * 1000 - value > _WAITED_MS and self._is_complete:
            return
        with reporting():
            try:
                yield from self._told()
            except Exception as error:
                _give_up(_key(self._pipeline, self._files, self._source), error)
                raise

    def _told(self) -> Iterator[bytes]:
        """Yield what is told in one turn: until the table is complete, always something."""
        if not self._streams:
            rows = self._restored()
            for part in in_parts(rows, _PART_BYTES):
                yield self._tell(part)
            self._streams.append(self._opened(rows))
        stream, wait_s = self._streams[0], TICK_S * _LISTENING
        for state, update in updates(stream, self._state, wait_s, _AT_MOST_S):
            self._keep(update.rows)
            self._state = state
            self._place.update(state.encode())
            yield self._tell(dict(update.rows))
            news = news_of(update)
            if news is not None:
                yield _NEWS + news.encode()
        if not self._is_complete:
            self._is_complete = stream.is_caught_up()
            yield self._tell({})

    def close(self) -> None:
        """Release what the stream holds."""
        self._resources.close()

    def _opened(self, rows: Mapping[str, bytes]) -> TableStream:
        context = Context("tables", self._inference, self._metrics, self._resources)
        return self._source.open_updates(context, self._state.position, rows)

    def _restored(self) -> dict[str, bytes]:
        """Return the rows of the checkpoint; keyed state can be read from the first record on."""
        kept = self._place.value()
        if kept is None:
            return {}
        self._state = TableState.decode(kept)
        return dict(self._rows.items())

    def _keep(self, rows: Mapping[str, bytes | None]) -> None:
        for key, row in rows.items():
            if row is None:
                self._rows.remove(key)
            else:
                self._rows.put(key, row)

    def _tell(self, rows: dict[str, bytes | None]) -> bytes:
        number, self._n_told = self._n_told, self._n_told + 1
        told = Told(self._attempt, number, self._state.version, rows, self._is_complete)
        return _TOLD + told.encode()


class TellTable(FlatMapFunction):
    """Passes on to the workers of its process what all are told; it gives nothing itself."""

    def __init__(self, pipeline: Pipeline, source: TableSource, files: RunFiles) -> None:
        """Take the description."""
        self._pipeline, self._source, self._files = pipeline, source, files

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the table."""
        self._resources = ExitStack()
        hold_tables(self._pipeline, self._files, self._resources)
        self._table = _SHARED[_key(self._pipeline, self._files, self._source)].table

    def flat_map(self, value: bytes) -> Iterable[bytes]:
        """Pass on what is told."""
        with reporting():
            if value[:1] == _TOLD:
                self._table.tell(Told.decode(value[1:]))
        return ()

    def close(self) -> None:
        """Give the table back."""
        self._resources.close()


def news_from(value: bytes) -> Iterable[bytes]:
    """Return what the output of the run is told, in what `KeepTable` gives."""
    return (value[1:],) if value[:1] == _NEWS else ()


@dataclass
class _Held:
    """A table of this process, and how many hold it."""

    table: SharedTable
    n_holders: int = 0


_SHARED: dict[tuple[Path, int], _Held] = {}
_HOLDING = threading.Lock()


def hold_tables(pipeline: Pipeline, files: RunFiles, resources: ExitStack) -> Tables:
    """Return what gives the tables of a pipeline to a worker of this process.

    They are shared by all who hold them. When the last one is closed they are gone, so that what
    opens after a restart begins with new ones.
    """
    for source in pipeline.tables:
        key = _key(pipeline, files, source)
        with _HOLDING:
            _SHARED.setdefault(key, _Held(SharedTable(source))).n_holders += 1
        resources.callback(_give_back, key)
    return lambda source: _SHARED[_key(pipeline, files, source)].table.get


def _give_up(key: tuple[Path, int], error: Exception) -> None:
    """Let those go who wait in this process: Java cannot interrupt them."""
    with _HOLDING:
        held = _SHARED.get(key)
    if held is not None:
        held.table.give_up(error)


def _give_back(key: tuple[Path, int]) -> None:
    with _HOLDING:
        _SHARED[key].n_holders -= 1
        if not _SHARED[key].n_holders:
            del _SHARED[key]


def _key(pipeline: Pipeline, files: RunFiles, source: TableSource) -> tuple[Path, int]:
    return files.folder, pipeline.tables.index(source)
