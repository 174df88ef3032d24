"""The log of a gallery: faces that were enrolled and forgotten, one change a line.

Faces that are enrolled together count once all their lines are there: a writer that died leaves
none of them. A line of a face is taken out when the person is forgotten; only its key stays.
"""

import math
import secrets
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.errors import GalleryError
from sightflow.records.arrays import check_array
from sightflow.records.state import as_bytes
from sightflow.storage.gallerykey import Cipher, is_plain

__all__ = [
    "Change",
    "Enrolled",
    "Forgotten",
    "GalleryLog",
    "LogLine",
    "NewFace",
    "as_person_id",
    "as_typed",
    "as_uri",
    "sealed_lines",
]

_KEY_BYTES = 8
_MAX_PERSON_ID = 200
_REFUSED = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode: control characters, halves of characters, ends of lines."""
_JOINERS = "\u200c\u200d"
_NOBODY = "unknown"
"""What those are called in pictures who are not enrolled."""
_LENGTH_TOLERANCE = 1e-3
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True, eq=False)
class NewFace:
    """A face that is to be enrolled."""

    person_id: str
    """Whose it is: 1 to 200 characters, no control characters, not "unknown"; without spaces around
    it and characters that are not seen, and in the normal form C of Unicode, so that a name is one
    name however it was typed."""
    embedding: npt.NDArray[np.float32] = field(repr=False)
    """float32 [D], of unit length."""
    uri: str
    """Of the picture."""
    thumbnail: bytes | None = field(default=None, repr=False)
    """A small JPEG."""

    def __post_init__(self) -> None:
        r"""Check the face; bytes of the URI that are no UTF-8 become `\xNN`, as in results."""
        object.__setattr__(self, "person_id", as_person_id(self.person_id))
        object.__setattr__(self, "uri", as_uri(self.uri))
        width = self.embedding.shape[-1] if self.embedding.ndim else 0
        check_array("embedding", self.embedding, (width,), np.float32)
        if not _is_unit(self.embedding):
            raise GalleryError(
                "NewFace: `embedding` has finite numbers and unit length; its length is "
                f"{_length(self.embedding):g}; divide it by that"
            )
        if self.thumbnail is not None and not self.thumbnail.startswith(_JPEG):
            raise GalleryError(
                f"NewFace: `thumbnail` is a JPEG; got bytes that begin with {self.thumbnail[:4]!r}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """A face that is in the gallery."""

    number: int
    """Of the change, from 1."""
    key: str
    """Of the face: random, so that it says nothing of the person."""
    person_id: str
    embedding: npt.NDArray[np.float32] = field(repr=False)
    """float32 [D], of unit length; must not be written to."""
    uri: str
    """Of the picture."""
    added_ms: int
    """When it was enrolled: milliseconds since 1970, UTC."""
    thumbnail: bytes | None = field(default=None, repr=False)
    """A JPEG."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Faces that are gone."""

    number: int
    """Of the change, from 1."""
    keys: tuple[str, ...]
    """Of the faces; who began to read later has never seen them."""


Change: TypeAlias = Enrolled | Forgotten


class _EnrolledLine(msgspec.Struct, tag_field="change", tag="enrolled", omit_defaults=True):
    number: int
    until: int
    """Number of the last face that was enrolled together with this one."""
    key: str
    person_id: str
    embedding: bytes
    """float32 [D], little-endian."""
    uri: str
    added_ms: int
    thumbnail: bytes | None = None


class _ForgottenLine(msgspec.Struct, tag_field="change", tag="forgotten"):
    number: int
    forgot: tuple[str, ...]


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_LINES = msgspec.json.Decoder(_EnrolledLine | _ForgottenLine)
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class LogLine:
    """A change, and the bytes of its line."""

    raw: bytes
    change: Change


