"""Frames of video files, decoded with PyAV. A video is cut into segments that workers share."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np

from sightflow.errors import PipelineError
from sightflow.protocols import Context, Read
from sightflow.records import Claim, ImageRecord, Origin, Rejected
from sightflow.sources.naming import as_paths, labelled
from sightflow.sources.storage import Reader, list_files

__all__ = ["VIDEO_SUFFIXES", "Video"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")

Frame = tuple[int, int, int]
"""(frame number, presentation timestamp in ticks of the stream, `event_time_ms`)."""


@dataclass(frozen=True)
class Video:
    """Frames of video files, in order, with their presentation time."""

    paths: str | tuple[str, ...]
    """Files, folders or globs of this machine, or URLs of fsspec."""
    every: int = 1
    """Take every n-th frame."""
    fps: float | None = None
    """Take at most this many frames a second instead; None takes them all."""
    segment_frames: int = 64
    """Frames in one piece of work."""
    start_time_ms: int = 0
    """When the first frame was taken, milliseconds since 1970; files rarely know."""

    def __post_init__(self) -> None:
        """Refuse rates that cannot be."""
        if self.every < 1 or self.segment_frames < 1:
            raise PipelineError(
                "Video: `every` and `segment_frames` are counts of frames, from 1; "
                f"got {self.every} and {self.segment_frames}"
            )
        if self.fps is not None and (self.fps <= 0 or self.every != 1):
            raise PipelineError(
                f"Video: `fps` is above 0 and goes without `every`; got {self.fps}, {self.every}"
            )

    def claims(self) -> Iterator[Claim]:
        """List the segments of each video; reads the packets and decodes nothing."""
        paths = as_paths(self.paths)
        reader = Reader()
        for path, label in labelled(paths):
            for file in list_files(path):
                name = label if file.name == label or len(paths) > 1 else file.name
                origin = Origin(file.uri, file.uri, 0, self.start_time_ms, name)
                yield from self._segments(reader, origin)

    def open(self, context: Context) -> Read:
        """Return a function that decodes one segment."""
        reader = Reader()

        def read(claim: Claim) -> Iterator[ImageRecord | Rejected]:
            n_done = 0
            reason, message = "corrupt", "the video has no frame at this time"
            try:
                for outcome in _decode(reader, claim, context):
                    yield outcome
                    n_done += 1
            except av.FFmpegError as error:
                message = str(error)
            except _NotAVideoError as error:
                reason, message = "unsupported", str(error)
            except OSError as error:
                reason, message = "unreadable", str(error)
            for origin in _origins(claim)[n_done:]:
                yield Rejected(origin, context.step, reason, message)

        return read

    def _segments(self, reader: Reader, origin: Origin) -> Iterator[Claim]:
        try:
            packets, seconds_per_tick = _scan(reader, origin.uri)
        except (av.FFmpegError, OSError, _NotAVideoError):
            yield Claim(origin)  # opening it again in a worker tells why, as a rejected record
            return
        taken: list[Frame] = []
        last_tick = -1
        for number, (pts, is_key) in enumerate(packets):
            if taken and (is_key or len(taken) >= self.segment_frames):
                yield Claim(origin, tuple(taken))
                taken = []
            seconds = (pts - packets[0][0]) * seconds_per_tick
            tick = number // self.every if self.fps is None else int(seconds * self.fps + 1e-6)
            if tick != last_tick:
                taken.append((number, pts, self.start_time_ms + round(seconds * 1000)))
            last_tick = tick
        if taken:
            yield Claim(origin, tuple(taken))


class _NotAVideoError(ValueError):
    """A file without a stream of pictures, or without timestamps."""


_NO_TIMESTAMPS = "frames without timestamps; `ffmpeg -i IN -c copy OUT.mp4` adds them"


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise _NotAVideoError("no stream of pictures")
    return container.streams.video[0]


def _scan(reader: Reader, uri: str) -> tuple[list[tuple[int, bool]], float]:
    """Return (timestamp, is key frame) of each frame in order of time, and seconds per tick."""
    with reader.open(uri) as file, av.open(file) as container:
        stream = _stream(container)
        packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size]
        seconds_per_tick = float(stream.time_base or 1)
    if not packets or any(pts is None for pts, _ in packets):
        raise _NotAVideoError(_NO_TIMESTAMPS)
    return sorted(packets), seconds_per_tick


def _origins(claim: Claim) -> list[Origin]:
    """Return where each frame of a segment comes from."""
    first = claim.origin
    return [
        replace(first, sequence=n, event_time_ms=time_ms, name=f"{first.name}/{n:08d}")
        for n, _, time_ms in claim.frames
    ] or [first]


def _decode(reader: Reader, claim: Claim, context: Context) -> Iterator[ImageRecord | Rejected]:
    """Decode the frames of a segment, starting at the key frame before it."""
    with reader.open(claim.origin.uri) as file, av.open(file) as container:
        stream = _stream(container)
        if not claim.frames:
            raise _NotAVideoError(_NO_TIMESTAMPS)
        stream.codec_context.thread_count = context.n_threads
        wanted = list(zip(claim.frames, _origins(claim), strict=True))
        container.seek(wanted[0][0][1], stream=stream)
        for frame in container.decode(stream):
            while wanted and wanted[0][0][1] < frame.pts:
                message = "the video has no frame at this time"
                yield Rejected(wanted.pop(0)[1], context.step, "corrupt", message)
            if not wanted:
                return
            if wanted[0][0][1] == frame.pts:
                yield _record(frame, wanted.pop(0)[1])


def _record(frame: av.VideoFrame, origin: Origin) -> ImageRecord:
    """Return a decoded frame as an upright record."""
    pixels = frame.to_ndarray(format="rgb24")
    pixels = np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
    height, width = pixels.shape[:2]
    return ImageRecord(origin, width, height, pixels)
