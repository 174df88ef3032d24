"""What objects are, seen closer; the tiny model scores each class by the mean of its channel."""

from dataclasses import replace

import numpy as np
import pytest

from sightflow.errors import CardError, ModelError, PipelineError
from sightflow.models import zoo
from sightflow.records import Detections, ModelUse
from sightflow.tasks.classify_objects import ClassifySign, ClassifyTrafficLight
from sightflow.testing import a_context, a_record

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def scene(*objects, width=100, height=80, decoded=1.0):
    """Return a grey image with coloured boxes: (label, box, colour)."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    for _, (x1, y1, x2, y2), colour in objects:
        pixels[y1:y2, x1:x2] = colour
    if decoded != 1.0:
        step = round(1 / decoded)
        pixels = np.ascontiguousarray(pixels[::step, ::step])
    n = len(objects)
    found = Detections(
        np.array([box for _, box, _ in objects], np.float32).reshape(n, 4),
        np.full(n, 0.9, np.float32),
        np.zeros(n, np.int32),
        tuple(label for label, _, _ in objects),
    )
    return a_record(pixels, width=width, height=height, detections=found)


def looked_at(step, *records):
    return step.open(a_context("look"))(records)


LIGHT = ("traffic light", (10, 10, 20, 40), GREEN)
SIGN = ("traffic sign", (50, 20, 70, 40), RED)
CAR = ("car", (30, 50, 60, 70), BLUE)


def test_each_light_is_looked_at_and_nothing_else(classifier):
    (outcome,) = looked_at(ClassifyTrafficLight(classifier()), scene(CAR, LIGHT, SIGN))

    states = outcome.detections.states
    assert states.labels == (None, "green", None)
    assert states.class_ids == (None, 1, None)
    assert states.scores.tolist() == [0, 1, 0]
    assert outcome.detections.signs is None
    assert outcome.detections.labels == ("car", "traffic light", "traffic sign")
    assert outcome.models[-1] == ModelUse("look", "means", "3")


def test_signs_are_looked_at_beside_lights(classifier):
    (lit,) = looked_at(ClassifyTrafficLight(classifier()), scene(LIGHT, SIGN, CAR))
    (both,) = looked_at(ClassifySign(classifier()), lit)

    assert both.detections.states.labels == ("green", None, None)
    assert both.detections.signs.labels == (None, "red", None)


@pytest.mark.parametrize("label", ["traffic sign", "stop sign"])
def test_a_stop_sign_is_a_sign(classifier, label):
    (outcome,) = looked_at(ClassifySign(classifier()), scene((label, *SIGN[1:])))
    assert outcome.detections.signs.labels == ("red",)


def test_the_model_that_ships_knows_signs_and_what_is_none():
    step = ClassifySign()
    step.check()

    assert {"stop", "yield", "speed limit 50", "unknown"} < set(step.model.card.labels)


def test_other_labels_may_be_looked_at(classifier):
    (outcome,) = looked_at(ClassifySign(classifier(), of=("car",)), scene(SIGN, CAR))
    assert outcome.detections.signs.labels == (None, "blue")


def test_where_no_class_is_sure_the_object_is_unknown(classifier):
    dim = ("traffic light", (10, 10, 20, 40), (102, 51, 0))
    (outcome,) = looked_at(ClassifyTrafficLight(classifier(), min_score=0.41), scene(dim))

    states = outcome.detections.states
    assert (states.labels, states.class_ids) == (("unknown",), (None,))
    assert states.scores == pytest.approx([0.4])
    (outcome,) = looked_at(ClassifyTrafficLight(classifier(), min_score=0.4), scene(dim))
    assert outcome.detections.states.labels == ("red",)


def test_a_model_may_know_what_is_unknown(classifier):
    model = classifier(labels=("red", "unknown", "blue"))
    (outcome,) = looked_at(ClassifyTrafficLight(model), scene(LIGHT))
    assert outcome.detections.states.labels == ("unknown",)
    assert outcome.detections.states.class_ids == (None,)


def test_objects_of_all_images_of_a_batch_get_their_own_classes(classifier):
    records = [scene(), scene(SIGN, LIGHT), scene(CAR), scene(SIGN, SIGN)]
    outcomes = looked_at(ClassifySign(classifier()), *records)
    found = [outcome.detections.signs.labels for outcome in outcomes]
    assert found == [(), ("red", None), (None,), ("red", "red")]


def test_more_objects_than_a_call_takes_are_all_looked_at(classifier):
    many = [("traffic sign", (x, 0, x + 1, 4), (RED, GREEN, BLUE)[x % 3]) for x in range(100)]
    (outcome,) = looked_at(ClassifySign(classifier(), margin=0.0), scene(*many))
    assert outcome.detections.signs.labels == tuple(
        ("red", "green", "blue")[x % 3] for x in range(100)
    )


@pytest.mark.parametrize("decoded", [1.0, 0.5, 0.25])
def test_boxes_are_those_of_the_original_however_it_was_decoded(classifier, decoded):
    light = ("traffic light", (8, 8, 24, 40), GREEN)
    (outcome,) = looked_at(ClassifyTrafficLight(classifier()), scene(light, decoded=decoded))
    assert outcome.detections.states.scores == pytest.approx([1.0])


@pytest.mark.parametrize(
    "box",
    [(-5, -5, 3, 3), (97, 77, 130, 130), (10, 10, 10, 10), (200, 200, 210, 210), (-9, -9, -1, -1)],
)
def test_a_box_at_the_edge_or_beyond_shows_a_pixel_at_least(classifier, box):
    record = scene(("traffic light", (0, 0, 1, 1), RED))
    boxes = np.array([box], np.float32)
    record = replace(record, detections=replace(record.detections, boxes_xyxy=boxes))
    (outcome,) = looked_at(ClassifyTrafficLight(classifier(), min_score=0), record)
    assert outcome.detections.states.labels[0] is not None


def test_a_margin_shows_what_is_around(classifier):
    """A red sign of 20 x 20 pixels in a green picture: with half a side around it, 40 x 40."""
    record = scene(("traffic sign", (40, 20, 60, 40), RED))
    record.pixels[(record.pixels == 90).all(axis=2)] = GREEN

    for margin, scores in ((0.0, 1.0), (0.5, 0.75)):
        (outcome,) = looked_at(ClassifySign(classifier(), margin=margin), record)
        signs = outcome.detections.signs
        assert signs.labels == ("red" if margin == 0 else "green",)
        assert signs.scores == pytest.approx([scores], abs=0.02)


def test_without_detections_the_error_says_what_is_missing(classifier):
    with pytest.raises(PipelineError, match=r"^step 'look' looks closer at what an earlier step"):
        looked_at(ClassifySign(classifier()), a_record())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 1.1}, r"ClassifySign: `min_score` is in \[0, 1\]; got 1.1"),
        ({"margin": -0.1}, "ClassifySign: `margin` is from 0; got -0.1"),
        ({"of": ()}, "ClassifySign: `of` are labels of objects; got none"),
    ],
)
def test_options_that_cannot_be_are_refused(classifier, options, message):
    with pytest.raises(PipelineError, match=message):
        ClassifySign(classifier(), **options).check()


def test_a_model_for_another_task_is_refused():
    with pytest.raises(ModelError, match="is for the task 'detect'; this step needs one for 'cl"):
        ClassifySign(zoo("nanodet")).check()


def test_a_card_with_fewer_labels_than_classes_is_refused(classifier):
    with pytest.raises((CardError, ModelError), match="its card has 2 labels"):
        ClassifyTrafficLight(classifier(labels=("red", "green"))).check()


@pytest.mark.parametrize(
    ("lit", "colour", "state"),
    [
        (0, (235, 40, 30), "red"),
        (1, (250, 190, 40), "yellow"),
        (2, (60, 225, 130), "green"),
        (None, (0, 0, 0), "off"),
    ],
)
def test_the_model_that_ships_tells_which_lamp_is_lit(lit, colour, state):
    record = scene(("traffic light", (30, 10, 54, 70), (25, 28, 25)))
    y, x = np.mgrid[:80, :100]
    for lamp in range(3):
        disc = (x - 42) ** 2 + (y - (20 + 20 * lamp)) ** 2 <= 64
        record.pixels[disc] = colour if lamp == lit else (50, 50, 48)

    (outcome,) = looked_at(ClassifyTrafficLight(), record)

    assert outcome.detections.states.labels == (state,)
