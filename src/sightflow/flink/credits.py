"""Credits: how many images of a stream may be on their way to the workers.

Flink's buffers hold dozens of images before they make the reader wait. A live stream would then be
seconds behind although it leaves images out. The reader and the workers of a job share one Python
process (thread mode), so that they can count together.
"""

import threading
from pathlib import Path

from sightflow.protocols import Polled, Stream

__all__ = ["Credits", "Rationed", "credits_of"]


class Credits:
    """How many images are on their way; shared by the reader and the workers of a job."""

    def __init__(self) -> None:
        """Begin with none on their way."""
        self._changed = threading.Condition()
        self._n_away = 0

    def reset(self) -> None:
        """Forget those on their way: a job that restarts sends them again."""
        with self._changed:
            self._n_away = 0

    def wait(self, limit: int, timeout_s: float) -> bool:
        """Return whether fewer than `limit` are on their way, or are after at most so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n_away < limit, timeout_s)

    def take(self) -> None:
        """Send one."""
        with self._changed:
            self._n_away += 1

    def give(self) -> None:
        """Say that a worker is done with one."""
        with self._changed:
            self._n_away = max(0, self._n_away - 1)
            self._changed.notify()


_CREDITS: dict[Path, Credits] = {}
_MAKING = threading.Lock()


def credits_of(job: Path) -> Credits:
    """Return the credits of a job, by the folder of its run."""
    with _MAKING:
        for ended in [path for path in _CREDITS if not path.exists()]:
            del _CREDITS[ended]
        return _CREDITS.setdefault(job, Credits())


class Rationed:
    """A stream from which no more is taken while too much of it is on the way."""

    def __init__(self, stream: Stream, credits: Credits, limit: int) -> None:
        """Take the stream, and how many of its images may be on their way."""
        self._stream = stream
        self._credits = credits
        self._limit = limit

    def poll(self, timeout_s: float) -> Polled | None:
        """Return the next image, or None when none came or may be taken in this time."""
        if not self._credits.wait(self._limit, timeout_s):
            return None
        return self._stream.poll(timeout_s)

    def ended(self) -> bool:
        """Return whether nothing will come any more."""
        return self._stream.ended()

    def position(self) -> str:
        """Return where the stream stands."""
        return self._stream.position()
