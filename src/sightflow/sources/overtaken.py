"""Images that wait, one of each stream at most; those that they overtook are counted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition
from typing import TypeAlias

from sightflow.protocols import Polled
from sightflow.records import Claim, EncodedImage, Skipped

__all__ = ["Image", "Overtaken"]

Image: TypeAlias = Claim | EncodedImage

_FULL = 1000


@dataclass(slots=True)
class _Waiting:
    """An item, or counts of images that were left out in a row, by their stream."""

    item: Polled | dict[str, Skipped]
    position: str
    """Behind it, and all before it."""


class Overtaken:
    """Between the thread that reads a stream and the one that polls, in the order of the stream.

    What is taken comes with the position behind it, so that all before it was taken as well.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._changed = Condition()
        self._waiting: list[_Waiting] = []
        self._failures: list[Exception] = []
        self._is_closed = False

    def put(self, item: Polled, position: str) -> None:
        """Let an item wait; an image of its stream that waits already is left out."""
        with self._changed:
            if isinstance(item, Image):
                for place, waiting in enumerate(self._waiting):
                    if _is_of(waiting.item, item.origin.source_id):
                        self._leave_out(place)
                        break
            self._waiting.append(_Waiting(item, position))
            if isinstance(item, Skipped):
                self._leave_out(len(self._waiting) - 1)
            self._changed.notify_all()

    def take(
        self, timeout_s: float, is_old: Callable[[Image], bool]
    ) -> tuple[Polled | tuple[Skipped, ...], str] | None:
        """Return what comes next, or counts of what was left out, with the position behind it.

        Args:
            timeout_s: how long to wait for it; None comes when there is nothing.
            is_old: whether an image whose turn it is is left out as well.

        Raises:
            Exception: what the reading failed with, once what waits is taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed, timeout_s)
            if not self._waiting:
                if self._failures:
                    raise self._failures[0]
                return None
            first = self._waiting[0].item
            if isinstance(first, Image) and is_old(first):
                self._leave_out(0)
            taken = self._waiting.pop(0)
            counts = taken.item
            item = tuple(counts.values()) if isinstance(counts, dict) else counts
            return item, taken.position

    def close(self, error: Exception | None = None) -> None:
        """Say that no more comes, or what the reading failed with."""
        with self._changed:
            self._failures += [error] if error is not None else []
            self._is_closed = True
            self._changed.notify_all()

    def is_full(self) -> bool:
        """Return whether so much waits that reading should; images alone never are so many."""
        with self._changed:
            return len(self._waiting) >= _FULL

    def is_empty(self) -> bool:
        """Return whether it is closed and everything was taken; a failure never is."""
        with self._changed:
            return self._is_closed and not self._waiting and not self._failures

    def _leave_out(self, place: int) -> None:
        """Make an image that waits a count, together with the counts before and behind it."""
        waiting = self._waiting[place]
        waiting.item = _counts(waiting.item)
        for first in (place, place - 1):
            pair = self._waiting[max(0, first) : first + 2]
            if len(pair) == 2 and all(isinstance(one.item, dict) for one in pair):
                self._waiting[first : first + 2] = [
                    _Waiting(_sum(_counts(pair[0].item), _counts(pair[1].item)), pair[1].position)
                ]


def _is_of(item: Polled | dict[str, Skipped], source_id: str) -> bool:
    return isinstance(item, Image) and item.origin.source_id == source_id


def _counts(item: Polled | dict[str, Skipped]) -> dict[str, Skipped]:
    if isinstance(item, dict):
        return item
    if isinstance(item, Skipped):
        return {item.origin.source_id: item}
    if isinstance(item, Image):
        n_images = item.n_images if isinstance(item, Claim) else 1
        return {item.origin.source_id: Skipped(item.origin, n_images)}
    raise TypeError(f"an image can be left out; got {type(item).__name__}")


def _sum(first: dict[str, Skipped], second: dict[str, Skipped]) -> dict[str, Skipped]:
    """Return both counts as one; of a stream in both, the first image is that of the first."""
    together = dict(first)
    for source_id, skipped in second.items():
        before = together.get(source_id)
        n_images = skipped.n_images + (before.n_images if before else 0)
        together[source_id] = replace(before or skipped, n_images=n_images)
    return together
