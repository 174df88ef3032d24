"""The files that a run has written: which of them belong together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sightflow.errors import SourceError

__all__ = ["RunFiles", "find_run", "summary_of"]

_ENDINGS = (".jsonl", ".parquet", ".csv")
_BESIDE = (".rejected.jsonl", ".events.jsonl")


@dataclass(frozen=True)
class RunFiles:
    """What a run has written, as far as it is there; files of one kind in their order."""

    name: str
    """What it is called: the file of results, or the folder."""
    folder: Path
    results: Sequence[Path] = ()
    rejected: Sequence[Path] = ()
    events: Sequence[Path] = ()
    summary: Path | None = None

    @property
    def n_bytes(self) -> int:
        """Size of all that is read row by row."""
        files = (*self.results, *self.rejected, *self.events)
        return sum(path.stat().st_size for path in files)


def find_run(path: Path, events: Path | None = None) -> RunFiles:
    """Return the files of a run.

    Args:
        path: a file of results or of events, a folder that has one, or the folder of a `Dataset`.
        events: a file of events that is not found by itself.

    Raises:
        SourceError: there is no run, or there are several.
    """
    for one in (path, events):
        if one is not None and not one.exists():
            raise SourceError(f"{one}: no such file or folder")
    if path.is_dir():
        found = _in_folder(path)
    elif _is_of_events(path):
        found = RunFiles(path.name, path.parent, rejected=_there(path.parent / "rejected.jsonl"))
        events = events or path
    else:
        found = _of_results(path)
    if events is None:
        return found
    return RunFiles(
        found.name, found.folder, found.results, found.rejected, (events,), found.summary
    )


def _in_folder(folder: Path) -> RunFiles:
    parts = {kind: _parts(folder / kind) for kind in ("results", "rejected", "events")}
    summary = next(iter(_there(folder / "summary.json")), None)
    if any(parts.values()) or summary:
        return RunFiles(folder.absolute().name, folder, **parts, summary=summary)
    files = sorted(one for one in folder.iterdir() if one.is_file())
    results = [one for one in files if _may_be_results(one) and not _is_of_events(one)]
    if len(results) > 1:
        named = ", ".join(one.name for one in results[:8])
        raise SourceError(f"{folder}: has several files of results; name one of {named}")
    if results:
        return _of_results(results[0])
    events = [one for one in files if one.suffix == ".jsonl" and _is_of_events(one)]
    if len(events) != 1:
        raise SourceError(
            f"{folder}: must have a file of results (.jsonl, .parquet, .csv), a file of events, or "
            f"the folders of a Dataset; it has {', '.join(one.name for one in files[:8]) or 'none'}"
        )
    rejected = _there(folder / "rejected.jsonl")
    return RunFiles(folder.absolute().name, folder, rejected=rejected, events=events)


def _of_results(path: Path) -> RunFiles:
    if path.suffix not in _ENDINGS:
        raise SourceError(f"{path}: results end in {', '.join(_ENDINGS)}; got {path.suffix!r}")
    beside = [path.with_suffix(".events.jsonl"), path.parent / "events.jsonl"]
    return RunFiles(
        path.name,
        path.parent,
        (path,),
        _there(path.with_suffix(".rejected.jsonl")),
        [one for one in beside if one.is_file() and _is_of_events(one)][:1],
        next(iter(_there(path.with_suffix(".summary.json"))), None),
    )


def _may_be_results(path: Path) -> bool:
    is_beside = path.name.endswith(_BESIDE) or path.name in ("rejected.jsonl", "labels.csv")
    return path.suffix in _ENDINGS and not is_beside and not path.name.startswith(".")


def _is_of_events(path: Path) -> bool:
    """Return whether a file holds events: by its first line, or of an empty one by its name."""
    if path.suffix != ".jsonl":
        return False
    try:
        with open(path, "rb") as lines:
            line = lines.readline()
        return "kind" in orjson.loads(line) if line.strip() else path.stem.endswith("events")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError):
        return False


def _there(path: Path) -> list[Path]:
    return [path] if path.is_file() else []


def _parts(folder: Path) -> list[Path]:
    """Return the parts of a kind in a Dataset."""
    return (
        sorted(p for p in folder.glob("part-*") if p.suffix in _ENDINGS) if folder.is_dir() else []
    )


def summary_of(files: RunFiles) -> Mapping[str, Any]:
    """Return the summary of a run; empty where it has none.

    Raises:
        SourceError: it cannot be read.
    """
    if files.summary is None:
        return {}
    try:
        summary: Mapping[str, Any] = json.loads(files.summary.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{files.summary}: is no summary of a run: {error}") from error
    return summary
