"""Files that appear at once: written beside their final place, then renamed."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sightflow.errors import JobError, OutputExistsError
from sightflow.records import Row, to_json

__all__ = ["StagedLines", "refuse_existing", "replacing", "staged"]


def staged(path: Path) -> Path:
    """Return where a file is written until it is complete."""
    return path.with_name(f".{path.name}.partial")


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if there is something at `path` that must not be overwritten."""
    occupied = any(path.iterdir()) if path.is_dir() else path.exists()
    if occupied and not overwrite:
        raise OutputExistsError(
            f"{path}: exists already; choose another path, or use `overwrite: true` (--overwrite)"
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; rename it to `path` if all went well, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


class StagedLines:
    """A file of JSON lines under construction, which can go on at a position of a checkpoint."""

    def __init__(self, path: Path, position: int) -> None:
        """Open the staged form of `path` and cut off what came after `position`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = staged(path)
        self._file = open(self._path, "ab" if position else "wb")  # noqa: SIM115 - see close()
        if self._file.tell() < position:
            raise JobError(
                f"{self._path}: has {self._file.tell()} bytes; the checkpoint needs {position}; "
                "start the run anew"
            )
        self._file.truncate(position)

    def append(self, rows: Sequence[Row]) -> None:
        """Append rows, a line each."""
        self._file.write(b"".join(to_json(row) + b"\n" for row in rows))

    def position(self) -> int:
        """Return the length of what has been handed to the operating system."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Close the file and leave it staged."""
        self._file.close()
