"""The box at the end of the graph: results of all workers go to the sinks, in order and once."""

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from sightflow.engine.chunks import ChunkResult
from sightflow.engine.delivery import Delivery, Progress
from sightflow.engine.showing import showing_in
from sightflow.engine.upgrade import History
from sightflow.errors import JobError
from sightflow.flink.connectors import connector_of
from sightflow.flink.failures import reporting
from sightflow.flink.metrics import FlinkLedger, FlinkMetrics
from sightflow.flink.notes import keep_notes
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.signals import Signal, signal_of
from sightflow.pipeline import Pipeline
from sightflow.protocols import ConnectorSource
from sightflow.records import to_json
from sightflow.settings import RunSettings
from sightflow.storage.drafts import replacing

__all__ = ["Deliver"]

_PROGRESS_EVERY_S = 0.2
_MAX_EVENT_BYTES = 16 << 20
"""The client has long read what is in a file of this size; it is begun anew."""


class Deliver(KeyedProcessFunction):
    """Hands results to the sinks, in the order of the chunks unless it may not matter.

    The place in the output and the results that came early are keyed state, so that after a
    restart the output goes on exactly where the checkpoint was. The place is written before each
    barrier, and what is before it appears, where a sink can show it, once the checkpoint is
    complete; see `SignallingOperator`.
    """

    STATE = "place"
    """Name of the state."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: RunSettings,
        n_chunks: int | None,
        files: RunFiles,
        history: History,
        *,
        tells_events: bool,
    ) -> None:
        """Take the description; work begins in `open`.

        Args:
            pipeline: with the sinks.
            settings: say whether results come in order.
            n_chunks: None for a stream.
            files: of the run; one of them tells how far it is.
            history: of the run, by which each sink finds where it stands.
            tells_events: whether anybody wants to hear of events at once.
        """
        self._pipeline = pipeline
        self._view_dir = settings.view_dir
        self._is_ordered = settings.ordered and not isinstance(pipeline.source, ConnectorSource)
        self._n_chunks = n_chunks
        self._files = files
        self._history = history
        self._tells_events = tells_events

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state, and keep what is logged in this process: all workers are in it."""
        self._resources = ExitStack()
        keep_notes(self._files.log, self._resources)
        state_type = Types.PICKLED_BYTE_ARRAY()
        self._place = runtime_context.get_state(ValueStateDescriptor(self.STATE, state_type))
        self._early = runtime_context.get_map_state(
            MapStateDescriptor("early", Types.LONG(), state_type)
        )
        self._deliveries: dict[int, Delivery] = {}
        sinks = (sink for _, sink in self._pipeline.message_sinks)
        self._connected = [(sink, connector_of(sink)) for sink in sinks]
        self._written: dict[int, Progress] = {}
        self._told_at = 0.0
        self._ledger = FlinkLedger(runtime_context)
        self._metrics = FlinkMetrics(runtime_context)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        """Deliver a result and those that waited for it, or keep it until its turn.

        What it gives are messages for the sinks that are connectors.
        """
        with reporting():
            delivery = self._delivery(ctx.get_current_key())
            result = ChunkResult.decode(value)
            if not delivery.takes(result.number):
                self._early.put(result.number, value)
                return
            yield from self._deliver(delivery, result)
            while self._is_ordered and self._early.contains(delivery.place.next_chunk):
                number = delivery.place.next_chunk
                result = ChunkResult.decode(self._early.get(number))
                yield from self._deliver(delivery, result)
                self._early.remove(number)
            self._report(delivery)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[bytes]:
        """Take a signal: no timer has fired."""
        with reporting():
            signal, number = signal_of(timestamp)
            delivery = self._delivery(ctx.get_current_key())
            if signal is Signal.BARRIER:
                self._written[number] = delivery.checkpoint()
                self._place.update(delivery.place.encode())
            elif signal is Signal.COMPLETE:
                done = [known for known in self._written if known <= number]
                for known in sorted(done):
                    delivery.publish(self._written.pop(known))
                self._tell(delivery.place)
            elif signal is Signal.END:
                delivery.end()
                self._report(delivery)
        return iter(())

    def _deliver(self, delivery: Delivery, result: ChunkResult) -> Iterator[bytes]:
        """Deliver a result, tell its events, and yield its messages."""
        delivery.deliver(result)
        if (age_ms := result.age_ms) is not None:
            self._metrics.observe("latency_ms", age_ms)
        if self._tells_events and result.events:
            path = self._files.events
            is_long = path.exists() and path.stat().st_size > _MAX_EVENT_BYTES
            with open(path, "wb" if is_long else "ab") as file:
                file.writelines(to_json(event) + b"\n" for event in result.events)
        for number, (sink, connector) in enumerate(self._connected):
            for message in sink.messages(result.rows, result.rejected, result.events):
                yield connector.sent(number, message)

    def close(self) -> None:
        """Close the sinks."""
        self._resources.close()
        for delivery in self._deliveries.values():
            delivery.close()

    def _delivery(self, key: int) -> Delivery:
        """Return the delivery, opened at its checkpointed place at the first record or signal."""
        if key not in self._deliveries:
            kept = self._place.value()
            place = Progress() if kept is None else Progress.decode(kept)
            self._ledger.show(place.ledger)
            self._tell(place)  # before the output is cut to this place
            key_of = self._history.key_of
            sinks = {key_of(name): sink for name, sink in self._pipeline.result_sinks}
            _check_sinks(place, sinks, self._history.dropped)
            showing = showing_in(self._view_dir)
            self._deliveries[key] = Delivery(
                sinks, place, ordered=self._is_ordered, showing=showing
            )
        return self._deliveries[key]

    def _report(self, delivery: Delivery) -> None:
        """Let the client know how far it is, a few times a second, and once all is written."""
        self._ledger.show(delivery.place.ledger)
        if delivery.place.is_complete(self._n_chunks):
            self._tell(delivery.checkpoint())
        elif time.monotonic() - self._told_at >= _PROGRESS_EVERY_S:
            self._tell(delivery.place)

    def _tell(self, place: Progress) -> None:
        with replacing(self._files.progress) as draft:
            draft.write_bytes(place.encode())
        self._told_at = time.monotonic()


def _check_sinks(place: Progress, sinks: Collection[str], dropped: Collection[str]) -> None:
    """Raise `JobError` if a checkpoint is in the middle of a sink that nobody writes any more."""
    unknown = sorted(set(place.positions) - set(sinks) - set(dropped))
    if unknown:
        raise JobError(
            f"the checkpoint has written to the sinks {unknown}; the pipeline has {sorted(sinks)}; "
            "keep their names, or drop them by name (`drop_state`)"
        )
