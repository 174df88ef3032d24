"""The lines of a file, also while it is written: only whole lines are taken."""

import os
import time
from collections import deque

from sightflow.errors import SourceError

__all__ = ["GrowingLines"]

_LOOK_EVERY_S = 0.05
_PART = 1 << 20
_MAX_LINE = 1 << 20
_MARK = b"\xef\xbb\xbf"
"""With which some editors begin a file of UTF-8."""


class GrowingLines:
    """The lines of a file from a byte on, in order."""

    def __init__(self, path: str, start: int, *, follow: bool) -> None:
        """Begin at a byte of the file.

        Args:
            path: of the file, which need not be there yet if it is followed.
            start: byte behind the last line that was taken before.
            follow: whether lines are waited for that are not there yet; then a line needs its end.
        """
        self._path, self._follow = path, follow
        self.next = start
        """Byte behind the last line that was taken."""
        self._lines = deque[bytes]()
        """Those behind it that were read."""
        self._rest = b""
        """A part of a line behind them."""

    def poll(self, timeout_s: float) -> tuple[int, bytes] | None:
        """Return where the next line that is not empty begins, and the line; None: none came.

        Raises:
            SourceError: the file is shorter than what was read of it, or cannot be read.
        """
        until = time.monotonic() + timeout_s
        while True:
            if (line := self._line()) is not None:
                start, self.next = self.next, self.next + len(line)
                if line.strip():
                    return start, line.removeprefix(_MARK) if start == 0 else line
            elif (rest_s := until - time.monotonic()) > 0 and not self.ended():
                time.sleep(min(_LOOK_EVERY_S, rest_s))
            else:
                return None

    def ended(self) -> bool:
        """Return whether all is read and none is waited for."""
        return not self._follow and self.next >= self.size()

    def size(self) -> int:
        """Return the size of the file; of one that is not there yet, 0.

        Raises:
            SourceError: it is smaller than what was read of it.
        """
        try:
            size = os.stat(self._path).st_size
        except FileNotFoundError:
            size = 0
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from error
        if size < self.next:
            raise SourceError(
                f"{self._path}: has {size} bytes, of which {self.next} were read; lines may only "
                "be added at its end"
            )
        return size

    def _line(self) -> bytes | None:
        """Return the next line if all of it is there."""
        if self._lines:
            return self._lines.popleft()
        size, start = self.size(), self.next + len(self._rest)
        if size > start:
            self._read(start)
        if self._lines:
            return self._lines.popleft()
        is_last = not self._follow and self.next + len(self._rest) == size
        if not self._rest or (not is_last and len(self._rest) < _MAX_LINE):
            return None
        line, self._rest = self._rest, b""
        return line

    def _read(self, start: int) -> None:
        """Read more lines from a byte on."""
        try:
            with open(self._path, "rb") as file:
                file.seek(start)
                data = file.read(_PART)
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from error
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(line + b"\n" for line in lines)
