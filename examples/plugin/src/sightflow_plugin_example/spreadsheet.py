"""The best class of each image as CSV, for a spreadsheet."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightflow.errors import JobError, OutputExistsError
from sightflow.records import Row
from sightflow.records.ledger import Summary

__all__ = ["BestClassCsv"]


@dataclass(frozen=True)
class BestClassCsv:
    """A line for each recognised image: uri, label, score. It appears when the run is complete."""

    path: str
    overwrite: bool = False
    """Replace a file of an earlier run."""

    def check(self) -> None:
        """Refuse a path that is taken."""
        if os.path.exists(self.path) and not self.overwrite:
            raise OutputExistsError(f"{self.path}: exists already; use `overwrite: true`")

    def outputs(self) -> Sequence[str]:
        """Return the file."""
        return (self.path,)

    def open_results(self, position: tuple[int, ...] | None) -> "_Writer":
        """Return a writer of the file beside, at a position or from its beginning."""
        return _Writer(self._staged, None if position is None else position[0])

    def commit(self, summary: Summary) -> None:
        """Let the file appear."""
        os.replace(self._staged, self.path)

    def discard(self) -> None:
        """Remove the file beside."""
        self._staged.unlink(missing_ok=True)

    @property
    def _staged(self) -> Path:
        path = Path(self.path)
        return path.with_name(f".{path.name}.partial")


class _Writer:
    """Appends lines to a file; a position is its length."""

    def __init__(self, path: Path, position: int | None) -> None:
        """Open the file and cut off what came after the position."""
        path.parent.mkdir(parents=True, exist_ok=True)
        length = path.stat().st_size if path.exists() else 0
        if length < (position or 0):
            raise JobError(f"{path}: has {length} bytes; the checkpoint needs {position}")
        self._file = path.open("wb" if position is None else "r+b")
        self._file.truncate(position or 0)
        self._file.seek(position or 0)
        if not position:
            self._write([("uri", "label", "score")])

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        """Append the best class of each image; empty where it has none."""
        best = ((row["uri"], *_best(row)) for row in rows)
        self._write(list(best))

    def position(self) -> tuple[int, ...]:
        """Write out and return the length."""
        self._file.flush()
        return (self._file.tell(),)

    def close(self) -> None:
        """Close the file and leave it beside its place."""
        self._file.close()

    def _write(self, lines: Sequence[tuple[str, ...]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._file.write(text.getvalue().encode())


def _best(row: Row) -> tuple[str, str]:
    classes = row.get("classification") or [{"label": "", "score": ""}]
    return classes[0]["label"], str(classes[0]["score"])
