"""Files on this machine, in object stores and in archives, through fsspec."""

import fnmatch
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from fsspec.core import OpenFile, url_to_fs

from sightflow.errors import SourceError
from sightflow.ops.decode import may_be_picture
from sightflow.storage.naming import as_paths, name_under, short_names

__all__ = [
    "MAX_OPEN_ARCHIVES",
    "Reader",
    "StoredFile",
    "can_be_opened",
    "inside",
    "is_file",
    "list_files",
    "list_named",
    "modified_ms",
    "split_uri",
    "storage_errors",
]

MAX_OPEN_ARCHIVES = 8
"""So many stay open in a reader, those that were read last; the system limits open files."""

_CONTAINERS = ("zip", "tar", "libarchive", "dir")
"""File systems inside of something else: `zip://MEMBER::ARCHIVE`."""
_MAX_BLIND_BYTES = 16 << 20
"""So much of a file is read before it must look like a picture."""
_BLOCK_BYTES = 256 << 10
"""So much is read at first: Python makes room for all it is asked for, however small the file."""

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that exists."""

    uri: str
    name: str
    """Path relative to the folder that was listed; the file's own name otherwise."""
    modified_ms: int
    """Milliseconds since 1970, UTC; 0 where the storage does not say."""


def list_files(
    path: str, *, pattern: str = "*", recursive: bool = True, by_number: bool = False
) -> Iterator[StoredFile]:
    """List a file, a folder or a glob, sorted by path.

    Args:
        path: of this machine, or a URL of fsspec: `s3://`, `gs://`, `file://`, `zip://` and so
            on; `zip:///photos.zip` and `photos.zip` are the inside of an archive.
        pattern: for the names of files in a folder, upper and lower case alike.
        recursive: whether folders in a folder are listed.
        by_number: sort numbers in paths by their value: `9.jpg` comes before `10.jpg`.

    Raises:
        SourceError: nothing is there, or the storage cannot be reached.
    """
    path = os.path.expanduser(path)
    url = _inside_archive(path)
    try:
        with storage_errors():
            fs, root = url_to_fs(url)
            found, base = _find(fs, root, recursive=recursive)
            is_there = bool(found) or not (_MAGIC.search(root) or not fs.exists(root))
    except OSError as error:
        raise SourceError(f"{path}: cannot be listed: {error}") from error
    if not is_there:
        raise SourceError(f"{path}: no such file, folder or pattern")
    name_pattern = re.compile(fnmatch.translate("*" if root in found else pattern), re.IGNORECASE)
    for key in sorted(found, key=_with_numbers if by_number else None):
        info = found[key]
        if is_file(key, info) and name_pattern.match(os.path.basename(key)):
            name = os.path.relpath(key, base) if base else key
            yield StoredFile(_uri(path, url, key, base), inside(name), modified_ms(info))


def list_named(
    paths: str | tuple[str, ...],
    *,
    pattern: str = "*",
    recursive: bool = True,
    by_number: bool = False,
) -> Iterator[tuple[str, int, StoredFile]]:
    """List the files of one path or many: (path, position in it, file with a name of its own).

    The options are those of `list_files`.

    Raises:
        SourceError: nothing is at one of the paths, or the storage cannot be reached.
    """
    listed = as_paths(paths)
    for path, short in short_names(listed):
        found = list_files(path, pattern=pattern, recursive=recursive, by_number=by_number)
        for number, file in enumerate(found):
            name = file.name if len(listed) == 1 else name_under(short, file.name)
            yield path, number, replace(file, name=name)


def _with_numbers(path: str) -> list[tuple[int, str]]:
    """Return a path as what it is sorted by: words, and numbers by their value."""
    parts = re.split(r"(\d+)", path)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]


def _find(fs: Any, root: str, *, recursive: bool) -> tuple[dict[str, Any], str]:
    """Return what is at a path by its key, and the folder that names are relative to."""
    if _MAGIC.search(root) and not fs.exists(root):
        return fs.glob(root, detail=True), os.path.dirname(_MAGIC.split(root)[0])
    if fs.isfile(root):
        return {root: fs.info(root)}, os.path.dirname(root)
    if fs.isdir(root) or root == "":
        strict = {"on_error": "raise"} if "file" in fs.protocol else {}  # no folder goes unseen
        return fs.find(root, detail=True, maxdepth=None if recursive else 1, **strict), root
    return {}, root


def is_file(key: str, info: dict[str, Any]) -> bool:
    """Return whether fsspec tells of a file; some tools mark folders by an object with a `/`."""
    return info.get("type") != "directory" and not key.endswith("/")


def inside(name: str) -> str:
    """Return a relative path that cannot lead out of a folder, whatever an archive says."""
    parts = PurePosixPath(name).parts
    return "/".join("__" if part == ".." else part for part in parts if part != "/")


