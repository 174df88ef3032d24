"""The thread that reads a live stream: it connects, waits and connects again, and keeps count."""

import logging
import random
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import dropwhile, islice, takewhile
from typing import Any

from sightflow.errors import DecodeError, SourceError
from sightflow.records import Origin
from sightflow.records.state import StateCodec
from sightflow.sources.connection import Connection, LostError, Picture
from sightflow.sources.mailbox import Arrived, Mailbox

__all__ = ["LivePosition", "Follower", "Waits"]

_LOGGER = logging.getLogger("sightflow.sources.live")

_FAR_S = 10.0
"""A step in the clock of a stream that is longer than this is no pause; the clock was set."""

_N_SEEN = 2000
"""Pictures that are known again when a new connection repeats them: a minute or more."""


@dataclass(frozen=True)
class LivePosition:
    """Where a stream stands."""

    started_ms: int
    """When the stream was first opened."""
    sequence: int = 0
    """Number of the next picture."""
    event_time_ms: int = 0
    """No picture is older."""
    kind: str = "unknown"
    """`live` or `recorded`, once that is known."""

    def encode(self) -> str:
        """Return the place as the text that `decode` reads."""
        return _PLACES.encode(self).decode()

    @staticmethod
    def decode(text: str) -> "LivePosition":
        """Return the place that a text describes."""
        return _PLACES.decode(text.encode())


_PLACES = StateCodec(LivePosition, "place in a live stream", version=1)


@dataclass(frozen=True)
class Waits:
    """How long to wait for what does not come."""

    first_s: float
    longest_s: float
    give_up_s: float | None

    def after(self, n_failures: int, chance: float) -> float:
        """Return the wait in seconds after failures in a row; `chance` in [0, 1] spreads cameras.

        Examples:
            >>> [Waits(1.0, 5.0, None).after(n, 1.0) for n in (1, 2, 3, 4)]
            [1.0, 2.0, 4.0, 5.0]
            >>> Waits(1.0, 5.0, None).after(3, 0.0)
            2.0
        """
        wait: float = min(self.first_s * 2.0 ** min(n_failures - 1, 60), self.longest_s)
        return wait * (0.5 + chance / 2)


class Pace:
    """The clock of a stream, laid over ours: it tells how early a picture is."""

    def __init__(self) -> None:
        """Begin with the next picture."""
        self._zero = -float("inf")

    def early_s(self, time_s: float, now: float) -> float:
        """Return how long to hold back a picture; 0 when it is late."""
        early = self._zero + time_s - now
        if abs(early) > _FAR_S:
            self._zero, early = now - time_s, 0.0
        return max(early, 0.0)


