"""How learning goes, as events: few enough to be drawn, however long it lasts."""

from collections.abc import Iterable
from typing import Any

from sightflow.records import Row

__all__ = ["COURSE_KINDS", "Course"]

COURSE_KINDS = ("trained", "published", "evaluated", "tested", "drifted")
"""Kinds of the events that tell it."""

_MAX_EVENTS = 300


class Course:
    """The events of a course, in order; of a kind and step with many every second one is let go."""

    def __init__(self, max_events: int = _MAX_EVENTS) -> None:
        """Keep at most so many of each kind and step."""
        self._max_events = max_events
        self._kept: dict[tuple[Any, Any], list[tuple[int, Row]]] = {}
        self._n = 0

    def add(self, event: Row) -> None:
        """Take the next event; the latest of its kind is always kept."""
        self._n += 1
        key = event["kind"], event["step"]
        kept = self._kept.setdefault(key, [])
        kept.append((self._n, event))
        if len(kept) > self._max_events:
            del kept[1:-1:2]

    def events(self) -> list[Row]:
        """Return the events that are kept, in order."""
        kept: Iterable[tuple[int, Row]] = (one for part in self._kept.values() for one in part)
        return [event for _, event in sorted(kept, key=lambda one: one[0])]
