"""Folders that grow by parts: a part is written where nobody looks, and appears later, at once."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fsspec.core import url_to_fs

from sightflow.errors import JobError, OutputError, OutputExistsError
from sightflow.storage.drafts import check_folder, lock, replace_durably

__all__ = ["PART", "PartFolder"]

PART = "part-"
"""With this the name of each part begins; its number follows."""
_HIDDEN = ".parts"
"""Folder of parts that wait; what reads a folder of Parquet leaves such names out."""
_LOCK = ".parts.lock"
"""File that says whether somebody is writing."""
_NAME = re.compile(rf"{PART}(\d{{8,}})\.\w+")


class PartFolder:
    """A folder of this machine or of an object store, with a subfolder for each kind of part."""

    def __init__(self, url: str) -> None:
        """Take a path, or a URL of fsspec."""
        self._url = url
        self._fs, self._root = url_to_fs(os.path.expanduser(url))
        self._is_local = "file" in self._fs.protocol

    def check(self, *, overwrite: bool) -> None:
        """Raise an error if something is there that must stay, or nothing can be written.

        Parts that wait are what a writer has left that was killed, and need not stay.
        """
        if self._is_local:
            check_folder(Path(self._root), overwrite=True)
        there = {os.path.basename(path.rstrip("/")) for path in self._listed(self._root)}
        if not overwrite and there - {_HIDDEN, _LOCK}:
            raise OutputExistsError(
                f"{self._url}: exists already, and holds something; choose another place, or use "
                "`overwrite: true` (--overwrite)"
            )

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Reserve a folder of this machine for one writer.

        Raises:
            OutputExistsError: another one has it.
        """
        if not self._is_local:
            yield
            return
        os.makedirs(self._root, exist_ok=True)
        with open(f"{self._root}/{_LOCK}", "ab") as mark:
            if not lock(mark):
                raise OutputExistsError(
                    f"{self._url}: another run is writing into it; choose another folder"
                )
            yield

    def hide(self, kind: str, number: int, ending: str, data: bytes) -> None:
        """Write a part that nobody sees yet; it outlives a power failure.

        Raises:
            OutputError: it cannot be written.
        """
        self._write(f"{self._root}/{_HIDDEN}/{kind}/{PART}{number:08d}.{ending}", data)

    def show(self, before: int) -> None:
        """Let all parts with a number below `before` appear, in order."""
        for number, kind, name in sorted(self._hidden()):
            if number < before:
                self._move(f"{self._root}/{_HIDDEN}/{kind}/{name}", f"{self._root}/{kind}", name)

    def cut(self, at: int) -> None:
        """Go on at a part: those before it appear, and those that wait behind are gone.

        Raises:
            JobError: it or a later one is there for all to see: they are of a later state.
        """
        seen = max((number for number, *_ in self._shown()), default=-1)
        if seen >= at:
            raise JobError(
                f"{self._url}: part {seen} is there, and the checkpoint goes on with part {at}; "
                "go on from a newer one, or choose another folder"
            )
        self.show(at)
        self._remove_waiting()

    def discard(self) -> None:
        """Remove all parts that wait, unless somebody is writing them."""
        if self._is_local and not os.path.isdir(self._root):
            return
        with suppress(OutputExistsError), self.taken():
            self._remove_waiting()
            if self._is_local:
                os.unlink(f"{self._root}/{_LOCK}")

    def _remove_waiting(self) -> None:
        """Remove all parts that wait, and what is left of one whose writer was killed."""
        for _, kind, name in self._hidden():
            self._fs.rm_file(f"{self._root}/{_HIDDEN}/{kind}/{name}")
        if self._is_local:
            with suppress(FileNotFoundError):
                shutil.rmtree(Path(self._root, _HIDDEN))

    def clear(self, *, overwrite: bool) -> None:
        """Begin anew: without parts that wait, and without those that are there for all to see.

        Raises:
            OutputExistsError: there are some of these, and they must stay.
        """
        shown = list(self._shown())
        if shown and not overwrite:
            raise OutputExistsError(
                f"{self._url}: parts of another run are there; choose another place, or use "
                "`overwrite: true` (--overwrite)"
            )
        for _, kind, name in shown:
            self._fs.rm_file(f"{self._root}/{kind}/{name}")
        self._remove_waiting()

    def put(self, name: str, data: bytes) -> None:
        """Write a file beside the parts.

        Raises:
            OutputError: it cannot be written.
        """
        self._write(f"{self._root}/{name}", data)

    def _write(self, path: str, data: bytes) -> None:
        try:
            if self._is_local:
                replace_durably(Path(path), data)
            else:
                self._fs.pipe_file(path, data)
        except OSError as error:
            raise OutputError(f"{self._url}: cannot be written: {error}") from error

    def _move(self, hidden: str, folder: str, name: str) -> None:
        if self._is_local:
            os.makedirs(folder, exist_ok=True)
            os.replace(hidden, f"{folder}/{name}")
        else:
            self._fs.mv(hidden, f"{folder}/{name}")

    def _hidden(self) -> Iterator[tuple[int, str, str]]:
        return self._parts(f"{self._root}/{_HIDDEN}")

    def _shown(self) -> Iterator[tuple[int, str, str]]:
        return self._parts(self._root)

    def _parts(self, root: str) -> Iterator[tuple[int, str, str]]:
        """Yield number, kind and name of each part below a folder."""
        for folder in self._listed(root):
            kind = os.path.basename(folder.rstrip("/"))
            for path in self._listed(folder) if kind != _HIDDEN else ():
                found = _NAME.fullmatch(os.path.basename(path))
                if found:
                    yield int(found[1]), kind, found[0]

    def _listed(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()
        try:
            listed: list[str] = self._fs.ls(folder, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [path for path in listed if path.rstrip("/") != folder.rstrip("/")]