class Follower:
    """Reads all pictures of a stream into a mailbox, whatever happens to the connection."""

    def __init__(
        self,
        name: tuple[str, str],
        place: LivePosition,
        connect: Callable[[ExitStack], Connection],
        waits: Waits,
        *,
        max_fps: float | None,
        n_threads: int,
    ) -> None:
        """Take (address to show, source_id) and where to go on; `start` begins."""
        self.mailbox = Mailbox()
        self.kind = place.kind
        self.gaps_ms: deque[float] = deque()
        """Times without a picture around a new connection, for whoever reports them."""
        self._shown, self._source_id = name
        self._connect, self._waits = connect, waits
        self._interval_s = 1 / max_fps if max_fps else 0.0
        self._n_threads = n_threads
        self._next = place.sequence
        self._time_ms = place.event_time_ms
        self._due = self._last = time.monotonic()
        self._n_failures = 0
        self._seen: deque[tuple[float | None, int]] = deque(maxlen=_N_SEEN)
        self._random = random.Random(self._shown)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"live {self._shown}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the reading: nothing more comes; the thread ends when it is done waiting."""
        self._stopping.set()
        self.mailbox.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._read()
                    break
                except LostError as error:
                    if not self._wait_after(error):
                        break
        except Exception as error:  # whoever polls must learn of it
            self.mailbox.fail(error)
        self.mailbox.close()

    def _read(self) -> None:
        """Read one connection until it has ended, or nobody wants more.

        Raises:
            LostError: the connection broke.
        """
        with ExitStack() as resources:
            connection = self._connect(resources)
            if connection.is_recorded and self.kind == "live":
                _LOGGER.info("%s: the broadcast is over; what is there now was kept", self._shown)
                return
            self.kind = "recorded" if connection.is_recorded else "live"
            first = self._next
            try:
                self._take_from(connection, n_known=first if connection.is_recorded else 0)
            except LostError as error:
                if not connection.is_recorded or self._next > first:
                    raise
                self._arrive(DecodeError("corrupt", f"the recording breaks off: {error}"))
        if self.kind == "live" and not self._stopping.is_set():
            raise LostError("the stream stopped")

    def _take_from(self, connection: Connection, *, n_known: int) -> None:
        pictures: Iterator[Picture] = takewhile(
            lambda _: not self._stopping.is_set(), connection.pictures(self._n_threads)
        )
        pictures = islice(pictures, n_known, None)
        if connection.comes_in_bursts:
            if not connection.is_recorded:
                pictures = self._without_repeated(pictures)
            pictures = self._at_their_speed(pictures)
        for picture in pictures:
            if self._stopping.is_set():
                return
            self._arrive(picture.content)

    def _without_repeated(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """Leave out what the last connection gave: a new one begins some pieces before the end."""
        seen = set(self._seen)
        for picture in dropwhile(lambda picture: _fingerprint(picture) in seen, pictures):
            self._seen.append(_fingerprint(picture))
            yield picture

    def _at_their_speed(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """Hold back pictures that come before their time."""
        pace = Pace()
        for picture in pictures:
            if picture.time_s is not None:
                self._stopping.wait(pace.early_s(picture.time_s, time.monotonic()))
            yield picture

    def _arrive(self, content: Any) -> None:
        """Give a picture its number and its time, and hand it to the mailbox."""
        now = time.monotonic()
        self._time_ms = max(self._time_ms, int(time.time() * 1000))
        number, self._next = self._next, self._next + 1
        origin = Origin(self._shown, self._source_id, number, self._time_ms, f"{number:08d}.jpg")
        self._be_back(now)
        if now < self._due:
            self.mailbox.leave_out(origin)
            return
        self._due += self._interval_s
        if self._due < now:  # after a pause, or at the first picture
            self._due = now + self._interval_s
        self.mailbox.put(Arrived(origin, content))

    def _be_back(self, now: float) -> None:
        """Note that pictures come, and tell if they did not."""
        if self._n_failures:
            gap_s = now - self._last
            _LOGGER.warning("%s: pictures come again, after %.1f s", self._shown, gap_s)
            self.gaps_ms.append(gap_s * 1000)
            self._n_failures = 0
        self._last = now

    def _wait_after(self, lost: LostError) -> bool:
        """Wait before the next attempt; return whether there is one.

        Raises:
            SourceError: there never was a picture, and there will be none.
        """
        gone_s = time.monotonic() - self._last
        give_up_s = self._waits.give_up_s
        is_over = give_up_s is not None and gone_s >= give_up_s
        if self._next == 0 and (lost.remedy or is_over):
            remedy = lost.remedy or f"gave up after {give_up_s:g} s, see `give_up_s`"
            raise SourceError(f"{self._shown}: {lost.reason}; {remedy}")
        if is_over:
            _LOGGER.error("%s: no picture for %.1f s; the stream ends", self._shown, gone_s)
            return False
        if not self._n_failures:
            _LOGGER.warning("%s: no pictures: %s; connecting again", self._shown, lost.reason)
        self._n_failures += 1
        wait = self._waits.after(self._n_failures, self._random.random())
        left = float("inf") if give_up_s is None else give_up_s - gone_s
        self._stopping.wait(min(wait, left))
        return not self._stopping.is_set()


def _fingerprint(picture: Picture) -> tuple[float | None, int]:
    """Return what two pictures share only if they are the same one."""
    planes = getattr(picture.content, "planes", ())
    return picture.time_s, zlib.crc32(planes[0]) if planes else 0
