"""Sources that are streams: read in one place by Python, at the beat of a clock in Java."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from sightflow.chunks import Frame
from sightflow.flink.failures import reporting
from sightflow.protocols import Context, Stream, StreamSource

__all__ = ["TICK_S", "ReadStream"]

TICK_S = 0.02
"""Time between ticks; a checkpoint waits for at most one."""

_LISTENING = 0.9
"""Part of the time until the next tick in which the stream is listened to."""
_LATE_S = 0.0005
"""A tick that comes so soon after the one before was waiting for it."""


@dataclass(frozen=True)
class StreamState:
    """How far a stream was read."""

    number: int = 0
    """Images that were handed on."""
    position: str | None = None
    """Where the source said it stood."""
    has_ended: bool = False
    version: int = 1
    """Of this form of the state; a change of the fields takes the next number."""


_STATES = msgspec.json.Decoder(StreamState)  # made while importing: see `chunks`


class ReadStream(KeyedProcessFunction):
    """Reads a stream of the pipeline: in the time between two ticks it hands on what arrives.

    Where the stream stands is keyed state. It is written at the end of each tick, and barriers
    only come between ticks, so that a restart goes on behind the last image of the checkpoint.
    """

    def __init__(self, source: StreamSource) -> None:
        """Take the description; work begins in `open`."""
        self._source = source

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._state = runtime_context.get_state(
            ValueStateDescriptor("stream", Types.PICKLED_BYTE_ARRAY())
        )
        self._resources = ExitStack()
        self._has_ended = False
        self._opened: list[tuple[Stream, int]] = []
        self._left_at = 0.0

    def process_element(self, value: int, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Hand on what arrives until shortly before the next tick.

        A tick that was waiting is late: only what is there is taken, until no tick waits any more.
        """
        with reporting():
            now = time.monotonic()
            late = now - self._left_at < _LATE_S
            ends = now if late else now + TICK_S * _LISTENING
            stream, number = self._opened[0] if self._opened else self._restore()
            first = number
            while not stream.ended():
                image = stream.poll(max(0.0, ends - time.monotonic()))
                if image is not None:
                    yield Frame(number, time.time(), image).encode()
                    number += 1
                if time.monotonic() >= ends:
                    break
            if stream.ended() and not self._has_ended:
                yield Frame(number, time.time(), None).encode()
                self._has_ended = True
            self._opened = [(stream, number)]
            if number > first or self._has_ended:
                state = StreamState(number, stream.position(), self._has_ended)
                self._state.update(msgspec.json.encode(state))
            self._left_at = time.monotonic()

    def close(self) -> None:
        """Release what the stream holds."""
        self._resources.close()

    def _restore(self) -> tuple[Stream, int]:
        """Open the stream at its checkpointed position."""
        kept = self._state.value()
        state = StreamState() if kept is None else _STATES.decode(kept)
        context = Context("read", resources=self._resources)
        self._has_ended = state.has_ended
        return self._source.open_stream(context, state.position), state.number
