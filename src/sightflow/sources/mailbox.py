"""A place for the newest picture: what comes replaces what was not taken, and that is counted."""

from dataclasses import dataclass, replace
from threading import Condition
from typing import Any

from sightflow.records import Origin, Skipped

__all__ = ["Arrived", "Mailbox"]


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A picture with its place in the stream."""

    origin: Origin
    content: Any
    """A decoded frame, a JPEG, or why there is neither."""


class Mailbox:
    """Between the thread that reads and the one that polls: at most one picture waits.

    Origins come in order. What is taken has each of them once, in order: as a picture, or in a
    count of those that were left out.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._changed = Condition()
        self._waiting: list[Arrived | Skipped] = []
        self._failures: list[Exception] = []
        self._is_closed = False

    def put(self, arrived: Arrived) -> None:
        """Let a picture wait; one that waits already is left out."""
        with self._changed:
            if self._is_closed:
                return
            if self._waiting:
                n_images = sum(_n_images(item) for item in self._waiting)
                self._waiting = [Skipped(self._waiting[0].origin, n_images)]
            self._waiting.append(arrived)
            self._changed.notify_all()

    def leave_out(self, origin: Origin) -> None:
        """Count a picture that is not wanted."""
        with self._changed:
            if self._is_closed:
                return
            last = self._waiting[-1] if self._waiting else None
            if isinstance(last, Skipped):
                self._waiting[-1] = replace(last, n_images=last.n_images + 1)
            else:
                self._waiting.append(Skipped(origin, 1))

    def close(self) -> None:
        """Take nothing any more; what waits can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """Close, with an error that is raised once what waits is taken."""
        with self._changed:
            self._failures.append(error)
        self.close()

    def take(self, timeout_s: float) -> Arrived | Skipped | None:
        """Return what comes next; None when no picture came in this time, or none will.

        Raises:
            Exception: what the reading failed with.
        """
        with self._changed:
            self._changed.wait_for(self._is_ready, timeout_s)
            if self._waiting and self._is_ready():
                return self._waiting.pop(0)
            if self._is_closed and self._failures:
                raise self._failures[0]
            return None

    def is_empty(self) -> bool:
        """Return whether it is closed and everything was taken; a failure never is."""
        with self._changed:
            return self._is_closed and not self._waiting and not self._failures

    def _is_ready(self) -> bool:
        """Return whether a picture waits; what was left out comes with the picture behind it."""
        return self._is_closed or any(isinstance(item, Arrived) for item in self._waiting)


def _n_images(item: Arrived | Skipped) -> int:
    return item.n_images if isinstance(item, Skipped) else 1
