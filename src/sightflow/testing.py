"""For tests, ours and yours: small records and pictures, and checks that hold for every plug-in."""

import io
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import is_dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sightflow.protocols import (
    Context,
    KeyedOperator,
    LabelSource,
    LearningOperator,
    Operator,
    Place,
    Source,
    StreamSource,
)
from sightflow.records import (
    Claim,
    Classification,
    Detections,
    EncodedImage,
    Event,
    ImageRecord,
    Label,
    Origin,
    Outcome,
    Rejected,
    Row,
    Skipped,
    Tracks,
    event_row,
    rejected_row,
    result_row,
)

__all__ = [
    "a_claim",
    "a_context",
    "a_record",
    "an_origin",
    "check_keyed_operator",
    "check_labels",
    "check_learning_operator",
    "check_operator",
    "check_source",
    "check_stream",
    "draw_scene",
    "encode_image",
]

Polled: TypeAlias = EncodedImage | Rejected | Skipped
"""What a stream gives."""


def an_origin(**changes: Any) -> Origin:
    """Return where an image comes from; changes name fields."""
    return replace(Origin("photos/a.jpg", "photos", 0, 0, "a.jpg"), **changes)


def a_claim(**changes: Any) -> Claim:
    """Return a claim for one image; changes name fields of its origin."""
    return Claim(an_origin(**changes))


def a_context(step: str = "step") -> Context:
    """Return the context of an opened part."""
    return Context(step)


def a_record(pixels: npt.NDArray[np.uint8] | None = None, **changes: Any) -> ImageRecord:
    """Return a record of a small grey picture; changes name fields of the record."""
    if pixels is None:
        pixels = np.full((24, 32, 3), 128, np.uint8)
    height, width = pixels.shape[:2]
    return replace(ImageRecord(an_origin(), width, height, pixels), **changes)


