"""Versions of a network go to a registry; one serves only if it is better on the same images."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from sightflow.errors import ModelError, PipelineError
from sightflow.learn.contest import Contest, Verdict
from sightflow.learn.head import Head
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.train import Train
from sightflow.models import Registry, find_model, zoo
from sightflow.protocols import SourceFacts
from sightflow.records import Event, ImageRecord
from sightflow.testing import a_context, a_record, an_origin

N_FEATURES = 1_280
"""As many as the model that ships gives: a published head is the model with that head."""


def image(i: int, *, held_out: bool = False, swapped: bool = False) -> ImageRecord:
    """Return image i of cats and dogs; their features tell them apart."""
    class_id = i % 2
    features = np.random.default_rng(i).normal(class_id / 2, 1, N_FEATURES).astype(np.float32)
    label = ("dog", "cat")[class_id] if swapped else ("cat", "dog")[class_id]
    origin = an_origin(uri=f"{i}", sequence=i, event_time_ms=1_000 + i, label=label)
    return a_record(origin=replace(origin, held_out=held_out), features=features)


def trained(
    how: Train, images: list[ImageRecord], run_id: str = "r1", snapshot: bytes | None = None
) -> list[Event]:
    training = how.open_learner(replace(a_context("train"), run_id=run_id), snapshot)
    _, events = training.take(images, [(0, row) for row in range(len(images))])
    found = [event for _, event in events] + list(training.end())
    return [event for event in found if event.kind == "published"]


def a_train(folder: Path, **options) -> Train:
    publish = Publish(str(folder), "pets", **options)
    return Train(("cat", "dog"), batch_size=4, optimiser=Optimiser(rate=0.01), publish=publish)


def test_the_network_is_published_at_the_end_and_serves_as_the_first(tmp_path: Path) -> None:
    (event,) = trained(a_train(tmp_path), [image(i) for i in range(10)])
    assert event.uri == f"{tmp_path}/pets@1"
    assert event.reason == "the first to serve"
    assert event.figures == {
        "step": 3,
        "version": 1,
        "serves": 1,
        "n_images": 10,
        "stream_accuracy": 0.5,  # nothing was learned when these were classified
    }
    (version,) = Registry(str(tmp_path)).versions("pets")
    facts = version.facts
    assert (facts.run_id, facts.step, facts.n_samples) == ("r1", 3, 10)
    assert (facts.data.first_event_time_ms, facts.data.last_event_time_ms) == (1_000, 1_009)
    card = find_model(f"{tmp_path}/pets").card
    assert (card.labels, card.version, card.task) == (("cat", "dog"), "1", "classify")


def test_versions_are_published_every_so_many_steps(tmp_path: Path) -> None:
    events = trained(a_train(tmp_path, every_steps=2), [image(i) for i in range(20)])
    assert [event.figures["step"] for event in events] == [2, 4, 5]


def test_a_step_is_published_once_though_the_training_was_restarted(tmp_path: Path) -> None:
    how, images = a_train(tmp_path, every_steps=1), [image(i) for i in range(8)]
    first = trained(how, images)
    assert trained(how, images) == first
    assert len(Registry(str(tmp_path)).versions("pets")) == 2


def test_a_version_that_is_no_better_does_not_serve(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i) for i in range(100)])
    images = [image(i, swapped=True) for i in range(8)]  # what is learned here is wrong
    tests = [image(i, held_out=True) for i in range(200, 220)]
    training = a_train(tmp_path).open_learner(replace(a_context("train"), run_id="r2"), None)
    training.take(images, [(0, row) for row in range(8)])
    training.take(tests, [(1, row) for row in range(20)])
    (event,) = (e for e in training.end() if e.kind == "published")
    assert event.figures["serves"] == 0
    assert event.figures["serving_accuracy"] == 1
    assert event.figures["accuracy"] < 0.5
    assert "against 1.0000 of version 1, on 20" in event.reason
    assert Registry(str(tmp_path)).serving("pets").number == 1


def test_a_version_that_is_better_by_the_margin_serves(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i, swapped=True) for i in range(100)])
    how = a_train(tmp_path, margin=0.5)
    training = how.open_learner(replace(a_context("train"), run_id="r2"), None)
    for number in range(20):
        training.take([image(i) for i in range(8)], [(number, row) for row in range(8)])
    tests = [image(i, held_out=True) for i in range(200, 220)]
    training.take(tests, [(99, row) for row in range(20)])
    (event,) = (e for e in training.end() if e.kind == "published")
    assert (event.figures["accuracy"], event.figures["serving_accuracy"]) == (1, 0)
    assert event.figures["serves"] == 1
    assert Registry(str(tmp_path)).serving("pets").number == 2


def test_a_version_of_another_kind_serves_on_until_somebody_decides(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i) for i in range(10)])
    how = replace(a_train(tmp_path), network=Head(hidden=4))
    (event,) = trained(how, [image(i) for i in range(10)], "r2")
    assert event.figures["serves"] == 0
    assert event.reason == ("version 1 serves and cannot be compared: no image was seen by both")


@pytest.mark.parametrize("tests_first", [True, False])
def test_a_restart_forgets_neither_the_test_nor_which_version_serves(
    tmp_path: Path, tests_first: bool
) -> None:
    def published(folder: Path, *, restarted: bool) -> Event:
        trained(a_train(folder), [image(i) for i in range(100)])
        how, context = a_train(folder), replace(a_context("train"), run_id="r2")
        training = how.open_learner(context, None)
        tests = [image(i, held_out=tests_first) for i in range(200, 220)]
        training.take([image(i, swapped=True) for i in range(8)], [(0, row) for row in range(8)])
        training.take(tests, [(1, row) for row in range(20)])
        if restarted:
            training = how.open_learner(context, training.snapshot())
        (event,) = (e for e in training.end() if e.kind == "published")
        return event

    undisturbed = published(tmp_path / "a", restarted=False)
    again = published(tmp_path / "b", restarted=True)
    assert again.figures == undisturbed.figures
    assert again.reason == undisturbed.reason
    assert "of version 1, on 2" in again.reason


def test_labels_that_come_later_count_for_the_version_that_is_published(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i) for i in range(100)])
    training = a_train(tmp_path).open_learner(replace(a_context("train"), run_id="r2"), None)
    training.take_labels([image(i) for i in range(8)], [(0, row) for row in range(8)])
    (event,) = (e for e in training.end() if e.kind == "published")
    assert event.figures["n_images"] == 8
    assert event.figures["serving_stream_accuracy"] == 1


def test_a_restart_does_not_turn_the_pointer_back(tmp_path: Path) -> None:
    how = a_train(tmp_path, every_steps=1, promote="always")
    context = replace(a_context("train"), run_id="r1")
    training = how.open_learner(context, None)
    training.take([image(0)], [(0, 0)])
    snapshot = training.snapshot()
    training.take([image(i) for i in range(1, 16)], [(1, row) for row in range(15)])
    assert Registry(str(tmp_path)).serving("pets").number == 4
    again = how.open_learner(context, snapshot)
    again.take([image(i) for i in range(1, 8)], [(1, row) for row in range(7)])
    assert Registry(str(tmp_path)).serving("pets").number == 4


def test_what_is_tested_last_is_what_is_published(tmp_path: Path) -> None:
    how = a_train(tmp_path)
    images = [image(i) for i in range(10)] + [image(i, held_out=True) for i in range(100, 140)]
    training = how.open_learner(replace(a_context("train"), run_id="r"), None)
    outcomes, _ = training.take(images, [(0, row) for row in range(len(images))])
    said = [o.classification.scores[0] for o in outcomes[10:]]
    (event,) = (e for e in training.end() if e.kind == "published")
    assert event.figures["n_images"] == 40
    assert event.figures["step"] == 3, "the last two were learned from before the test"
    again, _ = training.take(images[10:], [(1, row) for row in range(40)])
    assert [o.classification.scores[0] for o in again] == said


def test_a_test_counts_as_a_whole_also_where_the_stream_goes_on_behind_it(tmp_path: Path) -> None:
    how = a_train(tmp_path, every_steps=1, window=3)
    training = how.open_learner(replace(a_context("train"), run_id="r"), None)
    tests = [image(i, held_out=True) for i in range(100, 110)]
    chunk = [*tests, *[image(i) for i in range(4)]]
    _, events = training.take(chunk, [(0, row) for row in range(len(chunk))])
    (event,) = (e for _, e in events if e.kind == "published")
    assert event.figures["n_images"] == 3, "it has learned since the test: the stream counts"
    training.take(tests, [(1, row) for row in range(10)])
    assert training._publisher.contest.verdict().n_images == 10


def test_a_network_that_has_learned_nothing_is_not_published(tmp_path: Path) -> None:
    assert trained(a_train(tmp_path), [image(i, held_out=True) for i in range(9)]) == []
    assert Registry(str(tmp_path)).versions("pets") == ()


def test_each_version_knows_the_one_before_it(tmp_path: Path) -> None:
    trained(a_train(tmp_path, every_steps=2), [image(i) for i in range(20)])
    versions = Registry(str(tmp_path)).versions("pets")
    assert [version.facts.parent for version in versions] == [None, 1, 2]


def test_a_test_that_is_over_counts_no_more_when_it_has_learned_since(tmp_path: Path) -> None:
    contest = Contest(10)
    contest.add([(True, True)] * 4, held_out=True)
    contest.add([(False, True)] * 6, held_out=False)
    assert contest.verdict() == Verdict(6, 0.0, 1.0)


def test_the_last_test_counts_and_not_the_ones_before() -> None:
    contest = Contest(10)
    contest.add([(False, True)] * 4, held_out=True)
    contest.add([(True, True)], held_out=False)
    contest.add([(True, False), (True, True)], held_out=True)
    contest.add([(True, False)], held_out=True)
    assert contest.verdict() == Verdict(3, 1.0, 1 / 3, is_test=True)


def test_without_a_test_the_last_images_of_the_stream_count() -> None:
    contest = Contest(3)
    contest.add([(True, None)] * 5, held_out=False)
    contest.add([(False, True)] * 2, held_out=False)
    assert contest.verdict() == Verdict(2, 0.0, 1.0), "those that both have seen"
    contest.forget_serving()
    assert contest.verdict() == Verdict(3, 1 / 3, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_steps": 0}, "`every_steps` is a whole number from 1; got 0"),
        ({"window": 0}, "`window` is a whole number from 1; got 0"),
        ({"margin": 2}, r"`margin` is in \[-1, 1\]; got 2"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(PipelineError, match=f"Publish: {message}"):
        a_train(tmp_path, **options).check()


def test_a_training_begins_with_a_published_version(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i) for i in range(200)])
    start = find_model(f"{tmp_path}/pets@1")
    how = replace(a_train(tmp_path), start=start)
    images = [image(i) for i in range(300, 340)]
    training = how.open_learner(replace(a_context("train"), run_id="r2"), None)
    found, _ = training.take(images, [(0, row) for row in range(len(images))])

    inputs = np.stack([record.features for record in images])
    weights = safetensors.numpy.load(Registry(str(tmp_path)).weights("pets", 1))
    logits = inputs @ weights["layer0.weight"] + weights["layer0.bias"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)
    scores = [record.classification.scores[0] for record in found]
    assert np.allclose(scores, expected, atol=1e-4), "it says what the version says"

    training.end()
    version = Registry(str(tmp_path)).version("pets", 2)
    assert (version.facts.parent, version.facts.n_samples) == (1, 40)
    assert f"from {tmp_path}/pets@1" in find_model(f"{tmp_path}/pets@2").card.origin


def test_a_restart_of_such_a_training_does_not_begin_again(tmp_path: Path) -> None:
    trained(a_train(tmp_path / "a"), [image(i) for i in range(40)])
    how = replace(a_train(tmp_path / "b"), start=find_model(f"{tmp_path}/a/pets@1"))
    context = replace(a_context("train"), run_id="r2")
    training = how.open_learner(context, None)
    training.take([image(i) for i in range(20)], [(0, row) for row in range(20)])
    snapshot = training.snapshot()
    shutil.rmtree(tmp_path / "a")
    assert how.open_learner(context, snapshot).snapshot() == snapshot
    training.end()
    facts = Registry(str(tmp_path / "b")).version("pets", 1).facts
    assert facts.parent is None, "that is a version of another model"


def test_a_start_of_other_classes_or_of_another_network_is_refused(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i) for i in range(10)])
    start = find_model(f"{tmp_path}/pets")
    with pytest.raises(PipelineError, match=r"pets@1, knows \['cat', 'dog'\] in this order; `lab"):
        replace(a_train(tmp_path), start=start, labels=("dog", "cat")).check()
    with pytest.raises(PipelineError, match=r"`start` is a published version, .*; got effic"):
        replace(a_train(tmp_path), start=zoo("efficientnet_lite0")).check()
    with pytest.raises(ModelError, match=r"a head with .* cannot start from \{"):
        trained(replace(a_train(tmp_path), start=start, network=Head(hidden=8)), [image(0)])


def test_classes_that_are_not_listed_are_those_of_the_start(tmp_path: Path) -> None:
    trained(a_train(tmp_path), [image(i) for i in range(10)])
    how = replace(a_train(tmp_path), start=find_model(f"{tmp_path}/pets"), labels=())
    assert how.with_facts(SourceFacts(("ant", "bee"), 5)).labels == ("cat", "dog")
