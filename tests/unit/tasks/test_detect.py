"""Objects in pixels of the original; the tiny model finds the same rows in every picture."""

from dataclasses import replace

import numpy as np
import pytest

from sightflow.errors import CardError, ModelError, PipelineError
from sightflow.models import zoo
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols.context import NoMetrics
from sightflow.records import ModelUse
from sightflow.tasks.detect import Detect
from sightflow.testing import a_context, a_record, check_operator

CAT, DOG = 0, 1


def a_picture(width, height, *, original=None):
    width_0, height_0 = original or (width, height)
    pixels = np.full((height, width, 3), 128, np.uint8)
    return a_record(pixels, width=width_0, height=height_0)


def detect(record, model, **options):
    (outcome,) = Detect(model, **options).open(a_context())([record])
    return outcome.detections


@pytest.mark.parametrize("name", ["tiny", "zoo"])
def test_it_keeps_the_promises_of_an_operator(name, detector):
    model = detector((10, 10, 20, 20, 0.9, CAT)) if name == "tiny" else zoo("nanodet")

    outcomes = check_operator(Detect(model))

    assert all(outcome.detections is not None for outcome in outcomes)


def test_boxes_are_in_pixels_of_the_original(detector):
    """400 x 200 fits into 100 x 100 at a scale of 1/4."""
    found = detect(a_picture(400, 200), detector((10, 5, 30, 40, 0.9, DOG)))

    assert found.boxes_xyxy.tolist() == [[40, 20, 120, 160]]
    assert found.scores == pytest.approx([0.9])
    assert found.class_ids.tolist() == [DOG]
    assert found.labels == ("dog",)


@pytest.mark.parametrize("reduced", [(200, 100), (100, 50)])
def test_boxes_are_in_pixels_of_the_original_when_its_pixels_are_reduced(detector, reduced):
    record = a_picture(*reduced, original=(400, 200))

    found = detect(record, detector((10, 5, 30, 40, 0.9, CAT)))

    assert found.boxes_xyxy.tolist() == [[40, 20, 120, 160]]


def test_a_reduction_that_does_not_divide_the_size_counts_each_axis_by_itself(detector):
    """A picture of 401 x 203 reduced to 101 x 51 and stretched to 100 x 100."""
    model = detector(
        (50, 50, 100, 100, 0.9, CAT), preprocess=Preprocess(stretch=(100, 100), std=(1,) * 3)
    )

    found = detect(a_picture(101, 51, original=(401, 203)), model)

    assert found.boxes_xyxy == pytest.approx(np.float32([[200.5, 101.5, 401, 203]]), abs=1e-3)


def test_bars_of_a_letterbox_are_taken_off(detector):
    """400 x 200 lies in the middle of 100 x 100, below a bar of 25."""
    middle = Preprocess(letterbox=(100, 100), std=(255, 255, 255))

    found = detect(a_picture(400, 200), detector((10, 30, 30, 65, 0.9, CAT), preprocess=middle))

    assert found.boxes_xyxy.tolist() == [[40, 20, 120, 160]]


def test_boxes_are_cut_at_the_edges_of_the_image(detector):
    found = detect(a_picture(200, 100), detector((-10, -5, 150, 90, 0.9, CAT)))

    assert found.boxes_xyxy.tolist() == [[0, 0, 200, 100]]


def test_an_object_that_lies_wholly_in_a_bar_is_no_object(detector):
    """200 x 100 fills the upper half of the input; below it is nothing."""
    found = detect(a_picture(200, 100), detector((10, 60, 30, 80, 0.9, CAT)))

    assert len(found) == 0


def test_objects_below_min_score_are_left_out(detector):
    model = detector((0, 0, 9, 9, 0.5, CAT), (20, 0, 29, 9, 0.25, CAT))

    assert len(detect(a_picture(100, 100), model, min_score=0.25)) == 2
    assert len(detect(a_picture(100, 100), model, min_score=0.26)) == 1


def test_the_best_object_comes_first(detector):
    model = detector((0, 0, 9, 9, 0.5, CAT), (20, 0, 29, 9, 0.75, DOG))

    assert detect(a_picture(100, 100), model).labels == ("dog", "cat")


def test_duplicates_of_one_class_are_suppressed(detector):
    model = detector(
        (0, 0, 10, 10, 0.9, CAT), (0, 0, 10, 8, 0.8, CAT), (0, 0, 10, 8, 0.7, DOG)
    )  # an overlap of 0.8

    assert detect(a_picture(100, 100), model, max_iou=0.7).labels == ("cat", "dog")
    assert detect(a_picture(100, 100), model, max_iou=0.9).labels == ("cat", "cat", "dog")


def test_max_objects_keeps_the_best(detector):
    model = detector(*[(20 * i, 0, 20 * i + 10, 9, 0.5 + i / 10, CAT) for i in range(4)])

    found = detect(a_picture(100, 100), model, max_objects=2)

    assert found.scores == pytest.approx([0.8, 0.7])


def test_nothing_found_is_a_result(detector):
    found = detect(a_picture(100, 100), detector((0, 0, 9, 9, 0.1, CAT)))

    assert len(found) == 0
    assert found.boxes_xyxy.shape == (0, 4)


def test_the_use_of_the_model_is_noted(detector):
    (outcome,) = Detect(detector((0, 0, 9, 9, 0.9, CAT))).open(a_context("look"))([a_record()])

    assert outcome.models == (ModelUse("look", "always", "1"),)


