"""`run`: one call for every runner."""

from collections.abc import Callable
from dataclasses import replace

from sightflow import inline
from sightflow.ledger import Ledger, Summary
from sightflow.pipeline import Pipeline
from sightflow.protocols import StreamSource
from sightflow.records import Row
from sightflow.settings import RunSettings

__all__ = ["run", "with_labels"]


def run(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    on_progress: Callable[[Ledger, int | None], None] = lambda ledger, n_images: None,
    on_event: Callable[[Row], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Run a pipeline to its end.

    Args:
        pipeline: what to do.
        settings: how, and with which runner; embedded Flink where it says nothing else.
        on_progress: told the ledger so far and how many images there are (None: nobody knows, the
            source is a stream), now and then.
        on_event: told each event soon after it was delivered; after a restart some come again.
        stop: asked now and then; once it says so, or at the first Ctrl-C, a stream ends where it
            is, and its output appears. A source of claims has an end of its own.

    Returns:
        The ledger and the times of the run; the output is in the sinks.

    Raises:
        SightflowError: the configuration cannot work, the runner is not there, or the job failed.
    """
    settings = settings or RunSettings()
    pipeline = with_labels(pipeline)
    if settings.runner == "inline":
        return inline.run(pipeline, settings, on_progress=on_progress, on_event=on_event, stop=stop)
    from sightflow.flink.run import run as run_on_flink  # loads pyflink, so only when asked

    return run_on_flink(pipeline, settings, on_progress=on_progress, on_event=on_event, stop=stop)


def with_labels(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline whose learning steps know the classes.

    Steps that are told none get the labels of the images that the source lists, sorted.
    """
    untold = [s.name for s in pipeline.learning if getattr(s.operator, "labels", None) == ()]
    if not untold or isinstance(pipeline.source, StreamSource):
        return pipeline
    found = {claim.origin.label for claim in pipeline.source.claims()} - {None}
    labels = tuple(sorted(label for label in found if label is not None))
    steps = (
        replace(step, operator=replace(step.operator, labels=labels))  # type: ignore[type-var]
        if step.name in untold
        else step
        for step in pipeline.learning
    )
    return replace(pipeline, learning=tuple(steps))
