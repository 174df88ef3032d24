"""What is to be done, worked out before a run begins: the same for both runners."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sightflow.engine.chunks import Chunk, chunked
from sightflow.engine.recall import open_recall
from sightflow.pipeline import LearningStep, Pipeline
from sightflow.protocols import (
    Context,
    LearningOperator,
    Source,
    SourceFacts,
    StreamSource,
    TakesSourceFacts,
    appears_as_it_comes,
)
from sightflow.records import Origin
from sightflow.settings import RunSettings

__all__ = [
    "Work",
    "chunks_of",
    "informed",
    "is_by_source",
    "is_continuous",
    "last_ones",
    "stateful_context",
]


@dataclass(frozen=True)
class Work:
    """How much there is to do; of a stream nobody knows."""

    n_chunks: int | None = None
    n_images: int | None = None


def informed(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline whose learning steps know what its source lists.

    A step that takes facts and lacks one gets those of the source; but classes of an earlier step,
    where there is one: `Evaluate` has those of the `Train` before it.
    """
    steps, known = list[LearningStep](), dict[str, Any]()
    facts: SourceFacts | None = None
    for step in pipeline.learning:
        operator = step.operator
        if isinstance(operator, TakesSourceFacts) and operator.lacks_facts:
            facts = _facts_of(pipeline.source) if facts is None else facts
            operator = operator.with_facts(replace(facts, **known))
        labels = getattr(operator, "labels", ())
        if labels:
            known.setdefault(_kind_of_labels(operator), labels)
        steps.append(replace(step, operator=operator))
    return replace(pipeline, learning=tuple(steps))


def is_by_source(pipeline: Pipeline) -> bool:
    """Return whether chunks are of one stream (`source_id`), whose steps take them in order.

    Otherwise they are of the one stream of all images, which is called "".
    """
    if isinstance(pipeline.source, StreamSource):
        return not pipeline.learning
    return bool(pipeline.keyed)


def is_continuous(pipeline: Pipeline) -> bool:
    """Return whether all results appear as they come, so that a run may stop at any time."""
    if any(not appears_as_it_comes(sink) for _, sink in pipeline.result_sinks):
        return False
    return any(pipeline.result_sinks) or any(pipeline.message_sinks)


def chunks_of(pipeline: Pipeline, settings: RunSettings) -> Iterator[Chunk]:
    """List the images of a source, in chunks; of a stream there are none to list.

    Raises:
        SourceError: the source cannot be listed.
        PipelineError: there are fewer chunks than trainers.
    """
    if isinstance(pipeline.source, StreamSource):
        return
    n_chunks = 0
    for chunk in chunked(
        pipeline.source.claims(),
        settings.batch_size,
        by_source=is_by_source(pipeline),
        n_trainers=pipeline.n_trainers,
    ):
        n_chunks += 1
        yield chunk
    pipeline.check_work(n_chunks)


def last_ones(chunks: Iterable[Chunk]) -> set[int]:
    """Return the numbers of the chunks that are the last of their stream."""
    return set({chunk.source_id: number for number, chunk in enumerate(chunks)}.values())


def stateful_context(
    pipeline: Pipeline,
    settings: RunSettings,
    context: Context,
    chunk_of: Callable[[int], Chunk],
    n_chunks: int,
) -> Context:
    """Return what steps with a state know of the work.

    Args:
        pipeline: whose source lists its images.
        settings: of the run.
        context: of a step without a state.
        chunk_of: returns a chunk by its number.
        n_chunks: how many there are.
    """
    last = max(0, n_chunks - 1) % pipeline.n_trainers
    if not pipeline.learning:
        return context
    recall = open_recall(pipeline, settings, context, chunk_of)
    return replace(context, recall=recall, last_trainer=last)


def _facts_of(source: Source | StreamSource) -> SourceFacts:
    """Return what a source lists; a stream lists nothing."""
    if isinstance(source, StreamSource):
        return SourceFacts()
    claims = list(source.claims())
    later = (label.label for claim in claims for label in claim.labels)
    labels = {*later, *(claim.origin.label for claim in claims)} - {None}
    objects = {one.label for claim in claims for one in claim.origin.objects or ()}
    to_learn = (claim.origin for claim in claims if not claim.origin.held_out)
    n_images = sum(map(_is_labelled, to_learn))
    return SourceFacts(
        tuple(sorted(label for label in labels if label is not None)),
        n_images,
        object_labels=tuple(sorted(objects)),
    )


def _kind_of_labels(operator: LearningOperator) -> str:
    """Return which labels of `SourceFacts` are those of a step: of images, or of objects."""
    columns = *getattr(operator, "gives", ()), *getattr(operator, "needs", ())
    return "object_labels" if "detections" in columns else "labels"


def _is_labelled(origin: Origin) -> bool:
    told = origin.label is not None or origin.objects is not None
    return told or origin.awaits_label
