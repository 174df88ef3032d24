"""Frames of video files, decoded with PyAV. A video is cut into segments that workers share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import av

from sightflow.errors import DecodeError, PipelineError
from sightflow.options import check_count, check_number
from sightflow.protocols import Context, Read
from sightflow.records import Claim, Origin
from sightflow.sources.frames import Frame, frame_reader
from sightflow.storage.files import Reader, list_named
from sightflow.storage.videos import list_frames

__all__ = ["Video"]


@dataclass(frozen=True)
class Video:
    """Frames of video files, in order, with their presentation time."""

    paths: str | tuple[str, ...]
    """Files, folders or globs of this machine, or URLs of fsspec."""
    pattern: str = "*"
    """For file names in folders, such as `*.mp4`; upper and lower case alike."""
    every: int = 1
    """Take every n-th frame."""
    fps: float | None = None
    """Take at most this many frames a second instead; None takes them all."""
    segment_frames: int = 64
    """Frames in one piece of work."""
    start_time_ms: int = 0
    """When the first frame was taken, milliseconds since 1970; files rarely know."""

    gives: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse rates that cannot be."""
        check_count(self, "every", "segment_frames", at_least=1)
        check_number(self, "fps", within="(0, 1000]")
        if self.fps is not None and self.every != 1:
            raise PipelineError(
                f"Video: `fps` goes without `every`; got {self.fps} and {self.every}; leave one out"
            )

    def claims(self) -> Iterator[Claim]:
        """List the segments of each video; reads the packets and decodes nothing."""
        reader = Reader()
        for _, _, file in list_named(self.paths, pattern=self.pattern):
            origin = Origin(file.uri, file.uri, 0, self.start_time_ms, file.name)
            yield from self._segments(reader, origin)

    def open(self, context: Context) -> Read:
        """Return a function that decodes one segment."""
        return frame_reader(context)

    def _segments(self, reader: Reader, origin: Origin) -> Iterator[Claim]:
        try:
            listing = list_frames(reader, origin.uri)
        except (av.FFmpegError, OSError, DecodeError):
            yield Claim(origin)  # opening it again in a worker tells why, as a rejected record
            return
        seconds_per_tick = float(listing.time_base)
        taken: list[Frame] = []
        last_tick = -1
        for number, (pts, is_key) in enumerate(listing.frames):
            if taken and (is_key or len(taken) >= self.segment_frames):
                yield Claim(origin, tuple(taken))
                taken = []
            seconds = (pts - listing.frames[0][0]) * seconds_per_tick
            tick = number // self.every if self.fps is None else int(seconds * self.fps + 1e-6)
            if tick != last_tick:
                taken.append((number, pts, self.start_time_ms + round(seconds * 1000)))
            last_tick = tick
        if not listing.complete:  # one more, which is not there, stands for those that are missing
            taken.append((number + 1, pts + 1, self.start_time_ms + round(seconds * 1000)))
        if taken:
            yield Claim(origin, tuple(taken))
