"""What the reader of a stream logs, brought from the Java process to this one."""

import logging
from contextlib import ExitStack
from pathlib import Path

__all__ = ["Notes", "keep_notes"]

_LOGGER = logging.getLogger("sightflow")


def keep_notes(path: Path, resources: ExitStack) -> None:
    """Write what is logged here into a file as well, until `resources` are closed."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    _LOGGER.addHandler(handler)
    resources.callback(handler.close)
    resources.callback(_LOGGER.removeHandler, handler)


class Notes:
    """The file of another process, read to its end again and again."""

    def __init__(self, path: Path) -> None:
        """Begin at its start."""
        self._path = path
        self._position = 0

    def relay(self) -> None:
        """Log what has come since the last call."""
        if not self._path.exists():
            return
        with open(self._path, encoding="utf-8") as file:
            file.seek(self._position)
            for line in file.read().splitlines():
                _LOGGER.warning(line)
            self._position = file.tell()
