"""The box that recognises: a thin shell around `engine.recognition`, in each worker."""

import threading
import time
from contextlib import ExitStack, suppress
from typing import cast

from pyflink.datastream import MapFunction, RuntimeContext

from sightflow.engine.chunks import ARRIVED, ChunkResult, Frame, Recognised
from sightflow.engine.plan import is_by_source
from sightflow.engine.recognition import (
    open_reader,
    open_recogniser,
    recognise_chunk,
    recognise_frame,
)
from sightflow.flink.connectors import connector_of
from sightflow.flink.credits import credits_of
from sightflow.flink.failures import reporting
from sightflow.flink.manifest import Manifest
from sightflow.flink.metrics import FlinkMetrics
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.tables import hold_tables
from sightflow.pipeline import Pipeline
from sightflow.protocols import ConnectorSource, Context, Inference, Model
from sightflow.settings import RunSettings

__all__ = ["RecogniseChunk", "RecogniseFrame", "RecogniseReceived", "preload"]

_OPENING = threading.Lock()
_PRELOADED: list[Model] = []
"""Models that no worker holds yet."""


class _Worker(MapFunction):
    """What a recognition operator is before it knows where its images come from."""

    def __init__(
        self, pipeline: Pipeline, settings: RunSettings, inference: Inference, files: RunFiles
    ) -> None:
        """Take the description, and the files of the run; work begins in `open`."""
        self._pipeline = pipeline
        self._settings = settings
        self._inference = inference
        self._files = files

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the steps in this worker, one worker after the other.

        Libraries that set themselves up at their first use are not all safe against two threads.
        """
        self._resources = ExitStack()
        self._metrics = FlinkMetrics.of(runtime_context)
        tables = hold_tables(self._pipeline, self._files, self._resources)
        self._gets = [tables(source) for source in self._pipeline.tables]
        context = Context("recognise", self._inference, self._metrics, self._resources, tables)
        try:
            with reporting(), _OPENING:
                self._recognise = open_recogniser(self._pipeline, self._settings, context)
                self._open_source(context)
        finally:
            _PRELOADED.clear()

    def _open_source(self, context: Context) -> None:
        """Open what the images come from."""

    def _await_tables(self) -> None:
        """Do nothing before all tables are complete.

        Not even what needs none: what reads a table may use a library for the first time, which
        not every library allows two threads.
        """
        for get in self._gets:
            get()

    def _encode(self, recognised: Recognised) -> bytes:
        """Return the records for steps with a state, or the rows for the delivery."""
        if self._pipeline.has_state:
            return recognised.encode(self._pipeline.travelling)
        return ChunkResult.of(recognised).encode()

    def close(self) -> None:
        """Release what the steps hold."""
        self._resources.close()


class RecogniseChunk(_Worker):
    """The fused recognition operator: the number of a chunk of claims to its encoded result."""

    def _open_source(self, context: Context) -> None:
        self._chunk_of = Manifest(self._files.claims).open(context.resources)
        self._redeem = open_reader(self._pipeline, context)

    def map(self, value: int) -> bytes:
        """Recognise one chunk."""
        with reporting():
            self._await_tables()
            chunk = self._chunk_of(value)
            return self._encode(recognise_chunk(value, chunk, self._redeem, self._recognise))


class RecogniseFrame(_Worker):
    """The fused recognition operator of a stream: one encoded frame to its encoded result."""

    def _open_source(self, context: Context) -> None:
        self._credits = credits_of(self._files.folder)
        self._redeem = open_reader(self._pipeline, context)

    def _recognise_frame(self, frame: Frame) -> Recognised:
        by_source = is_by_source(self._pipeline)
        return recognise_frame(frame, self._redeem, self._recognise, by_source=by_source)

    def map(self, value: bytes) -> bytes:
        """Recognise one image."""
        with reporting():
            self._await_tables()
            frame = Frame.decode(value)
            waited_s = max(0.0, time.time() - frame.read_at)  # a clock may be set back
            self._metrics.observe("queue_ms", waited_s * 1e3)
            result = self._encode(self._recognise_frame(frame))
            self._credits.give()
            return result


class RecogniseReceived(_Worker):
    """The fused recognition operator of a connector: one of its records to the encoded result.

    It shares its task with the connector, whose parts come in order.
    """

    def _open_source(self, context: Context) -> None:
        source = cast("ConnectorSource", self._pipeline.source)
        self._content_of = connector_of(source).reader(source, context.at("read"))
        self._redeem = open_reader(self._pipeline, context)
        self._by_source = is_by_source(self._pipeline)

    def map(self, value: bytes) -> bytes:
        """Recognise one image."""
        with reporting():
            self._await_tables()
            frame = Frame(ARRIVED, ARRIVED, time.time(), self._content_of(value))
            recognised = recognise_frame(
                frame, self._redeem, self._recognise, by_source=self._by_source
            )
            return self._encode(recognised)


def preload(pipeline: Pipeline, inference: Inference) -> None:
    """Load the models of a pipeline in this process; the workers that start later share them.

    What fails here fails again where it is reported.
    """
    _PRELOADED.clear()  # of a job that never opened its workers
    with suppress(Exception):
        for model in pipeline.models:
            _PRELOADED.append(model.load(inference))
