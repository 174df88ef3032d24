"""Steps with a state on Flink: a memory for each stream, as keyed state."""

import ast
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from sightflow.engine.chunks import ARRIVED, ChunkResult, Recognised
from sightflow.engine.plan import stateful_context
from sightflow.engine.stateful import open_stateful
from sightflow.engine.upgrade import History
from sightflow.errors import JobError
from sightflow.flink.failures import reporting
from sightflow.flink.manifest import Manifest
from sightflow.flink.metrics import FlinkMetrics
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.signals import Signal, signal_of
from sightflow.flink.tables import hold_tables
from sightflow.pipeline import Pipeline
from sightflow.protocols import ConnectorSource, Context, Inference
from sightflow.settings import RunSettings

__all__ = ["Remember", "stream_of"]


def stream_of(value: bytes) -> str:
    """Return the key of what a worker recognised: its stream, in ASCII."""
    return ascii(Recognised.source_of(value))


def _source_of(key: str) -> str:
    """Return the stream that `stream_of` made a key of."""
    return str(ast.literal_eval(key))


class Remember(KeyedProcessFunction):
    """The steps with a state: they take the chunks of a stream in order, whoever recognised them.

    The memory of a stream and the chunks that came early are keyed state, so they are in each
    checkpoint and move with their key when the parallelism changes. Memories may be large: they
    are written before a barrier and not with each chunk; see `SignallingOperator`.
    """

    STATE = "memory"
    """Name of the state that each stream has."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: RunSettings,
        inference: Inference,
        files: RunFiles,
        history: History,
        n_chunks: int | None,
    ) -> None:
        """Take the description.

        Args:
            pipeline: with the steps.
            settings: of the run.
            inference: for steps that call a model.
            files: of the run; the claims are among them.
            history: of the run, with what its checkpoints may have.
            n_chunks: how many there are; None for a stream.
        """
        self._pipeline = pipeline
        self._settings = settings
        self._inference = inference
        self._files = files
        self._history = history
        self._n_chunks = n_chunks

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the steps and declare the state."""
        state_type = Types.PICKLED_BYTE_ARRAY()
        self._kept = runtime_context.get_state(ValueStateDescriptor(self.STATE, state_type))
        self._early = runtime_context.get_map_state(
            MapStateDescriptor("early", Types.LONG(), state_type)
        )
        self._resources = ExitStack()
        self._memories: dict[str, Any] = {}
        context = Context(
            "stateful",
            self._inference,
            FlinkMetrics.of(runtime_context),
            self._resources,
            hold_tables(self._pipeline, self._files, self._resources),
            self._history.run_id,
            shared=self._files.folder,
        )
        with reporting():
            if self._n_chunks is not None:
                chunk_of = Manifest(self._files.claims).open(self._resources)
                described = self._pipeline, self._settings
                context = stateful_context(*described, context, chunk_of, self._n_chunks)
            self._chain = open_stateful(self._pipeline, context, self._history)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Take a chunk and those that waited for it, or keep it until its turn."""
        with reporting():
            chunk = Recognised.decode(value)
            if chunk.only_ends_the_run:
                yield ChunkResult.of(chunk).encode()
                return
            key = ctx.get_current_key()
            memory = self._memory(key, chunk.source_id)
            chunk = chunk.numbered(memory.next_index)
            if chunk.index != memory.next_index:
                self._early.put(chunk.index, value)
                return
            memory, result = self._chain.take(memory, chunk)
            yield result.encode()
            while self._early.contains(memory.next_index):
                chunk = Recognised.decode(self._early.get(memory.next_index))
                self._early.remove(memory.next_index)
                memory, result = self._chain.take(memory, chunk)
                yield result.encode()
            if chunk.has_ended and self._n_chunks is not None:  # nothing comes behind it
                del self._memories[key]
                self._kept.clear()
            else:
                self._memories[key] = memory

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[bytes]:
        """Take a signal: no timer has fired."""
        with reporting():
            signal, _ = signal_of(timestamp)
            key = ctx.get_current_key()
            if signal is Signal.BARRIER and key in self._memories:
                self._kept.update(self._chain.encode(self._memories[key]))
            elif signal is Signal.END:
                yield from self._ended(key)

    def _ended(self, key: str) -> Iterator[bytes]:
        """Yield what comes at the end of a stream that did not tell of it, as a connector's."""
        tells = not isinstance(self._pipeline.source, ConnectorSource)
        if not tells and (key in self._memories or self._kept.value() is not None):
            source_id = _source_of(key)
            memory = self._memory(key, source_id)
            end = Recognised(ARRIVED, (), source_id, ARRIVED, has_ended=True)
            yield self._chain.take(memory, end.numbered(memory.next_index))[1].encode()
            del self._memories[key]
            self._kept.clear()

    def close(self) -> None:
        """Release what the steps hold."""
        self._resources.close()

    def _memory(self, key: str, source_id: str) -> Any:
        """Return the memory of the stream, from the checkpoint at its first chunk."""
        if key not in self._memories:
            kept = self._kept.value()
            if self._memories and self._pipeline.n_trainers > 1:
                raise JobError(
                    f"two trainers are in one place, {[*self._memories, key]}, and would wait for "
                    "each other for ever: this is a mistake of Sightflow; please report it"
                )
            self._memories[key] = (
                self._chain.initial(source_id) if kept is None else self._chain.decode(kept)
            )
        return self._memories[key]
