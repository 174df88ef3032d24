"""Tracks as MOT Challenge text, which other tools score and draw."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import orjson

from sightflow.errors import OutputError
from sightflow.records import Row
from sightflow.records.ledger import Summary
from sightflow.sinks.staging import StagedLines, discard_staged, staged
from sightflow.storage.drafts import check_files, check_folder, replacing
from sightflow.storage.motfile import mot_line
from sightflow.storage.naming import stream_names

__all__ = ["MotTracks"]

_ENDING = ".txt"


class _Tracks:
    """Stages of each row what the text needs."""

    def __init__(self, path: Path, position: tuple[int, ...] | None, *, max_streams: float) -> None:
        self._path = path
        self._max_streams = max_streams
        self._source_ids: dict[str, None] = {}
        self._lines = StagedLines(path, (position or (0,))[0])

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        if missing := [row["uri"] for row in rows if "tracks" not in row]:
            raise OutputError(
                f"{self._path}: needs tracks, and {missing[0]} has none; add a step Track"
            )
        self._source_ids.update(dict.fromkeys(row["source_id"] for row in rows))
        _check_streams(self._path, list(self._source_ids), self._max_streams)
        names = ("source_id", "sequence", "tracks")
        self._lines.append([{name: row[name] for name in names} for row in rows])

    def position(self) -> tuple[int, ...]:
        return (self._lines.position(),)

    def close(self) -> None:
        self._lines.close()


@dataclass(frozen=True)
class MotTracks:
    """The tracks of each image, a line each: `frame,id,left,top,width,height,score,-1,-1,-1`.

    Frames are numbered from 1: `sequence` + 1. Rows wait as lines of JSON until the run is
    complete, since only then it is known which streams there are.
    """

    path: str
    """A file, NAME.txt, for one stream; else a folder, which gets a file for each stream."""
    overwrite: bool = False
    """Replace files of an earlier run; other files in a folder stay."""

    def check(self) -> None:
        """Refuse a path that is taken or cannot be written."""
        if self._is_file:
            check_files(self.outputs(), overwrite=self.overwrite)
        else:
            check_folder(Path(self.path), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the file or the folder."""
        return (self.path,)

    def open_results(self, position: tuple[int, ...] | None) -> _Tracks:
        """Return a writer of staged lines."""
        return _Tracks(Path(self.path), position, max_streams=self._max_streams)

    def commit(self, summary: Summary) -> None:
        """Make the staged lines into text.

        Raises:
            OutputError: it is one file, and the rows are of several streams.
        """
        lines = staged(Path(self.path))
        places = self._places(row["source_id"] for row in _rows(lines))
        with ExitStack() as drafts:
            texts = {
                source_id: drafts.enter_context(_written(path))
                for source_id, path in places.items()
            }
            for row in _rows(lines):
                texts[row["source_id"]].writelines(_text(row))
        lines.unlink()

    def discard(self) -> None:
        """Remove the staged file."""
        discard_staged(Path(self.path))

    @property
    def _is_file(self) -> bool:
        return self.path.lower().endswith(_ENDING)

    @property
    def _max_streams(self) -> float:
        return 1 if self._is_file else math.inf

    def _places(self, source_ids: Iterable[str]) -> dict[str, Path]:
        """Return the file of each stream; the one that was asked for, also if there is none."""
        found = list(dict.fromkeys(source_ids))
        _check_streams(Path(self.path), found, self._max_streams)
        if self._is_file:
            return {source_id: Path(self.path) for source_id in found or [""]}
        Path(self.path).mkdir(parents=True, exist_ok=True)
        return {s: Path(self.path, name + _ENDING) for s, name in stream_names(found).items()}


def _check_streams(path: Path, source_ids: Sequence[str], max_streams: float) -> None:
    if len(source_ids) > max_streams:
        raise OutputError(
            f"{path}: a file is for one stream; the rows are of {source_ids[0]!r} and "
            f"{source_ids[1]!r}; name a folder, without {_ENDING}"
        )


def _rows(lines: Path) -> Iterator[dict[str, Any]]:
    with open(lines, "rb") as file:
        yield from map(orjson.loads, file)


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """Give a file to write to, which takes the place of `path` if all went well."""
    with replacing(path) as draft, open(draft, "w", encoding="ascii", newline="\n") as text:
        yield text


def _text(row: Row) -> Iterator[str]:
    for track in row["tracks"]:
        yield mot_line(row["sequence"] + 1, track["track_id"], track["box_xyxy"], track["score"])
