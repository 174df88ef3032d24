"""Frames of a stream read again, in order: of a video, or pictures that each are one frame."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from sightflow.errors import OutputError
from sightflow.ops.decode import MAX_PIXELS, decode, may_be_picture
from sightflow.ops.draw import Pixels
from sightflow.storage.files import Reader
from sightflow.storage.videos import OpenVideo, Playhead, list_frames, open_video, upright

__all__ = ["Shot", "Video", "is_picture", "read_picture"]

_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame of a video, read again."""

    number: int
    """From 0, as the field `sequence`."""
    tick: int
    """When it is shown, in ticks since the first frame of the video."""
    pixels: Pixels
    """uint8 [H, W, 3] RGB, upright; may be changed."""
    aspect: Fraction
    """Width of a pixel as it is shown, for a height of 1."""


@contextmanager
def _reading(uri: str) -> Iterator[None]:
    """Make what goes wrong while a file is read into `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError, av.FFmpegError) as error:
        raise OutputError(
            f"{uri}: cannot be read again to draw into it: {error}; "
            "keep what is read until the run is complete"
        ) from error


def is_picture(reader: Reader, uri: str) -> bool:
    """Return whether a file begins like a picture.

    Raises:
        OutputError: it cannot be read.
    """
    with _reading(uri), reader.open(uri) as file:
        return may_be_picture(file.read(_HEAD_BYTES))


def read_picture(reader: Reader, uri: str, n_pixels: int) -> Pixels:
    """Return a picture, uint8 [H, W, 3] RGB, upright; may be changed.

    One of `n_pixels` was recognised, so that it is read even where the usual limit is lower.

    Raises:
        OutputError: it cannot be read, or is far larger than it was.
    """
    with _reading(uri):
        data = reader.read_all(uri)
        return decode(data, max_pixels=max(n_pixels, MAX_PIXELS)).pixels.copy()


class Video:
    """A video that is read again, from its start to the last wanted frame.

    `is_damaged` says whether a part could not be decoded so far.
    """

    def __init__(self, reader: Reader, uri: str) -> None:
        """List the frames; reads the packets and decodes nothing.

        Raises:
            OutputError: it cannot be read, or has no frames with timestamps.
        """
        self._reader, self.uri = reader, uri
        self.is_damaged = False
        with _reading(uri):
            listing = list_frames(reader, uri)
        self.time_base, self.rate, self._aspect = listing.time_base, listing.rate, listing.aspect
        self._ticks = np.fromiter((pts for pts, _ in listing.frames), np.int64)
        self.n_frames = len(self._ticks)

    def shots(self, numbers: Iterable[int]) -> Iterator[Shot]:
        """Yield the wanted frames; one that cannot be decoded is left out.

        Args:
            numbers: of the frames, from 0, ascending.

        Raises:
            OutputError: it cannot be read.
        """
        with _reading(self.uri), open_video(self._reader, self.uri) as video:
            video.stream.thread_type = "AUTO"
            head = Playhead(video.placed(self._decoded(video)))
            for number in numbers:
                if number >= self.n_frames:
                    return
                frame = head.take(video.place_of(number, int(self._ticks[number])))
                if frame is not None:
                    yield self._shot(number, frame)

    def _shot(self, number: int, frame: Any) -> Shot:
        tick = int(self._ticks[number] - self._ticks[0])
        aspect = self._aspect if frame.rotation % 180 == 0 else 1 / self._aspect
        return Shot(number, tick, upright(frame), aspect)

    def _decoded(self, video: OpenVideo) -> Iterator[Any]:
        """Yield the frames from the start on; damaged packets are passed over."""
        packets = video.container.demux(video.stream)
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except av.FFmpegError:
                self.is_damaged = True
                continue
            if packet is None:
                return
            yield from frames
