"""`run`: one call for every runner."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from sightflow import inline
from sightflow.pipeline import Pipeline
from sightflow.protocols import LearningOperator, StreamSource
from sightflow.records import Row
from sightflow.records.ledger import Ledger, Summary
from sightflow.settings import RunSettings

__all__ = ["informed", "run"]


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
    pipeline = informed(pipeline)
    if settings.runner == "inline":
        return inline.run(pipeline, settings, on_progress=on_progress, on_event=on_event, stop=stop)
    from sightflow.flink.run import run as run_on_flink  # loads pyflink, so only when asked

    return run_on_flink(pipeline, settings, on_progress=on_progress, on_event=on_event, stop=stop)


def informed(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline whose learning steps know what its source lists.

    A step with a method `told` gets the labels of the images, sorted, and how many of them are
    learned from, and returns itself with what it was not told otherwise.
    """
    is_curious = any(_is_curious(step.operator) for step in pipeline.learning)
    if not is_curious or isinstance(pipeline.source, StreamSource):
        return pipeline
    claims = list(pipeline.source.claims())
    later = [label.label for claim in claims for label in claim.labels]
    found = {*later, *(claim.origin.label for claim in claims)} - {None}
    labels = tuple(sorted(label for label in found if label is not None))
    to_learn = (claim.origin for claim in claims if not claim.origin.held_out)
    n_images = sum(origin.label is not None or origin.awaits_label for origin in to_learn)
    steps = (
        replace(step, operator=step.operator.told(labels, n_images))
        if isinstance(step.operator, _Curious)
        else step
        for step in pipeline.learning
    )
    return replace(pipeline, learning=tuple(steps))


def _is_curious(operator: LearningOperator) -> bool:
    """Return whether a step lacks something that it could be told."""
    return isinstance(operator, _Curious) and operator.told(("a", "b"), 1) != operator


@runtime_checkable
class _Curious(Protocol):
    def told(self, labels: tuple[str, ...], n_images: int, /) -> LearningOperator:
        """Return the same step, which knows more."""
