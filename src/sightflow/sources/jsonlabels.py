"""Labels from lines of JSON, also while they are written."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from sightflow.errors import SourceError
from sightflow.protocols import Context
from sightflow.records import Label, Origin, Rejected
from sightflow.storage.growinglines import GrowingLines

__all__ = ["JsonLabels"]

_LARGEST = (1 << 62) - 1


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

    path_options: ClassVar[tuple[str, ...]] = ("path",)

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
        self._path, self._step = source.path, step
        self._lines = GrowingLines(source.path, start, follow=source.follow)

    def poll(self, timeout_s: float) -> Label | Rejected | None:
        """Return the next label, or why a line is none; None where nothing came in this time.

        Raises:
            SourceError: the file is shorter than what was read of it.
        """
        found = self._lines.poll(timeout_s)
        return None if found is None else self._parsed(*found)

    def ended(self) -> bool:
        """Return whether all is read and none is waited for."""
        return self._lines.ended()

    def position(self) -> str:
        """Return the byte behind the last line."""
        return str(self._lines.next)

    def _parsed(self, start: int, line: bytes) -> Label | Rejected:
        try:
            return Label(*msgspec.structs.astuple(_LINES.decode(line)))
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            now_ms = int(time.time() * 1000)
            name = f"labels/{os.path.basename(self._path)}-{start}"
            origin = Origin(f"{self._path}#{start}", self._path, start, now_ms, name)
            message = f"byte {start}: a label needs `source_id`, `sequence`, `label`: {error}"
            return Rejected(origin, self._step, "bad_label", message)
