"""Reading a stream: its images, one by one, become frames for the workers."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sightflow.engine.chunks import Content, Frame, StreamEnd
from sightflow.protocols import Stream
from sightflow.records import Claim, Label, Skipped, SourceEnd
from sightflow.records.state import StateCodec

__all__ = ["StreamState", "listen", "standing"]


@dataclass(frozen=True)
class StreamState:
    """How far a stream was read."""

    number: int = 0
    """Frames that were handed on."""
    indices: dict[str, int] = field(default_factory=dict)
    """The same for each stream of images (`source_id`) in it."""
    n_images: int = 0
    """Images so far, those that were skipped included."""
    position: str | None = None
    """Where the source said it stood."""
    has_ended: bool = False
    over: tuple[str, ...] = ()
    """Streams whose end was told, while others go on."""
    counts_for_steps: bool = True
    """Whether there are steps with a state, which take the frames of a stream by their indices."""

    def for_steps(self, *, has_state: bool) -> "StreamState":
        """Return the state for a pipeline in which steps have a state, or none has.

        Indices begin anew for steps that are the first of a run, as they have seen no image.
        """
        if not has_state or self.counts_for_steps:
            return replace(self, counts_for_steps=has_state)
        return replace(self, indices=dict.fromkeys(self.indices, 0), counts_for_steps=True)

    def encode(self) -> bytes:
        """Return the state as JSON."""
        return _STATES.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "StreamState":
        """Return the state that `encode` made.

        Raises:
            JobError: it was written by another version of this class.
        """
        return _STATES.decode(data)


_STATES = StateCodec(StreamState, "stream", version=4)


def listen(
    stream: Stream, state: StreamState, for_s: float, *, stop: bool = False
) -> Iterator[tuple[StreamState, Frame]]:
    """Yield the frames that arrive in so many seconds, each with the state behind it.

    In these states the position is that of the call, as some streams take long to tell theirs:
    `standing` asks the stream, behind the last frame.

    Behind the last image come a frame for the end of each stream of images and one for the end of
    all; `stop` makes this the end.
    """
    ends = time.monotonic() + for_s
    while not stop and not stream.ended() and time.monotonic() < ends:
        image = stream.poll(max(0.0, ends - time.monotonic()))
        if image is not None:
            about = image if isinstance(image, Label | SourceEnd) else image.origin
            state, frame = _next(state, about.source_id, image)
            state = replace(state, n_images=state.n_images + _n_images(image))
            yield state, frame
    if not state.has_ended and (stop or stream.ended()):
        for source_id in sorted(set(state.indices) - set(state.over)):
            state, frame = _next(state, source_id, SourceEnd(source_id))
            yield state, frame
        yield (
            replace(state, has_ended=True),
            Frame(state.number, 0, time.time(), StreamEnd(state.n_images)),
        )


def standing(stream: Stream, state: StreamState) -> StreamState:
    """Return a state with the place where the stream is now; it may move without an image too."""
    return replace(state, position=stream.position())


def _n_images(content: Content) -> int:
    if isinstance(content, Skipped | Claim):
        return content.n_images
    return int(not isinstance(content, Label | SourceEnd))


def _next(state: StreamState, source_id: str, content: Content) -> tuple[StreamState, Frame]:
    """Return what comes next, with its numbers, and the state behind it."""
    index = state.indices.get(source_id, 0)
    over = tuple(name for name in state.over if name != source_id)
    behind = replace(
        state,
        number=state.number + 1,
        indices={**state.indices, source_id: index + 1},
        over=(*over, source_id) if isinstance(content, SourceEnd) else over,
    )
    return behind, Frame(state.number, index, time.time(), content)
