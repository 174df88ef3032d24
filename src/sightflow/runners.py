"""`run`: one call for every runner."""

from collections.abc import Callable
from dataclasses import replace

from sightflow import inline
from sightflow.pipeline import LearningStep, Pipeline
from sightflow.protocols import Source, SourceFacts, StreamSource, TakesSourceFacts
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

    A step that takes facts and lacks one gets those of the source. What the source does not tell,
    an earlier step may: `Evaluate` has the classes of the `Train` before it.
    """
    steps = list[LearningStep]()
    facts: SourceFacts | None = None
    for step in pipeline.learning:
        operator = step.operator
        if isinstance(operator, TakesSourceFacts) and operator.lacks_facts:
            facts = facts or _facts_of(pipeline.source)
            operator = operator.with_facts(facts)
            facts = replace(facts, labels=facts.labels or getattr(operator, "labels", ()))
        steps.append(replace(step, operator=operator))
    return replace(pipeline, learning=tuple(steps))


def _facts_of(source: Source | StreamSource) -> SourceFacts:
    """Return what a source lists; a stream lists nothing."""
    if isinstance(source, StreamSource):
        return SourceFacts()
    claims = list(source.claims())
    later = (label.label for claim in claims for label in claim.labels)
    labels = {*later, *(claim.origin.label for claim in claims)} - {None}
    to_learn = (claim.origin for claim in claims if not claim.origin.held_out)
    n_images = sum(origin.label is not None or origin.awaits_label for origin in to_learn)
    return SourceFacts(tuple(sorted(label for label in labels if label is not None)), n_images)
