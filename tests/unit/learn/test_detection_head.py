"""A head that finds objects learns on the stream, from images and the boxes in them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.detectors import mean_maps
from tests.pytorch import needs_torch

from sightflow.errors import CardError, ModelError, PipelineError, SightflowError
from sightflow.learn.compose import Compose
from sightflow.learn.detection_head import DetectionHead
from sightflow.learn.head import Head
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.samples import Replay
from sightflow.learn.train import Train
from sightflow.models import Registry, find_model
from sightflow.ops.augment import Augment
from sightflow.records import ImageRecord, LabelledObject
from sightflow.tasks.detect import Detect
from sightflow.testing import a_context, a_record, an_origin

LABELS = ("green", "red")
SIZE = 128
"""Pixels of an image, twice those of the model's input."""


@pytest.fixture
def head(tmp_path: Path) -> DetectionHead:
    return DetectionHead(mean_maps(tmp_path), width=16, depth=1, bins=6)


def an_image(i: int, **told: Any) -> ImageRecord:
    """Return a dark image with a green block, a red one, or none, as it is prepared."""
    rng = np.random.default_rng(i)
    pixels = rng.integers(0, 40, (SIZE, SIZE, 3), np.uint8)
    objects = []
    if i % 5:
        x, y = (8 * rng.integers(1, 10, 2)).tolist()
        label = LABELS[i % 2]
        pixels[y : y + 40, x : x + 32] = (220, 30, 30) if label == "red" else (30, 220, 30)
        objects.append(LabelledObject(label, (x, y, x + 32, y + 40)))
    told = {"objects": tuple(objects)} | told
    origin = an_origin(uri=f"{i}", sequence=i, event_time_ms=i, **told)
    prepared = pixels[::2, ::2, ::-1].copy()
    return a_record(pixels, origin=origin, prepared=prepared)


def a_training(head: DetectionHead, **options: Any) -> Train:
    return Train(
        LABELS,
        network=head,
        optimiser=Optimiser(rate=0.01, averaging=0.95),
        batch_size=8,
        replay=Replay(batches=3, size=60),
        **options,
    )


def taught(train: Train, images: list[ImageRecord], snapshot: bytes | None = None) -> Any:
    """Return a training that has taken images, one chunk of eight after the other."""
    training = train.open_learner(a_context(), snapshot)
    for start in range(0, len(images), 8):
        part = images[start : start + 8]
        training.take(part, [(start, row) for row in range(len(part))])
    return training


@needs_torch
def test_it_learns_where_objects_are_and_the_published_model_finds_them(
    head: DetectionHead, tmp_path: Path
) -> None:
    train = a_training(
        head,
        publish=Publish(str(tmp_path / "registry"), "blocks"),
        augment=Augment(shift=0.05, flip=True),
        compose=Compose(mosaic=0.2),
    )
    train.check()
    training = taught(train, [an_image(i) for i in range(240)])
    test = [an_image(i, held_out=True) for i in range(1000, 1020)]
    outcomes, _ = training.take(test, [(1000, row) for row in range(20)])
    told = training.end()

    right = [is_found(outcome) for outcome in outcomes]
    assert sum(right) >= 18
    published = told[-1]
    assert published.kind == "published"
    assert published.figures["accuracy"] == pytest.approx(sum(right) / 20)
    model = find_model(f"{tmp_path}/registry/blocks@1")
    assert (model.card.task, model.card.labels) == ("detect", LABELS)
    detect = Detect(model, min_score=0.5)
    detect.check()
    again = detect.open(a_context())(test)
    assert [len(one.detections) for one in again] == [
        int((one.detections.scores >= 0.5).sum()) for one in outcomes
    ]
    assert [is_found(one) for one in again] == right


def is_found(record: Any) -> bool:
    """Return whether what is said surely is what is there, within 8 pixels."""
    found = record.detections.take(record.detections.scores >= 0.5)
    wanted = record.origin.objects
    return found.labels == tuple(one.label for one in wanted) and np.allclose(
        found.boxes_xyxy, [one.box_xyxy for one in wanted] or np.zeros((0, 4)), atol=8
    )


@needs_torch
def test_a_training_goes_on_from_its_snapshot_as_if_untouched(
    head: DetectionHead, tmp_path: Path
) -> None:
    train = a_training(head, compose=Compose(worse=0.5), kept_bytes=1 << 20)
    images = [an_image(i) for i in range(36)]
    whole = taught(train, images)
    stopped = taught(train, images[:20])  # with four images that wait
    rest = train.open_learner(a_context(), stopped.snapshot())
    places = [[(16, row) for row in range(4, 8)], [(24, row) for row in range(8)]]
    rest.take(images[20:24], places[0])
    rest.take(images[24:32], places[1])
    rest.take(images[32:], [(32, row) for row in range(4)])
    assert rest.snapshot() == whole.snapshot()


