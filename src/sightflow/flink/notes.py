"""What is written in the Java process, brought to this one: logs, and events as they happen."""

import logging
from contextlib import ExitStack
from pathlib import Path

__all__ = ["Tail", "keep_notes", "relay"]

_LOGGER = logging.getLogger("sightflow")


def keep_notes(path: Path, resources: ExitStack) -> None:
    """Write what is logged here into a file as well, until `resources` are closed."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    _LOGGER.addHandler(handler)
    resources.callback(handler.close)
    resources.callback(_LOGGER.removeHandler, handler)


class Tail:
    """The file of another process, read to its end again and again."""

    def __init__(self, path: Path) -> None:
        """Begin at its start."""
        self._path = path
        self._position = 0

    def lines(self) -> list[str]:
        """Return the lines that were completed since the last call."""
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._position:
            self._position = 0  # it was begun anew
        with open(self._path, "rb") as file:
            file.seek(self._position)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._position += len(complete) + len(newline)
        return complete.decode("utf-8", "replace").splitlines()


def relay(notes: Tail) -> None:
    """Log what has been logged in the other process."""
    for line in notes.lines():
        _LOGGER.warning(line)
