"""The keyed steps of a pipeline: they take the images of each stream in the order of their time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sightflow.engine.adjusting import open_fold, settings_of
from sightflow.engine.blame import blaming
from sightflow.engine.chunks import ChunkResult, Recognised
from sightflow.engine.upgrade import NEW_RUN, History, kind_of
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Fold, Metrics
from sightflow.records import Event, ImageRecord, Outcome, Rejected
from sightflow.records.codec import decode_outcomes, encode_outcomes
from sightflow.records.state import StateCodec

__all__ = ["KeyedChain", "Memory", "open_keyed"]


@dataclass(frozen=True)
class Memory:
    """What is remembered of one stream."""

    states: tuple[Any, ...]
    """Of each step, in its own form."""
    next_index: int = 0
    """Of the next chunk of the stream."""
    newest_ms: int | None = None
    """The latest time of an image so far; None before the first."""
    done_with: tuple[int, int] | None = None
    """Time and sequence of the last image that the steps took; what is before it is late."""
    waiting: tuple[ImageRecord, ...] = ()
    """Images that the steps have not taken, since older ones may still come."""


class _Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """A `Memory` as it is kept in checkpoints."""

    states: dict[str, tuple[str, bytes]]
    """Kind of the step, and its state as its fold encodes it; by the key of its name."""
    next_index: int
    newest_ms: int | None
    done_with: tuple[int, int] | None
    waiting: bytes


_CHECKPOINTS = StateCodec(_Checkpoint, "memory of a stream", version=4)


def open_keyed(pipeline: Pipeline, context: Context, history: History = NEW_RUN) -> "KeyedChain":
    """Open the keyed steps of a pipeline; the history says what checkpoints may have."""
    settings = settings_of(pipeline, context)
    folds = {step.name: open_fold(step, context.at(step.name), settings) for step in pipeline.keyed}
    max_out_of_order_ms = max(step.operator.max_out_of_order_ms for step in pipeline.keyed)
    kinds = {step.name: kind_of(step.operator) for step in pipeline.keyed}
    return KeyedChain(folds, max_out_of_order_ms, context.metrics, (kinds, history))


class KeyedChain:
    """Keyed steps, opened. It holds nothing of any stream: that is in the memories."""

    def __init__(
        self,
        folds: dict[str, Fold[Any]],
        max_out_of_order_ms: int,
        metrics: Metrics,
        past: tuple[dict[str, str], History],
    ) -> None:
        """Take the folds of the steps by their names, in order; their kinds, and the history."""
        self._folds = folds
        self._kinds, self._history = past
        self._metrics = metrics
        self._max_out_of_order_ms = max_out_of_order_ms

    def initial(self, source_id: str = "") -> Memory:
        """Return the memory of a stream of which nothing has come, whichever it is."""
        return Memory(tuple(fold.initial() for fold in self._folds.values()))

    def take(self, memory: Memory, chunk: Recognised) -> tuple[Memory, ChunkResult]:
        """Take the next chunk of a stream; return what to remember, and what comes out.

        Images that are put in order come out with a later chunk. A rejected image comes out at
        once. One that comes too late is rejected: the steps have been beyond its time.
        """
        arrived = list(chunk.outcomes)
        memory, released = self._put_in_order(memory, arrived, all_of_it=chunk.has_ended)
        memory, outcomes, events = self._fold(memory, released)
        if chunk.has_ended:
            for fold, state in zip(self._folds.values(), memory.states, strict=True):
                events.extend(fold.end(state))
            memory = self.initial()  # it may begin again
        result = ChunkResult.of(replace(chunk, outcomes=outcomes), events)
        memory = replace(memory, next_index=chunk.index + 1)
        return memory, replace(result, n_read=len(arrived) + chunk.n_skipped)

    def encode(self, memory: Memory) -> bytes:
        """Return a memory as bytes."""
        named = zip(self._folds.items(), memory.states, strict=True)
        key_of, kinds = self._history.key_of, self._kinds
        return _CHECKPOINTS.encode(
            _Checkpoint(
                {key_of(name): (kinds[name], fold.encode(state)) for (name, fold), state in named},
                memory.next_index,
                memory.newest_ms,
                memory.done_with,
                encode_outcomes(memory.waiting),
            )
        )

    def decode(self, data: bytes) -> Memory:
        """Return the memory that `encode` made; a step that is new begins.

        Raises:
            JobError: another version wrote it, or a pipeline with other keyed steps.
        """
        kept = _CHECKPOINTS.decode(data)
        found = self._history.states(kept.states, self._kinds)
        states = tuple(
            fold.decode(found[name]) if name in found else fold.initial()
            for name, fold in self._folds.items()
        )
        waiting = [o for o in decode_outcomes(kept.waiting) if isinstance(o, ImageRecord)]
        return Memory(states, kept.next_index, kept.newest_ms, kept.done_with, tuple(waiting))

    def _put_in_order(
        self, memory: Memory, arrived: Iterable[Outcome], *, all_of_it: bool
    ) -> tuple[Memory, list[Outcome]]:
        """Return the outcomes whose turn has come, images in the order of their time."""
        waiting, released = list(memory.waiting), list[Outcome]()
        newest_ms, done_with = memory.newest_ms, memory.done_with

        def release(until_ms: float) -> None:
            nonlocal done_with
            waiting.sort(key=_moment)
            while waiting and waiting[0].origin.event_time_ms <= until_ms:
                record = waiting.pop(0)
                released.append(record)
                done_with = _moment(record)

        for outcome in arrived:
            if isinstance(outcome, Rejected):
                released.append(outcome)
            elif done_with is not None and _moment(outcome) <= done_with:
                released.append(self._late(outcome, done_with[0]))
            else:
                waiting.append(outcome)
                time_ms = outcome.origin.event_time_ms
                newest_ms = time_ms if newest_ms is None else max(newest_ms, time_ms)
                release(newest_ms - self._max_out_of_order_ms)
        if all_of_it:
            release(float("inf"))
        memory = replace(memory, newest_ms=newest_ms, done_with=done_with, waiting=tuple(waiting))
        return memory, released

    def _late(self, record: ImageRecord, done_ms: int) -> Rejected:
        self._metrics.count("late")
        behind_ms = done_ms - record.origin.event_time_ms
        message = (
            f"its time is {behind_ms} ms before that of an image that is done with; "
            f"`max_out_of_order_ms` is {self._max_out_of_order_ms}, or its stream came twice"
        )
        return Rejected(record.origin, next(iter(self._folds)), "late", message)

    def _fold(
        self, memory: Memory, outcomes: Sequence[Outcome]
    ) -> tuple[Memory, list[Outcome], list[Event]]:
        """Pass images through all steps, one after the other."""
        states, events, results = list(memory.states), list[Event](), list[Outcome]()
        for outcome in outcomes:
            if isinstance(outcome, ImageRecord):
                for i, (name, fold) in enumerate(self._folds.items()):
                    with blaming(name, [outcome]):
                        states[i], outcome, news = fold.step(states[i], outcome)
                    events.extend(news)
            results.append(outcome)
        return replace(memory, states=tuple(states)), results, events


def _moment(record: ImageRecord) -> tuple[int, int]:
    """Return what the images of a stream are ordered by."""
    return record.origin.event_time_ms, record.origin.sequence
