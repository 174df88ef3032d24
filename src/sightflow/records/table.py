"""Changes of a table that steps look things up in, such as a gallery of faces."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sightflow.records.event import Event

__all__ = ["TableUpdate"]


@dataclass(frozen=True, slots=True)
class TableUpdate:
    """Rows of a table that are new, that are others now, or that are gone: all of them at once."""

    version: int
    """Of the table, with this update; it counts up, and is in results."""
    rows: Mapping[str, bytes | None] = field(repr=False)
    """By key; None: the row is gone. A key that says something of a person would outlive the row
    in logs and backups: take a random one."""
    events: tuple[Event, ...] = ()
    """What is to be told of it: once, in the output of the run."""
