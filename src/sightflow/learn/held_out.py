"""Images that are held out are tested apart: an uninterrupted run of them is one test."""

from collections.abc import Iterator
from typing import Protocol

from sightflow.records import Event

__all__ = ["HeldOutTests"]


class _Account(Protocol):
    """What is known of the images of a test."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""

    def figures(self) -> dict[str, float]:
        """Return the figures of all images."""

    def event(self, kind: str, step: str, figures: dict[str, float]) -> Event:
        """Return an event at the last image."""

    def reset(self) -> None:
        """Forget all images."""


class HeldOutTests:
    """The tests so far; the account is of the one under way, or of the last one."""

    def __init__(self, account: _Account, step: str) -> None:
        """Start with no test."""
        self._account = account
        self._step = step
        self.n = 0
        """How many there were, with the one under way."""
        self.is_under_way = False

    def begin(self) -> None:
        """Begin a test where none is under way."""
        if not self.is_under_way:
            self.is_under_way = True
            self.n += 1
            self._account.reset()

    def end(self) -> Iterator[Event]:
        """Tell how a test went that is over now."""
        if self.is_under_way and not self._account.is_empty:
            figures = {**self._account.figures(), "test": float(self.n)}
            yield self._account.event("tested", self._step, figures)
        self.is_under_way = False

    def restore(self, n: int, *, is_under_way: bool) -> None:
        """Go on after so many tests."""
        self.n, self.is_under_way = n, is_under_way
