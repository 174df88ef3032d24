"""Two classifiers look at the same images; it is told where they differ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.classifiers import save_colour_classifier

from sightflow.errors import JobError, PipelineError
from sightflow.learn.compare import Compare
from sightflow.models import find_model
from sightflow.records import Classification, Event, ImageRecord
from sightflow.tasks.classify import Classify
from sightflow.tasks.shadow import Shadow
from sightflow.testing import a_context, a_record, an_origin


def said(label: str, score: float = 0.75) -> Classification:
    return Classification((label,), np.zeros(1, np.int32), np.array([score], np.float32))


def image(i: int, label: str, on_trial: str, truth: str | None = None) -> ImageRecord:
    origin = an_origin(uri=f"{i}.jpg", sequence=i, label=truth)
    return a_record(origin=origin, classification=said(label), shadow=said(on_trial, 0.5))


def compare(images: list[ImageRecord], every: int = 100, *, cut: int = 0) -> list[Event]:
    """Return all events; with a restart behind the first `cut` images."""
    how = Compare(every=every)
    comparison, events = how.open_learner(a_context("compare"), None), list[Event]()
    for part in (images[:cut], images[cut:]):
        comparison = how.open_learner(a_context("compare"), comparison.snapshot())
        outcomes, told = comparison.take(part, [(0, row) for row in range(len(part))])
        assert outcomes == part
        events += [event for _, event in told]
    return events + comparison.end()


def test_each_image_on_which_they_differ_is_told() -> None:
    differed, compared = compare([image(0, "cat", "cat"), image(1, "cat", "dog", "cow")])
    assert (differed.kind, differed.uri) == ("differed", "1.jpg")
    assert (differed.label, differed.predicted) == ("cow", "cat")
    assert differed.reason == "on trial: dog"
    assert differed.figures == {"score": 0.75, "shadow_score": 0.5}
    assert {name: compared.figures[name] for name in ("n", "n_different", "agreement")} == {
        "n": 2,
        "n_different": 1,
        "agreement": 0.5,
    }


def test_of_images_with_a_label_it_is_told_who_was_right() -> None:
    images = [
        image(0, "cat", "dog", "cat"),
        image(1, "cat", "dog", "dog"),
        image(2, "cat", "cat", "cat"),
        image(3, "dog", "dog", "cat"),
        image(4, "dog", "dog"),
    ]
    figures = compare(images)[-1].figures
    assert (figures["accuracy"], figures["shadow_accuracy"]) == (0.5, 0.5)
    assert (figures["n"], figures["agreement"]) == (5, 0.6)


def test_the_counts_come_every_so_many_images_and_at_the_end() -> None:
    images = [image(i, "cat", "cat") for i in range(5)]
    assert [event.figures["n"] for event in compare(images, every=2)] == [2, 4, 5]
    assert [event.figures["n"] for event in compare(images[:4], every=2)] == [2, 4]


@pytest.mark.parametrize("cut", [1, 4])
def test_a_restart_changes_nothing(cut: int) -> None:
    images = [image(i, "cat", ("cat", "dog")[i % 2], "cat") for i in range(7)]
    assert compare(images, every=3, cut=cut) == compare(images, every=3)


def test_a_comparison_of_another_version_is_refused() -> None:
    data = Compare().open_learner(a_context(), None).snapshot()
    with pytest.raises(JobError, match="comparison must be of version 2; got 9; start the run"):
        Compare().open_learner(a_context(), data[:1] + b"\x09" + data[2:])


def test_labels_that_came_behind_the_last_figures_are_told_at_the_end() -> None:
    comparison = Compare(every=2).open_learner(a_context("compare"), None)
    records = [image(i, "cat", "dog") for i in range(2)]
    _, events = comparison.take(records, [(0, 0), (0, 1)])
    assert [event.kind for _, event in events] == ["differed", "differed", "compared"]
    assert comparison.end() == []
    labelled = [replace(r, origin=replace(r.origin, label="cat")) for r in records]
    comparison.take_labels(labelled, [(0, 0), (0, 1)])
    (event,) = comparison.end()
    assert (event.figures["accuracy"], event.figures["shadow_accuracy"]) == (1, 0)


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(PipelineError, match="Compare: `every` is a whole number from 1; got 0"):
        Compare(every=0).check()


def test_a_model_on_trial_leaves_the_classification_as_it_is(tmp_path: Path) -> None:
    model = find_model(save_colour_classifier(tmp_path / "colours.onnx"))
    red = a_record(np.full((8, 8, 3), (200, 10, 10), np.uint8))
    (first,) = Classify(model=model, top_k=1).open(a_context("classify"))([red])
    blue = replace(first, pixels=np.full((8, 8, 3), (10, 10, 200), np.uint8))
    shadow = Shadow(model, top_k=2)
    shadow.check()
    (outcome,) = shadow.open(a_context("trial"))([blue])
    assert outcome.classification == first.classification
    assert outcome.shadow.labels[0] == "blue"
    assert len(outcome.shadow.labels) == 2
    assert [use.step for use in outcome.models] == ["classify", "trial"]
