"""Streams for tests, importable by name in every worker."""

import time
from dataclasses import dataclass

import numpy as np

from sightflow.protocols import Context
from sightflow.records import EncodedImage, Rejected
from sightflow.testing import an_origin, encode_image

__all__ = ["Offered"]


@dataclass(frozen=True)
class Offered:
    """Small pictures, one after the other, each a little brighter; some are broken or missing."""

    n_images: int
    interval_s: float = 0.0
    broken: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()

    def open_stream(self, context: Context, position: str | None) -> "_Stream":
        """Return the stream, at a position: the number of the next picture."""
        return _Stream(self, int(position or 0))


class _Stream:
    def __init__(self, source: Offered, number: int) -> None:
        self._source = source
        self._number = number
        self._due = time.monotonic()

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | None:
        wait = self._due - time.monotonic()
        if self.ended() or wait > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, wait))
        self._due += self._source.interval_s
        number, self._number = self._number, self._number + 1
        origin = an_origin(sequence=number, name=f"{number}.jpg", event_time_ms=number)
        if number in self._source.missing:
            return Rejected(origin, "read", "unreadable", "the camera is covered")
        picture = encode_image(np.full((24, 32, 3), number % 256, np.uint8))
        return EncodedImage(origin, picture[:40] if number in self._source.broken else picture)

    def ended(self) -> bool:
        return self._number >= self._source.n_images

    def position(self) -> str:
        return str(self._number)
