"""What was found is held against the objects of the images: figures, classes, tests held out."""

import random

import numpy as np
import pytest

from sightflow import Directory, Pipeline
from sightflow.configuration import read_pipeline, to_yaml
from sightflow.engine.plan import informed
from sightflow.errors import JobError, PipelineError
from sightflow.learn.evaluate_objects import EvaluateObjects
from sightflow.records import Detections, Event, ImageRecord, LabelledObject
from sightflow.sources.annotated import Annotated
from sightflow.testing import a_context, a_record, an_origin

LABELS = "cat", "dog"
Box = tuple[float, float, float, float]
LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)
PIXEL = np.zeros((1, 1, 3), np.uint8)


def image(
    number: int,
    objects: dict[Box, str] | None,
    *found: tuple[str, float, Box],
    held_out: bool = False,
) -> ImageRecord:
    """Return an image with objects, and with what was found in it: (label, score, box)."""
    told = None
    if objects is not None:
        told = tuple(LabelledObject(label, box) for box, label in objects.items())
    origin = an_origin(
        uri=f"{number}.jpg",
        sequence=number,
        event_time_ms=number * 10,
        objects=told,
        held_out=held_out,
    )
    detections = Detections(
        np.array([box for *_, box in found], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in found], np.float32),
        np.array([len(label) for label, *_ in found], np.int32),  # of a model with other labels
        tuple(label for label, *_ in found),
    )
    return a_record(PIXEL, origin=origin, detections=detections)


def right(number: int, label: str = "cat", *, held_out: bool = False) -> ImageRecord:
    return image(number, {LEFT: label}, (label, 0.75, LEFT), held_out=held_out)


def wrong(number: int, label: str = "cat", *, held_out: bool = False) -> ImageRecord:
    return image(number, {LEFT: label}, (label, 0.75, RIGHT), held_out=held_out)


def run(images: list[ImageRecord], step: EvaluateObjects, *, batch: int = 7, restore: bool = False):
    """Return all events; `restore` goes through a snapshot between batches."""
    learner, events = step.open_learner(a_context("test"), None), list[Event]()
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        if restore:
            learner = step.open_learner(a_context("test"), learner.snapshot())
        outcomes, told = learner.take(part, [(0, start + i) for i in range(len(part))])
        assert outcomes == part
        events.extend(event for _, event in told)
    return [*events, *learner.end()]


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.kind == kind]


def figures(events: list[Event], kind: str) -> list[dict[str, float]]:
    return [dict(event.figures or {}) for event in of_kind(events, kind)]


def drawn(n: int, seed: int = 0) -> list[ImageRecord]:
    """Return images of all sorts: without objects, with unknown ones, of nobody knows, held out."""
    rng, images = random.Random(seed), list[ImageRecord]()
    for number in range(n):
        boxes = [(x, 0.0, x + 10.0, 10.0) for x in (0.0, 20.0, 40.0)][: rng.randint(0, 3)]
        objects = {box: rng.choice([*LABELS, "emu"]) for box in boxes}
        found = [
            (rng.choice([label, *LABELS]), round(rng.random(), 2), (x + rng.randint(0, 6), *rest))
            for (x, *rest), label in objects.items()
            for _ in range(rng.randint(0, 2))
        ]
        told = None if rng.random() < 0.2 else objects
        images.append(image(number, told, *found, held_out=number % 30 > 24))
    return images


def test_the_figures_come_every_so_many_images_with_objects() -> None:
    images = [right(0), image(1, None, ("dog", 0.9, LEFT)), wrong(2), right(3), right(4), wrong(5)]
    events = of_kind(run(images, EvaluateObjects(LABELS, every=2)), "evaluated")
    assert [(e.step, e.sequence, e.event_time_ms) for e in events] == [
        ("test", 2, 20),
        ("test", 4, 40),
        ("test", 5, 50),
    ]
    assert [e.figures["n"] for e in events] == [2, 4, 5]
    assert [e.figures["recall"] for e in events] == [1 / 2, 3 / 4, 3 / 5]


def test_the_figures_are_those_of_the_metrics() -> None:
    images = [
        image(0, {LEFT: "cat", RIGHT: "emu"}, ("cat", 0.9, LEFT), ("emu", 0.9, RIGHT)),
        image(1, {LEFT: "dog", RIGHT: "dog"}, ("dog", 0.9, LEFT), ("cat", 0.6, RIGHT)),
    ]
    (found,) = figures(run(images, EvaluateObjects(LABELS)), "evaluated")
    assert found == {
        "n": 2,
        "n_objects": 3,
        "n_false": 1,
        "n_unknown": 1,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        # All of the cats; of the dogs half, at recalls 0 to 0.50, which are 51 of 101.
        "map_50": pytest.approx((1 + 51 / 101) / 2),
        "map": pytest.approx((1 + 51 / 101) / 2),
    }


def test_score_and_overlap_from_which_on_an_object_is_found_are_options() -> None:
    images = [image(0, {LEFT: "cat"}, ("cat", 0.6, (0, 0, 10, 7)))]
    for options, recall in (({}, 1), ({"min_score": 0.7}, 0), ({"min_iou": 0.8}, 0)):
        (found,) = figures(run(images, EvaluateObjects(LABELS, **options)), "evaluated")
        assert (found["recall"], found["map_50"]) == (recall, 1)


def test_images_of_which_nobody_knows_the_objects_tell_nothing() -> None:
    assert run([image(0, None, ("cat", 0.9, LEFT))], EvaluateObjects(LABELS)) == []


