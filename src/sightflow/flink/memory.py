"""Keyed steps on Flink: a memory for each stream, as keyed state."""

from collections.abc import Iterator
from contextlib import ExitStack

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from sightflow.chunks import ChunkResult, Recognised
from sightflow.flink.failures import reporting
from sightflow.flink.metrics import FlinkMetrics
from sightflow.keyed import Memory, open_keyed
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context

__all__ = ["Remember", "stream_of"]


def stream_of(value: bytes) -> str:
    """Return the key of what a worker recognised: its stream, in ASCII."""
    return ascii(Recognised.source_of(value))


class Remember(KeyedProcessFunction):
    """The keyed steps: they take the chunks of each stream in order, whoever recognised them.

    The memory of a stream and the chunks that came early are keyed state, so they are written in
    each checkpoint and move with their key when the parallelism changes.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        """Take the description; work begins in `open`."""
        self._pipeline = pipeline

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the steps and declare the state."""
        state_type = Types.PICKLED_BYTE_ARRAY()
        self._kept = runtime_context.get_state(ValueStateDescriptor("memory", state_type))
        self._early = runtime_context.get_map_state(
            MapStateDescriptor("early", Types.LONG(), state_type)
        )
        self._resources = ExitStack()
        self._memories: dict[str, Memory] = {}
        metrics = FlinkMetrics(runtime_context)
        with reporting():
            context = Context("keyed", metrics=metrics, resources=self._resources)
            self._chain = open_keyed(self._pipeline, context)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Take a chunk and those that waited for it, or keep it until its turn."""
        with reporting():
            chunk = Recognised.decode(value)
            if chunk.n_images is not None:
                yield ChunkResult.of(chunk).encode()
                return
            key = ctx.get_current_key()
            memory = self._memory(key)
            if chunk.index != memory.next_index:
                self._early.put(chunk.index, value)
                return
            memory, result = self._chain.take(memory, chunk)
            yield result.encode()
            while not chunk.has_ended and self._early.contains(memory.next_index):
                chunk = Recognised.decode(self._early.get(memory.next_index))
                self._early.remove(memory.next_index)
                memory, result = self._chain.take(memory, chunk)
                yield result.encode()
            self._keep(key, memory, has_ended=chunk.has_ended)

    def close(self) -> None:
        """Release what the steps hold."""
        self._resources.close()

    def _memory(self, key: str) -> Memory:
        """Return the memory of the stream, from the checkpoint at its first chunk."""
        if key not in self._memories:
            kept = self._kept.value()
            self._memories[key] = (
                self._chain.initial() if kept is None else self._chain.decode(kept)
            )
        return self._memories[key]

    def _keep(self, key: str, memory: Memory, *, has_ended: bool) -> None:
        """Write the memory to the state; that of a stream that has ended is needed no more."""
        if has_ended:
            del self._memories[key]
            self._kept.clear()
        else:
            self._memories[key] = memory
            self._kept.update(self._chain.encode(memory))
