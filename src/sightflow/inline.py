"""The inline runner: a pipeline in this process, in plain Python; the reference for the others."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from sightflow.chain import Image, open_reader, open_recogniser
from sightflow.chunks import ChunkResult, chunked
from sightflow.delivery import Delivery, Place, finish
from sightflow.ledger import Ledger, Summary
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Outcome, Stream, StreamSource
from sightflow.settings import RunSettings

__all__ = ["run"]

_POLL_S = 0.1


def run(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    on_progress: Callable[[Ledger, int | None], None] = lambda ledger, n_images: None,
) -> Summary:
    """Run a pipeline to its end in this process.

    Args:
        pipeline: what to do.
        settings: how; defaults fit a CPU.
        on_progress: told the ledger so far and how many images there are (None: nobody knows, the
            source is a stream), now and then.

    Returns:
        The ledger and the times of the run; the output is in the sinks.

    Raises:
        SightflowError: the configuration cannot work, or a step failed.
    """
    started = time.time()
    settings = settings or RunSettings(runner="inline")
    pipeline.check()
    sinks = [sink for _, sink in pipeline.result_sinks]
    with ExitStack() as resources:
        for sink in sinks:
            resources.callback(sink.discard)
        context = Context("chain", settings.inference(n_workers=1), resources=resources)
        n_images, work = _work(pipeline, settings, context)
        delivery = Delivery(sinks, Place())
        resources.callback(delivery.close)
        for number, outcomes in enumerate(work):
            delivery.deliver(ChunkResult.of(number, outcomes))
            on_progress(delivery.place.ledger, n_images)
        delivery.deliver(ChunkResult.end(delivery.place.next_chunk))
        delivery.close()
        return finish(pipeline, delivery.place, n_images, started, runner="inline", workers=1)


def _work(
    pipeline: Pipeline, settings: RunSettings, context: Context
) -> tuple[int | None, Iterator[Iterator[Outcome]]]:
    """Open the chain; return how many images there are and the outcomes, chunk by chunk."""
    recognise = open_recogniser(pipeline, settings, context)
    if isinstance(pipeline.source, StreamSource):
        stream = pipeline.source.open_stream(context.at("read"), None)
        return None, (recognise([image]) for image in _images(stream))
    chunks = list(chunked(pipeline.source.claims(), settings.batch_size))
    redeem = open_reader(pipeline, context)
    n_images = sum(claim.n_images for chunk in chunks for claim in chunk)
    return n_images, (recognise(redeem(claims)) for claims in chunks)


def _images(stream: Stream) -> Iterator[Image]:
    """Yield the images of a stream until it ends."""
    while not stream.ended():
        image = stream.poll(_POLL_S)
        if image is not None:
            yield image
