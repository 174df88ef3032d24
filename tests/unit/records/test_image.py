"""What travels is checked at the door."""

import pickle

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records import Claim
from sightflow.testing import a_claim, a_record, an_origin


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (np.zeros((24, 32, 4), np.uint8), r"uint8 \[24, 32, 4\]"),
        (np.zeros((24, 32), np.uint8), r"uint8 \[24, 32\]"),
        (np.zeros((3, 24, 32), np.uint8), r"uint8 \[3, 24, 32\]"),
        (np.zeros((24, 32, 3), np.float32), r"float32 \[24, 32, 3\]"),
    ],
)
def test_pixels_of_another_shape_or_dtype_are_refused_with_the_uri(pixels, got):
    with pytest.raises(
        ShapeError, match=rf"^photos/a\.jpg: `pixels` must be uint8 \[H, W, 3\]; got {got}$"
    ):
        a_record(pixels)


def test_a_new_record_has_no_results():
    record = a_record()

    assert (record.classification, record.scene, record.detections) == (None, None, None)
    assert record.models == ()


def test_a_claim_is_for_one_image():
    assert a_claim().n_images == 1


def test_a_claim_for_part_of_a_video_is_for_its_frames():
    assert Claim(an_origin(), frames=((0, 0, 0), (1, 512, 40), (2, 1024, 80))).n_images == 3


def test_a_claim_survives_pickling():
    claim = Claim(an_origin(sequence=7), frames=((7, 3584, 280),), source=(1, 0))

    assert pickle.loads(pickle.dumps(claim)) == claim
