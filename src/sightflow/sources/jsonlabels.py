"""Labels from lines of JSON, also while they are written."""

import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from sightflow.errors import SourceError
from sightflow.protocols import Context
from sightflow.records import Label, Origin, Rejected

__all__ = ["JsonLabels"]

_LOOK_EVERY_S = 0.05
_PART = 1 << 20
_MAX_LINE = 1 << 20
_LARGEST = (1 << 62) - 1
_MARK = b"\xef\xbb\xbf"
"""With which some editors begin a file of UTF-8."""


class _Line(msgspec.Struct):
    source_id: str
    sequence: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
    label: Annotated[str, msgspec.Meta(min_length=1)] | None
    event_time_ms: Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)] | None = None


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_LINES = msgspec.json.Decoder(_Line)


@dataclass(frozen=True)
class JsonLabels:
    """The labels in a file of JSON lines, which may still grow.

    A line has `source_id`, `sequence` and `label`, as a result has, and may have `event_time_ms`;
    what else it has does not matter. `null` as the label says that nobody will ever tell. A line
    that is none of that is rejected. While the file is followed, a line needs its end.
    """

    path: str
    follow: bool = True
    """Whether lines are waited for that are not there yet; so is the file itself."""

    def open_labels(self, context: Context, position: str | None) -> "LabelLines":
        """Return the labels, from the first or from a position.

        Raises:
            SourceError: there is no such file, and none is waited for.
        """
        if not self.follow and not Path(self.path).is_file():
            raise SourceError(f"{self.path}: no such file; `follow` would wait for it")
        return LabelLines(self, context.step, int(position or 0))


class LabelLines:
    """The lines of a file; only whole lines are taken."""

    def __init__(self, source: JsonLabels, step: str, start: int) -> None:
        """Begin at a byte of the file."""
        self._path, self._follow, self._step = source.path, source.follow, step
        self._next = start
        """Byte behind the last line that was taken."""
        self._lines = deque[bytes]()
        """Those behind it that were read."""
        self._rest = b""
        """A part of a line behind them."""

    def poll(self, timeout_s: float) -> Label | Rejected | None:
        """Return the next label, or why a line is none; None where nothing came in this time.

        Raises:
            SourceError: the file is shorter than what was read of it.
        """
        until = time.monotonic() + timeout_s
        while True:
            if (line := self._line()) is not None:
                start, self._next = self._next, self._next + len(line)
                if line.strip():
                    return self._parsed(line, start)
            elif (rest_s := until - time.monotonic()) > 0 and not self.ended():
                time.sleep(min(_LOOK_EVERY_S, rest_s))
            else:
                return None

    def ended(self) -> bool:
        """Return whether all is read and none is waited for."""
        return not self._follow and self._next >= self._size()

    def position(self) -> str:
        """Return the byte behind the last line."""
        return str(self._next)

    def _line(self) -> bytes | None:
        """Return the next line if all of it is there."""
        if self._lines:
            return self._lines.popleft()
        size, start = self._size(), self._next + len(self._rest)
        if size > start:
            self._read(start)
        if self._lines:
            return self._lines.popleft()
        is_last = not self._follow and self._next + len(self._rest) == size
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

    def _size(self) -> int:
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
        if size < self._next:
            raise SourceError(
                f"{self._path}: has {size} bytes, of which {self._next} were read; lines may only "
                "be added at its end"
            )
        return size

    def _parsed(self, line: bytes, start: int) -> Label | Rejected:
        try:
            text = line.removeprefix(_MARK) if start == 0 else line
            return Label(*msgspec.structs.astuple(_LINES.decode(text)))
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            now_ms = int(time.time() * 1000)
            name = f"labels/{os.path.basename(self._path)}-{start}"
            origin = Origin(f"{self._path}#{start}", self._path, start, now_ms, name)
            message = f"byte {start}: a label needs `source_id`, `sequence`, `label`: {error}"
            return Rejected(origin, self._step, "bad_label", message)
