"""Overlaps by hand, suppression by hand."""

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.ops.boxes import box_iou, box_share, clip_boxes, cxcywh_to_xyxy, nms


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def survivors(rows, scores, class_ids=None, *, max_iou=0.5):
    class_ids = [0] * len(scores) if class_ids is None else class_ids
    kept = nms(
        boxes(*rows), np.array(scores, np.float32), np.array(class_ids, np.int32), max_iou=max_iou
    )
    return kept.tolist()


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 2 / 6),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 0.5, 0.5), (0, 0, 0.5, 0.25), 1 / 2),  # less than a pixel
        ((0, 0, 4, 4), (1, 1, 3, 3), 4 / 16),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),  # touching: x2 is exclusive
        ((0, 0, 2, 2), (5, 5, 6, 6), 0),
        ((0, 0, 2, 2), (1, 1, 1, 1), 0),  # empty
        ((3, 3, 3, 3), (3, 3, 3, 3), 0),  # both empty
        ((0, 0, 2, 2), (2, 2, 0, 0), 0),  # corners swapped: empty
        ((-2, -2, 2, 2), (0, 0, 4, 4), 4 / 28),
    ],
)
def test_the_overlap_of_two_boxes(a, b, iou):
    assert box_iou(boxes(a), boxes(b)).item() == pytest.approx(iou, abs=1e-7)
    assert box_iou(boxes(b), boxes(a)).item() == pytest.approx(iou, abs=1e-7)


def test_overlaps_are_of_every_pair():
    three, two = (
        boxes((0, 0, 1, 1), (0, 0, 2, 1), (9, 9, 10, 10)),
        boxes((0, 0, 2, 1), (0, 0, 1, 1)),
    )

    ious = box_iou(three, two)

    assert ious.tolist() == [[0.5, 1], [1, 0.5], [0, 0]]
    assert ious.dtype == np.float32


def test_empty_boxes_overlap_by_0_whatever_lay_in_memory():
    dirt = [np.full((10, 10), 7, np.float32) for _ in range(100)]
    del dirt

    assert (box_iou(boxes(*[(1, 1, 1, 1)] * 10), boxes(*[(2, 2, 2, 2)] * 10)) == 0).all()


def test_no_boxes_have_no_overlaps():
    assert box_iou(boxes(), boxes((0, 0, 1, 1))).shape == (0, 1)


@pytest.mark.parametrize(("name", "bad"), [("a", 0), ("b", 1)])
def test_boxes_of_another_shape_are_refused(name, bad):
    pair = [boxes((0, 0, 1, 1)), boxes((0, 0, 1, 1))]
    pair[bad] = np.zeros((3, 5), np.float32)

    with pytest.raises(ShapeError, match=rf"`{name}` must be \[N, 4\]; got \[3, 5\]"):
        box_iou(*pair)


def test_of_two_that_overlap_the_better_one_stays():
    assert survivors([(0, 0, 10, 8), (0, 0, 10, 10)], [0.5, 0.9]) == [1]


def test_survivors_come_best_first():
    far_apart = [(0, 0, 1, 1), (10, 0, 11, 1), (20, 0, 21, 1)]

    assert survivors(far_apart, [0.2, 0.9, 0.5]) == [1, 2, 0]


def test_an_overlap_of_exactly_max_iou_is_allowed():
    half = [(0, 0, 10, 10), (0, 0, 10, 5)]

    assert survivors(half, [0.9, 0.8], max_iou=0.5) == [0, 1]
    assert survivors(half, [0.9, 0.8], max_iou=0.49) == [0]


def test_boxes_of_different_classes_do_not_suppress_each_other():
    same_place = [(0, 0, 10, 10)] * 3

    assert survivors(same_place, [0.9, 0.8, 0.7], class_ids=[4, 7, 4]) == [0, 1]


def test_a_suppressed_box_suppresses_nothing():
    chain = [(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)]  # neighbours: 60 / 140 = 0.43

    assert survivors(chain, [0.9, 0.8, 0.7], max_iou=0.4) == [0, 2]


def test_equal_scores_keep_their_order():
    row = [(20, 0, 21, 1), (10, 0, 11, 1), (0, 0, 1, 1)]

    assert survivors(row, [0.5, 0.5, 0.5], class_ids=[2, 0, 1]) == [0, 1, 2]
    assert survivors([(0, 0, 9, 9)] * 2, [0.5, 0.5]) == [0]


def test_of_many_equal_scores_the_first_stays():
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (40, 1)) + np.float32(20) * (
        np.arange(40, dtype=np.float32) % 2
    ).reshape(-1, 1)
    scores = np.full(40, 0.5, np.float32)
    kept = nms(boxes, scores, np.zeros(40, np.int32), max_iou=0.5)
    assert kept.tolist() == [0, 1]


def test_a_box_that_ends_before_it_begins_overlaps_nothing():
    inside_out = np.array([[10, 10, 0, 0]], np.float32)
    assert box_iou(inside_out, np.array([[0, 0, 10, 10]], np.float32)).tolist() == [[0]]
    assert box_iou(inside_out, np.array([[-5, -5, 1, 1]], np.float32)).tolist() == [[0]]


def test_no_boxes_survive_as_none():
    kept = nms(boxes(), np.zeros(0, np.float32), np.zeros(0, np.int32), max_iou=0.5)

    assert kept.shape == (0,)
    assert kept.dtype == np.intp


def test_boxes_are_cut_at_the_edges_of_the_image():
    outside = boxes((-5, -6, 30, 40), (1, 2, 3, 4), (50, 60, 70, 80))

    clipped = clip_boxes(outside, width=20, height=10)

    assert clipped.tolist() == [[0, 0, 20, 10], [1, 2, 3, 4], [20, 10, 20, 10]]
    assert clipped.dtype == np.float32
    assert outside[0, 0] == -5


def test_a_centre_and_a_size_become_two_corners():
    corners = cxcywh_to_xyxy(boxes((10, 20, 4, 6), (0, 0, 1, 1)))

    assert corners.tolist() == [[8, 17, 12, 23], [-0.5, -0.5, 0.5, 0.5]]
    assert corners.dtype == np.float32


def test_the_share_of_a_box_in_another_is_of_its_own_area():
    a = np.array([[0, 0, 4, 2], [9, 9, 9, 9]], np.float32)
    b = np.array([[0, 0, 2, 2], [3, 0, 100, 100], [4, 2, 5, 5]], np.float32)

    assert box_share(a, b).tolist() == [[0.5, 0.25, 0], [0, 0, 0]]
    assert box_share(b, a).tolist() == [[1, 0], [pytest.approx(2 / 9700), 0], [0, 0]]
