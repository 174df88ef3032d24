"""Events, and rejected images, as lines of JSON."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightflow.records import Row
from sightflow.records.ledger import Summary
from sightflow.sinks.staging import StagedLines, discard_staged, staged
from sightflow.storage.drafts import check_files

__all__ = ["JsonEvents", "JsonRejected"]


class _Lines:
    """A writer of staged lines."""

    def __init__(self, path: Path, position: tuple[int, ...] | None) -> None:
        self._lines = StagedLines(path, (position or (0,))[0])

    def position(self) -> tuple[int, ...]:
        return (self._lines.position(),)

    def close(self) -> None:
        self._lines.close()


class _Events(_Lines):
    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        self._lines.append(events)


class _Rejected(_Lines):
    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        self._lines.append(rejected)


@dataclass(frozen=True)
class _File:
    path: str
    overwrite: bool = False
    """Replace a file of an earlier run."""

    def check(self) -> None:
        """Refuse a path that is taken or cannot be written."""
        check_files(self.outputs(), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the file."""
        return (self.path,)

    def commit(self, summary: Summary) -> None:
        """Rename the staged file."""
        os.replace(staged(Path(self.path)), self.path)

    def discard(self) -> None:
        """Remove the staged file."""
        discard_staged(Path(self.path))


@dataclass(frozen=True)
class JsonEvents(_File):
    """One line of JSON for each event, in the order of the images."""

    def open_results(self, position: tuple[int, ...] | None) -> _Events:
        """Return a writer of staged lines."""
        return _Events(Path(self.path), position)


@dataclass(frozen=True)
class JsonRejected(_File):
    """One line of JSON for each rejected image, with the step that gave up and why."""

    def open_results(self, position: tuple[int, ...] | None) -> _Rejected:
        """Return a writer of staged lines."""
        return _Rejected(Path(self.path), position)
