"""Frames of segments of videos: exactly the wanted ones, in order, found by seeking."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import av

from sightflow.errors import DecodeError
from sightflow.protocols import Context, Read
from sightflow.records import Claim, ImageRecord, Origin, Rejected
from sightflow.sources.segments import frame_origins
from sightflow.storage.files import Reader
from sightflow.storage.videos import NO_TIMESTAMPS, Playhead, open_video, upright

__all__ = ["Decoder", "Frame", "frame_reader"]

Frame = tuple[int, int, int]
"""(frame number, presentation timestamp in ticks of the stream, `event_time_ms`)."""

_MAX_BACK_S = 100_000


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
                yield cursor.take(number, pts)
        finally:
            if cursor.is_counted:
                self._kept = {uri: cursor}
            else:
                cursor.close()

    def _cursor(self, uri: str, wanted: Sequence[Frame]) -> "_Cursor":
        """Return a cursor that stands at or before the first wanted frame."""
        kept = self._kept.pop(uri, None)
        self._close()
        if kept is not None and kept.place <= wanted[0][0]:
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
            self._video = stack.enter_context(open_video(reader, uri))
            if not wanted:
                raise DecodeError("unsupported", NO_TIMESTAMPS)
            self._video.stream.codec_context.thread_count = n_threads
            self.is_counted = self._video.is_counted
            frames = self._decoded() if self.is_counted else self._from(wanted[0][1])
            self._head = Playhead(frames)
            self._resources = stack.pop_all()

    @property
    def place(self) -> float:
        """Place of the next frame; infinite at the end."""
        return self._head.place

    def take(self, number: int, pts: int) -> Any | None:
        """Return the frame that was listed so, if any, and step beyond it."""
        return self._head.take(self._video.place_of(number, pts))

    def close(self) -> None:
        """Close the video, and let go of its frames, which hold this cursor in turn."""
        self._head = Playhead(iter(()))
        self._resources.close()

    def _from(self, pts: int) -> Iterator[tuple[int, Any]]:
        """Yield frames with their places, from at or before a timestamp on.

        Some containers seek by decoding time, and land behind the frame: then look further back.
        """
        container, stream = self._video.container, self._video.stream
        back_s = 0.0
        while True:
            ticks = int(back_s / float(stream.time_base))
            container.seek(pts - ticks, stream=stream)
            frames = self._decoded()
            first = next(frames, None)
            at_start = back_s > _MAX_BACK_S
            if first is not None and (first[0] <= pts or at_start):
                yield first
                yield from frames
                return
            if at_start:
                return
            back_s = back_s * 4 or 1.0

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        return self._video.placed(self._video.container.decode(self._video.stream))


def frame_reader(context: Context) -> Read:
    """Return a function that decodes the frames of a claim: a segment of a video.

    What cannot be decoded is rejected, and all that follows it in the segment.
    """
    decoder = Decoder(Reader(), context.inference.n_threads, context.resources)

    def read(claim: Claim) -> Iterator[ImageRecord | Rejected]:
        origins = frame_origins(claim)
        n_done = 0
        try:
            for frame in decoder.decode(claim.origin.uri, claim.frames):
                yield _outcome(frame, origins[n_done], context)
                n_done += 1
            return
        except DecodeError as error:
            reason, message = error.reason, error.message
        except av.FFmpegError as error:
            reason, message = "corrupt", str(error)
        except OSError as error:
            reason, message = "unreadable", str(error)
        for origin in origins[n_done:]:
            yield Rejected(origin, context.step, reason, message)

    return read


def _outcome(
    frame: av.VideoFrame | None, origin: Origin, context: Context
) -> ImageRecord | Rejected:
    """Return a decoded frame as an upright record."""
    if frame is None:
        return Rejected(origin, context.step, "corrupt", "the video has no frame at this time")
    pixels = upright(frame)
    height, width = pixels.shape[:2]
    return ImageRecord(origin, width, height, pixels)
