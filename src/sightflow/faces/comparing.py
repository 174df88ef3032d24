"""Compare two faces: are they the same person?"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightflow.errors import SourceError
from sightflow.faces.describing import DescribedFace, FaceModels, OnProgress, describe
from sightflow.models import Threshold
from sightflow.records import Row
from sightflow.settings import RunSettings
from sightflow.sources.directory import Directory
from sightflow.storage.drafts import replacing

__all__ = ["Comparison", "compare", "read_pairs", "write_comparisons"]

Pair = tuple[str, str]

_OK = "ok"
_COLUMNS = ("file_a", "file_b")


@dataclass(frozen=True)
class Comparison:
    """What came of a pair of pictures."""

    file_a: str
    file_b: str
    score: float | None
    """Cosine of the embeddings, in [-1, 1]; None where a picture shows no face."""
    same: bool | None
    """Whether it reaches the threshold; None without a score."""
    status: str
    """`ok`; or words with the picture that they are about, such as `no_face:file_b`."""


def compare(
    pairs: Sequence[Pair],
    models: FaceModels,
    threshold: Threshold,
    settings: RunSettings,
    *,
    root: str = "",
    on_progress: OnProgress = lambda ledger, n_images: None,
) -> list[Comparison]:
    """Compare pairs of pictures; each picture is described once.

    Where a picture shows several faces its main one is compared, and `status` says so.

    Args:
        pairs: two paths each.
        models: that find and describe the faces.
        threshold: from which similarity on two faces are the same person's.
        settings: of the run.
        root: folder that the files are in, at their path or, where the name is there once, in
            any folder below; empty: paths are as they are.
        on_progress: told the ledger so far and how many pictures there are, now and then.
    """
    names = {file for pair in pairs for file in pair}
    paths = _below(root, names) if root else {file: file for file in names}
    there = sorted({path for path in paths.values() if "://" in path or os.path.isfile(path)})
    faces: list[DescribedFace] = []
    rejected: list[Row] = []
    if there:
        source = Directory(tuple(there))
        faces, rejected = describe(source, models, settings, on_progress=on_progress)
    face_of = {face.source_id: face for face in faces}
    reason_of = _reasons(there, face_of, rejected)
    named = {file: (face_of.get(path), reason_of.get(path)) for file, path in paths.items()}
    return [_compared(pair, named, threshold.similarity) for pair in pairs]


def _below(root: str, names: Iterable[str]) -> dict[str, str]:
    """Return where files lie in a folder, by their names."""
    paths = {name: os.path.join(root, name) for name in names}
    lost = {name for name, path in paths.items() if not os.path.isfile(path)}
    if not lost or "://" in root:
        return paths
    places: dict[str, list[str]] = {}
    for folder, _, files in os.walk(root):
        for file in lost.intersection(files):
            places.setdefault(file, []).append(os.path.join(folder, file))
    return paths | {name: found[0] for name, found in places.items() if len(found) == 1}


def _reasons(
    there: Iterable[str], face_of: Mapping[str, DescribedFace], rejected: Sequence[Row]
) -> dict[str, str]:
    """Return why pictures have no face that can be compared, by path."""
    reasons = {row["uri"]: row["reason"] for row in rejected}
    lost = [path for path in there if path not in face_of]
    return {path: reasons.get(path) or reasons.get(os.path.abspath(path), "") for path in lost}


def _compared(
    pair: Pair, named: Mapping[str, tuple[DescribedFace | None, str | None]], threshold: float
) -> Comparison:
    words = []
    for column, file in zip(_COLUMNS, pair, strict=True):
        face, reason = named[file]
        if face is None:
            words.append(f"{reason or 'unreadable'}:{column}")
        elif face.n_faces > 1:
            words.append(f"several_faces:{column}")
    a, b = (named[file][0] for file in pair)
    score = None
    if a is not None and b is not None:
        score = max(-1.0, min(1.0, float(a.embedding @ b.embedding)))
    same = None if score is None else score >= threshold
    return Comparison(*pair, score, same, ";".join(words) or _OK)


def read_pairs(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Read the rows of a CSV file with the columns `file_a` and `file_b`, and maybe others.

    Returns:
        The rows, and the names of all columns in order.

    Raises:
        SourceError: it cannot be read, or lacks one of the two columns.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read as CSV: {error}") from error
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise SourceError(f"{path}: needs the columns file_a and file_b; it has {columns}")
    short = [i for i, row in enumerate(rows) if not row["file_a"] or not row["file_b"]]
    if short:
        raise SourceError(f"{path}: row {short[0] + 1} does not name two files")
    return rows, columns


def write_comparisons(
    path: Path,
    rows: Sequence[Mapping[str, str]],
    columns: Sequence[str],
    found: Sequence[Comparison],
) -> None:
    """Write a CSV file: the columns that were there, then `score`, `same` and `status`."""
    with replacing(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        names = [*(name for name in columns if name not in _ADDED), *_ADDED]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(_lines(rows, found))


_ADDED = ("score", "same", "status")


def _lines(
    rows: Sequence[Mapping[str, str]], found: Sequence[Comparison]
) -> Iterator[dict[str, str]]:
    for row, one in zip(rows, found, strict=True):
        score = "" if one.score is None else f"{one.score:.6f}"
        same = "" if one.same is None else str(one.same).lower()
        yield {**row, "score": score, "same": same, "status": one.status}
