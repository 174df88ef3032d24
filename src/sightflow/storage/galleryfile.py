"""The files of a face gallery: a folder of this machine that a user names.

Embeddings are personal data. The folder has the permissions 0700 and its files 0600: `gallery.json`
says which model the embeddings are of, `changes.jsonl` has a line for each change. Where
`SIGHTFLOW_GALLERY_KEY` is set when a gallery is made, each of these lines is encrypted. `forget`
writes the log anew, so that no file of the folder has anything of the person; what a disk keeps of
files that are gone, only encryption hides.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.errors import GalleryError, SightflowError
from sightflow.storage.galleryfacts import FACTS, About, GalleryFacts, read_about, write_about
from sightflow.storage.gallerykey import KEY_VARIABLE, cipher_of, new_encryption
from sightflow.storage.gallerylog import (
    Change,
    Enrolled,
    Forgotten,
    GalleryLog,
    LogLine,
    NewFace,
    as_typed,
    as_uri,
    sealed_lines,
)
from sightflow.storage.privatefolder import (
    append_privately,
    check_others_cannot_write,
    locked,
    make_folder,
    replace_privately,
)

__all__ = ["Enrolled", "Forgotten", "GalleryFacts", "GalleryFile", "GalleryFollower", "NewFace"]

_LOG = "changes.jsonl"
_SAME_DISTANCE = 0.01
"""Up to which two embeddings of a picture are the same: machines round differently."""


@dataclass(frozen=True)
class GalleryFile:
    """A gallery of faces in a folder; several processes may read and change it.

    Methods that read raise `GalleryError` where there is no gallery, where it cannot be read, and
    where the key is not the one; `SetupError` where the library for encryption is missing. Those
    that write raise `OutputError` too, where a file cannot be written.
    """

    folder: Path
    """Nothing has to be there yet."""

    def exists(self) -> bool:
        """Return whether there is a gallery."""
        return os.path.isfile(self.folder / FACTS)

    def facts(self) -> GalleryFacts:
        """Return which embeddings it has; needs no key."""
        with self._reading():
            return self._about().facts()

    def check(self) -> None:
        """Refuse a gallery that is not there, or cannot be read with the key that is set."""
        with self._opened():
            pass

    def version(self) -> int:
        """Return the number of the last change, 0 before the first; reads all of them."""
        with self._opened() as gallery:
            return max((line.change.number for line in gallery.lines()), default=0)

    def entries(self) -> list[Enrolled]:
        """Return the faces that are there, in the order in which they were enrolled."""
        with self._opened() as gallery:
            changes = (line.change for line in gallery.lines())
            return [change for change in changes if isinstance(change, Enrolled)]

    def gallery_id(self) -> str:
        """Return what tells this gallery from another one at the same place; needs no key."""
        with self._reading():
            return self._about().gallery_id

    def follow(self, since: int = 0, gallery_id: str = "") -> "GalleryFollower":
        """Return what gives the changes behind the one with this number, and those to come.

        Args:
            since: number of a change.
            gallery_id: of the gallery that has it; empty: whichever is there.
        """
        return GalleryFollower(self, since, gallery_id)

    def enrol(self, faces: Sequence[NewFace], facts: GalleryFacts) -> int:
        """Add faces, all of them at once; make the gallery if there is none.

        A picture that is there already is not added again: the same person, URI and embedding.

        Args:
            faces: with embeddings of `facts.n_numbers` numbers.
            facts: which model made the embeddings.

        Returns:
            The number of the last change.

        Raises:
            GalleryError: the gallery has embeddings of another model.
        """
        _check_widths(faces, facts)
        self._make(facts)
        with self._changing(), self._opened() as gallery:
            gallery.about.check_same_model(facts, self.folder)
            known = _Known(faces)
            end = number = 0
            for line in gallery.lines():
                end, number = end + len(line.raw), line.change.number
                known.see(line.change)
            new = known.others(faces)
            data = gallery.log.enrolled(new, after=number)
            append_privately(self._log_path, data, start=end)
            return number + len(new)

    def forget(self, person_id: str, *, uri: str | None = None) -> int:
        """Remove all that there is of a person, and return how many faces that were.

        Args:
            person_id: whose faces go.
            uri: of the only picture of the person that goes; None: all.

        Raises:
            GalleryError: nobody is enrolled by this name, or not with this picture.
        """
        person_id = as_typed(person_id)
        uri = None if uri is None else as_uri(uri)
        gone: list[str] = []
        people: set[str] = set()
        pictures: set[str] = set()

        def kept(gallery: _Opened) -> Iterator[bytes]:
            number = 0
            for line in gallery.lines():
                number = line.change.number
                if isinstance(line.change, Enrolled):
                    people.add(line.change.person_id)
                    is_theirs = as_typed(line.change.person_id) == person_id
                    if is_theirs and uri in (None, line.change.uri):
                        gone.append(line.change.key)
                        continue
                    if is_theirs:
                        pictures.add(line.change.uri)
                yield line.raw
            if gone:
                yield gallery.log.forgotten(Forgotten(number + 1, tuple(gone)))

        with self._changing(), self._opened() as gallery:
            # Also where nobody is found: what a writer that died has left may be of this person.
            replace_privately(self._log_path, kept(gallery))
        if not gone and pictures:
            hint = _hint(str(uri), pictures) or "; `faces list --pictures` shows which there are"
            raise GalleryError(f"{self.folder}: {person_id!r} is not enrolled with {uri}{hint}")
        if not gone:
            hint = _hint(person_id, people)
            raise GalleryError(f"{self.folder}: nobody is enrolled as {person_id!r}{hint}")
        return len(gone)

    def encrypt(self) -> None:
        """Encrypt a gallery with the key that is set; again, where that was interrupted.

        Raises:
            GalleryError: no key is set, or it is encrypted with another one.
        """
        with self._changing():
            about = self._about()
            if about.encryption is None:
                about = msgspec.structs.replace(about, encryption=new_encryption())
                if about.encryption is None:
                    raise GalleryError(f"{self.folder}: set {KEY_VARIABLE} to encrypt it")
                write_about(self.folder, about)
            cipher = cipher_of(about.encryption, self.folder)
            with open(self._log_path, "rb") as file:
                replace_privately(self._log_path, sealed_lines(file, cipher))

    @property
    def _log_path(self) -> Path:
        return self.folder / _LOG

    def _make(self, facts: GalleryFacts) -> None:
        """Make a gallery without faces, unless there is one."""
        if self.exists():
            return
        about = About.of(facts, new_encryption())
        make_folder(self.folder, (FACTS, _LOG))
        with locked(self.folder):
            if self.exists():
                return
            if os.path.exists(self._log_path) and os.path.getsize(self._log_path):
                raise GalleryError(
                    f"{self._log_path}: its {FACTS} is missing; restore that, or name a new folder"
                )
            replace_privately(self._log_path, ())
            write_about(self.folder, about)  # the last file: with it there is a gallery

    def _about(self) -> About:
        check_others_cannot_write(self.folder)
        return read_about(self.folder)

    @contextmanager
    def _opened(self) -> Iterator["_Opened"]:
        """Open the log; first the log, as what is said of it may change before it does."""
        with self._reading(), open(self._log_path, "rb") as file:
            about = self._about()
            cipher = cipher_of(about.encryption, self.folder)
            yield _Opened(about, GalleryLog(self._log_path, about.n_numbers, cipher), file)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other writers away from a gallery; into what is none, nothing is written."""
        with self._reading():
            self._about()
        with locked(self.folder), self._reading():
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Make what the file system raises into `GalleryError`."""
        try:
            yield
        except SightflowError:
            raise
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                problem = f"cannot be read: {error.strerror or error}"
            elif self.exists():
                problem = f"{_LOG} is missing; restore it"
            else:
                problem = "no gallery is there; `sightflow faces enrol` makes one"
            raise GalleryError(f"{self.folder}: {problem}") from error


@dataclass(frozen=True)
class _Opened:
    """A gallery whose log is open."""

    about: About
    log: GalleryLog
    file: IO[bytes]

    def lines(self) -> Iterator[LogLine]:
        """Yield the lines of the log, which stands at its begin."""
        return self.log.lines(self.file)


class _Known:
    """What is there of the pictures that are to be enrolled."""

    def __init__(self, faces: Sequence[NewFace]) -> None:
        self._embeddings: dict[tuple[str, str], list[npt.NDArray[np.float32]]] = {
            (face.person_id, face.uri): [] for face in faces
        }

    def see(self, change: Change) -> None:
        """Take in what is there."""
        if isinstance(change, Enrolled):
            same = self._embeddings.get((change.person_id, change.uri))
            if same is not None:
                same.append(change.embedding)

    def others(self, faces: Sequence[NewFace]) -> list[NewFace]:
        """Return the faces that are not there, each once."""
        return [face for face in faces if self._is_new(face)]

    def _is_new(self, face: NewFace) -> bool:
        same = self._embeddings[face.person_id, face.uri]
        if any(np.linalg.norm(face.embedding - one) <= _SAME_DISTANCE for one in same):
            return False
        same.append(face.embedding)
        return True


class GalleryFollower:
    """The changes of a gallery, while others make them; for one thread."""

    def __init__(self, file: GalleryFile, since: int, gallery_id: str) -> None:
        """Begin behind a change of this gallery; nothing is read yet."""
        self._file = file
        self._number = since
        """Of the last change that was given."""
        self._gallery_id = gallery_id
        self._seen: tuple[int, ...] = ()
        """What the file system said of the log when it was read."""
        self._end = 0
        """Byte behind the last line that was read."""
        self._last = b""
        """That line: where it is no longer there, the log is another one."""

    def poll(self) -> list[Change]:
        """Return the changes since the last call, in order.

        A log that has grown is read from where it ended; one that was written anew, all of it.

        Raises:
            GalleryError: the gallery cannot be read, or another one is at its place.
        """
        with self._file._reading():
            if _signature(os.stat(self._file._log_path)) == self._seen:
                return []
        with self._file._opened() as gallery:
            seen = _signature(os.fstat(gallery.file.fileno()))
            self._check_same(gallery.about)
            changes = self._read(gallery)
        self._seen, self._gallery_id = seen, gallery.about.gallery_id
        return changes

    def _read(self, gallery: _Opened) -> list[Change]:
        """Return what was not given; nothing is noted unless all can be read."""
        end, last = self._end, self._last
        gallery.file.seek(end - len(last))
        if gallery.file.read(len(last)) != last:
            gallery.file.seek(0)
            end, last = 0, b""
        number = self._number if end else 0
        changes = []
        for line in gallery.log.lines(gallery.file, after=number):
            end, last, number = end + len(line.raw), line.raw, line.change.number
            if number > self._number:
                changes.append(line.change)
        if number < self._number:
            raise GalleryError(self._is_another(f"has {number} changes"))
        self._end, self._last, self._number = end, last, number
        return changes

    def _check_same(self, about: About) -> None:
        if self._gallery_id not in ("", about.gallery_id):
            raise GalleryError(self._is_another("was made anew"))

    def _is_another(self, problem: str) -> str:
        return (
            f"{self._file.folder}: {problem}, after {self._number} were read: it is another "
            "gallery; start the run anew"
        )


def _hint(name: str, names: Iterable[str]) -> str:
    """Return a question about names that are close to one that is not there."""
    close = ", ".join(map(repr, difflib.get_close_matches(name, sorted(names))))
    return f"; did you mean {close}?" if close else ""


def _signature(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _check_widths(faces: Sequence[NewFace], facts: GalleryFacts) -> None:
    for i, face in enumerate(faces):
        if face.embedding.size != facts.n_numbers:
            raise GalleryError(
                f"enrol: the embedding of face {i} has {face.embedding.size} numbers; those of "
                f"{facts.model} have {facts.n_numbers}"
            )