def test_the_scale_is_that_of_the_preprocessing(detector):
    assert Detect(detector()).scale_for(400, 200) == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 1.5}, r"Detect: `min_score` is in \[0, 1\]; got 1.5"),
        ({"max_iou": -0.1}, r"Detect: `max_iou` is in \[0, 1\]; got -0.1"),
        ({"max_objects": 0}, "Detect: `max_objects` is a whole number from 1; got 0"),
    ],
)
def test_thresholds_that_cannot_be_are_refused(detector, options, message):
    with pytest.raises(PipelineError, match=message):
        Detect(detector(), **options).check()


SIDE_BY_SIDE = (1, 2)
"""In a picture of 180 x 90: from 0 to 100, and from 80 to 180."""


def boxes_of(found):
    return sorted(found.boxes_xyxy.round(3).tolist())


@pytest.mark.parametrize("decoded", [(180, 90), (90, 45)])
def test_what_tiles_show_is_in_pixels_of_the_original_too(detector, decoded):
    """The input of 100 x 100 is the whole picture at a scale of 1/1.8, and each tile as it is."""
    model = detector((10, 10, 20, 20, 0.9, CAT))

    found = detect(a_picture(*decoded, original=(180, 90)), model, tiles=SIDE_BY_SIDE)

    assert boxes_of(found) == [[10, 10, 20, 20], [18, 18, 36, 36], [90, 10, 100, 20]]


def test_what_an_edge_between_tiles_cuts_is_left_to_other_views(detector):
    """In the left tile it ends at 99 of 100; in the right one at the edge of the picture."""
    model = detector((60, 10, 99, 20, 0.9, CAT))

    found = detect(a_picture(180, 90), model, tiles=SIDE_BY_SIDE)

    assert boxes_of(found) == [[108, 18, pytest.approx(178.2), 36], [140, 10, 179, 20]]


def test_a_part_of_what_another_view_shows_whole_is_no_object(detector):
    """Of (5, 5, 90, 55) 0.88 and 0.83, by tile, lie in (9, 9, 162, 99), cut at 90."""
    whole = (5, 5, 90, 55, 0.9, CAT)

    alone = detect(a_picture(180, 90), detector(whole), tiles=SIDE_BY_SIDE)
    other = detect(a_picture(180, 90), detector((*whole[:5], DOG), whole), tiles=SIDE_BY_SIDE)
    same_view = detect(a_picture(180, 90), detector(whole, (10, 10, 30, 30, 0.8, CAT)))

    assert boxes_of(alone) == [[9, 9, 162, 90]]
    assert sorted(other.labels) == ["cat", "dog"]
    assert len(same_view) == 2


def test_the_views_of_a_batch_are_looked_at_in_one_call(detector):
    calls = []

    class Told(NoMetrics):
        def observe(self, name, value, /):
            calls.append(name)

    step = Detect(detector((10, 10, 20, 20, 0.9, CAT)), tiles=SIDE_BY_SIDE)
    process = step.open(replace(a_context(), metrics=Told()))
    outcomes = process([a_picture(180, 90), a_picture(90, 45), a_picture(180, 90)])

    assert calls.count("inference_ms") == 1
    assert [len(outcome.detections) for outcome in outcomes] == [3, 3, 3]


def test_the_scale_is_that_of_the_tiles(detector):
    """Tiles of 400 x 200 are 223 x 112."""
    assert Detect(detector(), tiles=(2, 2)).scale_for(400, 200) == pytest.approx(100 / 223)


def test_a_detector_with_tiles_keeps_the_promises_of_an_operator():
    check_operator(Detect(zoo("nanodet"), min_score=0.2, tiles=(2, 3)))


@pytest.mark.parametrize("tiles", [(0, 2), (2, -1), (2,), (1, 2, 3), (1.5, 2)])
def test_tiles_that_cannot_be_are_refused(detector, tiles):
    with pytest.raises(PipelineError, match="Detect: `tiles` are rows and columns, two whole num"):
        Detect(detector(), tiles=tiles).check()


def test_a_classifier_is_refused():
    with pytest.raises(ModelError, match=r"is for the task 'classify'.*for 'detect'"):
        Detect(zoo("efficientnet_lite0")).check()


@pytest.mark.parametrize(
    "head",
    [
        {"kind": "Yolo11"},
        {},
        {"kind": "Yolo", "transpose": True},
        {"kind": "Yolo", "output": "gone"},
    ],
    ids=["unknown head", "no kind", "unknown option", "unknown output"],
)
def test_a_head_that_does_not_fit_is_refused_before_the_job_runs(detector, head):
    with pytest.raises((CardError, ModelError, PipelineError)):
        Detect(detector((0, 0, 9, 9, 0.9, CAT), head=head)).check()


def test_a_class_without_a_label_is_told_with_its_number(detector):
    """The labels of the card are too few; only the output can tell."""
    with pytest.raises((CardError, ModelError), match="7"):
        detect(a_picture(100, 100), detector((0, 0, 9, 9, 0.9, 7)))


def test_pictures_of_different_sizes_in_one_batch_need_one_size_for_the_model(detector):
    """`resize` alone gives each picture its own size; that cannot be a batch."""
    depends = Preprocess(resize=100, std=(255, 255, 255))

    with pytest.raises((CardError, ModelError, PipelineError), match="size"):
        Detect(detector((0, 0, 9, 9, 0.9, CAT), preprocess=depends)).check()
