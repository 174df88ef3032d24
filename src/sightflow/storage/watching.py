"""What is in a folder at a moment, for those who look again and again."""

import fnmatch
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from sightflow.errors import SourceError
from sightflow.storage.files import inside, is_file, modified_ms, split_uri, storage_errors

__all__ = ["LocalFolder", "Place", "Seen", "StoredFolder", "is_temporary", "place_of"]

_MS = 1_000_000
_TEMPORARY = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".temp", ".swp", "~")
_OBJECT_TIMES = ("LastModified", "updated", "last_modified")
"""What object stores call the time of an object, of which there is only the whole."""


class Seen(NamedTuple):
    """A file as it was when it was listed."""

    path: str
    """Relative to the folder, with `/`."""
    arrived_ns: int
    """When it came to be there as it is, by the clock of the storage: on this machine the time of
    the last change of its node, which nobody can set; elsewhere when it was modified."""
    modified_ns: int
    """When its content was written, as its writer says."""
    tag: int | str
    """Size in bytes, or what the storage calls its content; with the time it is its version."""
    is_whole: bool
    """Whether it cannot be half-written."""
    moved_with: str = ""
    """The outermost folder that came since, and brought it along."""
    moved_ns: int = 0
    """When that folder came."""


class Place(Protocol):
    """A folder that can be listed."""

    def uri(self, path: str) -> str:
        """Return the URI of a file in it."""

    def files(self, known: Collection[str], since_ns: int) -> Iterator[Seen]:
        """List its files; a folder that is not known, and has changed since, has come.

        Raises:
            OSError: it is not there, or the storage fails.
        """

    @property
    def folders(self) -> Collection[str]:
        """The folders in it that the last listing has seen, where they can be moved."""


def place_of(path: str, *, pattern: str = "*", recursive: bool = True) -> Place:
    """Return a folder of this machine or of a storage that fsspec knows.

    Args:
        path: of the folder, or its URL.
        pattern: for the names of files, upper and lower case alike.
        recursive: whether folders in it are listed.

    Raises:
        SourceError: the storage is not known, or it is an archive.
    """
    path = os.path.expanduser(path)
    if split_uri(path)[2] or path.startswith("zip://"):
        raise SourceError(f"{path}: an archive does not grow; watch a folder")
    wanted = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    if "://" not in path:
        return LocalFolder(path, path, wanted, recursive)
    try:
        with storage_errors():
            fs, root = url_to_fs(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be listed: {error}") from error
    if isinstance(fs, LocalFileSystem):
        return LocalFolder(root, f"file://{root}", wanted, recursive)
    return StoredFolder(fs, root, split_uri(path)[0], wanted, recursive)


def is_temporary(name: str) -> bool:
    """Return whether a file or folder of this name is not meant to be read: hidden, or unfinished.

    Examples:
        >>> [
        ...     name
        ...     for name in ("a.jpg", ".a.jpg", "a.jpg.part", "A.TMP", "a~")
        ...     if is_temporary(name)
        ... ]
        ['.a.jpg', 'a.jpg.part', 'A.TMP', 'a~']
    """
    return name.startswith(".") or name == "_temporary" or name.lower().endswith(_TEMPORARY)


@dataclass
class LocalFolder:
    """A folder of this machine, or one that is mounted on it."""

    root: str
    shown: str
    """The folder, as URIs begin."""
    wanted: re.Pattern[str]
    recursive: bool
    folders: set[str] = field(default_factory=set)

    def uri(self, path: str) -> str:
        """Return the path of a file."""
        return f"{self.shown.rstrip('/')}/{path}"

    def files(self, known: Collection[str], since_ns: int) -> Iterator[Seen]:
        """List its files, folder by folder; what goes meanwhile is left out.

        When something is moved its node changes: of a file that of the file, of a folder that of
        the folder and not those of the files in it.
        """
        self.folders = set()
        waiting = [("", "", 0)]
        while waiting:
            folder, moved_with, moved_ns = waiting.pop()
            for entry in self._entries(folder):
                path = f"{folder}{entry.name}"
                if (found := _status(entry)) is None:
                    continue
                status, arrived_ns = found
                if stat.S_ISREG(status.st_mode):
                    if not self.wanted.match(entry.name):
                        continue
                    content = status.st_mtime_ns, status.st_size
                    yield Seen(path, arrived_ns, *content, False, moved_with, moved_ns)
                elif self.recursive and entry.is_dir(follow_symlinks=False):
                    self.folders.add(path)
                    has_come = path not in known and status.st_ctime_ns >= since_ns
                    came = (path, status.st_ctime_ns) if has_come else ("", 0)
                    waiting.append((f"{path}/", *((moved_with, moved_ns) if moved_with else came)))

    def _entries(self, folder: str) -> Iterator["os.DirEntry[str]"]:
        """Yield what is in a folder and is meant to be read; of one that is gone nothing."""
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                yield from (entry for entry in entries if not is_temporary(entry.name))
        except FileNotFoundError:
            if not folder:
                raise


def _status(entry: "os.DirEntry[str]") -> tuple[os.stat_result, int] | None:
    """Return what is known of an entry, or of what it links to, and when it came; None: it is gone.

    When a link came its target does not know. One that leads nowhere, to itself or through a file
    counts as gone.
    """
    try:
        status = entry.stat()
        if not entry.is_symlink():
            return status, status.st_ctime_ns
        return status, max(status.st_ctime_ns, entry.stat(follow_symlinks=False).st_ctime_ns)
    except FileNotFoundError:
        return None
    except OSError:
        if entry.is_symlink():
            return None
        raise


@dataclass
class StoredFolder:
    """A folder, or all keys that begin with it, of a storage that fsspec knows."""

    fs: Any
    root: str
    protocol: str
    wanted: re.Pattern[str]
    recursive: bool
    folders: frozenset[str] = frozenset()
    """None: there is no moving of folders."""

    def uri(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{self.protocol}{self.root.rstrip('/')}/{path}"

    def files(self, known: Collection[str], since_ns: int) -> Iterator[Seen]:
        """List its files; there need not be any yet."""
        depth = None if self.recursive else 1
        with storage_errors():
            self.fs.invalidate_cache()
            found = self.fs.find(self.root, maxdepth=depth, detail=True)
        for key, info in found.items():
            path = inside(key.removeprefix(self.root).lstrip("/"))
            is_wanted = is_file(key, info) and self.wanted.match(os.path.basename(path))
            if is_wanted and not any(map(is_temporary, path.split("/"))):
                yield self._seen(path, info)

    def _seen(self, path: str, info: dict[str, Any]) -> Seen:
        """Return what is known of a file.

        Raises:
            SourceError: nobody knows when it was modified.
        """
        time_ns = modified_ms(info) * _MS
        if not time_ns:
            raise SourceError(f"{self.uri(path)}: must have a time; this storage tells none")
        tag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("size") or 0
        return Seen(path, time_ns, time_ns, tag, any(name in info for name in _OBJECT_TIMES))
