"""Videos, opened with PyAV: the list of their frames, and which picture is which frame.

A frame has the number that its row has: who reads a video first and who reads it again list its
frames with `list_frames`, and take them with a `Playhead`.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from sightflow.errors import DecodeError
from sightflow.storage.files import Reader

__all__ = [
    "NO_TIMESTAMPS",
    "Listing",
    "OpenVideo",
    "Playhead",
    "list_frames",
    "open_video",
    "upright",
]

NO_TIMESTAMPS = "frames without timestamps; `ffmpeg -i IN -c copy OUT.mp4` adds them"

_SEQUENTIAL = ("avi", "mpeg")
"""Containers whose timestamps do not lead back to their frames; frames are counted instead."""

_MAX_MISSING_S = 1.0
"""A video whose frames end earlier than this before its stated end was cut short."""

_USUAL_RATE = 25


@dataclass(frozen=True, slots=True, eq=False)
class OpenVideo:
    """A video that can be decoded. The place of a frame in it is its timestamp, or its number."""

    container: Any
    stream: Any
    """Of pictures; the first one."""

    @property
    def is_counted(self) -> bool:
        """Whether the place of a frame is its number, and is reached from the start only."""
        return self.container.format.name in _SEQUENTIAL

    def place_of(self, number: int, pts: int) -> int:
        """Return the place of a listed frame."""
        return number if self.is_counted else pts

    def placed(self, frames: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Return decoded frames with their places; counted ones must come from the start."""
        if self.is_counted:
            return enumerate(frames)
        return ((frame.pts, frame) for frame in frames if frame.pts is not None)


@contextmanager
def open_video(reader: Reader, uri: str) -> Iterator[OpenVideo]:
    """Open a video for as long as the context lasts.

    Raises:
        DecodeError: no video.
        av.FFmpegError: the container is damaged.
        OSError: the storage fails.
    """
    with reader.open(uri) as file:
        if not file.read(1):
            raise DecodeError("empty", "no bytes")
        file.seek(0)
        with av.open(file, metadata_errors="replace") as container:
            if not container.streams.video:
                raise DecodeError("unsupported", "no stream of pictures")
            yield OpenVideo(container, container.streams.video[0])


@dataclass(frozen=True)
class Listing:
    """What the packets of a video say of its frames."""

    frames: list[tuple[int, bool]]
    """(timestamp in ticks, is key frame) of each frame by its number, in order of time."""
    time_base: Fraction
    """Seconds in a tick."""
    rate: Fraction
    """Frames a second, as the container says."""
    aspect: Fraction
    """Width of a pixel as it is shown, for a height of 1; before the picture is turned upright."""
    complete: bool
    """Whether the frames reach as far as the container promises; a broken download does not."""


def list_frames(reader: Reader, uri: str) -> Listing:
    """List the frames of a video; reads the packets and decodes nothing.

    Raises:
        DecodeError: no video, or one without timestamps.
        av.FFmpegError: the container is damaged.
        OSError: the storage fails.
    """
    with open_video(reader, uri) as video:
        stream = video.stream
        packets = [
            (packet.pts, packet.is_keyframe)
            for packet in video.container.demux(stream)
            if packet.size and not packet.is_discard  # cut off by an edit list
        ]
        if not packets or any(pts is None for pts, _ in packets):
            raise DecodeError("unsupported", NO_TIMESTAMPS)
        packets.sort()
        time_base = Fraction(stream.time_base or 1)
        lasts_s = (packets[-1][0] - packets[0][0]) * float(time_base)
        return Listing(
            packets,
            time_base,
            rate=Fraction(stream.average_rate or stream.guessed_rate or _USUAL_RATE),
            aspect=Fraction(stream.sample_aspect_ratio or 1),
            complete=lasts_s > _promised_s(video.container, stream) - _MAX_MISSING_S,
        )


class Playhead:
    """Stands at a frame of a video that is being decoded."""

    def __init__(self, frames: Iterator[tuple[int, Any]]) -> None:
        """Decode the first frame of those of `OpenVideo.placed`."""
        self._frames = frames
        self._next = next(frames, None)

    @property
    def place(self) -> float:
        """Place of the next frame; infinite at the end."""
        return float("inf") if self._next is None else self._next[0]

    def take(self, place: int) -> Any | None:
        """Return the frame at this place, if any, and step beyond it."""
        while self._next is not None and self._next[0] < place:
            self._next = next(self._frames, None)
        if self._next is None or self._next[0] > place:
            return None
        frame = self._next[1]
        self._next = next(self._frames, None)
        return frame


def upright(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """Return a decoded frame as its display orientation asks.

    Returns:
        uint8 [H, W, 3] RGB, which may be changed.
    """
    pixels = frame.to_ndarray(format="rgb24")
    if frame.format.name == "rgb24":
        pixels = pixels.copy()  # the decoder may still need its own
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))


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