@contextmanager
def storage_errors() -> Iterator[None]:
    """Make what fsspec and its storages raise into `OSError`.

    Each of them has errors of its own, such as those of a client, and for some URLs there are
    errors of Python; a damaged or encrypted archive has those of the library that reads it.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except KeyError as error:
        raise FileNotFoundError(f"archive: {error.args[0] if error.args else error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise OSError(f"archive: {error}") from error
    except (ValueError, ImportError) as error:
        raise OSError(str(error)) from error
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def can_be_opened(uri: str) -> bool:
    """Return whether files have URIs like this one; what a camera or a broker sends has others."""
    protocol, separator, _ = uri.partition("://")
    return not separator or set(protocol.split("::")) <= set(fsspec.available_protocols())


class Reader:
    """Reads files by their URIs, as `list_files` gives them; keeps the last archives open."""

    def __init__(self) -> None:
        """Start with no archive open."""
        self._archives: dict[str, Any] = {}

    def read(self, uri: str) -> bytes:
        """Return the bytes of a file; only the beginning of a large one that is no picture.

        Raises:
            OSError: the storage fails, the archive is damaged, or the file is gone.
        """
        with storage_errors(), self.open(uri) as file:
            data: bytes = file.read(_BLOCK_BYTES)
            if len(data) == _BLOCK_BYTES:  # memory for more, made ready for each file, costs time
                data += file.read(_MAX_BLIND_BYTES - _BLOCK_BYTES)
            if len(data) == _MAX_BLIND_BYTES and may_be_picture(data):
                data += file.read()
            return data

    def read_all(self, uri: str) -> bytes:
        """Return the bytes of a file, whatever it is.

        Raises:
            OSError: the storage fails, the archive is damaged, or the file is gone.
        """
        with storage_errors(), self.open(uri) as file:
            data: bytes = file.read()
            return data

    def open(self, uri: str) -> Any:
        """Return the file, open for reading and seeking.

        Raises:
            OSError: the storage fails, the archive is damaged, or the file is gone.
        """
        with storage_errors():
            return self._open(uri)

    def _open(self, uri: str) -> Any:
        protocol, path, archive = split_uri(uri)
        if not protocol:
            place = os.path.expanduser(uri)
            if not stat.S_ISREG(os.stat(place).st_mode):
                raise OSError("a pipe, socket or device, not a file")
            return open(place, "rb")
        if archive:
            return self._archive(protocol + archive).open(path, "rb")
        if "::" in path and "://" not in path:  # a name; fsspec would see a chain in it
            return fsspec.filesystem(protocol.removesuffix("://")).open(path, "rb")
        fs, key = url_to_fs(uri)
        return fs.open(key, "rb")

    def _archive(self, url: str) -> Any:
        """Return an archive; where too many are open, that which waited longest is closed."""
        archive = self._archives.pop(url, None) or url_to_fs(url)[0]
        self._archives[url] = archive
        if len(self._archives) > MAX_OPEN_ARCHIVES:
            _close(self._archives.pop(next(iter(self._archives))))
        return archive


def _close(archive: Any) -> None:
    """Close an archive, and those that it is in; other storages have nothing open."""
    while isinstance(archive, AbstractArchiveFileSystem):
        archive.fo.close()
        around = getattr(archive, "of", None)
        archive = around.fs if isinstance(around, OpenFile) else None


def split_uri(uri: str) -> tuple[str, str, str]:
    """Return the path of a file in its URI, with what is before it and behind it.

    Examples:
        >>> split_uri("a::b.jpg")
        ('', 'a::b.jpg', '')
        >>> split_uri("zip://day/a::b.jpg::/photos.zip")
        ('zip://', 'day/a::b.jpg', '::/photos.zip')
        >>> split_uri("zip://a.jpg::tar://photos.zip::/all.tar")
        ('zip://', 'a.jpg', '::tar://photos.zip::/all.tar')
    """
    protocol, separator, path = uri.partition("://")
    if not separator:
        return "", uri, ""
    if protocol.rpartition("::")[2] not in _CONTAINERS or "::" not in path:
        return protocol + separator, path, ""
    member, _, archive = path.rpartition("::")
    while "::" in member and _is_link(member.rpartition("::")[2]):
        member, _, link = member.rpartition("::")
        archive = f"{link}::{archive}"
    return protocol + separator, member, f"::{archive}"


def _is_link(part: str) -> bool:
    """Return whether a part of a URI is a storage inside of another one, and no name."""
    return "://" in part or part in fsspec.available_protocols()


def _inside_archive(path: str) -> str:
    """Return a path to an archive as the URL of what is inside it."""
    if path.startswith("zip://") and "::" not in path:
        return f"zip://::{path.removeprefix('zip://')}"
    if path.endswith(".zip") and "://" not in path and not os.path.isdir(path):
        return f"zip://::{path}"
    return path


def _uri(path: str, url: str, key: str, base: str) -> str:
    """Return the URI of a listed file, in the words in which the user named the place."""
    protocol, _, archive = split_uri(url)
    if archive:
        return f"{protocol}{key}{archive}"
    if protocol:
        return key if "://" in key else f"{protocol}{key}"
    if os.path.isfile(path):
        return path
    folder = os.path.dirname(_MAGIC.split(path)[0]) if not os.path.isdir(path) else path
    return os.path.join(folder, os.path.relpath(key, base))


def modified_ms(info: dict[str, Any]) -> int:
    """Return when a file was modified, by what fsspec tells of it; 0 where that is not known."""
    for key in ("mtime", "LastModified", "updated", "last_modified", "created"):
        value = info.get(key)
        if isinstance(value, datetime):
            return int(value.timestamp() * 1000)
        if isinstance(value, int | float):
            return int(value * 1000)
    return 0
