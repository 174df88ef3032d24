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
    def __init__(
        self, path: Path, position: tuple[int, ...] | None, *, of_events: bool = True
    ) -> None:
        self._lines = StagedLines(path, (position or (0,))[0])
        self._of_events = of_events

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        self._lines.append(events if self._of_events else rejected)

    def position(self) -> tuple[int, ...]:
        return (self._lines.position(),)

    def close(self) -> None:
        self._lines.close()


@dataclass(frozen=True)
class JsonEvents:
    """One line of JSON for each event of the keyed steps, in the order of the images."""

    path: str
    overwrite: bool = False
    """Replace a file of an earlier run."""

    def check(self) -> None:
        """Refuse a path that is taken or cannot be written."""
        check_files(self.outputs(), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the file."""
        return (self.path,)

    def open_results(self, position: tuple[int, ...] | None) -> _Lines:
        """Return a writer of staged lines."""
        return _Lines(Path(self.path), position)

    def commit(self, summary: Summary) -> None:
        """Rename the staged file."""
        os.replace(staged(Path(self.path)), self.path)

    def discard(self) -> None:
        """Remove the staged file."""
        discard_staged(Path(self.path))


@dataclass(frozen=True)
class JsonRejected(JsonEvents):
    """One line of JSON for each rejected image, with the step that gave up and why."""

    def open_results(self, position: tuple[int, ...] | None) -> _Lines:
        """Return a writer of staged lines."""
        return _Lines(Path(self.path), position, of_events=False)
