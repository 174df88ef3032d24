"""Files on this machine, in object stores and in archives, through fsspec."""

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from sightflow.errors import SourceError

__all__ = ["Reader", "StoredFile", "list_files"]

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that exists."""

    uri: str
    name: str
    """Path relative to the folder that was listed; the file's own name otherwise."""
    modified_ms: int
    """Milliseconds since 1970, UTC; 0 where the storage does not say."""


def list_files(path: str, *, pattern: str = "*", recursive: bool = True) -> Iterator[StoredFile]:
    """List a file, a folder or a glob, sorted by path.

    Args:
        path: of this machine, or a URL of fsspec: `s3://`, `gs://`, `file://`, `zip://` and so
            on; `zip:///photos.zip` and `photos.zip` are the inside of an archive.
        pattern: for the names of files in a folder, upper and lower case alike.
        recursive: whether folders in a folder are listed.

    Raises:
        SourceError: nothing is there, or the storage cannot be reached.
    """
    url = _inside_archive(path)
    try:
        fs, root = url_to_fs(url)
        if _MAGIC.search(root) and not fs.exists(root):
            found = fs.glob(root, detail=True)
            base = os.path.dirname(_MAGIC.split(root)[0])
        elif fs.isfile(root):
            found, base = {root: fs.info(root)}, os.path.dirname(root)
            pattern = "*"
        elif fs.isdir(root) or root == "":
            found = fs.find(root, detail=True, maxdepth=None if recursive else 1)
            base = root
        else:
            raise SourceError(f"{path}: no such file, folder or pattern")
    except (OSError, ValueError, ImportError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path}: cannot be listed: {error}") from error
    name_pattern = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    for key in sorted(found):
        info = found[key]
        if info.get("type") != "directory" and name_pattern.match(os.path.basename(key)):
            name = os.path.relpath(key, base) if base else key.lstrip("/")
            yield StoredFile(_uri(path, url, key, base), name, _modified_ms(info))


class Reader:
    """Reads files by the URIs that `list_files` gives; keeps each file system open."""

    def __init__(self) -> None:
        """Start with no file system open."""
        self._archives: dict[str, Any] = {}

    def read(self, uri: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            OSError: the storage fails, or the file is gone.
        """
        with self.open(uri) as file:
            data: bytes = file.read()
            return data

    def open(self, uri: str) -> Any:
        """Return the file, open for reading and seeking."""
        if "://" not in uri:
            return open(uri, "rb")
        protocol, separator, archive = uri.partition("::")
        if not separator:
            return fsspec.open(uri, "rb").open()
        if archive not in self._archives:
            kind = protocol.partition("://")[0]
            self._archives[archive] = url_to_fs(f"{kind}://::{archive}")[0]
        return self._archives[archive].open(protocol.partition("://")[2], "rb")


def _inside_archive(path: str) -> str:
    """Return a path to an archive as the URL of what is inside it."""
    if path.startswith("zip://") and "::" not in path:
        return f"zip://::{path.removeprefix('zip://')}"
    if path.endswith(".zip") and "://" not in path:
        return f"zip://::{path}"
    return path


def _uri(path: str, url: str, key: str, base: str) -> str:
    """Return the URI of a listed file, in the words in which the user named the place."""
    if "::" in url:
        protocol, _, archive = url.partition("::")
        return f"{protocol.partition('://')[0]}://{key}::{archive}"
    if "://" in url:
        return f"{url.partition('://')[0]}://{key}"
    if os.path.isfile(path):
        return path
    folder = os.path.dirname(_MAGIC.split(path)[0]) if not os.path.isdir(path) else path
    return os.path.join(folder, os.path.relpath(key, base))


def _modified_ms(info: dict[str, Any]) -> int:
    for key in ("mtime", "LastModified", "updated", "last_modified"):
        value = info.get(key)
        if isinstance(value, datetime):
            return int(value.timestamp() * 1000)
        if isinstance(value, int | float):
            return int(value * 1000)
    return 0