@dataclass(frozen=True)
class GalleryLog:
    """How the lines of one gallery are read and written."""

    path: Path
    """For messages."""
    n_numbers: int
    """Of each embedding."""
    cipher: Cipher

    def lines(self, file: IO[bytes], *, after: int = 0) -> Iterator[LogLine]:
        """Yield the lines from where a file stands; none of an enrolment that is not complete.

        Args:
            file: the log.
            after: number of the change before the first line.

        Raises:
            GalleryError: a line is damaged.
        """
        place, number = file.tell(), after
        waiting: list[LogLine] = []
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            change, until = self._decoded(raw, place, number)
            place, number = place + len(raw), change.number
            waiting.append(LogLine(raw, change))
            if number >= until:  # who waits for one that was forgotten goes with that line
                yield from waiting
                waiting.clear()

    def enrolled(self, faces: Sequence[NewFace], *, after: int) -> bytes:
        """Return the lines of faces that are enrolled together, behind the change `after`.

        Args:
            faces: with embeddings of `n_numbers` numbers.
            after: number of the change before.
        """
        until, now_ms = after + len(faces), int(time.time() * 1000)
        return b"".join(
            self._encoded(
                _EnrolledLine(
                    number=number,
                    until=until,
                    key=secrets.token_hex(_KEY_BYTES),
                    person_id=face.person_id,
                    embedding=face.embedding.astype("<f4").tobytes(),
                    uri=face.uri,
                    added_ms=now_ms,
                    thumbnail=face.thumbnail,
                )
            )
            for number, face in enumerate(faces, after + 1)
        )

    def forgotten(self, change: Forgotten) -> bytes:
        """Return the line that says which faces are gone."""
        return self._encoded(_ForgottenLine(change.number, change.keys))

    def _encoded(self, line: _EnrolledLine | _ForgottenLine) -> bytes:
        return self.cipher.seal(_ENCODER.encode(line)) + b"\n"

    def _decoded(self, raw: bytes, place: int, after: int) -> tuple[Change, int]:
        """Return the change of a line, and the number of the last one that belongs to it."""
        try:
            line = _LINES.decode(self.cipher.unseal(raw[:-1]))
            if line.number <= after:
                raise ValueError(f"its number is {line.number}, behind {after}")
            if isinstance(line, _ForgottenLine):
                return Forgotten(line.number, line.forgot), line.number
            return self._face(line), line.until
        except GalleryError:
            raise
        except ValueError as error:  # msgspec's errors are ValueErrors
            raise GalleryError(
                f"{self.path}: the line at byte {place} is damaged: {error}; restore the file"
            ) from error

    def _face(self, line: _EnrolledLine) -> Enrolled:
        embedding = np.frombuffer(line.embedding, "<f4")
        if embedding.size != self.n_numbers or not _is_unit(embedding):
            raise ValueError(f"its embedding has not {self.n_numbers} numbers of unit length")
        return Enrolled(
            line.number,
            line.key,
            line.person_id,
            embedding,
            line.uri,
            line.added_ms,
            line.thumbnail,
        )


def sealed_lines(file: IO[bytes], cipher: Cipher) -> Iterator[bytes]:
    """Yield the lines of a log, encrypted; those that are so stay as they are."""
    for raw in file:
        if raw.endswith(b"\n"):
            yield cipher.seal(raw[:-1]) + b"\n" if is_plain(raw) else raw


def as_typed(text: str) -> str:
    r"""Return a name in one form, however it was typed: nothing that is not seen, no spaces around.

    Examples:
        >>> as_typed("  Ada\u200b Lovelace ")
        'Ada Lovelace'
    """
    composed = unicodedata.normalize("NFC", text)
    seen = (c for i, c in enumerate(composed) if _is_seen(c) or _joins(composed, i))
    return "".join(seen).strip()


def as_person_id(text: str) -> str:
    """Return a text as `NewFace.person_id` has it.

    Raises:
        GalleryError: it cannot be one.

    Examples:
        >>> as_person_id("  Ada Lovelace ")
        'Ada Lovelace'
    """
    name = as_typed(text)
    if not 0 < len(name) <= _MAX_PERSON_ID or _REFUSED & set(map(unicodedata.category, name)):
        raise GalleryError(
            f"person_id: has 1 to {_MAX_PERSON_ID} characters, and no control characters; got "
            f"{text[: _MAX_PERSON_ID + 1]!r}"
        )
    if "".join(filter(_is_seen, name)).casefold() == _NOBODY:
        raise GalleryError(
            f"person_id: {name!r} is what those are called who are not enrolled; take another name"
        )
    return name


def as_uri(text: str) -> str:
    r"""Return the URI of a picture as it is kept: bytes that are no UTF-8 become `\xNN`."""
    return as_bytes(text).decode("utf-8", "backslashreplace")


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) != "Cf"


def _joins(text: str, place: int) -> bool:
    """Return whether there is a joiner between two letters: some languages write names so."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    letters = sum(unicodedata.category(character)[0] in "LM" for character in around)
    return text[place] in _JOINERS and letters == 2


def _length(embedding: npt.NDArray[np.float32]) -> float:
    exact = embedding.astype(np.float64)
    return math.sqrt(float(exact @ exact))


def _is_unit(embedding: npt.NDArray[np.float32]) -> bool:
    """Return whether all is finite, and the length 1: nan and inf are not."""
    return abs(_length(embedding) - 1.0) <= _LENGTH_TOLERANCE
