"""Checks of steps with a state: they go on after a restart as if nothing had happened."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sightflow.pipeline import Pipeline
from sightflow.protocols import (
    KeyedOperator,
    Learner,
    LearningOperator,
    Operator,
    Place,
)
from sightflow.records import (
    Event,
    ImageRecord,
    Outcome,
    event_row,
    result_row,
    to_json,
)
from sightflow.sources.directory import Directory
from sightflow.testing.builders import a_context
from sightflow.testing.descriptions import check_description, sent
from sightflow.testing.operators import check_operator, content_of
from sightflow.testing.sequences import lessons, walkers

__all__ = ["check_keyed_operator", "check_learning_operator"]

_N_IMAGES = 40
_CHUNK = 7


def _in_pipeline(operator: KeyedOperator | LearningOperator) -> Pipeline:
    return Pipeline(Directory("photos")).apply("step", operator)


def check_keyed_operator(
    operator: KeyedOperator, records: Sequence[ImageRecord] = ()
) -> list[Event]:
    """Raise AssertionError unless it keeps the promises of `protocols.KeyedOperator`.

    It must have something to say of the images.

    Args:
        operator: what is checked.
        records: of one stream, with what the operator needs; without them forty images of two
            objects that walk towards each other, with detections, tracks, and faces.
    """
    images = list(records) or list(walkers(_N_IMAGES))
    check_description(operator, _in_pipeline)
    operator.check()
    assert operator.max_out_of_order_ms >= 0, "`max_out_of_order_ms` is from 0"
    undisturbed, events = _fold(operator, images, restarts=False)
    assert events or _says_something(undisturbed, images), "it says nothing, so nothing was checked"
    assert _fold(operator, images, restarts=False)[0] == undisturbed, (
        "the same images, the same results"
    )
    assert _fold(operator, images, restarts=True)[0] == undisturbed, (
        "a restart must not change results"
    )
    assert _fold(operator, images, restarts=False, other="other")[0] == undisturbed, (
        "streams must not know of each other: what a fold remembers is in its states"
    )
    return events


def _says_something(rows: Sequence[Any], images: Sequence[ImageRecord]) -> bool:
    """Return whether images came out with more than they had."""
    plain = [result_row(record) for record in images]
    return [row for row, _ in rows[: len(images)]] != plain


def _fold(
    operator: KeyedOperator,
    images: Sequence[ImageRecord],
    *,
    restarts: bool = False,
    other: str | None = None,
) -> tuple[list[Any], list[Event]]:
    """Return rows of results, of events and the states of a stream.

    Args:
        operator: what is checked.
        images: of the stream.
        restarts: whether they come between all images.
        other: name of a second stream, whose images come between those of the first.
    """
    context = a_context()
    with context.resources:
        fold = sent(operator).open_fold(context)
        state, rows, events = fold.initial(), list[Any](), list[Event]()
        beside = fold.initial()
        for record in images:
            if restarts:
                kept, fold = fold.encode(state), sent(operator).open_fold(context)
                state = fold.decode(kept)
            if other is not None:
                origin = replace(record.origin, source_id=other)
                beside, _, _ = fold.step(beside, replace(record, origin=origin))
            before = fold.encode(state)
            behind, outcome, news = fold.step(state, record)
            assert outcome.origin == record.origin, "an image comes out as itself"
            assert fold.encode(state) == before, "states must not be changed in place"
            state = behind
            events.extend(news)
            rows.append((result_row(outcome), fold.encode(state)))
        events.extend(fold.end(state))
    return [*rows, *_event_rows(events)], events


def _event_rows(events: Iterable[Event]) -> list[Any]:
    rows = [event_row(event) for event in events]
    for row in rows:
        to_json(row)
    return rows


def check_learning_operator(operator: LearningOperator) -> list[Event]:
    """Raise AssertionError unless it keeps the promises of `protocols.LearningOperator`.

    It gets forty images of the classes `a` and `b`, classified at random, a few at a time; of some
    the label comes later, and one chunk has no images. Each has `features`, float32 [8], and
    `prepared`, uint8 [8, 8, 3], that tell the classes apart. It must have something to say of them.
    """
    check_description(operator, _in_pipeline)
    operator.check()
    assert set(operator.takes) <= {"prepared", "features"}, f"`takes` is {operator.takes}"
    if operator.preparation is not None:
        _check_preparation(operator.preparation, operator.takes)
    undisturbed, events = _learn(operator, restarts=False)
    plain = [[_plain(record) for record in chunk] for chunk in _chunks()]
    assert events or [rows for rows, _ in undisturbed] != plain, (
        "it says nothing, so nothing was checked"
    )
    assert _learn(operator, restarts=False)[0] == undisturbed, "the same images, the same results"
    assert _learn(operator, restarts=True)[0] == undisturbed, "a restart must not change results"
    return events


def _check_preparation(preparation: Operator, takes: Sequence[str]) -> None:
    for outcome in check_operator(preparation):
        for name in takes if isinstance(outcome, ImageRecord) else ():
            assert getattr(outcome, name) is not None, f"the preparation gives {name!r}"


def _learn(operator: LearningOperator, *, restarts: bool) -> tuple[list[Any], list[Event]]:
    """Return rows of results and of events, and snapshots; restarts come between all chunks."""
    context = a_context()
    with context.resources:
        learner, rows, events = (
            sent(operator).open_learner(context, None),
            list[Any](),
            list[Event](),
        )
        for index, chunk in enumerate(_chunks()):
            if restarts:
                learner = sent(operator).open_learner(context, learner.snapshot())
            outcomes, news = _take(learner, index, chunk)
            events.extend(news)
            rows.append(([_plain(outcome) for outcome in outcomes], learner.snapshot()))
        events.extend(learner.end())
    return [*rows, *_event_rows(events)], events


def _chunks() -> list[list[ImageRecord]]:
    """Return the images in chunks; the third has none, as when all of its files are broken."""
    images = list(lessons(_N_IMAGES))
    chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
    return [*chunks[:2], [], *chunks[2:]]


def _take(
    learner: Learner, index: int, chunk: Sequence[ImageRecord]
) -> tuple[Sequence[Outcome], list[Event]]:
    """Give a learner a chunk, with all that belongs to it."""
    places = [(index, row) for row in range(len(chunk))]
    outcomes, news = learner.take(chunk, places)
    assert [o.origin for o in outcomes] == [r.origin for r in chunk], "each as itself"
    told, told_places = _told_later(outcomes, places)
    more = learner.take_labels(told, told_places) if told else ()
    for n_images, found in ((len(chunk), news), (len(told), more)):
        assert all(0 <= row < n_images for row, _ in found), "events belong to an image"
    learner.end_chunk(index)
    return outcomes, [event for _, event in (*news, *more)]


def _plain(outcome: Outcome) -> dict[str, Any]:
    """Return what was said of an image, comparable to the last bit."""
    content = content_of(outcome)
    return {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in content.items()}


def _told_later(
    outcomes: Sequence[Outcome], places: Sequence[Place]
) -> tuple[list[ImageRecord], list[Place]]:
    """Return the images whose label comes now, and their places."""
    waiting = [
        (replace(outcome, origin=replace(outcome.origin, label="b", awaits_label=False)), place)
        for outcome, place in zip(outcomes, places, strict=True)
        if isinstance(outcome, ImageRecord) and outcome.origin.awaits_label
    ]
    return [record for record, _ in waiting], [place for _, place in waiting]
