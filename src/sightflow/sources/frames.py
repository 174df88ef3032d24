"""Frames of videos, decoded with PyAV: exactly the wanted ones, in order."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from sightflow.errors import DecodeError
from sightflow.storage.files import Reader

__all__ = ["Decoder", "Frame", "Listing", "list_frames", "upright"]

Frame = tuple[int, int, int]
"""(frame number, presentation timestamp in ticks of the stream, `event_time_ms`)."""

_SEQUENTIAL = ("avi", "mpeg")
"""Containers whose timestamps do not lead back to their frames; frames are counted instead."""

_MAX_BACK_S = 100_000

_MAX_MISSING_S = 1.0
"""A video whose frames end earlier than this before its stated end was cut short."""


class Decoder:
    """Decodes the frames of segments in one worker.

    Most containers are entered at the key frame before the segment. One that can only be read from
    its start stays open, so that the next segment goes on from there.
    """

    def __init__(self, reader: Reader, n_threads: int, resources: ExitStack) -> None:
        """Start with no video open; `resources` closes what is open at the end."""
        self._reader = reader
        self._n_threads = n_threads
        self._kept: dict[str, _Cursor] = {}
        resources.callback(self._close)

    def decode(self, uri: str, wanted: Sequence[Frame]) -> Iterator[Any | None]:
        """Yield the decoded frame for each wanted one, or None where the video has none.

        Raises:
            DecodeError: there is nothing to decode.
            av.FFmpegError: the video is damaged.
            OSError: the storage fails.
        """
        cursor = self._cursor(uri, wanted)
        try:
            for number, pts, _ in wanted:
                yield cursor.take(number if cursor.sequential else pts)
        finally:
            if cursor.sequential:
                self._kept = {uri: cursor}
            else:
                cursor.close()

    def _cursor(self, uri: str, wanted: Sequence[Frame]) -> "_Cursor":
        """Return a cursor that stands at or before the first wanted frame."""
        kept = self._kept.pop(uri, None)
        self._close()
        if kept is not None and kept.position <= wanted[0][0]:
            return kept
        if kept is not None:
            kept.close()
        return _Cursor(self._reader, uri, self._n_threads, wanted)

    def _close(self) -> None:
        for cursor in self._kept.values():
            cursor.close()
        self._kept = {}


class _Cursor:
    """An open video that stands at a frame."""

    def __init__(self, reader: Reader, uri: str, n_threads: int, wanted: Sequence[Frame]) -> None:
        with ExitStack() as stack:
            file = stack.enter_context(reader.open(uri))
            self._container = stack.enter_context(_open(file))
            self._stream = _stream(self._container)
            if not wanted:
                raise DecodeError("unsupported", _NO_TIMESTAMPS)
            self._stream.codec_context.thread_count = n_threads
            self.sequential = self._container.format.name in _SEQUENTIAL
            if self.sequential:
                self._frames: Iterator[tuple[int, Any]] = enumerate(self._decoded())
            else:
                self._frames = self._from(wanted[0][1])
            self._head = next(self._frames, None)
            self._resources = stack.pop_all()

    @property
    def position(self) -> float:
        """Number or timestamp of the next frame; infinite at the end."""
        return float("inf") if self._head is None else self._head[0]

    def take(self, at: int) -> Any | None:
        """Return the frame at this number or timestamp, if any, and step beyond it."""
        while self._head is not None and self._head[0] < at:
            self._head = next(self._frames, None)
        if self._head is None or self._head[0] > at:
            return None
        frame = self._head[1]
        self._head = next(self._frames, None)
        return frame

    def close(self) -> None:
        """Close the video, and let go of its frames, which hold this cursor in turn."""
        self._head, self._frames = None, iter(())
        self._resources.close()

    def _from(self, pts: int) -> Iterator[tuple[int, Any]]:
        """Yield (timestamp, frame) from at or before a timestamp on.

        Some containers seek by decoding time, and land behind the frame: then look further back.
        """
        back_s = 0.0
        while True:
            ticks = int(back_s / float(self._stream.time_base))
            self._container.seek(pts - ticks, stream=self._stream)
            frames = self._decoded()
            first = next(frames, None)
            at_start = back_s > _MAX_BACK_S
            if first is not None and (first.pts <= pts or at_start):
                yield first.pts, first
                yield from ((frame.pts, frame) for frame in frames)
                return
            if at_start:
                return
            back_s = back_s * 4 or 1.0

    def _decoded(self) -> Iterator[Any]:
        frames: Iterator[Any] = self._container.decode(self._stream)
        return (frame for frame in frames if frame.pts is not None or self.sequential)


@dataclass(frozen=True)
class Listing:
    """What the packets of a video say of its frames."""

    frames: list[tuple[int, bool]]
    """(timestamp in ticks, is key frame), in order of time."""
    seconds_per_tick: float
    complete: bool
    """Whether the frames reach as far as the container promises; a broken download does not."""


def list_frames(reader: Reader, uri: str) -> Listing:
    """List the frames of a video; reads the packets and decodes nothing.

    Raises:
        DecodeError: no video, or one without timestamps.
        av.FFmpegError: the container is damaged.
        OSError: the storage fails.
    """
    with reader.open(uri) as file, _open(file) as container:
        stream = _stream(container)
        packets = [
            (packet.pts, packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.size and not packet.is_discard  # cut off by an edit list
        ]
        tick = float(stream.time_base or 1)
        promised_s = _promised_s(container, stream)
    if not packets or any(pts is None for pts, _ in packets):
        raise DecodeError("unsupported", _NO_TIMESTAMPS)
    packets.sort()
    lasts_s = (packets[-1][0] - packets[0][0]) * tick
    return Listing(packets, tick, complete=lasts_s > promised_s - _MAX_MISSING_S)


def upright(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """Return a decoded frame as uint8 [H, W, 3] RGB, turned as its display orientation asks."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))


_NO_TIMESTAMPS = "frames without timestamps; `ffmpeg -i IN -c copy OUT.mp4` adds them"


def _promised_s(container: Any, stream: Any) -> float:
    """Return how long the pictures last by the container's header; 0 where it does not say.

    The length of the whole file says it only where there is no sound, which may last longer.
    """
    if stream.duration:
        return float(stream.duration * stream.time_base)
    stated = _seconds_of(stream.metadata.get("DURATION", ""))
    alone = len(container.streams) == 1 and container.duration
    return stated or (container.duration / av.time_base if alone else 0.0)


def _seconds_of(clock: str) -> float:
    """Return the seconds of a time like `0:01:02.5`; 0 where it is written in another way."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", clock)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def _open(file: Any) -> Any:
    if not file.read(1):
        raise DecodeError("empty", "no bytes")
    file.seek(0)
    return av.open(file, metadata_errors="replace")


def _stream(container: Any) -> Any:
    if not container.streams.video:
        raise DecodeError("unsupported", "no stream of pictures")
    return container.streams.video[0]
