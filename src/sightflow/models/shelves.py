"""Where the versions of models lie: a folder of this machine, or an object store."""

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sightflow.errors import ModelError, RegistryError, SightflowError
from sightflow.storage.drafts import discard_drafts, lock, new_folder, replace_durably

__all__ = ["COMPLETE", "LocalFolder", "ObjectStore", "Shelves", "open_shelves"]

COMPLETE = "version.json"
"""The last file of a version; without it there is no version."""

FilesOf = Callable[[int], Mapping[str, bytes]]
"""The files of a version by their names, for the number that it gets."""

_CLAIM = "claim"
_NUMBER = re.compile(r"\d{8}")


class Shelves(Protocol):
    """A place with models, and with their versions in `NAME/versions/00000001`.

    Every method raises `ModelError` when the storage fails, and `FileNotFoundError` when a file
    that is read is not there.
    """

    def names(self) -> list[str]:
        """Return the names of the models that have a version, sorted."""

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the complete versions of a model, in order."""

    def read(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes of files."""

    def replace(self, path: str, data: bytes) -> None:
        """Write a file; who reads it meanwhile gets the old one or the new one."""

    def add(self, name: str, files_of: FilesOf) -> int:
        """Write a version with the next number, all of it or nothing, and return the number."""

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Return a context in which nobody else changes this model, where there are locks."""

    def folder(self, path: str) -> Path | None:
        """Return where a folder lies on this machine; None for another place."""


def open_shelves(url: str) -> Shelves:
    """Return the shelves at a path or URL; nothing has to be there yet.

    Raises:
        RegistryError: there is no such kind of storage, or what reads it is not installed.
    """
    if "://" not in url:
        return LocalFolder(Path(url))
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise RegistryError(f"registry {url}: cannot be opened: {error}") from error
    if "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,)):
        return LocalFolder(Path(root))
    return ObjectStore(url, fs, root)


class LocalFolder:
    """A folder of this machine, or one that is mounted.

    One publisher at a time holds the lock of a model. A version is written into a folder beside
    its final one, which is renamed: a name that is taken by then is never replaced, so that two
    publishers do not get the same number even where locks do not work, as on some network disks.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder; it is made when it is first written to."""
        self._root = root

    def names(self) -> list[str]:
        """Return the names of the models that have a version, sorted."""
        with _translated(self._root):
            return sorted(name for name in _listed(self._root) if self.numbers(name))

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the complete versions of a model, in order."""
        folder = self._root / name / "versions"
        with _translated(folder):
            return [n for n in _taken(folder) if (folder / _digits(n) / COMPLETE).is_file()]

    def read(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes of files."""
        with _translated(self._root):
            return [(self._root / path).read_bytes() for path in paths]

    def replace(self, path: str, data: bytes) -> None:
        """Write a file; who reads it meanwhile gets the old one or the new one."""
        with _translated(self._root / path):
            replace_durably(self._root / path, data)

    def add(self, name: str, files_of: FilesOf) -> int:
        """Write a version with the next number, all of it or nothing, and return the number."""
        folder = self._root / name / "versions"
        with _translated(folder):
            while True:
                number = max(_taken(folder), default=0) + 1
                if new_folder(folder / _digits(number), files_of(number)):
                    return number

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the lock of a model; remove what publishers that died have left."""
        folder = self._root / name
        with _translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            mark = open(folder / ".lock", "wb")  # noqa: SIM115 - closed below
        with mark:
            with _translated(folder):
                lock(mark, wait=True)
            discard_drafts(folder / "versions")
            yield

    def folder(self, path: str) -> Path | None:
        """Return where a folder lies."""
        return self._root / path


class ObjectStore:
    """A place that fsspec reaches: `s3://`, `gs://`, `memory://` and so on.

    A publisher claims a number with a file that is written only if it is not there, then writes
    the files, `version.json` last. S3, Google Cloud Storage and memory keep that promise. A store
    without such writes replaces the file: who finds another's claim in it takes the next number,
    but two that write at the same moment may both think that it is theirs.

    There are no locks. Two promotions at the same moment: the later one counts, and the other may
    be missing in the history. The same step of a run published twice at the same moment gives two
    versions.
    """

    def __init__(self, url: str, fs: Any, root: str) -> None:
        """Keep the file system of fsspec, and the path in it."""
        self._url, self._fs, self._root = url, fs, root.rstrip("/")

    def names(self) -> list[str]:
        """Return the names of the models that have a version, sorted."""
        with self._translated():
            self._fs.invalidate_cache()  # some file systems remember what they listed
            try:
                listed = self._fs.ls(self._root or "/", detail=False)
            except FileNotFoundError:
                return []
        names = [path.rstrip("/").rpartition("/")[2] for path in listed]
        return sorted(name for name in names if self.numbers(name))

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the complete versions of a model, in order."""
        found = re.compile(rf"(\d{{8}})/{re.escape(COMPLETE)}")
        matches = [found.fullmatch(path) for path in self._find(f"{name}/versions")]
        return sorted(int(match[1]) for match in matches if match)

    def read(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes of files."""
        if not paths:
            return []
        with self._translated():
            found = self._fs.cat([self._path(path) for path in paths])
            return [found[self._fs._strip_protocol(self._path(path))] for path in paths]

    def replace(self, path: str, data: bytes) -> None:
        """Write a file; who reads it meanwhile gets the old one or the new one."""
        with self._translated(path):
            self._fs.pipe_file(self._path(path), data)

    def add(self, name: str, files_of: FilesOf) -> int:
        """Write a version with the next number, all of it or nothing, and return the number."""
        number = 0
        while True:
            folders = [path.partition("/")[0] for path in self._find(f"{name}/versions")]
            taken = [int(folder) for folder in folders if _NUMBER.fullmatch(folder)]
            number = max([number, *taken]) + 1
            folder = f"{name}/versions/{_digits(number)}"
            if self._claim(folder):
                break
        files = files_of(number)
        for file in sorted(files, key=lambda file: file == COMPLETE):
            self.replace(f"{folder}/{file}", files[file])
        return number

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Lock nothing: an object store has no locks."""
        yield

    def folder(self, path: str) -> Path | None:
        """Return None: it is not on this machine."""
        return None

    def _claim(self, folder: str) -> bool:
        """Return whether a number is now ours."""
        path, mine = self._path(f"{folder}/{_CLAIM}"), uuid.uuid4().hex.encode()
        with self._translated(folder):
            try:
                self._fs.pipe_file(path, mine, mode="create")
            except FileExistsError:
                return False
            return bool(self._fs.cat_file(path) == mine)

    def _translated(self, path: str = "") -> AbstractContextManager[None]:
        # The clients of object stores have no common root of their errors.
        return _translated(f"{self._url}/{path}".rstrip("/"), Exception)

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _find(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder, relative to it, as they are now."""
        place = self._path(folder).rstrip("/")
        with self._translated(folder):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(place)
            except FileNotFoundError:
                return []
        start = self._fs._strip_protocol(place).rstrip("/") + "/"
        return [path.removeprefix(start) for path in found]


def _digits(number: int) -> str:
    return f"{number:08d}"


def _listed(folder: Path) -> list[str]:
    """Return what is in a folder; nothing where there is none."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _taken(folder: Path) -> list[int]:
    """Return the numbers that are in use, of incomplete versions too, in order."""
    return sorted(int(name) for name in _listed(folder) if _NUMBER.fullmatch(name))


@contextmanager
def _translated(where: object, kind: type[Exception] = OSError) -> Iterator[None]:
    """Make what a storage raises into `ModelError`; a file that is not there stays what it is."""
    try:
        yield
    except (SightflowError, FileNotFoundError):
        raise
    except kind as error:
        raise ModelError(f"registry, {where}: cannot be read or written: {error}") from error
