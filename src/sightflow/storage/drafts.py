"""Files and folders that appear at once: written beside their final place, then renamed."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sightflow.errors import OutputError, OutputExistsError

__all__ = [
    "check_files",
    "check_folder",
    "discard_drafts",
    "lock",
    "new_folder",
    "replace_durably",
    "replacing",
    "writing",
]

_DRAFT = ".publishing-"
"""How the draft of a folder begins."""


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
    """Give a path to write to; rename it to `path` if all went well, else remove it.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path), _draft_of(path) as draft:
        yield draft


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make what the file system raises into `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def replace_durably(path: Path, data: bytes) -> None:
    """Write a file that is there after a power failure as well.

    Raises:
        OSError: it cannot be written.
    """
    with _draft_of(path) as draft:
        _write_through(draft, data)
    _flush_folder(path.parent)


def new_folder(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Write a folder that appears with all its files at once, and outlives a power failure.

    Returns:
        Whether it was made; False when there is one of this name, which stays as it is.

    Raises:
        OSError: it cannot be written.
    """
    draft = folder.with_name(f"{_DRAFT}{uuid.uuid4().hex}")
    draft.mkdir(parents=True)
    try:
        for name, data in files.items():
            _write_through(draft / name, data)
        _flush_folder(draft)
        os.rename(draft, folder)  # fails where a folder is that is not empty
        _flush_folder(folder.parent)
    except OSError:
        if not folder.exists():
            raise
        return False
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def discard_drafts(folder: Path) -> None:
    """Remove what died before its `new_folder` in this folder was complete."""
    for draft in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft, ignore_errors=True)


def lock(file: IO[Any], *, wait: bool = False) -> bool:
    """Reserve a file for this process until it is closed; False when another one has it.

    Args:
        file: open; its lock lies in the file system, not in the file.
        wait: until the other one has closed it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """Give a path beside `path` that no other writer has; rename it if all went well."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _write_through(path: Path, data: bytes) -> None:
    """Write a file through to the disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Write the names in a folder through to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
