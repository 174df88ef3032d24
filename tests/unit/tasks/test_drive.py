"""What is on a road; the tiny detector finds the same rows in every picture of 100 x 100."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.classifiers import save_colour_classifier

from sightflow.errors import ModelError, PipelineError, RegistryError
from sightflow.models import DataRange, Facts, Registry, find_model, zoo
from sightflow.pipeline import Pipeline
from sightflow.records import ModelUse
from sightflow.sources.directory import Directory
from sightflow.tasks.announce import Announce
from sightflow.tasks.drive import Drive
from sightflow.tasks.track import Track
from sightflow.testing import a_context, a_record, check_operator

LABELS = ("car", "traffic light", "traffic sign")
CAR, LIGHT, SIGN = range(3)
ROWS = (
    (0, 60, 40, 90, 0.9, CAR),
    (10, 10, 20, 40, 0.8, LIGHT),
    (60, 20, 80, 40, 0.7, SIGN),
)


@pytest.fixture
def models(detector, classifier):
    """Return the three models; classifiers name the strongest colour."""
    seen = classifier()
    return {"model": detector(*ROWS, labels=LABELS), "light_model": seen, "sign_model": seen}


def road(light=(0, 255, 0), sign=(255, 0, 0)):
    pixels = np.full((100, 100, 3), 90, np.uint8)
    pixels[10:40, 10:20], pixels[20:40, 60:80] = light, sign
    return a_record(pixels)


def driven(step, *records):
    return step.open(a_context("drive"))(records)


def test_lights_have_their_state_and_signs_their_meaning(models):
    (outcome,) = driven(Drive(**models), road())

    found = outcome.detections
    assert found.labels == LABELS
    assert found.boxes_xyxy[1].tolist() == [10, 10, 20, 40]
    assert found.states.labels == (None, "green", None)
    assert found.signs.labels == (None, None, "red")


@pytest.mark.parametrize(
    ("score", "light", "states"),
    [
        (0.4, (0, 255, 0), {"car": None, "traffic sign": None, "traffic light": "green"}),
        (0.4, (90, 90, 90), {"car": None, "traffic sign": None}),
        (0.8, (90, 90, 90), {"car": None, "traffic light": "unknown", "traffic sign": None}),
    ],
    ids=["lit", "not lit", "not lit and sure"],
)
def test_a_light_that_is_not_lit_must_score_more(models, detector, score, light, states):
    rows = [(*row[:4], score, LIGHT) if row[5] == LIGHT else row for row in ROWS]
    step = Drive(**{**models, "model": detector(*rows, labels=LABELS)})

    (outcome,) = driven(step, road(light=light))

    found = outcome.detections
    assert dict(zip(found.labels, found.states.labels, strict=True)) == states
    assert dict(zip(found.labels, found.signs.labels, strict=True))["traffic sign"] == "red"


def test_a_batch_is_looked_at_together_and_each_image_has_its_own(models):
    outcomes = driven(Drive(**models), road(), road(light=(255, 0, 0)), road(sign=(0, 0, 255)))

    assert [one.detections.states.labels[1] for one in outcomes] == ["green", "red", "green"]
    assert [one.detections.signs.labels[2] for one in outcomes] == ["red", "red", "blue"]


def test_what_a_classifier_does_not_know_stays_as_unknown(models):
    (outcome,) = driven(Drive(**models), road(light=(90, 90, 90), sign=(100, 80, 80)))

    assert outcome.detections.labels == LABELS
    assert outcome.detections.states.labels[1] == "unknown"
    assert outcome.detections.signs.labels[2] == "unknown"


def test_where_nothing_is_found_nothing_is_said(models):
    (outcome,) = driven(Drive(**models, min_score=0.95), road())
    assert len(outcome.detections) == len(outcome.detections.states) == 0


def test_the_use_of_each_model_is_noted(models):
    (outcome,) = driven(Drive(**models), road())
    means = ModelUse("drive", "means", "3")
    assert outcome.models == (ModelUse("drive", "always", "1"), means, means)


def test_it_keeps_the_promises_of_an_operator(models):
    check_operator(Drive(**models, tiles=(1, 2)))


def test_signs_are_read_in_full_pixels(models):
    assert Drive(**models).scale_for(4000, 3000) == 1


def test_what_is_found_can_be_followed_and_announced(models, tmp_path):
    pipeline = Pipeline(Directory(str(tmp_path), fps=10)).apply("drive", Drive(**models))
    pipeline = pipeline.apply("track", Track())
    pipeline.apply("lights", Announce("states")).apply("signs", Announce("signs")).check()


def test_the_three_models_are_those_of_the_pipeline(models, tmp_path):
    pipeline = Pipeline(Directory(str(tmp_path))).apply("drive", Drive(**models))
    assert [model.card.name for model in pipeline.models] == ["always", "means"]


@pytest.mark.parametrize(
    ("labels", "option", "others"),
    [
        (("car", "lamp", "traffic sign"), "light_labels", {"light_labels": ("lamp",)}),
        (("car", "traffic light", "plate"), "sign_labels", {"sign_labels": ("plate",)}),
    ],
)
def test_a_detector_that_calls_them_otherwise_is_refused_until_it_is_told(
    detector, models, labels, option, others
):
    models["model"] = detector(*ROWS, labels=labels)

    with pytest.raises(ModelError, match=f"Drive: model 'always' finds none .* in `{option}`, or"):
        Drive(**models).check()
    Drive(**models, **others).check()
    (outcome,) = driven(Drive(**models, **others), road())
    assert outcome.detections.states.labels[1] == "green"
    assert outcome.detections.signs.labels[2] == "red"


@pytest.mark.parametrize("name", ["light_model", "sign_model"])
def test_a_classifier_that_is_none_is_refused(models, name):
    with pytest.raises(ModelError, match="is for the task 'detect'; this step needs one for 'clas"):
        Drive(**{**models, name: zoo("nanodet")}).check()


def test_a_detector_that_is_none_is_refused(models):
    with pytest.raises(ModelError, match="is for the task 'classify'; this step needs one for 'de"):
        Drive(**{**models, "model": zoo("efficientnet_lite0")}).check()


@pytest.mark.parametrize("options", [{"min_score": 2.0}, {"tiles": (0, 1)}, {"light_labels": ()}])
def test_options_that_cannot_be_are_refused(models, options):
    with pytest.raises(PipelineError):
        Drive(**models, **options).check()


def test_following_needs_a_published_model(models):
    with pytest.raises(
        RegistryError, match="Drive: `follow` needs a published model, REGISTRY/NAM"
    ):
        Drive(**models, follow=True).check()


def test_only_published_models_are_followed_and_their_version_is_no_part_of_a_run(models, tmp_path):
    lights = published(tmp_path)
    step = Drive(**{**models, "light_model": find_model(f"{lights.url}/colours")}, follow=True)
    step.check()
    first = step.identity()
    lights.promote("colours", 2, reason="better")
    again = replace(step, light_model=find_model(f"{lights.url}/colours"))

    context = a_context("drive")
    with context.resources:
        (outcome,) = again.open(context)([road()])

    assert outcome.models[1].version == "2"
    assert again.identity() == first


def published(folder: Path) -> Registry:
    """Return a registry with two versions of a classifier; the first serves."""
    model = find_model(save_colour_classifier(folder / "colours.onnx"))
    found = Registry(str(folder / "models"))
    for step in (1, 2):
        facts = Facts("run", step, step, DataRange(0, 0, step))
        onnx = Path(model.path).read_bytes()
        found.publish("colours", onnx=onnx, weights=b"w", card=model.card, facts=facts)
    found.promote("colours", 1, reason="first")
    return found
