"""Results that appear while a run goes on: a folder that grows by a part with each checkpoint."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from sightflow.options import check_choices, check_count
from sightflow.records import EVENT_SCHEMA, REJECTED_SCHEMA, RESULT_SCHEMA, Row, to_json
from sightflow.records.ledger import Summary
from sightflow.storage.parts import PartFolder

__all__ = ["Dataset"]

_SCHEMAS: Mapping[str, pa.Schema] = {
    "results": RESULT_SCHEMA,
    "rejected": REJECTED_SCHEMA,
    "events": EVENT_SCHEMA,
}


@dataclass(frozen=True)
class Dataset:
    """A folder of Parquet files or JSON lines, to which each checkpoint adds a part.

    It has the folders `results`, `rejected` and `events`; a part with nothing in it is left out. A
    part appears whole, once no restart can take back what is in it, so each result is in one part.
    """

    path: str
    """Folder of this machine, or URL of fsspec, such as `s3://bucket/results`."""
    format: Literal["parquet", "jsonl"] = "parquet"
    max_rows: int = 100_000
    """A part with so many rows is closed, and the next one begun."""
    overwrite: bool = False
    """Remove the parts of an earlier run."""

    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what is no format."""
        check_choices(self)
        check_count(self, "max_rows", at_least=1)

    def check(self) -> None:
        """Refuse a folder that is not empty or cannot be written."""
        PartFolder(self.path).check(overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the folder."""
        return (self.path,)

    def open_results(self, position: tuple[int, ...] | None) -> "_Parts":
        """Return a writer of parts."""
        folder = PartFolder(self.path)
        with ExitStack() as resources:
            resources.enter_context(folder.taken())
            if position is None:
                folder.clear(overwrite=self.overwrite)
            else:
                folder.cut(position[0])
            return _Parts(folder, self, (position or (0,))[0], resources.pop_all())

    def commit(self, summary: Summary) -> None:
        """Let the last parts appear, and the summary as `summary.json`."""
        folder = PartFolder(self.path)
        folder.show(_ALL)
        folder.discard()
        folder.put("summary.json", json.dumps(summary.as_dict(), indent=2).encode() + b"\n")

    def discard(self) -> None:
        """Remove the parts that have not appeared."""
        PartFolder(self.path).discard()


_ALL = 1 << 62


class _Parts:
    """A writer: what came since the last part is in memory, bounded by `max_rows`."""

    def __init__(
        self, folder: PartFolder, sink: Dataset, number: int, resources: ExitStack
    ) -> None:
        self._folder, self._sink, self._number = folder, sink, number
        self._resources = resources
        self._encode = _FORMATS[sink.format]
        self._rows: dict[str, list[Row]] = {kind: [] for kind in _SCHEMAS}

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        for kind, more in zip(_SCHEMAS, (rows, rejected, events), strict=True):
            self._rows[kind].extend(more)
        if max(map(len, self._rows.values())) >= self._sink.max_rows:
            self._close_part()

    def position(self) -> tuple[int, ...]:
        if any(self._rows.values()):
            self._close_part()
        return (self._number,)

    def publish(self, position: tuple[int, ...]) -> None:
        self._folder.show(position[0])

    def close(self) -> None:
        """Let go of what is in no part, and of the folder."""
        self._rows.clear()
        self._resources.close()

    def _close_part(self) -> None:
        for kind, rows in self._rows.items():
            if rows:
                data = self._encode(rows, _SCHEMAS[kind])
                self._folder.hide(kind, self._number, self._sink.format, data)
                rows.clear()
        self._number += 1


def _as_parquet(rows: Sequence[Row], schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()


def _as_lines(rows: Sequence[Row], schema: pa.Schema) -> bytes:
    return b"".join(to_json(row) + b"\n" for row in rows)


_FORMATS: Mapping[str, Callable[[Sequence[Row], pa.Schema], bytes]] = {
    "parquet": _as_parquet,
    "jsonl": _as_lines,
}
