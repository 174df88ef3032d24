"""The functions that Flink calls: thin shells around the chain and the delivery."""

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from pyflink.common import Types
from pyflink.datastream import KeyedProcessFunction, MapFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from sightflow.engine.chunks import ChunkResult, Frame, Recognised
from sightflow.engine.delivery import Delivery, Progress
from sightflow.engine.recognition import (
    open_reader,
    open_recogniser,
    recognise_chunk,
    recognise_frame,
)
from sightflow.flink.credits import credits_of
from sightflow.flink.failures import reporting
from sightflow.flink.manifest import Manifest
from sightflow.flink.metrics import FlinkMetrics
from sightflow.flink.notes import keep_notes
from sightflow.flink.rundir import NOTES
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Inference, Model
from sightflow.records import to_json
from sightflow.settings import RunSettings
from sightflow.storage.drafts import replacing

__all__ = ["Deliver", "RecogniseChunk", "RecogniseFrame", "preload"]

_PROGRESS_EVERY_S = 0.2
_MAX_TOLD_BYTES = 16 << 20
"""The client has long read what is in a file of this size; it is begun anew."""

_OPENING = threading.Lock()
_PRELOADED: list[Model] = []
"""Models that no worker holds yet."""


class _Worker(MapFunction):
    """What a recognition operator is before it knows where its images come from."""

    def __init__(self, pipeline: Pipeline, settings: RunSettings, inference: Inference) -> None:
        """Take the description; work begins in `open`."""
        self._pipeline = pipeline
        self._settings = settings
        self._inference = inference

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the chain in this worker, one worker after the other.

        Libraries that set themselves up at their first use are not all safe against two threads.
        """
        self._resources = ExitStack()
        self._metrics = FlinkMetrics(runtime_context)
        context = Context("chain", self._inference, self._metrics, self._resources)
        try:
            with reporting(), _OPENING:
                self._recognise = open_recogniser(self._pipeline, self._settings, context)
                self._open_source(context)
        finally:
            _PRELOADED.clear()

    def _open_source(self, context: Context) -> None:
        """Open what the images come from."""

    def _encode(self, recognised: Recognised) -> bytes:
        """Return the records for steps with a state, or the rows for the delivery."""
        if self._pipeline.has_state:
            return recognised.encode(self._pipeline.travelling)
        return ChunkResult.of(recognised).encode()

    def close(self) -> None:
        """Release what the chain holds."""
        self._resources.close()


class RecogniseChunk(_Worker):
    """The fused recognition operator: the number of a chunk of claims to its encoded result."""

    def __init__(
        self, pipeline: Pipeline, settings: RunSettings, inference: Inference, manifest: Manifest
    ) -> None:
        """Take the description, and where the claims are."""
        super().__init__(pipeline, settings, inference)
        self._manifest = manifest

    def _open_source(self, context: Context) -> None:
        self._chunk_of = self._manifest.open(context.resources)
        self._redeem = open_reader(self._pipeline, context)

    def map(self, value: int) -> bytes:
        """Recognise one chunk."""
        with reporting():
            chunk = self._chunk_of(value)
            return self._encode(recognise_chunk(value, chunk, self._redeem, self._recognise))


class RecogniseFrame(_Worker):
    """The fused recognition operator of a stream: one encoded frame to its encoded result."""

    def __init__(
        self, pipeline: Pipeline, settings: RunSettings, inference: Inference, directory: Path
    ) -> None:
        """Take the description, and the folder of the run."""
        super().__init__(pipeline, settings, inference)
        self._directory = directory

    def _open_source(self, context: Context) -> None:
        self._credits = credits_of(self._directory)

    def _recognise_frame(self, frame: Frame) -> Recognised:
        return recognise_frame(frame, self._recognise, by_source=not self._pipeline.learning)

    def map(self, value: bytes) -> bytes:
        """Recognise one image."""
        with reporting():
            frame = Frame.decode(value)
            waited_s = max(0.0, time.time() - frame.read_at)  # a clock may be set back
            self._metrics.observe("queue_ms", waited_s * 1e3)
            result = self._encode(self._recognise_frame(frame))
            self._credits.give()
            return result


def preload(pipeline: Pipeline, inference: Inference) -> None:
    """Load the models of a pipeline in this process; the workers that start later share them.

    What fails here fails again where it is reported.
    """
    _PRELOADED.clear()  # of a job that never opened its workers
    with suppress(Exception):
        for model in pipeline.models:
            _PRELOADED.append(model.load(inference))


class Deliver(KeyedProcessFunction):
    """Hands results to the sinks, in the order of the chunks unless it may not matter.

    The place in the output and the results that came early are keyed state, so that after a
    restart the output goes on exactly where the checkpoint was.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        settings: RunSettings,
        n_chunks: int | None,
        progress: Path,
        told: Path | None,
    ) -> None:
        """Take the description; work begins in `open`.

        `n_chunks` is None for a stream; `told` gets the events, if anybody wants to hear of them.
        """
        self._pipeline = pipeline
        self._settings = settings
        self._n_chunks = n_chunks
        self._progress = progress
        self._told = told

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declare the state, and keep what is logged in this process: all workers are in it."""
        self._resources = ExitStack()
        keep_notes(self._progress.with_name(NOTES), self._resources)
        state_type = Types.PICKLED_BYTE_ARRAY()
        self._place = runtime_context.get_state(ValueStateDescriptor("place", state_type))
        self._early = runtime_context.get_map_state(
            MapStateDescriptor("early", Types.LONG(), state_type)
        )
        self._deliveries: dict[int, Delivery] = {}
        self._progress_at = 0.0

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> None:
        """Deliver a result and those that waited for it, or keep it until its turn."""
        with reporting():
            delivery = self._delivery(ctx.get_current_key())
            result = ChunkResult.decode(value)
            if not delivery.takes(result.number):
                self._early.put(result.number, value)
                return
            self._deliver(delivery, result)
            while self._settings.ordered and self._early.contains(delivery.place.next_chunk):
                number = delivery.place.next_chunk
                self._deliver(delivery, ChunkResult.decode(self._early.get(number)))
                self._early.remove(number)
            place = delivery.place.encode()
            self._place.update(place)
            self._report(place, last=delivery.place.is_complete(self._n_chunks))

    def _deliver(self, delivery: Delivery, result: ChunkResult) -> None:
        """Deliver a result, and tell its events."""
        delivery.deliver(result)
        if self._told is not None and result.events:
            is_long = self._told.exists() and self._told.stat().st_size > _MAX_TOLD_BYTES
            with open(self._told, "wb" if is_long else "ab") as file:
                file.writelines(to_json(event) + b"\n" for event in result.events)

    def close(self) -> None:
        """Close the sinks."""
        self._resources.close()
        for delivery in self._deliveries.values():
            delivery.close()

    def _delivery(self, key: int) -> Delivery:
        """Return the delivery, opened at its checkpointed place at the first record."""
        if key not in self._deliveries:
            kept = self._place.value()
            place = Progress() if kept is None else Progress.decode(kept)
            self._report(place.encode(), last=True)  # before the output is cut to this place
            sinks = [sink for _, sink in self._pipeline.result_sinks]
            self._deliveries[key] = Delivery(sinks, place, ordered=self._settings.ordered)
        return self._deliveries[key]

    def _report(self, place: bytes, *, last: bool) -> None:
        """Let the client know how far it is, a few times a second and at the end."""
        now = time.monotonic()
        if last or now - self._progress_at >= _PROGRESS_EVERY_S:
            with replacing(self._progress) as draft:
                draft.write_bytes(place)
            self._progress_at = now
