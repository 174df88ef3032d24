"""Files that appear at once: written beside their final place, then renamed."""

import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sightflow.errors import JobError, OutputError, OutputExistsError
from sightflow.records import Row, to_json

__all__ = [
    "StagedLines",
    "check_files",
    "check_folder",
    "discard_staged",
    "lock",
    "replacing",
    "staged",
]


def staged(path: Path) -> Path:
    """Return where a file is written until it is complete."""
    return path.with_name(f".{path.name}.partial")


def check_files(paths: Iterable[str], *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if one of these files exists and must not be overwritten."""
    for path in map(Path, paths):
        if path.is_dir():
            raise OutputExistsError(f"{path}: is a folder; a file is needed here")
        _refuse(path, occupied=path.exists(), overwrite=overwrite)
        _check_writable(path.parent)


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if this folder is a file, or holds something that must stay."""
    if path.exists() and not path.is_dir():
        raise OutputExistsError(f"{path}: is a file; a folder is needed here")
    _refuse(path, occupied=path.is_dir() and any(path.iterdir()), overwrite=overwrite)
    _check_writable(path)


def _refuse(path: Path, *, occupied: bool, overwrite: bool) -> None:
    if occupied and not overwrite:
        raise OutputExistsError(
            f"{path}: exists already; choose another path, or use `overwrite: true` (--overwrite)"
        )


def _check_writable(folder: Path) -> None:
    """Raise `OutputError` unless files can be made below the nearest folder that exists."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise OutputError(f"{folder}: no file can be made there; {nearest} does not allow it")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; rename it to `path` if all went well, else remove it."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make what the file system raises into `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def lock(file: IO[bytes]) -> bool:
    """Reserve a file for this run until it is closed; False when another run has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
        with _writing(path):
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
