"""The images of an earlier run, by its results: the same files, the same frames, the same order."""

import logging
import os
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, groupby, islice
from typing import ClassVar

import av

from sightflow.errors import DecodeError, SourceError
from sightflow.ops.decode import may_be_picture
from sightflow.options import check_count
from sightflow.protocols import Context, Read
from sightflow.records import Claim, EncodedImage, ImageRecord, Origin, Rejected, Row
from sightflow.sources.addresses import is_live
from sightflow.sources.endings import path_of
from sightflow.sources.frames import Frame, frame_reader
from sightflow.sources.reading import file_reader
from sightflow.storage.files import Reader, can_be_opened
from sightflow.storage.naming import VIDEO_SUFFIXES
from sightflow.storage.resultfiles import read_rejected, read_results
from sightflow.storage.videos import list_frames

__all__ = ["Inputs", "LeftOut", "Recorded"]

_LOGGER = logging.getLogger(__name__)
_HEAD_BYTES = 4096
_NOWHERE = -(1 << 62)
"""A timestamp that no frame has."""
_PAGE = 1024
"""Numbers that are kept together, as bits of one."""
_N_VIDEOS = 16
"""Videos whose frames are known at once; of each frame 16 bytes are kept."""
_ESCAPE = re.compile(r"\\x([89a-f][0-9a-f])")
"""In results a byte of a name that is no UTF-8 is written so."""


@dataclass
class LeftOut:
    """Rows whose images cannot be read again, or need not be."""

    schemes: Counter[str] = field(default_factory=Counter)
    """Images that nobody can open again, by the scheme of their URI: `rtsp`, `kafka`, `camera`."""
    n_repeated: int = 0
    """Rows of an image that was there before."""
    n_frames: int = 0
    """Rejected frames of videos: what is kept of them has no number."""

    @property
    def n(self) -> int:
        """How many rows."""
        return self.schemes.total() + self.n_repeated + self.n_frames

    def reasons(self) -> list[str]:
        """Return in words how many rows are left out, and why."""
        said = [
            f"{n} of {scheme}, which cannot be opened again"
            for scheme, n in self.schemes.most_common()
        ]
        if self.n_repeated:
            said.append(f"{self.n_repeated} of images that were there before")
        if self.n_frames:
            said.append(f"{self.n_frames} rejected frames of videos, whose numbers are not kept")
        return said


@dataclass(frozen=True)
class Recorded:
    """The images that results of an earlier run are of, each once, in their order.

    They keep `source_id`, `sequence`, `event_time_ms`, label and metadata, so that new results can
    be laid beside the old ones. Of videos exactly the frames are read that are in the results.
    Images of cameras and brokers, which nobody can open again, are left out, and counted in the
    log.
    """

    path: str
    """`NAME.jsonl`, `NAME.parquet` or the folder of a `Dataset`; a URL of fsspec too."""
    rejected: bool = True
    """Whether images that were rejected are read as well, behind all others; each is a stream of
    its own then (`source_id` is its URI), since the record of it has no place in one."""
    segment_frames: int = 64
    """Frames of a video in one piece of work."""

    gives: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        check_count(self, "segment_frames", at_least=1)

    def claims(self) -> Iterator[Claim]:
        """List the images, and log what is left out.

        Raises:
            SourceError: the results cannot be read, or none of their images can be.
        """
        inputs = self.inputs()
        n_claims = 0
        for claim in self._claims(inputs):
            n_claims += 1
            yield claim
        said = "; ".join(inputs.left.reasons())
        if said and not n_claims:
            raise SourceError(f"{self.path}: no image can be read again: {said}")
        if said:
            _LOGGER.warning("%s: left out: %s", self.path, said)

    def open(self, context: Context) -> Read:
        """Return a function that reads a file, or decodes a segment of a video."""
        read_file, read_frames = file_reader(context), frame_reader(context)

        def read(claim: Claim) -> Iterator[EncodedImage | ImageRecord | Rejected]:
            is_video = claim.frames or _is_named_video(claim.origin.uri)
            return read_frames(claim) if is_video else read_file(claim)

        return read

    def inputs(self) -> "Inputs":
        """Return what of the results is read again, row by row."""
        return Inputs(self)

    def _claims(self, inputs: "Inputs") -> Iterator[Claim]:
        reader, number = Reader(), 0
        videos = _Videos(reader)
        for _, rows in groupby(inputs.rows(), _place_of):
            for claim in self._claims_of(reader, videos, number, rows):
                number += 1
                yield claim
        for uri in inputs.rejected():
            path = _as_named(uri)
            yield Claim(Origin(path, uri, 0, 0, _name(number, uri)))
            number += 1

    def _claims_of(
        self, reader: Reader, videos: "_Videos", number: int, rows: Iterator[Row]
    ) -> Iterator[Claim]:
        """Yield the claims for rows of one place: a picture, or the frames of a video."""
        head = list(islice(rows, 2))
        uri = head[0]["uri"]
        is_video = _is_named_video(uri) or (len(head) > 1 and not _is_picture(reader, uri))
        if is_video:
            origin = _origin(head[0], _name(number, uri))
            yield from self._segments(videos.places(origin.uri), origin, chain(head, rows))
            return
        for place, row in enumerate(chain(head, rows), number):
            yield Claim(_origin(row, _name(place, uri)))

    def _segments(self, places: "_Places", origin: Origin, rows: Iterable[Row]) -> Iterator[Claim]:
        """Yield claims for the frames of a video, each for rising numbers.

        A segment ends where a key frame comes next, or an earlier frame.
        """
        taken: list[Frame] = []
        segment = -1
        for row in rows:
            number = row["sequence"]
            if taken and (
                places.segment(number) != segment
                or number < taken[-1][0]
                or len(taken) >= self.segment_frames
            ):
                yield Claim(origin, tuple(taken))
                taken = []
            segment = places.segment(number)
            taken.append((number, places.tick(number), row["event_time_ms"]))
        yield Claim(origin, tuple(taken))


