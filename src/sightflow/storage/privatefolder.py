"""A folder for its owner alone: others can neither read nor write what is in it.

Every file is made with the permissions 0600 before its first byte is written, whatever the umask.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sightflow.errors import GalleryError
from sightflow.storage.drafts import lock, replacing, writing

__all__ = [
    "append_privately",
    "check_others_cannot_write",
    "locked",
    "make_folder",
    "replace_privately",
]

_LOCK = ".lock"
_FOLDER, _FILE = 0o700, 0o600
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_others_cannot_write(folder: Path) -> None:
    """Raise `GalleryError` unless this is a folder into which only its owner can put files.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    mode = folder.stat().st_mode
    if not stat.S_ISDIR(mode):
        raise GalleryError(f"{folder}: is a file; a gallery is a folder")
    if mode & _OTHERS_WRITE:
        raise GalleryError(
            f"{folder}: others can write to it (permissions {stat.S_IMODE(mode):04o}); a gallery "
            f"is for its owner alone: `chmod 700 {folder}`"
        )


def make_folder(folder: Path, names: Iterable[str]) -> None:
    """Make a folder for files of these names; one that is there must have no others.

    Raises:
        GalleryError: others can write to it, or it has other files.
        OutputError: it cannot be made.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(_FOLDER)
        except FileExistsError:
            check_others_cannot_write(folder)
            _check_own(folder, {_LOCK, *names})
        folder.chmod(_FOLDER)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Write to a folder while nobody else does; remove what writers that died have left.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(folder):
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, _FILE)
        with open(handle, "wb") as mark:
            _make_private(handle)
            lock(mark, wait=True)
            for draft in filter(_is_draft, os.listdir(folder)):
                (folder / draft).unlink()
            yield


def replace_privately(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file that appears at once, and is there after a power failure as well.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path):
        with replacing(path) as draft:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE)
            with open(handle, "wb") as file:
                _make_private(handle)
                file.writelines(parts)
                file.flush()
                os.fsync(handle)
        _flush_folder(path.parent)


def append_privately(path: Path, data: bytes, *, start: int) -> None:
    """Let a file go on with these bytes from a place on; what was behind it is gone.

    Args:
        path: of a file that is there.
        data: written at once; of what fails, nothing stays.
        start: the byte at which they begin.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path), open(os.open(path, os.O_WRONLY), "wb", buffering=0) as file:
        file.truncate(start)
        try:
            _write_all(file.fileno(), data, start)
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(start)
            raise


def _flush_folder(folder: Path) -> None:
    """Write the names in a folder through to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes, start: int) -> None:
    rest, place = memoryview(data), start
    while rest:  # Linux writes at most 2 GiB at once
        n_written = os.pwrite(handle, rest, place)
        rest, place = rest[n_written:], place + n_written


def _make_private(handle: int) -> None:
    """Give a file its permissions, of which a umask may have taken some."""
    if stat.S_IMODE(os.fstat(handle).st_mode) != _FILE:
        os.fchmod(handle, _FILE)


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(".partial")


def _check_own(folder: Path, names: set[str]) -> None:
    others = sorted(
        name for name in os.listdir(folder) if name not in names and not _is_draft(name)
    )
    if others:
        raise GalleryError(
            f"{folder}: has other files, such as {others[0]}; a gallery needs a folder of its own"
        )
