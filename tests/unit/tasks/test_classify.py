"""Classes and scenes; the tiny model scores each class by the mean of its channel."""

import numpy as np
import pytest

from sightflow.errors import CardError, ModelError, PipelineError
from sightflow.models import zoo
from sightflow.records import ModelUse
from sightflow.tasks.classify import Classify
from sightflow.testing import a_context, a_record, check_operator, draw_scene

SCENES = {"fire": {0: 1.0}, "meadow": {1: 0.5}, "sea": {2: 1.0, 1: 0.5}}


def one_colour(red, green, blue):
    return a_record(np.full((8, 8, 3), (red, green, blue), np.uint8))


def classify(record, **options):
    (outcome,) = Classify(**options).open(a_context())([record])
    return outcome


@pytest.mark.parametrize("name", ["tiny", "zoo"])
def test_it_keeps_the_promises_of_an_operator(name, classifier):
    outcomes = check_operator(
        Classify(classifier() if name == "tiny" else zoo("efficientnet_lite0"))
    )

    assert all(outcome.classification is not None for outcome in outcomes)


def test_the_best_class_comes_first(classifier):
    found = classify(one_colour(51, 204, 102), model=classifier()).classification

    assert found.labels == ("green", "blue", "red")
    assert found.class_ids.tolist() == [1, 2, 0]
    assert found.scores == pytest.approx([0.8, 0.4, 0.2], abs=1e-6)


def test_equal_scores_keep_the_order_of_the_classes(classifier):
    found = classify(one_colour(9, 9, 9), model=classifier(head={"kind": "Logits"})).classification

    assert found.class_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("top_k", "labels"), [(1, ("green",)), (2, ("green", "blue"))])
def test_top_k_bounds_the_number_of_classes(classifier, top_k, labels):
    found = classify(one_colour(51, 204, 102), model=classifier(), top_k=top_k).classification

    assert found.labels == labels


def test_a_top_k_beyond_the_number_of_classes_gives_all(classifier):
    assert (
        len(classify(one_colour(1, 2, 3), model=classifier(), top_k=9).classification.labels) == 3
    )


def test_classes_below_min_score_are_left_out(classifier):
    model = classifier()

    assert classify(one_colour(51, 204, 102), model=model, min_score=0.3).classification.labels == (
        "green",
        "blue",
    )
    assert classify(one_colour(0, 0, 0), model=model, min_score=0.3).classification.labels == ()


def test_a_class_of_exactly_min_score_is_kept(classifier):
    found = classify(one_colour(255, 0, 0), model=classifier(), min_score=1.0).classification

    assert found.labels == ("red",)


def test_the_head_of_the_card_reads_the_output(classifier):
    """Softmax of (1, 0, 0): e / (e + 2) = 0.576."""
    found = classify(
        one_colour(255, 0, 0), model=classifier(head={"kind": "Logits"})
    ).classification

    assert found.scores == pytest.approx([0.57612, 0.21194, 0.21194], abs=1e-4)


def test_the_use_of_the_model_is_added_to_those_before(classifier):
    before = ModelUse("detect", "det", "1")
    record = a_record(models=(before,))

    outcome = classify(record, model=classifier())

    assert outcome.models == (before, ModelUse("step", "means", "3"))
    assert outcome.pixels is record.pixels


def test_without_scenes_the_record_has_none(classifier):
    assert classify(a_record(), model=classifier(scenes=SCENES)).scene is None


def test_scenes_are_weighed_by_the_card(classifier):
    """Evidence: fire 0.2, meadow 0.5 x 0.4, sea 0.2 + 0.5 x 0.4; the sum is 0.8."""
    record = one_colour(51, 102, 51)

    scene = classify(record, model=classifier(scenes=SCENES), scenes=True).scene

    assert scene.labels == ("sea", "fire", "meadow")
    assert scene.scores == pytest.approx([0.5, 0.25, 0.25], abs=1e-6)


def test_without_any_evidence_every_scene_scores_zero(classifier):
    scene = classify(one_colour(0, 0, 0), model=classifier(scenes=SCENES), scenes=True).scene

    assert scene.scores.tolist() == [0, 0, 0]


def test_scenes_of_the_zoo_sum_to_one():
    record = a_record(draw_scene(), width=320, height=240)

    scene = classify(record, model=zoo("efficientnet_lite0"), scenes=True).scene

    assert len(scene.labels) == len(zoo("efficientnet_lite0").card.scenes)
    assert scene.scores.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(scene.scores) <= 0).all()


def test_the_scale_is_that_of_the_preprocessing(classifier):
    assert Classify(classifier()).scale_for(400, 200) == 4 / 200


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"top_k": 0}, PipelineError, "Classify: `top_k` is a whole number from 1; got 0"),
        ({"scenes": True}, CardError, "model 'means' has no `scenes` on its card"),
        ({"min_score": 1.5}, PipelineError, r"Classify: `min_score` is in \[0, 1\]; got 1.5"),
    ],
)
def test_what_cannot_work_is_refused(classifier, options, error, message):
    with pytest.raises(error, match=message):
        Classify(classifier(), **options).check()


def test_a_detector_is_refused():
    with pytest.raises(ModelError, match=r"'nanodet' is for the task 'detect'.*for 'classify'"):
        Classify(zoo("nanodet")).check()


@pytest.mark.parametrize(
    "changes",
    [
        {"head": {"kind": "Softmax"}},
        {"head": {}},
        {"head": {"kind": "Probabilities", "outptu": "scores"}},
        {"head": {"kind": "Probabilities", "output": "gone"}},
        {"labels": ("red", "green")},
    ],
    ids=["unknown head", "no kind", "unknown option", "unknown output", "too few labels"],
)
def test_a_card_that_does_not_fit_the_outputs_is_refused_before_the_job_runs(classifier, changes):
    with pytest.raises((CardError, ModelError, PipelineError)):
        Classify(classifier(**changes)).check()


def test_a_scene_of_a_class_that_does_not_exist_is_refused_before_the_job_runs(classifier):
    with pytest.raises((CardError, ModelError, PipelineError), match="scene"):
        Classify(classifier(scenes={"fire": {3: 1.0}}), scenes=True).check()
