"""Pictures of a run for those who look at it: few, small, and joined with what came of them.

Workers see images with their pixels, before the steps that remember; rows come later, in the place
that delivers. Both are in one process, where a picture waits here for its row.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sightflow.engine.viewfiles import N_SLOTS, ViewFiles
from sightflow.ops.blur import blur_boxes
from sightflow.ops.thumbnail import thumbnail
from sightflow.records import ImageRecord, Row, result_row
from sightflow.records.rows import for_viewers
from sightflow.records.schema import plain_text

__all__ = ["Viewfinder"]

_MAX_SIDE = 640
_EVERY_S = 0.25
"""Time between two pictures of a source while somebody looks."""
_EVERY_ANY_S = 0.125
"""Time between two pictures of whichever sources."""
_UNWATCHED = 20
"""So many times as long while nobody does."""
_STALE_S = 5.0
"""A source that gave nothing for so long makes room for another one."""
_MAX_WAITING = 64
_MAX_COMING = 32
_MAX_ITEMS = 200
"""Objects of a picture that are shown."""


@dataclass
class _Slot:
    """What is shown of one source."""

    source_id: str
    seen_at: float = 0.0
    taken_at: float = 0.0
    version: int = 0
    row: Row = field(default_factory=dict)
    coming: deque[tuple[Row, bytes]] = field(default_factory=lambda: deque(maxlen=_MAX_COMING))
    """Pictures with their rows. Those of a chunk come at once, and are shown one by one."""


class Viewfinder:
    """Takes pictures of some sources, at most a few a second, and joins each with its row."""

    def __init__(
        self, is_watched: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with no picture.

        Args:
            is_watched: tells whether anybody looks; asked at most once a second.
            clock: seconds, of any beginning.
        """
        self._ask, self._clock = is_watched, clock
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []
        self._waiting: OrderedDict[tuple[Any, ...], tuple[int, bytes]] = OrderedDict()
        self._taken_at = self._asked_at = float("-inf")
        self._is_watched = False
        self._version = 0

    def see(self, record: ImageRecord, *, hides_unknown: bool = False) -> None:
        """Take a picture of an image if it is time for one of its source.

        Args:
            record: with its pixels.
            hides_unknown: whether the faces of everyone whom no step knows are blurred.
        """
        if not record.pixels.size:
            return
        slot = self._slot_for(plain_text(record.origin.source_id))
        if slot is None:
            return
        jpeg = thumbnail(_hidden(record) if hides_unknown else record.pixels, max_side=_MAX_SIDE)
        with self._lock:
            self._waiting[_key(result_row(record))] = slot, jpeg
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.popitem(last=False)

    def join(self, rows: Iterable[Row]) -> None:
        """Join pictures that were taken with those of the rows that are theirs."""
        if not self._waiting:
            return
        with self._lock:
            taken = [(row, *self._waiting.pop(_key(row), (0, b""))) for row in rows]
            for row, number, jpeg in taken:
                if jpeg and self._slots[number].source_id == row["source_id"]:
                    self._slots[number].coming.append((for_viewers(row, _MAX_ITEMS), jpeg))

    def write(self, files: ViewFiles, *, is_last: bool = False) -> list[dict[str, Any]]:
        """Write the next picture of each source; return what is shown, source by source.

        Args:
            files: where to.
            is_last: whether the newest one is shown at once.

        Raises:
            OutputError: one cannot be written.
        """
        for number, slot, row, jpeg in self._next(is_last=is_last):
            self._version += 1
            files.write_picture(number, self._version, jpeg)
            with self._lock:
                slot.row, slot.version = row, self._version
        with self._lock:
            return [
                {
                    "slot": number,
                    "source_id": slot.source_id,
                    "version": slot.version,
                    "width": slot.row["width"],
                    "height": slot.row["height"],
                    "row": slot.row,
                }
                for number, slot in enumerate(self._slots)
                if slot.version
            ]

    def _next(self, *, is_last: bool) -> list[tuple[int, _Slot, Row, bytes]]:
        """Return the pictures to be written now, with their rows; no more than one of a source."""
        taken = []
        with self._lock:
            for number, slot in enumerate(self._slots):
                if slot.coming:
                    row, jpeg = slot.coming.pop() if is_last else slot.coming.popleft()
                    taken.append((number, slot, row, jpeg))
                if is_last:
                    slot.coming.clear()
        return taken

    def _slot_for(self, source_id: str) -> int | None:
        """Return the place of a source if a picture of it is to be taken now."""
        now = self._clock()
        slow = 1 if self._watched(now) else _UNWATCHED
        with self._lock:
            number = self._place_of(source_id, now)
            if number is None or now - self._taken_at < _EVERY_ANY_S * slow:
                return None
            slot = self._slots[number]
            if now - slot.taken_at < _EVERY_S * slow:
                return None
            slot.taken_at = self._taken_at = now
            return number

    def _place_of(self, source_id: str, now: float) -> int | None:
        """Return the place of a source; a new one takes a free place, or that of a silent one."""
        for number, slot in enumerate(self._slots):
            if slot.source_id == source_id:
                slot.seen_at = now
                return number
        fresh = _Slot(source_id, seen_at=now, taken_at=float("-inf"))
        if len(self._slots) < N_SLOTS:
            self._slots.append(fresh)
            return len(self._slots) - 1
        oldest = min(range(N_SLOTS), key=lambda number: self._slots[number].seen_at)
        if now - self._slots[oldest].seen_at < _STALE_S:
            return None
        self._slots[oldest] = fresh
        return oldest

    def _watched(self, now: float) -> bool:
        if now - self._asked_at >= 1:
            self._asked_at, self._is_watched = now, self._ask()
        return self._is_watched


def _key(row: Row) -> tuple[Any, ...]:
    """Return what tells an image of a run from all others."""
    return row["source_id"], row["sequence"], row["uri"]


def _hidden(record: ImageRecord) -> Any:
    """Return the pixels with the faces of strangers blurred, uint8 [H, W, 3]."""
    faces = record.faces
    if faces is None or not len(faces):
        return record.pixels
    pixels = record.pixels.copy()
    scale = np.float32(pixels.shape[1] / record.width)
    blur_boxes(pixels, faces.strangers_xyxy * scale)
    return pixels