def draw_scene(
    width: int = 320, height: int = 240, *, boxes: Iterable[Sequence[int]] = ((40, 60, 140, 200),)
) -> npt.NDArray[np.uint8]:
    """Return a picture, uint8 [H, W, 3] RGB: a sky, ground, and a coloured block for each box."""
    image = Image.new("RGB", (width, height), (150, 190, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 2 // 3, width, height), fill=(90, 110, 70))
    for i, box in enumerate(boxes):
        draw.rectangle(tuple(box), fill=(200, 60 + 50 * i, 40), outline=(0, 0, 0))
    return np.array(image)


def encode_image(pixels: npt.NDArray[Any], format: str = "JPEG", **options: Any) -> bytes:
    """Return a picture as the bytes of a file; options go to Pillow's writer."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def check_source(source: Source) -> list[Claim]:
    """Raise AssertionError unless the source keeps the promises of `protocols.Source`."""
    _check_description(source)
    claims = list(source.claims())
    assert claims == list(source.claims()), "claims must be the same list each time"
    names = [(claim.origin.name, claim.frames[:1]) for claim in claims]
    assert len(names) == len(set(names)), "names must be unique"
    context = a_context("read")
    with context.resources:
        read = source.open(context)
        for claim in claims:
            n_images = sum(1 for _ in read(claim))
            assert n_images == claim.n_images, f"{claim} promises {claim.n_images}; gave {n_images}"
    return claims


def check_stream(source: StreamSource, *, replays: bool = True) -> list[Polled]:
    """Raise AssertionError unless a source keeps the promises of `protocols.StreamSource`.

    The stream must end by itself, and soon. It is read to its end, and again from two positions.
    A camera cannot show again what it showed: with `replays=False` it may give anything after a
    restart, but nothing under a name that was given before the position.
    """
    _check_description(source)
    outcomes, positions = _read_stream(source, None)
    names = [outcome.origin.name for outcome in outcomes]
    assert len(names) == len(set(names)), "names must be unique"
    for n_read in {(len(outcomes) + 1) // 2, len(outcomes)} - {0}:
        rest, _ = _read_stream(source, positions[n_read - 1])
        again = {outcome.origin.name for outcome in rest} & set(names[:n_read])
        assert not again, f"opened at the position behind an image, a stream gave it again: {again}"
        assert not replays or _are_the_same(rest, outcomes[n_read:]), (
            "opened at the position behind an image, a stream must give those behind it"
        )
    return outcomes


def check_labels(source: LabelSource) -> list[Label | Rejected]:
    """Raise AssertionError unless a source keeps the promises of `protocols.LabelSource`.

    The stream must end by itself, and soon. It is read to its end, and again from each position.
    """
    _check_description(source)
    labels, positions = _read_labels(source, None)
    for i, position in enumerate(positions):
        rest, _ = _read_labels(source, position)
        assert list(map(_content, rest)) == list(map(_content, labels[i + 1 :])), (
            "opened at the position behind a label, a stream must give those behind it"
        )
    return labels


def _content(label: Label | Rejected) -> Any:
    """Return what is the same when a label is read again; the time of a rejected one is not."""
    return label if isinstance(label, Label) else (label.origin.name, label.reason)


def _read_labels(
    source: LabelSource, position: str | None
) -> tuple[list[Label | Rejected], list[str]]:
    """Read labels to their end; return them, and the position behind each."""
    labels: list[Label | Rejected] = []
    positions: list[str] = []
    context = a_context("read")
    with context.resources:
        stream = source.open_labels(context, position)
        while not stream.ended():
            label = stream.poll(0.01)
            if label is not None:
                labels.append(label)
                positions.append(stream.position())
        assert stream.poll(0.0) is None, "a stream that has ended gives nothing"
    return labels, positions


def _are_the_same(rest: Sequence[Polled], before: Sequence[Polled]) -> bool:
    """Return whether names are equal; numbers suffice where images were left out, by chance."""
    if any(isinstance(outcome, Skipped) for outcome in (*rest, *before)):
        return _n_images(rest) == _n_images(before)
    return [item.origin.name for item in rest] == [item.origin.name for item in before]


def _n_images(outcomes: Iterable[Polled]) -> int:
    return sum(item.n_images if isinstance(item, Skipped) else 1 for item in outcomes)


def _read_stream(source: StreamSource, position: str | None) -> tuple[list[Polled], list[str]]:
    """Read a stream to its end; return what it gave, and the position behind each."""
    outcomes: list[Polled] = []
    positions: list[str] = []
    context = a_context("read")
    with context.resources:
        stream = source.open_stream(context, position)
        while not stream.ended():
            outcome = stream.poll(0.01)
            if outcome is not None and not isinstance(outcome, Label):
                outcomes.append(outcome)
                positions.append(stream.position())
        assert stream.poll(0.0) is None, "a stream that has ended gives nothing"
    return outcomes, positions


def check_operator(operator: Operator) -> list[Outcome]:
    """Raise AssertionError unless the operator keeps the promises of `protocols.Operator`."""
    _check_description(operator)
    operator.check()
    assert 0 < operator.scale_for(640, 480) <= 1, "scale_for must be in (0, 1]"
    context = a_context()
    with context.resources:
        process = operator.open(context)
        records = [a_record(draw_scene(64, 48)), a_record(draw_scene(300, 40))]
        records = [replace(r, origin=an_origin(sequence=i)) for i, r in enumerate(records)]
        before = [record.pixels.copy() for record in records]
        outcomes = list(process(records))
        alone = [outcome for record in records for outcome in process([record])]
    assert [o.origin for o in outcomes] == [r.origin for r in records], "one outcome each, in order"
    assert [o.origin for o in alone] == [r.origin for r in records], "batches must not matter"
    for record, pixels in zip(records, before, strict=True):
        assert np.array_equal(record.pixels, pixels), "records must not be changed in place"
    return outcomes


def check_keyed_operator(operator: KeyedOperator) -> list[Event]:
    """Raise AssertionError unless it keeps the promises of `protocols.KeyedOperator`.

    It gets forty images of two objects that walk towards each other, with detections and tracks.
    """
    _check_description(operator)
    operator.check()
    assert operator.max_out_of_order_ms >= 0, "`max_out_of_order_ms` is from 0"
    undisturbed, events = _fold(operator, restarts=False)
    assert _fold(operator, restarts=False)[0] == undisturbed, "the same images, the same results"
    assert _fold(operator, restarts=True)[0] == undisturbed, "a restart must not change results"
    return events


def _fold(operator: KeyedOperator, *, restarts: bool) -> tuple[list[Any], list[Event]]:
    """Return rows of results, of events and the states; restarts come between all images."""
    context = a_context()
    with context.resources:
        fold = operator.open_fold(context)
        state, rows, events = fold.initial(), list[Any](), list[Event]()
        for record in _walkers(40):
            if restarts:
                state = fold.decode(fold.encode(state))
            before = fold.encode(state)
            behind, outcome, news = fold.step(state, record)
            assert outcome.origin == record.origin, "an image comes out as itself"
            assert fold.encode(state) == before, "states must not be changed in place"
            state = behind
            events.extend(news)
            rows.append((result_row(outcome), fold.encode(state)))
        events.extend(fold.end(state))
    return [*rows, *map(event_row, events)], events


def check_learning_operator(operator: LearningOperator) -> list[Event]:
    """Raise AssertionError unless it keeps the promises of `protocols.LearningOperator`.

    It gets forty images of the classes `a` and `b`, classified at random, a few at a time; of some
    the label comes later. Each has
    `features`, float32 [8], and `prepared`, uint8 [8, 8, 3], that tell the classes apart.
    """
    _check_description(operator)
    operator.check()
    if operator.preparation is not None:
        check_operator(operator.preparation)
    undisturbed, events = _learn(operator, restarts=False)
    assert _learn(operator, restarts=False)[0] == undisturbed, "the same images, the same results"
    assert _learn(operator, restarts=True)[0] == undisturbed, "a restart must not change results"
    return events


def _learn(operator: LearningOperator, *, restarts: bool) -> tuple[list[Any], list[Event]]:
    """Return rows of results and of events, and snapshots; restarts come between all chunks."""
    context = a_context()
    with context.resources:
        learner, rows, events = operator.open_learner(context, None), list[Any](), list[Event]()
        images = list(_lessons(40))
        for start in range(0, len(images), _CHUNK):
            if restarts:
                learner = operator.open_learner(context, learner.snapshot())
            chunk = images[start : start + _CHUNK]
            places = [(start // _CHUNK, row) for row in range(len(chunk))]
            outcomes, news = learner.take(chunk, places)
            assert [o.origin for o in outcomes] == [r.origin for r in chunk], "each as itself"
            news = [*news, *learner.take_labels(*_told_later(outcomes, places))]
            assert all(0 <= row < len(chunk) for row, _ in news), "events belong to an image"
            events.extend(event for _, event in news)
            rows.append(([_row(outcome) for outcome in outcomes], learner.snapshot()))
        events.extend(learner.end())
    return [*rows, *map(event_row, events)], events


_CHUNK = 7


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


def _row(outcome: Outcome) -> Row:
    return rejected_row(outcome) if isinstance(outcome, Rejected) else result_row(outcome)


def _lessons(n_images: int) -> Iterable[ImageRecord]:
    """Yield labelled images, the last ones held out."""
    rng = np.random.default_rng(0)
    for i in range(n_images):
        label = "ab"[i % 2]
        brightness = 50 if label == "a" else 200
        right, best = rng.random() < 0.7, np.float32(rng.uniform(0.5, 1))
        classes = [i % 2, 1 - i % 2] if right else [1 - i % 2, i % 2]
        yield a_record(
            origin=an_origin(
                uri=f"{i}.jpg",
                sequence=i,
                event_time_ms=i * 100,
                label=None if i % 7 == 3 else label,
                held_out=i >= 35,
                awaits_label=i % 7 == 3,
            ),
            features=rng.normal(brightness / 100, 0.2, 8).astype(np.float32),
            prepared=np.clip(rng.normal(brightness, 20, (8, 8, 3)), 0, 255).astype(np.uint8),
            classification=_said(classes, best),
            shadow=_said([i % 3 % 2, 1 - i % 3 % 2], np.float32(0.75)),
        )


def _said(classes: Sequence[int], best: np.float32) -> Classification:
    """Return what is said of an image of the classes `a` and `b`."""
    labels, scores = tuple("ab"[c] for c in classes), np.array([best, 1 - best], np.float32)
    return Classification(labels, np.array(classes, np.int32), scores)


def _walkers(n_images: int) -> Iterable[ImageRecord]:
    """Yield images, ten a second, of two objects of 40 x 80 pixels that walk past each other."""
    ids, steps = np.array([1, 2]), np.array([10, -10], np.float32)
    half = np.array([20, 40], np.float32)
    for i in range(n_images):
        centres = np.array([[100, 200], [500, 230]], np.float32)
        centres[:, 0] += i * steps
        boxes = np.concatenate([centres - half, centres + half], axis=1)
        scores, classes = np.full(2, 0.9, np.float32), np.array([0, 1], np.int32)
        labels = ("person", "dog")
        velocities = np.stack([steps * 10, np.zeros(2, np.float32)], axis=1)
        ages, hits = np.full(2, i * 100, np.int64), np.full(2, i + 1, np.int32)
        yield a_record(
            origin=an_origin(sequence=i, event_time_ms=i * 100),
            width=640,
            height=480,
            detections=Detections(boxes, scores, classes, labels),
            tracks=Tracks(ids, boxes, scores, classes, labels, velocities, ages, hits),
        )


def _check_description(part: object) -> None:
    assert is_dataclass(type(part)), f"{part!r} must be a dataclass"
    frozen = part.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen, f"{part!r} must be frozen"
    assert pickle.loads(pickle.dumps(part)) == part, f"{part!r} must survive pickling"
