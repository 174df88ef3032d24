"""Messages for a job as lines of JSON in a file that grows."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sightflow.errors import SourceError
from sightflow.protocols import Context
from sightflow.storage.drafts import lock, writing
from sightflow.storage.growinglines import GrowingLines

__all__ = ["JsonControl", "add_message"]


@dataclass(frozen=True)
class JsonControl:
    """The lines of a file; each is a message once its end is there. `sightflow control` adds them.

    Lines may only be added: what was read of the file stays.
    """

    path: str
    """Of the file, which need not be there yet."""

    path_options: ClassVar[tuple[str, ...]] = ("path",)

    def check(self) -> None:
        """Refuse a folder."""
        if Path(self.path).is_dir():
            raise SourceError(f"{self.path}: is a folder; a file of lines is needed here")

    def open_messages(self, context: Context, position: str | None) -> "ControlLines":
        """Return the lines, from the first or behind a byte."""
        return ControlLines(self.path, int(position or 0))


class ControlLines:
    """The lines of a file; only whole lines are taken."""

    def __init__(self, path: str, start: int) -> None:
        """Begin at a byte of the file."""
        self._path = path
        self._lines = GrowingLines(path, start, follow=True)
        self._end = self._lines.size()
        self._is_caught_up = start >= self._end

    def poll(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return where the next line begins, and the line; None: none came in this time.

        Raises:
            SourceError: the file is shorter than what was read of it.
        """
        found = self._lines.poll(timeout_s)
        self._is_caught_up = self._is_caught_up or found is None or self._lines.next >= self._end
        return None if found is None else (f"{self._path}#{found[0]}", found[1])

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when it was opened."""
        return self._is_caught_up

    def position(self) -> str:
        """Return the byte behind the last line."""
        return str(self._lines.next)


def add_message(path: Path, message: bytes) -> None:
    """Add a line to a file, whole and behind the end of the last one, whoever else adds some.

    The file is made where it is not there; only its owner may read it then: a line may have the
    password of a camera.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b", 0) as file:
            lock(file, wait=True)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            is_whole = file.read(1) in (b"", b"\n")
            file.write((b"" if is_whole else b"\n") + message + b"\n")
            os.fsync(file.fileno())
