"""The thread that looks at a watched folder, and keeps what it finds until somebody asks."""

import logging
import threading
import time
from collections import deque

from sightflow.errors import SourceError
from sightflow.sources.inventory import Inventory, Listing

__all__ = ["Lookout"]

_LOGGER = logging.getLogger("sightflow.sources.watched")
_SHARE = 0.1
"""The part of the time in which it lists; a large folder is looked at less often."""
_LONGEST_WAIT_S = 60.0
"""Between two attempts, while the folder cannot be listed."""


class Lookout:
    """Looks at a folder every so many seconds, whatever happens to the storage."""

    def __init__(self, shown: str, inventory: Inventory, every_s: float) -> None:
        """Take what looks, and how often; `start` begins."""
        self.n_failures = 0
        """Looks in a row that failed."""
        self._shown, self._inventory, self._every_s = shown, inventory, every_s
        self._changed = threading.Condition()
        self._found: deque[Listing] = deque()
        self._failures: list[Exception] = []
        self._has_looked = False
        self._n_looks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {shown}", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the looking, and wait so long for it; a storage that hangs is not waited for."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def take(self, timeout_s: float) -> list[Listing]:
        """Return what was found since the last time; wait for it if there is nothing.

        Raises:
            SourceError: the folder could not be listed at the first look.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._found or self._failures, timeout_s)
            if self._failures:
                raise self._failures[0]
            found = list(self._found)
            self._found.clear()
            return found

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self._look()
                self._stopping.wait(self._wait_s(time.monotonic() - began))
        except Exception as error:  # whoever polls must learn of it
            with self._changed:
                self._failures.append(error)
                self._changed.notify_all()

    def _wait_s(self, took_s: float) -> float:
        """Return how long to wait after a look; the first takes longer, since it connects."""
        self._n_looks += 1
        wait_s = self._every_s
        if self._n_looks > 1:
            wait_s = max(wait_s, took_s * (1 / _SHARE - 1))
        if self.n_failures:
            wait_s = max(
                wait_s, min(self._every_s * 2.0 ** min(self.n_failures, 30), _LONGEST_WAIT_S)
            )
        return wait_s

    def _look(self) -> None:
        """Look once.

        Raises:
            SourceError: it is the first time, and the folder cannot be listed.
        """
        try:
            listing = self._inventory.look()
        except Exception as error:  # each storage has errors of its own
            if not self._has_looked:
                raise SourceError(f"{self._shown}: {_reason(error)}") from error
            if not self.n_failures:
                _LOGGER.warning("%s: cannot be listed: %s; trying again", self._shown, error)
            self.n_failures += 1
            return
        if self.n_failures:
            _LOGGER.warning("%s: can be listed again", self._shown)
        self.n_failures, self._has_looked = 0, True
        self._tell_overdue()
        with self._changed:
            self._found.append(listing)
            self._changed.notify_all()

    def _tell_overdue(self) -> None:
        n_overdue = self._inventory.n_overdue
        if n_overdue:
            _LOGGER.warning(
                "%s: %d files turned up that are older than `grace_s` allows; they are taken for "
                "files that were read; `touch` those that were not",
                self._shown,
                n_overdue,
            )


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such folder"
    if isinstance(error, NotADirectoryError):
        return "is no folder; Directory reads a file"
    return f"cannot be listed: {error}"
