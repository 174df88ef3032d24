"""Objects move with the pixels of their image, and go when they are hardly seen."""

import cv2
import numpy as np
import pytest

from sightflow.ops.moving import keep_visible, mirrored_before, move_objects


def objects(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 5)


def test_a_shifted_and_scaled_box_keeps_its_class() -> None:
    move = np.array([[2.0, 0, 10.5], [0, 2, 0.5]])  # of centres: (x + 0.5) * 2 + 10 - 0.5
    (row,) = move_objects(objects((1, 2, 3, 4, 7)), move).tolist()
    assert row == [12, 4, 16, 8, 7]


def test_a_round_object_that_is_turned_keeps_its_size() -> None:
    move = cv2.getRotationMatrix2D((49.5, 49.5), 45, 1)
    (row,) = move_objects(objects((40, 40, 60, 60, 0)), np.asarray(move)).tolist()
    side = 20 / np.sqrt(2)
    assert row == pytest.approx([50 - side / 2] * 2 + [50 + side / 2] * 2 + [0])


def test_a_mirrored_image_has_its_boxes_on_the_other_side() -> None:
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    (row,) = move_objects(objects((10, 5, 30, 25, 1)), mirrored_before(still, 100)).tolist()
    assert row == [70, 5, 90, 25, 1]


def test_a_box_lies_where_the_pixels_went() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:30, 10:30] = 255
    move = cv2.getRotationMatrix2D((39.5, 29.5), 90, 1)
    turned = cv2.warpAffine(image, move, (80, 60))
    (row,) = move_objects(objects((10, 20, 30, 30, 0)), np.asarray(move)).tolist()
    ys, xs = np.nonzero(turned[..., 0] > 127)
    assert row[:4] == pytest.approx([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], abs=0.01)


def test_what_is_half_outside_is_cut_at_the_edge() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    (row,) = keep_visible(image, objects((-10, 10, 10, 30, 2))).tolist()
    assert row == [0, 10, 10, 30, 2]
    assert (image == 200).all()


@pytest.mark.parametrize("box", [(-15, 10, 5, 30), (10, 49, 40, 60), (60, 60, 70, 70)])
def test_what_is_hardly_seen_is_no_object_and_its_rest_is_grey(
    box: tuple[float, float, float, float],
) -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    assert len(keep_visible(image, objects((*box, 0)))) == 0
    x1, y1, x2, y2 = (max(0, int(side)) for side in box)
    assert (image[y1:y2, x1:x2] == 114).all()
    assert (image[:y1] == 200).all()
    assert (image[:, :x1] == 200).all()


def test_no_objects_are_none() -> None:
    assert keep_visible(np.zeros((5, 5, 3), np.uint8), objects()).shape == (0, 5)
    assert move_objects(objects(), np.eye(2, 3)).shape == (0, 5)


def test_what_is_hardly_seen_leaves_other_objects_as_they_are() -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    (row,) = keep_visible(image, objects((-100, 0, 50, 100, 0), (10, 10, 30, 30, 1))).tolist()
    assert row == [10, 10, 30, 30, 1]
    assert (image[10:30, 10:30] == 200).all()
    assert (image[40:, :50] == 114).all()
