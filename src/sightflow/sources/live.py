"""Live pictures of cameras and network streams: always the newest, and a count of the others."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from sightflow.errors import DecodeError, PipelineError
from sightflow.options import check_count, check_number
from sightflow.protocols import Context
from sightflow.records import EncodedImage, Rejected, Skipped
from sightflow.sources.addresses import without_password
from sightflow.sources.connection import Connection, encode, open_connection
from sightflow.sources.follower import Follower, LivePosition, Waits
from sightflow.sources.mailbox import Arrived

__all__ = ["Live"]

_CLOSING_S = 1.0
"""How long closing waits for the thread; one that waits for a silent camera ends by itself."""


@dataclass(frozen=True)
class Live:
    """Pictures of a camera or a live stream, as they come; of more than are wanted, the newest.

    A recording (a file, or a playlist that is complete) is played at its own speed and ends by
    itself. A live stream that breaks is connected again.
    """

    url: str | int
    """`rtsp://`, `http://` or `https://` (HLS, MJPEG), the number of a camera of this machine, or
    whatever else FFmpeg opens; with name and password where they are asked for."""
    source_id: str | None = None
    """Name of the stream; None takes the url, without its password."""
    max_fps: float | None = None
    """Hand out at most this many pictures a second; the others count as skipped."""
    duration_s: float | None = None
    """Seconds after which the stream ends, restarts included; None goes on until it is stopped."""
    read_timeout_s: float = 15.0
    """Seconds of silence after which a camera is gone; longer than a segment of an HLS stream."""
    first_wait_s: float = 0.5
    """Seconds from a lost connection to the next attempt. Each failure doubles the wait; chance
    makes it up to half as long, so that cameras do not all come back at once."""
    max_wait_s: float = 30.0
    """The longest wait between two attempts, in seconds."""
    give_up_s: float | None = None
    """Seconds without a picture after which the stream ends; None waits for ever."""
    quality: int = 95
    """Of the JPEGs that are handed out, 1 to 100; those of MJPEG cameras stay as they are."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of FFmpeg, such as `{"video_size": "1280x720"}` for a camera of this machine."""

    gives: ClassVar[tuple[str, ...]] = ()
    adjustable: ClassVar[tuple[str, ...]] = (
        "max_fps",
        "duration_s",
        "read_timeout_s",
        "first_wait_s",
        "max_wait_s",
        "give_up_s",
        "quality",
        "options",
    )

    def __post_init__(self) -> None:
        """Refuse times and rates that cannot be."""
        if not str(self.url).strip():
            raise PipelineError("Live: `url` must name a camera or a stream; got nothing")
        check_count(self, "quality", at_least=1, at_most=100)
        waits = ("read_timeout_s", "first_wait_s", "max_wait_s", "give_up_s")
        check_number(self, "max_fps", "duration_s", *waits, within="(0, inf)")

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on: all but the password."""
        options = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**options, "url": without_password(str(self.url))}

    def __repr__(self) -> str:
        """Show no password."""
        return f"Live({without_password(str(self.url))!r})"

    def open_stream(self, context: Context, position: str | None) -> "LiveStream":
        """Return the stream; its numbers go on at the position.

        A camera cannot be read again: what it showed before this moment is gone. A recording goes
        on behind the position.
        """
        now_ms = int(time.time() * 1000)
        place = LivePosition(now_ms) if position is None else LivePosition.decode(position)
        shown = without_password(str(self.url))
        follower = Follower(
            (shown, self.source_id or shown),
            place,
            self._connect,
            Waits(self.first_wait_s, self.max_wait_s, self.give_up_s),
            max_fps=self.max_fps,
            n_threads=context.inference.n_threads,
        )
        stream = LiveStream(self, context, follower, place)
        context.resources.callback(stream.close)
        follower.start()
        return stream

    def _connect(self, resources: ExitStack) -> Connection:
        return open_connection(
            self.url, self.options, timeout_s=self.read_timeout_s, resources=resources
        )


class LiveStream:
    """An open live stream; a thread reads, and `poll` encodes what it hands out."""

    def __init__(
        self, source: Live, context: Context, follower: Follower, place: LivePosition
    ) -> None:
        """Take a follower that stands at a place."""
        self._source, self._context, self._follower, self._place = source, context, follower, place

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | Skipped | None:
        """Return the newest picture, what was left out before it, or None.

        Raises:
            SourceError: the stream cannot be opened, and waiting will not help.
        """
        self._report()
        self._stop_when_over()
        taken = self._follower.mailbox.take(timeout_s)
        if taken is None:
            return None
        if isinstance(taken, Skipped):
            self._advance(taken, taken.n_images)
            return taken
        self._advance(taken, 1)
        try:
            return EncodedImage(taken.origin, encode(taken.content, self._source.quality))
        except DecodeError as error:
            return Rejected(taken.origin, self._context.step, error.reason, error.message)

    def ended(self) -> bool:
        """Return whether nothing will come any more."""
        self._stop_when_over()
        return self._follower.mailbox.is_empty()

    def position(self) -> str:
        """Return the number of the next picture, and what else must go on after a restart."""
        return replace(self._place, kind=self._follower.kind).encode()

    def stop(self) -> None:
        """Take no more pictures; the thread ends when it is done waiting."""
        self._follower.stop()

    def close(self) -> None:
        """End the reading."""
        self._follower.stop()
        self._follower.join(_CLOSING_S)

    def _advance(self, taken: Arrived | Skipped, n_images: int) -> None:
        origin = taken.origin
        self._place = replace(
            self._place,
            sequence=origin.sequence + n_images,
            event_time_ms=origin.event_time_ms,
        )

    def _stop_when_over(self) -> None:
        duration_s = self._source.duration_s
        gone_s = time.time() - self._place.started_ms / 1000
        if duration_s is not None and gone_s >= duration_s:
            self._follower.stop()

    def _report(self) -> None:
        """Report from the thread that polls; metrics know no other."""
        gaps_ms = self._follower.gaps_ms
        while gaps_ms:
            self._context.metrics.count("reconnects")
            self._context.metrics.observe("gap_ms", gaps_ms.popleft())
