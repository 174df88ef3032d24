"""The inline runner: a pipeline in this process, in plain Python; the reference for the others."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from sightflow.chain import open_chain
from sightflow.chunks import ChunkResult, chunked
from sightflow.delivery import Delivery, Place, finish
from sightflow.ledger import Ledger, Summary
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context
from sightflow.settings import RunSettings

__all__ = ["run"]


def run(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    on_progress: Callable[[Ledger, int], None] = lambda ledger, n_images: None,
) -> Summary:
    """Run a pipeline to its end in this process.

    Args:
        pipeline: what to do.
        settings: how; defaults fit a CPU.
        on_progress: told the ledger so far and how many images there are, now and then.

    Returns:
        The ledger and the times of the run; the output is in the sinks.

    Raises:
        SightflowError: the configuration cannot work, or a step failed.
    """
    started = time.time()
    settings = settings or RunSettings(runner="inline")
    pipeline.check()
    chunks = list(chunked(pipeline.source.claims(), settings.batch_size))
    n_images = sum(claim.n_images for chunk in chunks for claim in chunk)
    sinks = [sink for _, sink in pipeline.result_sinks]
    with ExitStack() as resources:
        for sink in sinks:
            resources.callback(sink.discard)
        context = Context("chain", settings.inference(n_workers=1), resources=resources)
        recognise = open_chain(pipeline, settings, context)
        delivery = Delivery(sinks, Place())
        resources.callback(delivery.close)
        for number, claims in enumerate(chunks):
            delivery.deliver(ChunkResult.of(number, recognise(claims)))
            on_progress(delivery.place.ledger, n_images)
        delivery.close()
        return finish(pipeline, delivery.place, n_images, started, runner="inline", workers=1)