@needs_torch
def test_images_of_which_nobody_has_told_are_only_recognised(head: DetectionHead) -> None:
    training = taught(a_training(head), [an_image(i, objects=None) for i in range(16)])
    assert training.end() == []


@needs_torch
def test_objects_of_other_classes_are_background(head: DetectionHead) -> None:
    other = (LabelledObject("blue", (0, 0, 50, 50)),)
    known = taught(a_training(head), [an_image(0, objects=()) for _ in range(8)])
    unknown = taught(a_training(head), [an_image(0, objects=other) for _ in range(8)])
    (one,), (two,) = (training.end() for training in (known, unknown))
    assert one.figures["loss"] == two.figures["loss"]


def test_its_results_are_detections(head: DetectionHead) -> None:
    assert a_training(head).gives == ("detections",)
    assert Train(LABELS).gives == ("classification",)


@needs_torch
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "DetectionHead: `width` is a whole number from 1"),
        ({"bins": 1}, "DetectionHead: `bins` is a whole number from 2"),
        ({"min_score": 2.0}, "DetectionHead: `min_score`"),
    ],
)
def test_what_cannot_be_is_refused(head: DetectionHead, change: dict, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        replace(head, **change).check()


@needs_torch
def test_a_model_without_maps_is_refused_with_what_to_do(head: DetectionHead) -> None:
    plain = replace(head.model, card=replace(head.model.card, maps={}))
    with pytest.raises(CardError, match="model 'maps' names no `maps` on its card; add"):
        replace(head, model=plain).check()


@needs_torch
def test_a_map_that_is_not_in_the_file_is_refused_when_a_training_is_checked(
    head: DetectionHead,
) -> None:
    wrong = replace(head.model, card=replace(head.model.card, maps={8: "finest"}))
    with pytest.raises(CardError, match="has no 'finest'"):
        a_training(replace(head, model=wrong)).check()


def test_only_networks_that_learn_objects_compose() -> None:
    train = Train(LABELS, network=Head(), compose=Compose())
    with pytest.raises(PipelineError, match="Train: `compose` is for networks that learn where"):
        train.check()


@needs_torch
def test_one_class_is_enough_for_objects(head: DetectionHead) -> None:
    replace(a_training(head), labels=("red",)).check()
    with pytest.raises(PipelineError, match="`labels` are one or more different words"):
        replace(a_training(head), labels=()).check()


@needs_torch
def test_it_starts_from_a_published_version(head: DetectionHead, tmp_path: Path) -> None:
    registry = str(tmp_path / "registry")
    train = a_training(head, publish=Publish(registry, "blocks"))
    taught(train, [an_image(i) for i in range(64)]).end()
    again = replace(train, start=find_model(f"{registry}/blocks@1"))
    again.check()
    begun = taught(again, [an_image(i, held_out=True) for i in range(100, 108)])
    ended = taught(train, [an_image(i) for i in range(64)])
    test = [an_image(i, held_out=True) for i in range(200, 204)]
    places = [(0, row) for row in range(4)]
    for one, two in zip(begun.take(test, places)[0], ended.take(test, places)[0], strict=True):
        assert one.detections.scores == pytest.approx(two.detections.scores, abs=1e-5)
    assert Registry(registry).versions("blocks")[0].facts.step == 32

    other = replace(head, width=8)
    with pytest.raises(ModelError, match="cannot start from weights of another network"):
        replace(again, network=other).check()


@needs_torch
def test_an_image_is_learned_from_once_also_if_its_label_comes_later(head: DetectionHead) -> None:
    training = a_training(head).open_learner(a_context(), None)
    images = [an_image(i, awaits_label=True) for i in range(7)]
    places = [(0, row) for row in range(7)]
    training.take(images, places)
    assert training.take_labels(images, places) == []
    (trained,) = training.end()
    assert trained.figures["n_samples"] == 7


@needs_torch
def test_maps_whose_strides_do_not_double_are_refused(head: DetectionHead) -> None:
    wrong = replace(head.model, card=replace(head.model.card, maps={8: "fine", 32: "coarse"}))
    with pytest.raises(CardError, match="model 'maps': `maps` on its card are of strides that dou"):
        replace(head, model=wrong).check()


@needs_torch
def test_what_hides_objects_is_refused_and_cut_outs_are_looked_at(head: DetectionHead) -> None:
    with pytest.raises(PipelineError, match=r"Train: `augment\.erase` may hide an object"):
        a_training(head, augment=Augment(erase=0.3)).check()
    with pytest.raises(SightflowError, match="nowhere"):
        a_training(head, compose=Compose(cutouts="nowhere")).check()
