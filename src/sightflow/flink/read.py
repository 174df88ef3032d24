"""Sources that are streams: read in one place by Python, at the beat of a clock in Java."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import cast

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from sightflow.engine.adjusting import settings_of
from sightflow.engine.listening import StreamState, listen, standing
from sightflow.flink.credits import Rationed, credits_of
from sightflow.flink.environment import TICK_S
from sightflow.flink.failures import reporting
from sightflow.flink.metrics import FlinkMetrics
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.tables import hold_tables
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Stream, StreamSource

__all__ = ["ReadStream"]

_LISTENING = 0.9
"""Part of the time until the next tick in which the stream is listened to."""
_IMAGES_PER_WORKER = 2
"""One that is recognised and one that waits, so that no worker does."""
_WAITED_MS = 2 * TICK_S * 1000
"""A tick that is older was waiting."""


class ReadStream(KeyedProcessFunction):
    """Reads a stream of the pipeline: in the time between two ticks it hands on what arrives.

    Where the stream stands is keyed state. It is written at the end of each tick, and barriers
    only come between ticks, so that a restart goes on behind the last image of the checkpoint.
    """

    def __init__(self, pipeline: Pipeline, files: RunFiles, n_workers: int | None) -> None:
        """Take the description, whose source is a stream; work begins in `open`.

        A file of the run ends the stream. Where workers are in several processes their number is
        None: what is on its way to them is limited by the buffers of Flink alone.
        """
        self._pipeline = pipeline
        self._files = files
        self._limit = n_workers and n_workers * _IMAGES_PER_WORKER

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state."""
        self._state = runtime_context.get_state(
            ValueStateDescriptor("stream", Types.PICKLED_BYTE_ARRAY())
        )
        self._credits = credits_of(self._files.folder)
        self._credits.reset()
        self._metrics = FlinkMetrics.of(runtime_context)
        self._resources = ExitStack()
        self._streams: list[Stream] = []
        self._last: StreamState | None = None

    def process_element(self, value: int, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Hand on what arrives until shortly before the next tick.

        A tick that was waiting is for nothing: so those that piled up while the workers were busy
        are gone at once, and the barrier behind them passes.
        """
        if time.time() * 1000 - value > _WAITED_MS:
            return
        with reporting():
            first = last = self._last if self._last is not None else self._restored()
            if not first.has_ended:
                if not self._streams:
                    self._streams.append(self._opened(first.position))
                stop, for_s = self._files.stop.exists(), TICK_S * _LISTENING
                for state, frame in listen(self._streams[0], first, for_s, stop=stop):
                    self._credits.take()
                    yield frame.encode()
                    last = state
            if self._streams:
                last = standing(self._streams[0], last)
            if last != first:
                self._state.update(last.encode())
            self._last = last

    def close(self) -> None:
        """Release what the stream holds."""
        self._resources.close()

    def _opened(self, position: str | None) -> Stream:
        """Return the stream, opened at a position."""
        tables = hold_tables(self._pipeline, self._files, self._resources)
        context = Context("read", metrics=self._metrics, resources=self._resources, tables=tables)
        context = replace(context, settings=settings_of(self._pipeline, context))
        source = cast(StreamSource, self._pipeline.source)
        stream = source.open_stream(context, position)
        return stream if self._limit is None else Rationed(stream, self._credits, self._limit)

    def _restored(self) -> StreamState:
        """Return the state of the checkpoint; keyed state can be read from the first record on."""
        kept = self._state.value()
        has_state = self._pipeline.has_state
        state = StreamState(counts_for_steps=has_state)
        return (state if kept is None else StreamState.decode(kept)).for_steps(has_state=has_state)
