"""Tables that steps look things up in while they change, such as a gallery of faces."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from sightflow.protocols.context import Context
from sightflow.records.table import TableUpdate

__all__ = ["Table", "TableSource", "TableStream"]


class Table(Protocol):
    """What the workers of a process look things up in; made for the kind of lookup."""

    def update(self, update: TableUpdate, /) -> None:
        """Take in an update; one thread at a time calls it, while others look things up."""


class TableStream(Protocol):
    """The opened updates of a table, in order. One thread uses it."""

    def poll(self, timeout_s: float) -> TableUpdate | None:
        """Return the next update, or None when none came in this time.

        Raises:
            SourceError: it cannot go on; the job ends.
        """

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when the stream was opened.

        No image is looked at before.
        """

    def position(self) -> str:
        """Return from where to go on: behind the last update that `poll` gave."""


@runtime_checkable
class TableSource(Protocol):
    """Where the rows of a table come from, and go on coming.

    A step has it in one of its fields. The updates are read in one place, whose state in
    checkpoints has all rows, and are told to all workers. After a restart they are told from that
    state, so the table is the one of the checkpoint, and goes on from there.
    """

    def check(self) -> None:
        """Raise an error if this cannot work; called while the job is built."""

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> TableStream:
        """Return the updates, from the first or from a position that the stream gave before.

        Args:
            context: of the job.
            position: None for the first; else it goes on behind it.
            rows: those that the table has there, by key; none before the first.
        """

    def open_table(self) -> Table:
        """Return an empty table for this process."""
