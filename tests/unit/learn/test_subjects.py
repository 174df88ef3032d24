"""Whether what was found in an image is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.detectors import mean_maps

from sightflow.learn.detection_head import DetectionHead
from sightflow.learn.subjects import Subject, open_subject
from sightflow.learn.train import Train
from sightflow.records import Detections, ImageRecord, LabelledObject
from sightflow.testing import a_record, an_origin

LABELS = ("car", "sign")
CAR = LabelledObject("car", (10, 10, 30, 30))
SIGN = LabelledObject("sign", (40, 10, 60, 30))
CROWD = LabelledObject("car", (0, 40, 60, 60), ignored=True)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return open_subject(Train(LABELS, network=DetectionHead(mean_maps(tmp_path))))


def an_image(objects: Any, *found: tuple[str, tuple[float, ...], float]) -> ImageRecord:
    """Return an image of 128 x 64 with objects, and what was found: label, box, score."""
    detections = Detections(
        np.array([box for _, box, _ in found], np.float32).reshape(-1, 4),
        np.array([score for *_, score in found], np.float32),
        np.array([LABELS.index(label) for label, *_ in found], np.int32),
        tuple(label for label, *_ in found),
    )
    pixels = np.zeros((64, 128, 3), np.uint8)
    return a_record(pixels, origin=an_origin(objects=objects), detections=detections)


@pytest.mark.parametrize(
    ("objects", "found", "is_right"),
    [
        ([CAR], [("car", (11, 10, 30, 31), 0.9)], True),
        ([CAR], [("car", (25, 10, 45, 30), 0.9)], False),
        ([CAR], [("sign", CAR.box_xyxy, 0.9)], False),
        ([CAR], [("car", CAR.box_xyxy, 0.4)], False),
        ([CAR], [("car", CAR.box_xyxy, 0.9), ("car", CAR.box_xyxy, 0.8)], False),
        ([CAR], [("car", CAR.box_xyxy, 0.9), ("sign", SIGN.box_xyxy, 0.4)], True),
        ([CAR, SIGN], [("car", CAR.box_xyxy, 0.9)], False),
        ([CAR, SIGN], [("sign", SIGN.box_xyxy, 0.9), ("car", CAR.box_xyxy, 0.9)], True),
        ([], [], True),
        ([], [("car", CAR.box_xyxy, 0.9)], False),
        ([CROWD], [("car", CROWD.box_xyxy, 0.9)], True),
        ([CROWD], [], True),
        ([CROWD], [("sign", CROWD.box_xyxy, 0.9)], False),
        ([CROWD], [("car", (10, 45, 20, 55), 0.9)], True),
    ],
)
def test_an_image_is_right_if_all_objects_were_found_and_nothing_else(
    subject: Subject, objects: Any, found: Any, is_right: bool
) -> None:
    assert subject.is_right(an_image(tuple(objects), *found)) is is_right


def test_truth_is_in_pixels_of_the_input_and_ignores_crowds(subject: Subject) -> None:
    other = LabelledObject("tree", (0, 0, 9, 9))
    truth = subject.truth(an_image((SIGN, CROWD, other)))  # 128 x 64 into 64 x 64, centred
    assert np.asarray(truth).tolist() == [[20, 21, 30, 31, 1], [0, 36, 30, 46, -1]]


def test_nothing_is_true_of_an_image_of_which_nobody_has_told(subject: Subject) -> None:
    assert subject.truth(an_image(None)) is None
    assert np.asarray(subject.truth(an_image(()))).shape == (0, 5)


def test_an_image_takes_the_share_of_its_smallest_object(subject: Subject) -> None:
    small = LabelledObject("sign", (0, 0, 8, 8))
    groups = [subject.group(subject.truth(an_image(o))) for o in ((CAR, small), (CAR,), ())]
    assert groups == [1, 0, -1]
