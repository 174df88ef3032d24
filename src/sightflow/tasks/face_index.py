"""Search among the faces of a gallery: exact, by one product of matrices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError

__all__ = ["FaceIndex", "Match"]

Array: TypeAlias = npt.NDArray[np.float32]

_FACES_AT_ONCE = 16
"""So many rows of similarities are in memory at a time: each has one number for each face."""
_NOBODY = -1.0
_ROUNDING = 1e-5
"""By so much a product of matrices may be off."""


@dataclass(frozen=True, slots=True)
class Match:
    """Who is most like a face."""

    person_id: str | None
    """None where nobody is enrolled."""
    similarity: float
    """Cosine in [-1, 1] with the most alike face of that person; -1 for nobody."""
    next_similarity: float
    """The same for the next person; -1 where there is no other."""


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """The faces in the index at one moment; never changed, so that readers need no lock."""

    embeddings: Array
    """float32 [n, D]: a view of more room."""
    persons: npt.NDArray[np.int32]
    """int32 [n], positions in `names`."""
    keys: tuple[str, ...]
    names: tuple[str, ...]


class FaceIndex:
    """The faces of people, to be found by their likeness.

    One thread at a time changes it, while others search.

    Examples:
        >>> index = FaceIndex()
        >>> east, north = np.eye(2, dtype=np.float32)
        >>> index.change({"a": ("ann", east), "b": ("bob", north)}, version=1)
        >>> index.search(east[None])[0]
        Match(person_id='ann', similarity=1.0, next_similarity=0.0)
    """

    def __init__(self) -> None:
        """Begin without faces."""
        self._room = np.zeros((0, 0), np.float32)
        self._owners = np.zeros(0, np.int32)
        self._people = frozenset[str]()
        self._state = (0, _Faces(self._room, self._owners, (), ()))

    @property
    def version(self) -> int:
        """The version of the table that it shows."""
        return self._state[0]

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self._state[1].keys)

    @property
    def person_ids(self) -> frozenset[str]:
        """Those who are enrolled."""
        return self._people

    def change(self, rows: Mapping[str, tuple[str, Array] | None], *, version: int) -> None:
        """Put faces in and take faces out.

        Args:
            rows: by key, (person_id, float32 [D] of unit length); None takes the face out.
            version: of the table with this change.

        Raises:
            PipelineError: an embedding has another length than those that are there.
        """
        faces = self._without(self._state[1], rows.keys())
        added = {key: row for key, row in rows.items() if row is not None}
        if added:
            faces = self._with(faces, added)
        if faces.names is not self._state[1].names:
            self._people = frozenset(faces.names)
        self._state = (version, faces)

    def search(self, embeddings: Array) -> list[Match]:
        """Return for each face who is most like it.

        Args:
            embeddings: float32 [N, D] of unit length.

        Raises:
            PipelineError: D is not that of the faces in the index.
        """
        return self.searched(embeddings)[1]

    def searched(self, embeddings: Array) -> tuple[int, list[Match]]:
        """Return the version of the table, and what `search` returns for it."""
        version, faces = self._state
        if not faces.keys or not len(embeddings):
            return version, [Match(None, _NOBODY, _NOBODY)] * len(embeddings)
        _check_width(embeddings.shape[1], faces.embeddings.shape[1])
        pairs = _similarities(embeddings, faces)
        return version, [_match(face, similarities, faces) for face, similarities in pairs]

    def most_alike_others(
        self, embeddings: Array, person_ids: Sequence[str]
    ) -> list[tuple[str | None, float]]:
        """Return for the face of each person which other person is most like it, and how much.

        Args:
            embeddings: float32 [N, D] of unit length.
            person_ids: whose they are, one each.
        """
        faces = self._state[1]
        if not faces.keys:
            return [(None, _NOBODY)] * len(person_ids)
        places = {name: i for i, name in enumerate(faces.names)}
        others: list[tuple[str | None, float]] = []
        pairs = _similarities(embeddings, faces)
        for person_id, (face, similarities) in zip(person_ids, pairs, strict=True):
            similarities[faces.persons == places.get(person_id, len(places))] = _NOBODY
            row, similarity = _most_alike(face, similarities, faces)
            name = faces.names[faces.persons[row]] if similarity > _NOBODY else None
            others.append((name, similarity))
        return others

    def _without(self, faces: _Faces, keys: Iterable[str]) -> _Faces:
        """Return the faces but those of some keys, in room of their own if any is gone."""
        gone = set(keys) & set(faces.keys)
        if not gone:
            return faces
        kept = np.array([key not in gone for key in faces.keys])
        self._room, self._owners = faces.embeddings[kept], faces.persons[kept]
        left = tuple(key for key in faces.keys if key not in gone)
        used, owners = np.unique(self._owners, return_inverse=True)
        self._owners = owners.astype(np.int32)
        names = tuple(faces.names[i] for i in used)  # nothing of who is gone stays
        return _Faces(self._room, self._owners, left, names)

    def _with(self, faces: _Faces, added: Mapping[str, tuple[str, Array]]) -> _Faces:
        """Return the faces and others behind them; room doubles when it is used up."""
        n, total = len(faces.keys), len(faces.keys) + len(added)
        rows = np.stack([embedding for _, embedding in added.values()])
        if n:
            _check_width(rows.shape[1], faces.embeddings.shape[1])
        if total > len(self._room) or self._room.shape[1] != rows.shape[1]:
            self._room = np.empty((max(total, 2 * n), rows.shape[1]), np.float32)
            self._owners = np.empty(len(self._room), np.int32)
            if n:
                self._room[:n], self._owners[:n] = faces.embeddings, faces.persons
        places = {name: i for i, name in enumerate(faces.names)}
        persons = [places.setdefault(person, len(places)) for person, _ in added.values()]
        self._room[n:total], self._owners[n:total] = rows, persons
        keys = (*faces.keys, *added)
        return _Faces(self._room[:total], self._owners[:total], keys, tuple(places))


def _similarities(embeddings: Array, faces: _Faces) -> Iterator[tuple[Array, Array]]:
    """Yield each face float32 [D], and its similarities with all faces of the index, nearly."""
    for start in range(0, len(embeddings), _FACES_AT_ONCE):
        some = np.ascontiguousarray(embeddings[start : start + _FACES_AT_ONCE])
        yield from zip(some, some @ faces.embeddings.T, strict=True)


def _match(face: Array, similarities: Array, faces: _Faces) -> Match:
    """Return who is most like a face.

    Args:
        face: float32 [D].
        similarities: float32 [n] with all faces, nearly; are changed.
        faces: those in the index.
    """
    row, best = _most_alike(face, similarities, faces)
    person = faces.persons[row]
    similarities[faces.persons == person] = _NOBODY
    _, following = _most_alike(face, similarities, faces)
    return Match(faces.names[person], best, following)


def _most_alike(face: Array, similarities: Array, faces: _Faces) -> tuple[int, float]:
    """Return the row that is most like a face, and its similarity.

    The product of matrices rounds otherwise in another batch, so the last digits come from those
    that are nearly the best, one by one.
    """
    best = float(similarities.max())
    if best <= _NOBODY:
        return 0, _NOBODY
    rows = np.flatnonzero(similarities >= best - _ROUNDING)
    exact = (faces.embeddings[rows].astype(np.float64) * face).sum(axis=1)
    first = int(exact.argmax())
    return int(rows[first]), float(np.clip(exact[first], -1.0, 1.0))


def _check_width(given: int, needed: int) -> None:
    if given != needed:
        raise PipelineError(
            f"the gallery has embeddings of {needed} numbers; got {given}: describe faces by the "
            "model that the gallery was made with"
        )
