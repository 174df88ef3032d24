"""The files that a run has written: which of them belong together, and what they hold."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from fsspec.core import url_to_fs

from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.storage.files import Reader, list_files, storage_errors
from sightflow.storage.parts import PART
from sightflow.storage.resultrows import ENDINGS, rows_in

__all__ = [
    "REJECTED_FIELDS",
    "RESULT_FIELDS",
    "RunFiles",
    "find_run",
    "read_rejected",
    "read_results",
    "summary_of",
]

RESULT_FIELDS = frozenset(("uri", "source_id", "sequence", "event_time_ms"))
"""What each row of results has."""
REJECTED_FIELDS = frozenset(("uri", "step", "reason", "message"))
"""What each row of rejected images has."""

_BESIDE = (".rejected.jsonl", ".events.jsonl")


@dataclass(frozen=True)
class RunFiles:
    """What a run has written, as far as it is there; files of one kind in their order."""

    name: str
    """What it is called: the file of results, or the folder."""
    folder: str
    results: Sequence[str] = ()
    rejected: Sequence[str] = ()
    events: Sequence[str] = ()
    summary: Sequence[str] = ()
    """One, or none."""

    def n_bytes(self) -> int:
        """Return the size of all that is read row by row.

        Raises:
            SourceError: a file cannot be read.
        """
        return sum(map(_size, (*self.results, *self.rejected, *self.events)))


def find_run(path: str, events: str | None = None) -> RunFiles:
    """Return the files of a run.

    Args:
        path: a file of results or of events, a folder that has one, or the folder of a `Dataset`;
            a URL of fsspec too.
        events: a file of events that is not found by itself.

    Raises:
        SourceError: there is no run, or there are several.
    """
    path = os.path.expanduser(path)
    if events is not None:
        return replace(find_run(path), events=_existing(os.path.expanduser(events)))
    if _is("isdir", path):
        return _in_folder(path.rstrip("/") or path)
    (file,) = _existing(path)
    if not _is_of_events(file):
        return _of_results(file)
    folder, name = os.path.split(file)
    rejected = _there(os.path.join(folder, "rejected.jsonl"))
    return RunFiles(name, folder, rejected=rejected, events=(file,))


def read_results(path: str) -> Iterator[Row]:
    """Yield the rows of results, in their order.

    Args:
        path: as `find_run` takes it; not a CSV, which lacks the images without findings.

    Raises:
        SourceError: there are none, or a file does not hold rows of results.
    """
    files = find_run(path).results
    if not files:
        raise SourceError(
            f"{path}: no results: they are a .jsonl or .parquet file, or the folder of a Dataset"
        )
    for file in files:
        if file.endswith(".csv"):
            raise SourceError(
                f"{file}: must have a row for each image; a table of findings has none for the "
                "others; write results as .jsonl or .parquet"
            )
        yield from rows_in(file, needed=RESULT_FIELDS)


def read_rejected(path: str) -> Iterator[Row]:
    """Yield the rows of the images that were rejected by the run of these results.

    Where nothing lies beside the results there are none.

    Raises:
        SourceError: what is there cannot be read.
    """
    for file in find_run(path).rejected:
        yield from rows_in(file, needed=REJECTED_FIELDS)


def summary_of(files: RunFiles) -> Mapping[str, Any]:
    """Return the summary of a run; empty where it has none.

    Raises:
        SourceError: it cannot be read as JSON.
    """
    for file in files.summary:
        try:
            summary: Mapping[str, Any] = json.loads(Reader().read_all(file))
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{file}: must be the summary of a run; it cannot be read as JSON: {error}"
            ) from error
        return summary
    return {}


def _in_folder(folder: str) -> RunFiles:
    name = os.path.basename(os.path.abspath(folder))
    parts = {kind: _parts(f"{folder}/{kind}") for kind in ("results", "rejected", "events")}
    summary = _there(f"{folder}/summary.json")
    if any(parts.values()) or summary:
        return RunFiles(name, folder, **parts, summary=summary)
    files = _files_in(folder)
    results = [one for one in files if _may_be_results(one) and not _is_of_events(one)]
    if len(results) > 1:
        raise SourceError(f"{folder}: has several files of results; name one of {_names(results)}")
    if results:
        return _of_results(results[0])
    events = [one for one in files if one.endswith(".jsonl") and _is_of_events(one)]
    if len(events) != 1:
        raise SourceError(
            f"{folder}: must have a file of results ({', '.join(ENDINGS)}), a file of events, or "
            f"the folders of a Dataset; it has {_names(files) or 'none'}"
        )
    return RunFiles(name, folder, rejected=_there(f"{folder}/rejected.jsonl"), events=events)


def _names(files: Sequence[str]) -> str:
    more = f" and {len(files) - 8} more" if len(files) > 8 else ""
    return f"{', '.join(map(os.path.basename, files[:8]))}{more}"


def _of_results(path: str) -> RunFiles:
    root, ending = os.path.splitext(path)
    if ending not in ENDINGS:
        raise SourceError(f"{path}: results end in {', '.join(ENDINGS)}; got {ending!r}")
    folder, name = os.path.split(path)
    beside = _there(f"{root}.events.jsonl") + _there(os.path.join(folder, "events.jsonl"))
    return RunFiles(
        name,
        folder,
        (path,),
        _there(f"{root}.rejected.jsonl"),
        [one for one in beside if _is_of_events(one)][:1],
        _there(f"{root}.summary.json"),
    )


def _may_be_results(path: str) -> bool:
    name = os.path.basename(path)
    is_beside = name.endswith(_BESIDE) or name in ("rejected.jsonl", "labels.csv")
    return name.endswith(ENDINGS) and not is_beside and not name.startswith(".")


def _is_of_events(path: str) -> bool:
    """Return whether a file holds events: by its first line, or of an empty one by its name."""
    root, ending = os.path.splitext(path)
    if ending != ".jsonl":
        return False
    try:
        with storage_errors(), Reader().open(path) as lines:
            line = lines.readline()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return "kind" in orjson.loads(line) if line.strip() else root.endswith("events")
    except (ValueError, TypeError):
        return False


def _size(path: str) -> int:
    try:
        with storage_errors(), Reader().open(path) as file:
            size: int = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    return size


def _existing(path: str) -> Sequence[str]:
    """Return a file that must be there."""
    found = _there(path)
    if not found:
        raise SourceError(f"{path}: no such file or folder")
    return found


def _there(path: str) -> list[str]:
    """Return a file; none where it is not there."""
    return [path] if _is("isfile", path) else []


def _is(kind: Literal["isfile", "isdir"], path: str) -> bool:
    """Return whether a file or a folder is at a path."""
    if "://" not in path:
        return bool(getattr(os.path, kind)(path))
    try:
        with storage_errors():
            fs, place = url_to_fs(path)
            return bool(getattr(fs, kind)(place))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _files_in(folder: str) -> list[str]:
    """Return the files of a folder, sorted by name."""
    if "://" in folder:
        return [file.uri for file in list_files(folder, recursive=False)]
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_file())
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed: {error.strerror}") from error


def _parts(folder: str) -> list[str]:
    """Return the parts of a kind in a Dataset."""
    found = _files_in(folder) if _is("isdir", folder) else []
    return [
        one for one in found if os.path.basename(one).startswith(PART) and one.endswith(ENDINGS)
    ]
