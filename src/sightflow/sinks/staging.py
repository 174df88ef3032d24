"""Results under construction: lines of JSON that wait beside their final place."""

from collections.abc import Sequence
from pathlib import Path

from sightflow.errors import JobError, OutputExistsError
from sightflow.records import Row, to_json
from sightflow.storage.drafts import lock, writing

__all__ = ["StagedLines", "discard_staged", "staged"]


def staged(path: Path) -> Path:
    """Return where a file is written until it is complete."""
    return path.with_name(f".{path.name}.partial")


def discard_staged(path: Path) -> None:
    """Remove the staged form of a file, unless another run is writing it."""
    try:
        with open(staged(path), "rb") as file:
            if lock(file):
                staged(path).unlink(missing_ok=True)
    except FileNotFoundError:
        pass


class StagedLines:
    """A file of JSON lines under construction, which can go on at a position of a checkpoint."""

    def __init__(self, path: Path, position: int) -> None:
        """Open the staged form of `path` and cut off what came after `position`."""
        self._path = staged(path)
        length = self._path.stat().st_size if position and self._path.exists() else 0
        if length < position:
            raise JobError(
                f"{self._path}: has {length} bytes; the checkpoint needs {position}; "
                "start the run anew"
            )
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "ab")  # noqa: SIM115 - see close()
        if not lock(self._file):
            self._file.close()
            raise OutputExistsError(f"{path}: another run is writing it; choose another path")
        self._file.truncate(position)
        self._file.seek(position)

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
