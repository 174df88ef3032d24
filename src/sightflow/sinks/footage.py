"""Frames of a stream read again, in order: those of a video, or pictures that each are one frame.

They are found as the sources find them, so that a frame has the number that its row has.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from sightflow.errors import DecodeError, OutputError
from sightflow.ops.decode import MAX_PIXELS, decode, may_be_picture
from sightflow.ops.draw import Pixels
from sightflow.storage.files import Reader

__all__ = ["Shot", "Video", "is_picture", "read_picture"]

_SEQUENTIAL = ("avi", "mpeg")
"""Containers whose timestamps do not lead back to their frames; frames are counted instead."""
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
        with _reading(uri), reader.open(uri) as file, _open(file) as container:
            stream = _pictures(container)
            self.time_base = Fraction(stream.time_base)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self._aspect = Fraction(stream.sample_aspect_ratio or 1)
            ticks = (
                packet.pts
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard and packet.pts is not None
            )
            self._ticks = np.sort(np.fromiter(ticks, np.int64))
        self.n_frames = len(self._ticks)

    def shots(self, numbers: Iterable[int]) -> Iterator[Shot]:
        """Yield the wanted frames; one that cannot be decoded is left out.

        Args:
            numbers: of the frames, from 0, ascending.

        Raises:
            OutputError: it cannot be read.
        """
        wanted = iter(numbers)
        number = next(wanted, None)
        for at, frame in self._decoded():
            while number is not None and number < at:
                number = next(wanted, None)
            if number is None:
                return
            if number == at:
                yield self._shot(at, frame)

    def _shot(self, number: int, frame: Any) -> Shot:
        pixels = frame.to_ndarray(format="rgb24")
        if frame.format.name == "rgb24":
            pixels = pixels.copy()  # the decoder may still need its own
        pixels = np.rot90(pixels, frame.rotation // 90)
        tick = int(self._ticks[number] - self._ticks[0])
        aspect = self._aspect if frame.rotation % 180 == 0 else 1 / self._aspect
        return Shot(number, tick, np.ascontiguousarray(pixels), aspect)

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        """Yield (number, frame) of all frames that can be decoded."""
        with _reading(self.uri), self._reader.open(self.uri) as file, _open(file) as container:
            stream = _pictures(container)
            stream.thread_type = "AUTO"
            by_count = container.format.name in _SEQUENTIAL
            after = 0
            for frame in self._frames(container, stream):
                at = after if by_count else self._number_of(frame.pts, after)
                if at is not None and at < self.n_frames:
                    yield at, frame
                    after = at + 1

    def _number_of(self, pts: int | None, after: int) -> int | None:
        """Return the number of the frame with this timestamp, if the packets list it."""
        if pts is None:
            return None
        at = max(after, int(np.searchsorted(self._ticks, pts)))  # several may have the same
        return at if at < self.n_frames and self._ticks[at] == pts else None

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yield the frames of a stream; damaged packets are passed over."""
        packets = container.demux(stream)
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


def _open(file: Any) -> Any:
    return av.open(file, metadata_errors="replace")


def _pictures(container: Any) -> Any:
    if not container.streams.video:
        raise DecodeError("unsupported", "no stream of pictures")
    return container.streams.video[0]