class Inputs:
    """Goes over results, and says which of their images can be read again."""

    def __init__(self, recorded: Recorded) -> None:
        """Begin before the first row."""
        self._recorded = recorded
        self._seen = _Seen()
        self.left = LeftOut()
        """What was left out so far."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows of results whose images are read again.

        Raises:
            SourceError: the results cannot be read.
        """
        for row in read_results(self._recorded.path):
            if (scheme := _closed_scheme(row["uri"])) is not None:
                self.left.schemes[scheme] += 1
            elif self._seen.add(row["source_id"], row["sequence"]):
                yield row
            else:
                self.left.n_repeated += 1

    def rejected(self) -> Iterator[str]:
        """Yield the URIs of rejected images that are read again; to be asked for behind `rows`.

        Raises:
            SourceError: the file of rejected images cannot be read.
        """
        for row in read_rejected(self._recorded.path) if self._recorded.rejected else ():
            uri = row["uri"]
            if (scheme := _closed_scheme(uri)) is not None:
                self.left.schemes[scheme] += 1
            elif uri not in self._seen:
                self._seen.add(uri, 0)
                yield uri
            elif _is_named_video(uri):
                self.left.n_frames += 1
            else:
                self.left.n_repeated += 1


class _Seen:
    """Which images were there: a bit for each number of a source, in whichever order they come."""

    def __init__(self) -> None:
        self._sources: dict[str, dict[int, int]] = {}

    def __contains__(self, source_id: str) -> bool:
        return source_id in self._sources

    def add(self, source_id: str, number: int) -> bool:
        """Note an image; return whether it is new."""
        pages = self._sources.setdefault(source_id, {})
        page, place = divmod(number, _PAGE)
        bits = pages.get(page, 0)
        pages[page] = bits | 1 << place
        return not bits >> place & 1


@dataclass(frozen=True)
class _Places:
    """Where the frames of a video are, by their numbers."""

    ticks: Sequence[int] = ()
    segments: Sequence[int] = ()
    """How many key frames there are up to each frame."""

    @classmethod
    def of(cls, reader: Reader, uri: str) -> "_Places":
        """List the frames; of a video that cannot be opened there are none.

        Who decodes it then tells why, as a rejected record for each frame.
        """
        try:
            listing = list_frames(reader, uri)
        except (av.FFmpegError, OSError, DecodeError):
            return cls()
        ticks = array("q", (pts for pts, _ in listing.frames))
        return cls(ticks, array("q", accumulate(is_key for _, is_key in listing.frames)))

    def tick(self, number: int) -> int:
        """Return the timestamp of a frame; of one that is not there, one that no frame has."""
        if number < len(self.ticks):
            return self.ticks[number]
        return self.ticks[-1] + 1 + number - len(self.ticks) if self.ticks else _NOWHERE

    def segment(self, number: int) -> int:
        """Return the number of the segment that a frame is in."""
        return self.segments[min(number, len(self.segments) - 1)] if self.segments else 0


class _Videos:
    """Where the frames of the last few videos are: rows of several may take turns."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[str, _Places] = {}

    def places(self, uri: str) -> _Places:
        """Return where the frames of a video are; the one that was asked for longest ago goes."""
        found = self._known.pop(uri, None) or _Places.of(self._reader, uri)
        if len(self._known) >= _N_VIDEOS:
            del self._known[next(iter(self._known))]
        self._known[uri] = found
        return found


def _place_of(row: Row) -> tuple[str, str]:
    return row["uri"], row["source_id"]


def _origin(row: Row, name: str) -> Origin:
    return Origin(
        _as_named(row["uri"]),
        _as_named(row["source_id"]),
        row["sequence"],
        row["event_time_ms"],
        name,
        row.get("label"),
        metadata=tuple((row.get("metadata") or {}).items()),
    )


def _name(number: int, uri: str) -> str:
    return f"{number:08d}-{os.path.basename(path_of(_as_named(uri))) or 'image'}"


def _as_named(text: str) -> str:
    r"""Return a name as the storage has it: results write what is no UTF-8 as `\xNN`."""
    if "\\x" not in text or os.path.exists(text):
        return text
    return _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), text)


def _closed_scheme(uri: str) -> str | None:
    """Return how an image came that nobody can open again; None for one in a file."""
    if is_live(uri):
        scheme, separator, _ = uri.partition("://")
        return scheme.lower() if separator else "camera"
    return None if can_be_opened(uri) else uri.partition("://")[0]


def _is_named_video(uri: str) -> bool:
    return uri.lower().endswith(VIDEO_SUFFIXES)


def _is_picture(reader: Reader, uri: str) -> bool:
    """Return whether a file begins like a picture; one that cannot be opened may be one."""
    try:
        with reader.open(_as_named(uri)) as file:
            return may_be_picture(file.read(_HEAD_BYTES))
    except OSError:
        return True
