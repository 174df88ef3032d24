"""Findings as a table for spreadsheets: CSV."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from sightflow.options import check_choices
from sightflow.records import Row
from sightflow.records.findings import FINDINGS
from sightflow.records.ledger import Summary
from sightflow.sinks.results import ResultFiles, staged_rows
from sightflow.sinks.staging import staged
from sightflow.storage.drafts import replacing

__all__ = ["Csv"]

_Field: TypeAlias = Literal["faces", "tracks", "detections", "classification", "measures", "scene"]
_FIELDS: tuple[str, ...] = get_args(_Field)
_IMAGE = ("uri", "source_id", "sequence", "event_time_ms")


@dataclass(frozen=True)
class Csv(ResultFiles):
    """A line for each finding of one kind, with a heading; images without any have no line.

    What no step has filled is an empty cell. What else came with images, such as the headers of
    messages, has a column for each name. Landmarks and embeddings of faces are left out.

    Beside `NAME.csv` lie `NAME.rejected.jsonl` and `NAME.summary.json`. Lines wait as JSON until
    the run is complete.
    """

    of: _Field | None = None
    """The field of a result; None: the first of these that the results have."""

    ending: ClassVar[str] = "csv"
    commits_first: ClassVar[bool] = True

    def check(self) -> None:
        """Refuse a field that is none, and paths that are taken or cannot be written."""
        check_choices(self)
        super().check()

    def commit(self, summary: Summary) -> None:
        """Make the staged lines into a table and rename it."""
        lines = staged(Path(self.path))
        of, extra = self.of or _field_of(staged_rows(lines)), _extra_of(staged_rows(lines))
        with (
            replacing(Path(self.path)) as draft,
            open(draft, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow([*_IMAGE, *(f"metadata.{name}" for name in extra), *_columns(of)])
            for rows in staged_rows(lines):
                writer.writerows(line for row in rows for line in _lines_of(row, of, extra))
            file.flush()
            self._commit_beside(summary)
        lines.unlink()


_PARTS = {"box_xyxy": ("x1", "y1", "x2", "y2"), "velocity_xy": ("velocity_x", "velocity_y")}
"""Values that are lists have a column for each number."""
_CLASSES = {"state": ("label", "score"), "sign": ("label", "class_id", "score")}
"""Values that are classes have a column for each part, such as `state_label`."""
_LEFT_OUT = ("landmarks_xy", "embedding")
"""Lists whose length the model decides: JSON lines and Parquet have them."""


def _field_of(parts: Iterable[Sequence[Row]]) -> str:
    """Return the first field that any result has; without any it does not matter."""
    found = {name for rows in parts for row in rows for name in _FIELDS if name in row}
    return next((name for name in _FIELDS if name in found), _FIELDS[0])


def _extra_of(parts: Iterable[Sequence[Row]]) -> list[str]:
    """Return the names of all that came with any image, sorted."""
    return sorted({name for rows in parts for row in rows for name in row.get("metadata", ())})


def _values(of: str) -> list[str]:
    """Return the names of the values of a finding that have columns."""
    return [name for name in FINDINGS[of].columns if name not in _LEFT_OUT]


def _columns(of: str) -> Iterator[str]:
    """Yield the names of the columns behind those of the image."""
    for name in _values(of):
        parts = _CLASSES.get(name, ())
        yield from (f"{name}_{part}" for part in parts) if parts else _PARTS.get(name, (name,))


def _lines_of(row: Row, of: str, extra: Sequence[str]) -> Iterator[list[Any]]:
    names, metadata = _values(of), row.get("metadata", {})
    for found in row.get(of, ()):
        cells = [*(row[name] for name in _IMAGE), *map(metadata.get, extra)]
        for name in names:
            value = found.get(name)
            if name in _CLASSES:
                value = [(value or {}).get(part) for part in _CLASSES[name]]
            cells += value if isinstance(value, list) else [value]
        yield cells
