"""Which detection is which object: worked out by hand, image by image."""

import numpy as np
import pytest

from sightflow.records import Detections
from sightflow.tasks.tracker import TrackerState, Tracking, Update, update

CAT, DOG = 1, 2
AT_ONCE = Tracking(min_hits=1)
PLAIN = Tracking(method="sort", min_iou=0.5, min_hits=1)
"""Boxes as they are."""


def found(*objects: tuple) -> Detections:
    """Return boxes of 40 x 80 pixels, given by the x of their centre, score and class."""
    full = [(*one, 0.9, CAT)[:3] if len(one) == 1 else (*one, CAT)[:3] for one in objects]
    boxes = np.array([[x - 20, 0, x + 20, 80] for x, _, _ in full], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in full], np.float32)
    class_ids = np.array([class_id for _, _, class_id in full], np.int32)
    return Detections(boxes, scores, class_ids, ("x",) * len(full))


def follow(how: Tracking, images: dict[int, Detections]) -> Update:
    """Return what the last image brought; images are given by their time."""
    state = TrackerState()
    for time_ms, detections in images.items():
        state, last = update(state, detections, time_ms, how)
    return last


def ids(how: Tracking, *images: Detections) -> list[int]:
    """Return the ids in the last of images that are 100 ms apart."""
    return follow(how, dict(enumerate_ms(images))).seen.track_ids.tolist()


def enumerate_ms(images: tuple[Detections, ...]) -> list[tuple[int, Detections]]:
    return [(100 * i, one) for i, one in enumerate(images)]


@pytest.mark.parametrize("min_hits", [1, 2])
def test_boxes_that_just_meet_are_one_object_since_both_are_grown(min_hits: int) -> None:
    # 35 pixels apart they share 5 of 75; of a width of 56 they share 21 of 91, which is 0.23.
    near = found((100,)), found((135,))
    assert ids(Tracking(min_hits=min_hits), *near) == [1]
    assert ids(Tracking(min_hits=min_hits, grown_by=0.0), *near) != [1]
    assert ids(Tracking(min_hits=min_hits, min_iou=0.25), *near) != [1]


def test_a_poor_detection_is_compared_without_growing() -> None:
    # 10 pixels apart they share 30 of 50, 20 pixels apart 20 of 60.
    assert ids(AT_ONCE, found((100,)), found((110, 0.3))) == [1]
    assert ids(AT_ONCE, found((100,)), found((120, 0.3))) == []


def test_a_detection_of_exactly_the_low_score_is_a_poor_one() -> None:
    how = Tracking(min_hits=1, low_score=0.25)
    assert ids(how, found((100,)), found((100, 0.25))) == [1]


@pytest.mark.parametrize(("silent_ms", "found_again"), [(300, [1]), (301, [])])
def test_a_poor_detection_continues_what_was_seen_300_ms_before_the_last_image(
    silent_ms: int, found_again: list[int]
) -> None:
    images = {0: found((100,)), silent_ms: found(), silent_ms + 100: found((100, 0.3))}
    assert follow(AT_ONCE, images).seen.track_ids.tolist() == found_again


def test_a_poor_detection_gives_no_object_its_id() -> None:
    assert ids(Tracking(min_hits=2), found((100,)), found((100, 0.3))) == []


def test_an_object_with_a_good_detection_needs_no_poor_one() -> None:
    last = follow(AT_ONCE, {0: found((100,)), 100: found((100,), (101, 0.3))})
    assert (last.seen.track_ids.tolist(), last.detections.tolist()) == ([1], [0])


def test_an_object_with_an_id_comes_before_one_without() -> None:
    # 128 is nearer to the newcomer at 130, and the known object at 100 has it.
    images = found((100,)), found((100,), (130,)), found((128,))
    assert ids(Tracking(min_hits=2), *images) == [1]


def test_of_another_class_half_of_the_overlap_counts() -> None:
    # 10 pixels apart they share 30 of 50, 20 pixels apart 20 of 60.
    assert ids(PLAIN, found((100,)), found((110,))) == [1]
    assert ids(PLAIN, found((100,)), found((120,))) == [2]
    assert ids(PLAIN, found((100,)), found((110, 0.9, DOG))) == [2]
    lenient = Tracking(method="sort", min_iou=0.25, min_hits=1)
    assert ids(lenient, found((100,)), found((110, 0.9, DOG))) == [1]


def test_the_class_of_an_object_has_the_largest_sum_of_scores() -> None:
    images = found((100, 0.9, DOG)), found((100, 0.5, CAT)), found((100, 0.6, CAT))
    how = Tracking(min_hits=1, relative_score=0.0)
    two, three = (follow(how, dict(enumerate_ms(images[:n]))).seen for n in (2, 3))
    assert (two.class_ids.tolist(), three.class_ids.tolist()) == ([DOG], [CAT])
    assert three.votes[0] == pytest.approx({DOG: 0.9, CAT: 1.1})
