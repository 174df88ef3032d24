"""A video with what was recognised drawn in. It is drawn when the run is complete."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sightflow.errors import OutputError, OutputExistsError, PipelineError
from sightflow.ops.overlay import Outline
from sightflow.options import check_count, check_share
from sightflow.records import Row
from sightflow.records.ledger import Summary
from sightflow.sinks.annotations import Annotator
from sightflow.sinks.encoder import find_encoder
from sightflow.sinks.hiding import Hiding
from sightflow.sinks.render import render_stream
from sightflow.sinks.staging import StagedLines, discard_staged, staged
from sightflow.sinks.timeline import Timeline, first_row, read_timelines, staged_entries
from sightflow.storage.drafts import check_files, check_folder, replacing
from sightflow.storage.files import can_be_opened
from sightflow.storage.naming import stream_names

__all__ = ["AnnotatedVideo"]


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video of each stream with boxes, labels, trails, zones and counts drawn in.

    Results wait as lines of JSON until the run is complete. Then the frames are read again, so that
    what is read must still be there.
    """

    path: str
    """`NAME.mp4` for one stream; otherwise a folder, which gets an MP4 file for each stream."""
    min_score: float = 0.0
    """What scores less is not drawn, in [0, 1]."""
    trail_ms: int = 2_000
    """How far back the trail of a followed object goes; 0 draws none."""
    quality: int = 23
    """H.264's constant rate factor, 1 (best) to 51; 6 more make about half the file."""
    outlines: tuple[Outline, ...] = ()
    """Zones and lines to draw, each with what its events counted so far."""
    blur_unknown: bool = False
    """Blur the faces of everyone whom no step knows, in each frame in which they were found, and
    of those who are followed also where they were missed."""
    overwrite: bool = False
    """Replace the file, or write into a folder that is not empty."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        check_share(self, "min_score")
        check_count(self, "trail_ms")
        check_count(self, "quality", at_least=1, at_most=51)

    commits_first: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[str, ...]:
        """What a step before it must have found."""
        return ("faces",) if self.blur_unknown else ()

    def check(self) -> None:
        """Refuse a path that is taken or has the wrong ending, and a machine without encoder."""
        if not Path(self.path).name:
            raise PipelineError(f"AnnotatedVideo: `path` needs a name; got {self.path!r}")
        suffix = Path(self.path).suffix
        if suffix and not self._is_file and not self.path.endswith("/"):
            raise PipelineError(
                f"AnnotatedVideo: `path` ends in .mp4 for one stream; got {self.path!r}; "
                "a folder with a dot in its name ends in /"
            )
        find_encoder()
        if self._is_file:
            check_files((self.path,), overwrite=self.overwrite)
        else:
            check_folder(Path(self.path), overwrite=self.overwrite)

    def outputs(self) -> Sequence[str]:
        """Return the file or the folder."""
        return (self.path,)

    def open_results(self, position: tuple[int, ...] | None) -> "_Writer":
        """Return a writer of staged lines."""
        return _Writer(self.path, position, is_file=self._is_file, needs_faces=self.blur_unknown)

    def commit(self, summary: Summary) -> None:
        """Draw the videos, all of them before the first appears; this reads all frames again."""
        lines = staged(Path(self.path))
        timelines = read_timelines(lines)
        if self._is_file and not timelines:
            Path(self.path).unlink(missing_ok=True)  # of an earlier run: it must not pass for this
        with ExitStack() as drafts:
            for target, timeline in self._targets(timelines):
                draft = drafts.enter_context(replacing(target))
                render_stream(timeline, self._annotator(timeline), draft, self.quality)
        lines.unlink()

    def discard(self) -> None:
        """Remove the staged lines."""
        discard_staged(Path(self.path))

    def _annotator(self, timeline: Timeline) -> Annotator:
        return Annotator(
            self.outlines,
            timeline.tally,
            min_score=self.min_score,
            trail_ms=self.trail_ms,
            hiding=Hiding(timeline.rows()) if self.blur_unknown else None,
        )

    @property
    def _is_file(self) -> bool:
        return self.path.lower().endswith(".mp4")

    def _targets(self, timelines: Sequence[Timeline]) -> Iterator[tuple[Path, Timeline]]:
        if self._is_file:
            return ((Path(self.path), timeline) for timeline in timelines)
        names = stream_names([timeline.source_id for timeline in timelines])
        return ((Path(self.path, f"{names[t.source_id]}.mp4"), t) for t in timelines)


class _Writer:
    """Stages rows and events, and refuses at once what cannot become a video later."""

    def __init__(
        self, path: str, position: tuple[int, ...] | None, *, is_file: bool, needs_faces: bool
    ) -> None:
        self._path, self._is_file, self._needs_faces = path, is_file, needs_faces
        self._lines = StagedLines(Path(path), position[0] if position else 0)
        row = first_row(staged(Path(path)))
        self._source_ids = set() if row is None else {row["source_id"]}
        self._last_uri = ""

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        for row in rows:
            self._check_stream(row["source_id"])
            self._check_faces(row)
            if row["uri"] != self._last_uri:
                self._check_uri(row["uri"])
                self._last_uri = row["uri"]
        self._lines.append(staged_entries(rows, rejected, events))

    def position(self) -> tuple[int, ...]:
        return (self._lines.position(),)

    def close(self) -> None:
        self._lines.close()

    def _check_stream(self, source_id: str) -> None:
        if self._is_file and source_id not in self._source_ids:
            if self._source_ids:
                raise OutputError(
                    f"{self._path}: holds one stream; got {next(iter(self._source_ids))} and "
                    f"{source_id}; give a folder as `path`, such as {self._path[:-4]!r}"
                )
            self._source_ids.add(source_id)

    def _check_faces(self, row: Row) -> None:
        if self._needs_faces and "faces" not in row:
            raise OutputError(
                f"{self._path}: `blur_unknown` blurs faces that a step has found, and "
                f"{row['uri']} has none; add a step such as DetectFaces"
            )

    def _check_uri(self, uri: str) -> None:
        if not can_be_opened(uri):
            raise OutputError(
                f"{self._path}: {uri} cannot be read again when the run is complete, which "
                "AnnotatedVideo needs; use JsonLines for what arrives live"
            )
        place = os.path.realpath(uri if self._is_file else os.path.dirname(uri))
        if uri.lower().endswith(".mp4") and place == os.path.realpath(self._path):
            raise OutputExistsError(f"{self._path}: has the video that is read; choose another")
