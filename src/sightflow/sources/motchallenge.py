"""Detections of MOT Challenge, without the pictures: to follow objects that others detected."""

import configparser
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightflow.errors import PipelineError, SourceError
from sightflow.options import check_count, check_number, check_share
from sightflow.protocols import Context, Read
from sightflow.records import Claim, Detections, ImageRecord, Origin, Rejected
from sightflow.sources.segments import frame_origins
from sightflow.storage.files import Reader, list_named, split_uri
from sightflow.storage.motfile import MotRows, parse_mot

__all__ = ["CLASSES", "MotDetections"]

_INFO = "seqinfo.ini"
CLASSES = (
    "object",
    "pedestrian",
    "person_on_vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non_mot_vehicle",
    "static_person",
    "distractor",
    "occluder",
    "occluder_on_ground",
    "occluder_full",
    "reflection",
    "crowd",
)
"""By their number in a file; `object` where it has none."""


@dataclass(frozen=True)
class MotDetections:
    """Detections in MOT Challenge text, frame by frame; the records have no pixels.

    What a file does not say is in `seqinfo.ini` beside it, or above its folder `det` or `gt`:
    `frameRate`, `seqLength`, `imWidth`, `imHeight`. Without it the sequence ends with its last
    detection, and the image is as large as the boxes are wide.
    """

    paths: str | tuple[str, ...]
    """Files, folders or globs of this machine, or URLs of fsspec."""
    pattern: str = "det.txt"
    """For file names in folders; upper and lower case alike."""
    fps: float | None = None
    """Frames a second; None takes `frameRate`."""
    start_time_ms: int = 0
    """When the first frame was taken, milliseconds since 1970."""
    score_range: tuple[float, float] = (0.0, 1.0)
    """Worst and best score in the files, which become 0 and 1."""
    min_score: float = 0.0
    """Detections that score less are left out, in [0, 1]."""
    segment_frames: int = 64
    """Frames in one piece of work."""

    gives: ClassVar[tuple[str, ...]] = ("detections",)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        check_count(self, "segment_frames", at_least=1)
        check_number(self, "fps", within="(0, 1000]")
        check_share(self, "min_score")
        worst, best = self.score_range
        if not worst < best:
            raise PipelineError(
                "MotDetections: `score_range` is the worst score and a higher one; "
                f"got {list(self.score_range)}"
            )

    def claims(self) -> Iterator[Claim]:
        """Read the files and list their frames in segments."""
        reader = Reader()
        for _, _, file in list_named(self.paths, pattern=self.pattern):
            origin = Origin(file.uri, file.uri, 0, self.start_time_ms, file.name)
            yield from self._segments(reader, origin)

    def open(self, context: Context) -> Read:
        """Return a function that gives the frames of a segment."""
        reader = Reader()
        opened: dict[str, _Sequence] = {}

        def sequence_at(uri: str) -> _Sequence:
            if uri not in opened:
                opened.clear()  # segments of a file come one after the other
                opened[uri] = self._read(reader, uri)
            return opened[uri]

        def read(claim: Claim) -> Iterator[ImageRecord | Rejected]:
            try:
                sequence = sequence_at(claim.origin.uri)
            except SourceError as error:
                for origin in frame_origins(claim):
                    yield Rejected(origin, context.step, "unreadable", str(error))
                return
            for origin in frame_origins(claim):
                yield sequence.record(origin, self.min_score)

        return read

    def _segments(self, reader: Reader, origin: Origin) -> Iterator[Claim]:
        sequence = self._read(reader, origin.uri)
        for start in range(0, sequence.n_frames, self.segment_frames):
            numbers = range(start, min(start + self.segment_frames, sequence.n_frames))
            yield Claim(
                origin,
                tuple((n, n, self.start_time_ms + round(n * 1000 / sequence.fps)) for n in numbers),
            )

    def _read(self, reader: Reader, uri: str) -> "_Sequence":
        rows = parse_mot(_bytes_of(reader, uri), uri)
        info = _read_info(reader, uri)
        fps = self.fps or info.get("frameRate")
        if not fps:
            raise SourceError(
                f"{uri}: the frame rate is unknown; set `fps`, or put a {_INFO} with `frameRate` "
                "beside it"
            )
        last = int(rows.frames.max(initial=0))
        n_frames = int(info.get("seqLength", last))
        if last > n_frames:
            raise SourceError(f"{uri}: has a frame {last}; `seqLength` in {_INFO} is {n_frames}")
        extent = np.ceil(rows.boxes_xyxy[:, 2:].max(axis=0, initial=1.0))
        width = int(info.get("imWidth", extent[0]))
        height = int(info.get("imHeight", extent[1]))
        return _Sequence(fps, n_frames, width, height, self._detections(uri, rows))

    def _detections(self, uri: str, rows: MotRows) -> dict[int, Detections]:
        """Return the detections of each frame that has any, best first."""
        worst, best = self.score_range
        scores = ((rows.scores - worst) / (best - worst)).astype(np.float32)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise SourceError(
                f"{uri}: scores must be in {[worst, best]}; they are in "
                f"[{rows.scores.min():g}, {rows.scores.max():g}]; set `score_range` to what the "
                "detector gives at most and at least"
            )
        class_ids = np.zeros(len(rows), np.int32) if rows.class_ids is None else rows.class_ids
        order = np.lexsort((-scores, rows.frames))
        frames, starts = np.unique(rows.frames[order], return_index=True)
        parts = np.split(order, starts[1:])
        return {
            frame: Detections(
                rows.boxes_xyxy[part].astype(np.float32),
                scores[part],
                class_ids[part],
                tuple(map(_label, class_ids[part].tolist())),
            )
            for frame, part in zip(frames.tolist(), parts, strict=False)
        }


