"""The learning steps of a pipeline: they take all images in one place, in the order of reading."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from sightflow.engine.blame import blaming
from sightflow.engine.chunks import ChunkResult, Recognised
from sightflow.engine.joining import Joining, Labelled, Limits
from sightflow.engine.upgrade import NEW_RUN, History, kind_of
from sightflow.pipeline import Pipeline
from sightflow.protocols import (
    MAX_WAITING,
    MAX_WAITING_MIB,
    Context,
    Learner,
    LearningOperator,
    Source,
    StreamSource,
    Trainer,
)
from sightflow.records import Event, ImageRecord
from sightflow.records.state import StateCodec

__all__ = ["LearningChain", "Lessons"]


@dataclass(frozen=True)
class Lessons:
    """What the learning steps remember."""

    learners: tuple[Learner, ...]
    """They change in place."""
    joining: Joining
    """What waits for its label; it changes in place."""
    next_index: int = 0
    """Of the next chunk."""
    trainer: int = 0
    """Which of several places that learn it is."""


class _Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """`Lessons` as they are kept in checkpoints."""

    next_index: int
    snapshots: dict[str, tuple[str, bytes]]
    """Kind of the step and its snapshot, by the key of its name."""
    trainer: int
    """Which of several places that learn it is."""
    joining: bytes
    """What waits for its label."""


_CHECKPOINTS = StateCodec(_Checkpoint, "lessons", version=4)


class LearningChain:
    """Learning steps that can be opened; what they have learned is in the `Lessons`."""

    def __init__(self, pipeline: Pipeline, context: Context, history: History = NEW_RUN) -> None:
        """Take the learning steps of a pipeline; the history says what checkpoints may have."""
        self._context, self._history = context, history
        self._kinds = {step.name: kind_of(step.operator) for step in pipeline.learning}
        self._n_trainers = pipeline.n_trainers
        self._travelling = pipeline.travelling
        self._limits = _limits(pipeline.source)
        self._operators: dict[str, LearningOperator] = {
            step.name: step.operator for step in pipeline.learning
        }

    def initial(self, source_id: str) -> Lessons:
        """Return what is remembered before the first image; `source_id` is the trainer's number."""
        return self._opened({}, 0, int(source_id or 0))

    def take(self, lessons: Lessons, chunk: Recognised) -> tuple[Lessons, ChunkResult]:
        """Take the next chunk; return what to remember, and what comes out."""
        outcomes, events = list(chunk.outcomes), list[tuple[int, Event]]()
        for name, learner in zip(self._operators, lessons.learners, strict=True):
            rows = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, ImageRecord)]
            records = [outcome for outcome in outcomes if isinstance(outcome, ImageRecord)]
            if not records:
                continue
            with blaming(name, records):
                found, news = learner.take(records, [(chunk.number, row) for row in rows])
            for row, outcome in zip(rows, found, strict=True):
                outcomes[row] = outcome
            events.extend((rows[i], event) for i, event in news)
        told = _in_order(events)
        told.extend(_take_labels(lessons, lessons.joining.wait(outcomes, chunk.number)))
        told.extend(_take_labels(lessons, lessons.joining.join(chunk.labels)))
        for learner in lessons.learners:
            learner.end_chunk(chunk.index)
        if chunk.has_ended:
            told.extend(lessons.joining.end())
            told.extend(event for learner in lessons.learners for event in learner.end())
        result = ChunkResult.of(replace(chunk, outcomes=outcomes), told)
        return replace(lessons, next_index=chunk.index + 1), result

    def encode(self, lessons: Lessons) -> bytes:
        """Return all that was learned as bytes."""
        named = zip(self._operators, lessons.learners, strict=True)
        key_of, kinds = self._history.key_of, self._kinds
        snapshots = {key_of(name): (kinds[name], learner.snapshot()) for name, learner in named}
        return _CHECKPOINTS.encode(
            _Checkpoint(lessons.next_index, snapshots, lessons.trainer, lessons.joining.encode())
        )

    def decode(self, data: bytes) -> Lessons:
        """Return what `encode` made, as new learners; a step that is new begins.

        Raises:
            JobError: another version wrote it, or a pipeline with other learning steps.
        """
        kept = _CHECKPOINTS.decode(data)
        found = self._history.states(kept.snapshots, self._kinds)
        lessons = self._opened(found, kept.next_index, kept.trainer)
        lessons.joining.restore(kept.joining)
        return lessons

    def _opened(self, snapshots: dict[str, bytes], next_index: int, trainer: int) -> Lessons:
        ends_last = trainer == self._context.last_trainer
        place = Trainer(trainer, self._n_trainers, ends_last=ends_last)
        context = replace(self._context, trainer=place)
        learners = (
            operator.open_learner(context.at(name), snapshots.get(name))
            for name, operator in self._operators.items()
        )
        joining = Joining(self._limits, self._travelling, context.metrics, context.recall)
        return Lessons(tuple(learners), joining, next_index, trainer)


def _limits(source: Source | StreamSource) -> Limits | None:
    """Return how many images of a stream may wait for their labels."""
    if not isinstance(source, StreamSource):
        return None
    n_items = getattr(source, "max_waiting", MAX_WAITING)
    return Limits(n_items, getattr(source, "max_waiting_mib", MAX_WAITING_MIB) << 20)


def _take_labels(lessons: Lessons, images: Iterable[Labelled]) -> list[Event]:
    """Let all learners take images with their labels; return what they tell."""
    taken, events = list(images), list[tuple[int, Event]]()
    if taken:
        records, places = zip(*taken, strict=True)
        for learner in lessons.learners:
            events.extend(learner.take_labels(records, places))
    return _in_order(events)


def _in_order(events: list[tuple[int, Event]]) -> list[Event]:
    """Return events in the order of their images; of one image, in that of the steps."""
    return [event for _, event in sorted(events, key=lambda pair: pair[0])]
