"""A stream that offers pictures at a fixed rate whatever happens, and a sink that times results."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightflow.protocols import Context
from sightflow.records import EncodedImage, Origin, Row
from sightflow.records.ledger import Summary

__all__ = ["OpenLoop", "Stopwatch"]


@dataclass(frozen=True)
class OpenLoop:
    """Pictures of a folder, offered one by one as bytes; `event_time_ms` says when.

    The times are a schedule: a picture that is taken late was offered when its time was.
    """

    pictures: str
    n_images: int
    images_per_s: float
    """Infinity offers everything at once."""
    poisson: bool = False
    """Random arrivals, instead of one after each 1 / `images_per_s`."""

    def open_stream(self, context: Context, position: str | None) -> "_Offer":
        """Return the stream; it cannot go on at a position."""
        return _Offer(self)


class _Offer:
    def __init__(self, source: OpenLoop) -> None:
        self._source = source
        files = sorted(Path(source.pictures).glob("*.jpg"))
        self._pictures = [file.read_bytes() for file in files]
        self._number = 0
        self._random = random.Random(0)
        self._due = time.time()

    def poll(self, timeout_s: float) -> EncodedImage | None:
        wait = self._due - time.time()
        if self.ended() or wait > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, wait))
        number, rate = self._number, self._source.images_per_s
        origin = Origin(f"{number}", "offered", number, int(self._due * 1000), f"{number}.jpg")
        self._number += 1
        self._due += self._random.expovariate(rate) if self._source.poisson else 1 / rate
        return EncodedImage(origin, self._pictures[number % len(self._pictures)])

    def ended(self) -> bool:
        return self._number >= self._source.n_images

    def position(self) -> str:
        return str(self._number)


@dataclass(frozen=True)
class Stopwatch:
    """Writes for each result when it was offered and when it was out, in milliseconds since 1970.

    It must be the last sink: a result is out when the sinks before it have let it go.
    """

    path: str

    def check(self) -> None:
        """Accept any path."""

    def outputs(self) -> Sequence[str]:
        """Return the file."""
        return (self.path,)

    def open_results(self, position: tuple[int, ...] | None) -> "_Times":
        """Return a writer; it cannot go on at a position."""
        return _Times(self.path)

    def commit(self, summary: Summary) -> None:
        """Leave the file as it is."""

    def discard(self) -> None:
        """Leave the file as it is."""


class _Times:
    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._path.write_text("")
        self._new: list[int] = []

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        self._new += [row["event_time_ms"] for row in rows]

    def position(self) -> tuple[int, ...]:
        now = time.time() * 1000
        with open(self._path, "a", encoding="utf-8") as file:
            file.writelines(json.dumps((offered, now)) + "\n" for offered in self._new)
        self._new.clear()
        return (0,)

    def close(self) -> None:
        """Nothing is open."""
