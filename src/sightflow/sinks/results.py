"""Results in one file, with what was rejected and a summary beside it: JSON lines, Parquet."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow.parquet as pq

from sightflow.records import RESULT_SCHEMA, Row, to_table
from sightflow.records.ledger import Summary
from sightflow.sinks.staging import StagedLines, discard_staged, staged
from sightflow.storage.drafts import check_files, replacing

__all__ = ["JsonLines", "Parquet", "ResultFiles", "staged_rows"]

_ROWS_IN_GROUP = 10_000


class _Lines:
    """Two staged files: results, and what was rejected."""

    def __init__(self, results: Path, rejected: Path, position: tuple[int, ...] | None) -> None:
        at_results, at_rejected = position or (0, 0)
        self._results = StagedLines(results, at_results)
        self._rejected = StagedLines(rejected, at_rejected)

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        self._results.append(rows)
        self._rejected.append(rejected)

    def position(self) -> tuple[int, ...]:
        return self._results.position(), self._rejected.position()

    def close(self) -> None:
        self._results.close()
        self._rejected.close()


@dataclass(frozen=True)
class ResultFiles:
    """What sinks with results in one file share: rows are staged as lines of JSON.

    `ending` is what names such a file on the command line.
    """

    path: str
    overwrite: bool = False
    """Replace files of an earlier run."""

    def check(self) -> None:
        """Refuse paths that are taken or cannot be written."""
        check_files(self.outputs(), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the three files."""
        return self.path, str(self._beside("rejected.jsonl")), str(self._beside("summary.json"))

    def open_results(self, position: tuple[int, ...] | None) -> _Lines:
        """Return a writer of staged lines."""
        return _Lines(Path(self.path), self._beside("rejected.jsonl"), position)

    def discard(self) -> None:
        """Remove the staged files."""
        discard_staged(Path(self.path))
        discard_staged(self._beside("rejected.jsonl"))

    def _beside(self, ending: str) -> Path:
        return Path(self.path).with_suffix(f".{ending}")

    def _commit_beside(self, summary: Summary) -> None:
        """Make the summary and the rejected images appear."""
        with replacing(self._beside("summary.json")) as draft:
            draft.write_text(json.dumps(summary.as_dict(), indent=2) + "\n")
        rejected = self._beside("rejected.jsonl")
        os.replace(staged(rejected), rejected)


@dataclass(frozen=True)
class JsonLines(ResultFiles):
    """One line of JSON for each image, in the order of the source.

    Beside `NAME.jsonl` lie `NAME.rejected.jsonl` and `NAME.summary.json`.
    """

    ending: ClassVar[str] = "jsonl"

    def commit(self, summary: Summary) -> None:
        """Rename the staged files; the results come last, so they are there only when all is."""
        self._commit_beside(summary)
        os.replace(staged(Path(self.path)), self.path)


@dataclass(frozen=True)
class Parquet(ResultFiles):
    """All results as one Parquet file with `records.RESULT_SCHEMA`, in the order of the source.

    Beside `NAME.parquet` lie `NAME.rejected.jsonl` and `NAME.summary.json`. Rows wait as lines of
    JSON until the run is complete, since an unfinished Parquet file cannot be taken up again.
    """

    ending: ClassVar[str] = "parquet"
    commits_first: ClassVar[bool] = True

    def commit(self, summary: Summary) -> None:
        """Make the staged lines into Parquet and rename it."""
        lines = staged(Path(self.path))
        with replacing(Path(self.path)) as draft, pq.ParquetWriter(draft, RESULT_SCHEMA) as writer:
            for rows in staged_rows(lines):
                writer.write_table(to_table(rows))
            writer.close()
            self._commit_beside(summary)
        lines.unlink()


def staged_rows(lines: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield staged rows, some thousands at a time."""
    with open(lines, "rb") as file:
        while rows := [orjson.loads(line) for line in islice(file, _ROWS_IN_GROUP)]:
            yield rows