def test_what_is_found_in_an_image_without_objects_is_false() -> None:
    (found,) = figures(
        run([image(0, {}, ("cat", 0.9, LEFT))], EvaluateObjects(LABELS)), "evaluated"
    )
    assert (found["n"], found["n_objects"], found["n_false"]) == (1, 0, 1)


def test_each_run_of_held_out_images_is_a_test_of_its_own() -> None:
    images = [right(0), wrong(1, held_out=True), right(2, held_out=True), right(3)]
    images += [image(4, None, held_out=True), right(5, held_out=True), image(6, None)]
    events = run(images, EvaluateObjects(LABELS))
    tests = [(e.sequence, e.figures) for e in of_kind(events, "tested")]
    assert [(at, f["test"], f["n"], f["recall"]) for at, f in tests] == [
        (2, 1, 2, 0.5),
        (5, 2, 1, 1.0),
    ]
    (online,) = figures(events, "evaluated")
    assert (online["n"], online["recall"]) == (2, 1.0)


def test_a_test_is_told_with_the_image_that_ends_it() -> None:
    learner = EvaluateObjects(LABELS).open_learner(a_context(), None)
    images = [right(0, held_out=True), image(1, None), right(2)]
    ((row, event),) = learner.take(images, [(0, 0), (0, 1), (0, 2)])[1]
    assert (row, event.kind, event.sequence) == (2, "tested", 0)


def test_at_the_end_there_are_figures_of_each_class_and_of_the_last_test_too() -> None:
    images = [right(0), right(1, "dog"), wrong(2), right(3, held_out=True)]
    found = of_kind(run(images, EvaluateObjects(LABELS)), "scored")
    half = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2, "n_false": 1, "held_out": 0}
    full = {"precision": 1, "recall": 1, "f1": 1, "ap_50": 1, "ap": 1, "n": 1, "n_false": 0}
    assert [(e.class_id, e.label, e.figures) for e in found] == [
        (0, "cat", half | {"ap_50": pytest.approx(51 / 101), "ap": pytest.approx(51 / 101)}),
        (1, "dog", full | {"held_out": 0}),
        (0, "cat", full | {"held_out": 1}),
    ]


def test_a_class_without_objects_has_no_average_precision() -> None:
    (found,) = figures(run([image(0, {}, ("cat", 0.9, LEFT))], EvaluateObjects(LABELS)), "scored")
    assert (found["n"], found["n_false"], found["precision"]) == (0, 1, 0)
    assert {"ap", "ap_50"} & found.keys() == set()


FULL = EvaluateObjects(LABELS, min_iou=0.7, min_score=0.3, every=40)


def test_the_events_do_not_depend_on_how_the_images_are_divided() -> None:
    images = drawn(400)
    expected = run(images, FULL, batch=400)
    assert [run(images, FULL, batch=batch) for batch in (1, 7, 64)] == [expected] * 3
    assert {event.kind for event in expected} == {"evaluated", "tested", "scored"}


@pytest.mark.parametrize("batch", [1, 13])
def test_every_image_may_be_followed_by_a_restart(batch: int) -> None:
    images = drawn(300, seed=1)
    assert run(images, FULL, batch=batch, restore=True) == run(images, FULL, batch=batch)


def test_a_snapshot_of_another_version_is_refused() -> None:
    data = FULL.open_learner(a_context(), None).snapshot()
    with pytest.raises(JobError, match="test of objects must be of version 1; got 9; start"):
        FULL.open_learner(a_context(), data[:1] + b"\x09" + data[2:])


@pytest.mark.parametrize("other", [EvaluateObjects(("cat",)), EvaluateObjects(LABELS, every=3)])
def test_a_snapshot_of_other_options_is_refused(other: EvaluateObjects) -> None:
    data = EvaluateObjects(LABELS).open_learner(a_context(), None).snapshot()
    with pytest.raises(JobError, match="keep its options, or start the run anew"):
        other.open_learner(a_context(), data)


def test_an_image_without_detections_is_an_error() -> None:
    record = a_record(PIXEL, origin=an_origin(objects=()))
    with pytest.raises(PipelineError, match="step 'test' tests what an earlier step found"):
        run([record], EvaluateObjects(LABELS))


def test_a_pipeline_that_finds_nothing_is_refused() -> None:
    pipeline = Pipeline(Directory("photos")).apply("test", EvaluateObjects(LABELS))
    with pytest.raises(PipelineError, match="EvaluateObjects needs detections"):
        pipeline.check()


def test_labels_that_are_left_out_are_those_of_the_source(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "coco.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 2, "name": "yak"}],'
        '"annotations": [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9]}]}'
    )
    source = Annotated(Directory(str(tmp_path), pattern="*.jpg"), str(tmp_path / "coco.json"))
    (step,) = informed(Pipeline(source).apply("test", EvaluateObjects())).learning
    assert step.operator == EvaluateObjects(("yak",))


def test_it_survives_the_way_through_yaml(tmp_path) -> None:
    pipeline = Pipeline(Directory("photos")).apply("test", FULL)
    (tmp_path / "job.yaml").write_text(to_yaml(pipeline))
    assert read_pipeline(tmp_path / "job.yaml")[0] == pipeline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "`every` is a whole number from 1; got 0"),
        ({"min_iou": 0}, r"`min_iou` is in \(0, 1\]; got 0"),
        ({"min_score": 1.5}, r"`min_score` is in \[0, 1\]; got 1.5"),
        ({"labels": ()}, r"`labels` are one or more different words; got \[\]; give them, or a"),
        ({"labels": ("cat", "cat")}, r"`labels` are one or more different words; got \['cat', "),
    ],
)
def test_options_that_cannot_be_are_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        EvaluateObjects(**{"labels": LABELS, **options}).check()
