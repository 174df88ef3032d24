"""The inline runner: a pipeline in this process, in plain Python; the reference for the others."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightflow.engine.adjusting import settings_of
from sightflow.engine.chunks import ChunkResult, Frame, Recognised
from sightflow.engine.delivery import Delivery, Progress, RunTimes, finish
from sightflow.engine.interrupts import noticing_interrupts
from sightflow.engine.listening import StreamState, listen, standing
from sightflow.engine.plan import chunks_of, is_by_source, last_ones, stateful_context
from sightflow.engine.recognition import (
    open_reader,
    open_recogniser,
    recognise_chunk,
    recognise_frame,
)
from sightflow.engine.showing import showing_in
from sightflow.engine.stateful import open_stateful
from sightflow.engine.tables import TablesHere
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Stream, StreamSource
from sightflow.records import Row
from sightflow.records.ledger import Ledger, Summary
from sightflow.settings import RunSettings

__all__ = ["run"]

_LISTEN_S = 0.1


def run(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    on_progress: Callable[[Ledger, int | None], None] = lambda ledger, n_images: None,
    on_event: Callable[[Row], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Run a pipeline to its end in this process.

    Args:
        pipeline: what to do.
        settings: how; defaults fit a CPU.
        on_progress: told the ledger so far and how many images there are (None: nobody knows, the
            source is a stream), now and then.
        on_event: told each event soon after it was delivered; after a restart some come again.
        stop: asked now and then; once it says so, or at the first Ctrl-C, a stream ends where it
            is, and its output appears. A source of claims has an end of its own.

    Returns:
        The ledger and the times of the run; the output is in the sinks.

    Raises:
        SightflowError: the configuration cannot work, or a step failed.
    """
    started = time.time()
    settings = settings or RunSettings(runner="inline")
    pipeline.check()
    sinks = dict(pipeline.result_sinks)
    with ExitStack() as resources:
        for sink in sinks.values():
            resources.callback(sink.discard)
        run_id = f"{round(started * 1000)}-inline"
        inference = settings.inference(n_workers=1)
        shared = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="sightflow-")))
        tables = TablesHere(pipeline.tables, Context("tables", inference, resources=resources))
        context = Context(
            "recognise",
            inference,
            resources=resources,
            tables=tables.of,
            run_id=run_id,
            shared=shared,
        )
        patience = int(isinstance(pipeline.source, StreamSource))
        interrupts = resources.enter_context(noticing_interrupts(patience=patience))
        stopping = tables.looking(lambda: interrupts.came or stop())
        work = _work(pipeline, settings, context, stopping)
        delivery = Delivery(sinks, Progress(), showing=showing_in(settings.view_dir))
        resources.callback(delivery.close)
        messages = _Messages(pipeline, context)
        for result in tables.told(_results(pipeline, work.recognised, work.context)):
            delivery.deliver(result)
            messages.send(result)
            on_progress(delivery.place.ledger, work.n_images)
            if on_event is not None:
                for event in result.events:
                    on_event(event)
        place = delivery.checkpoint()
        delivery.close()
        messages.flush()
        times = RunTimes(started, "inline", 1)
        summary = finish(pipeline, place, work.n_images, times)
        work.commit()
        return summary


class _Messages:
    """Sends results to the sinks that take messages."""

    def __init__(self, pipeline: Pipeline, context: Context) -> None:
        self._sinks = [
            (sink, sink.open_messages(context.at(name))) for name, sink in pipeline.message_sinks
        ]

    def send(self, result: ChunkResult) -> None:
        """Send what became of a chunk."""
        for sink, writer in self._sinks:
            writer.send(sink.messages(result.rows, result.rejected, result.events))

    def flush(self) -> None:
        """Wait until all have arrived."""
        for _, writer in self._sinks:
            writer.flush()


def _do_nothing() -> None:
    """Tell nobody: what most streams want to know at the end."""


@dataclass(frozen=True)
class _Work:
    """What is to be done, opened."""

    context: Context
    """Of the steps with a state."""
    recognised: Iterator[Recognised]
    """What becomes of the images, by chunk."""
    n_images: int | None = None
    """How many there are; of a stream nobody knows."""
    commit: Callable[[], None] = _do_nothing
    """Tells a stream that all it gave has gone out for good."""


def _work(
    pipeline: Pipeline, settings: RunSettings, context: Context, stop: Callable[[], bool]
) -> _Work:
    """Open the source and the steps."""
    recognise = open_recogniser(pipeline, settings, context)
    if isinstance(pipeline.source, StreamSource):
        context = replace(context, settings=settings_of(pipeline, context))
        stream = pipeline.source.open_stream(context.at("read"), None)
        by_source = is_by_source(pipeline)
        redeem = open_reader(pipeline, context)
        frames = _frames(stream, stop)
        recognised = (recognise_frame(f, redeem, recognise, by_source=by_source) for f in frames)
        return _Work(context, recognised, commit=getattr(stream, "commit", _do_nothing))
    chunks = list(chunks_of(pipeline, settings))
    for number in last_ones(chunks):
        chunks[number] = replace(chunks[number], is_last=True)
    redeem = open_reader(pipeline, context)
    work = (recognise_chunk(i, chunk, redeem, recognise) for i, chunk in enumerate(chunks))
    context = stateful_context(pipeline, settings, context, chunks.__getitem__, len(chunks))
    return _Work(context, work, sum(chunk.n_images for chunk in chunks))


def _frames(stream: Stream, stop: Callable[[], bool]) -> Iterator[Frame]:
    """Yield the frames of a stream until it ends, or is to stop."""
    state = StreamState()
    while not state.has_ended:
        for behind, frame in listen(stream, state, _LISTEN_S, stop=stop()):
            yield frame
            state = behind
        state = standing(stream, state)


def _results(
    pipeline: Pipeline, work: Iterable[Recognised], context: Context
) -> Iterator[ChunkResult]:
    """Yield the result of each chunk, after the steps with a state if there are any."""
    if not pipeline.has_state:
        yield from map(ChunkResult.of, work)
        return
    chain = open_stateful(pipeline, context)
    memories: dict[str, Any] = {}
    for chunk in work:
        if chunk.only_ends_the_run:
            yield ChunkResult.of(chunk)
            continue
        memory = memories.pop(chunk.source_id, None) or chain.initial(chunk.source_id)
        memory, result = chain.take(memory, chunk)
        if not chunk.has_ended:
            memories[chunk.source_id] = memory
        yield result