@dataclass(frozen=True)
class _Sequence:
    """A file that has been read."""

    fps: float
    n_frames: int
    width: int
    height: int
    detections: dict[int, Detections]
    """By the number of the frame, from 1."""

    def record(self, origin: Origin, min_score: float) -> ImageRecord:
        """Return the record of a frame."""
        found = self.detections.get(origin.sequence + 1, _NOTHING)
        kept = found.take(found.scores >= min_score)
        return ImageRecord(origin, self.width, self.height, _NO_PIXELS, detections=kept)


_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)
_NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ()
)


def _label(class_id: int) -> str:
    return CLASSES[class_id] if 0 <= class_id < len(CLASSES) else f"class {class_id}"


def _bytes_of(reader: Reader, uri: str) -> bytes:
    try:
        return reader.read_all(uri)
    except OSError as error:
        raise SourceError(f"{uri}: cannot be read: {error.strerror or error}") from error


def _read_info(reader: Reader, uri: str) -> dict[str, float]:
    """Return the numbers in the `seqinfo.ini` of a file; nothing when there is none."""
    for place in _info_places(uri):
        try:
            data = reader.read_all(place)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceError(f"{place}: cannot be read: {error}") from error
        return _parse_info(data.decode("utf-8", "replace"), place)
    return {}


def _info_places(uri: str) -> Iterator[str]:
    """Yield where the `seqinfo.ini` of a file may be, the nearest place first."""
    before, path, behind = split_uri(uri)
    folder, _ = os.path.split(path)
    yield f"{before}{os.path.join(folder, _INFO)}{behind}"
    above, name = os.path.split(folder)
    if name in ("det", "gt"):
        yield f"{before}{os.path.join(above, _INFO)}{behind}"


def _parse_info(text: str, place: str) -> dict[str, float]:
    known = ("frameRate", "seqLength", "imWidth", "imHeight")
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
        section = parser["Sequence"]
        info = {name: float(section[name]) for name in known if name in section}
    except (configparser.Error, KeyError, ValueError) as error:
        raise SourceError(
            f"{place}: must have a section [Sequence] with numbers for {', '.join(known)}; "
            f"{' '.join(str(error).split())}"
        ) from error
    if bad := [name for name, value in info.items() if not 0 < value < float("inf")]:
        raise SourceError(f"{place}: `{bad[0]}` must be above 0; got {section[bad[0]]}")
    return info
