"""How far two results of an image agree: the definitions, by cases worked out by hand."""

from typing import Any

import pytest

from sightflow.errors import PipelineError
from sightflow.metrics.agreement import Agreement, Change, Comparer, ImageAgreement, mcnemar

Row = dict[str, Any]

HERE = (0, 0, 10, 10)
CLOSE = (0, 0, 10, 6)
"""Overlaps HERE by 60 of 100."""
OVER = (0, 0, 10, 2)
"""Overlaps HERE by 20 of 100."""
AWAY = (50, 50, 60, 60)


def a_class(label: str, score: float) -> Row:
    return {"label": label, "class_id": 0, "score": score}


def an_object(label: str, box: tuple[int, ...], score: float = 0.5, **more: Any) -> Row:
    return {"label": label, "class_id": 0, "score": score, "box_xyxy": list(box), **more}


def classes(a: list[Row], b: list[Row]) -> ImageAgreement:
    return Comparer().compare({"classification": a}, {"classification": b})


def objects(a: list[Row], b: list[Row], **how: float) -> ImageAgreement:
    return Comparer(**how).compare({"detections": a}, {"detections": b})


def told(agreement: ImageAgreement) -> list[tuple[str, str | None, str | None]]:
    return [(one.kind, one.a and one.a.label, one.b and one.b.label) for one in agreement.changes]


def test_an_image_is_the_same_when_its_best_class_is_whatever_the_score() -> None:
    found = classes([a_class("cat", 0.9)], [a_class("cat", 0.6), a_class("dog", 0.4)])
    assert found.is_same
    assert found.difference == 0
    assert told(found) == [("kept", "cat", "cat")]


def test_another_best_class_is_a_change_and_tells_where_the_first_one_stands_now() -> None:
    found = classes([a_class("cat", 0.9)], [a_class("dog", 0.5), a_class("cat", 0.4)])
    assert told(found) == [("relabelled", "cat", "dog")]
    assert found.changes[0].rank_b == 2
    assert found.difference == 0.9
    assert not found.is_same


def test_a_class_that_no_longer_reaches_the_threshold_is_lost_and_a_new_one_gained() -> None:
    assert told(classes([a_class("cat", 0.4)], [])) == [("lost", "cat", None)]
    assert told(classes([], [a_class("cat", 0.4)])) == [("gained", None, "cat")]


def test_two_results_that_name_nothing_are_the_same() -> None:
    found = classes([], [])
    assert found.is_same
    assert found.changes == ()


def test_an_object_is_kept_when_one_of_its_label_overlaps_it_by_half() -> None:
    found = objects([an_object("car", HERE, 0.5)], [an_object("car", CLOSE, 0.75)])
    assert told(found) == [("kept", "car", "car")]
    assert found.changes[0].iou == pytest.approx(0.6)


def test_how_much_must_overlap_can_be_chosen() -> None:
    pair = [an_object("car", HERE)], [an_object("car", CLOSE)]
    assert told(objects(*pair, min_iou=0.6)) == [("kept", "car", "car")]
    assert told(objects(*pair, min_iou=0.7)) == [("moved", "car", "car")]
    with pytest.raises(PipelineError, match="min_iou"):
        Comparer(min_iou=0.0)


def test_another_label_at_the_same_place_is_relabelled() -> None:
    found = objects([an_object("car", HERE, 0.5)], [an_object("truck", CLOSE, 0.75)])
    assert told(found) == [("relabelled", "car", "truck")]
    assert found.difference == 0.75


def test_a_small_overlap_with_the_same_label_is_moved() -> None:
    found = objects([an_object("car", HERE, 0.5)], [an_object("car", OVER, 0.25)])
    assert told(found) == [("moved", "car", "car")]
    assert found.difference == pytest.approx(0.5 * (1 - 0.2))


def test_what_overlaps_nothing_is_lost_and_gained() -> None:
    found = objects([an_object("car", HERE, 0.5)], [an_object("car", AWAY, 0.25)])
    assert told(found) == [("lost", "car", None), ("gained", None, "car")]
    assert found.difference == 0.75
    assert told(objects([an_object("car", HERE)], [an_object("bus", OVER)])) == [
        ("lost", "car", None),
        ("gained", None, "bus"),
    ]


def test_the_best_overlap_is_matched_first_and_each_object_once() -> None:
    # The second car fits both; the one that is exactly there takes it, and the other has moved.
    a = [an_object("car", CLOSE, 0.9), an_object("car", HERE, 0.5)]
    b = [an_object("car", HERE, 0.7)]
    found = objects(a, b)
    assert told(found) == [("kept", "car", "car"), ("lost", "car", None)]
    assert found.changes[0].a is not None
    assert found.changes[0].a.score == 0.5


def test_the_same_label_goes_before_a_better_place() -> None:
    a = [an_object("car", HERE)]
    b = [an_object("truck", HERE), an_object("car", CLOSE)]
    assert told(objects(a, b)) == [("kept", "car", "car"), ("gained", None, "truck")]


def test_a_light_of_another_colour_is_relabelled() -> None:
    red, green = ({"state": {"label": colour, "score": 0.9}} for colour in ("red", "green"))
    found = objects(
        [an_object("traffic light", HERE, **red)], [an_object("traffic light", HERE, **green)]
    )
    assert told(found) == [("relabelled", "traffic light: red", "traffic light: green")]


def test_tracks_are_compared_in_place_of_detections_and_their_ids_are_not() -> None:
    a = {"detections": [], "tracks": [an_object("car", HERE, track_id=1)]}
    b = {"detections": [an_object("bus", AWAY)], "tracks": [an_object("car", HERE, track_id=9)]}
    found = Comparer().compare(a, b)
    assert found.aspects == ("tracks",)
    assert found.is_same


def a_face(box: tuple[int, ...], **more: Any) -> Row:
    return {"score": 0.9, "box_xyxy": list(box), **more}


def test_faces_are_the_same_when_the_person_at_a_place_is() -> None:
    def faces(*people: str | None) -> Row:
        places = HERE, AWAY
        named = zip(places, people, strict=False)
        return {"faces": [a_face(box, person_id=one, similarity=0.7) for box, one in named]}

    compare = Comparer().compare
    assert compare(faces("ann", None), faces("ann", None)).is_same
    assert told(compare(faces("ann"), faces("bob"))) == [("relabelled", "ann", "bob")]
    assert told(compare(faces("ann"), faces(None))) == [("relabelled", "ann", "unknown")]
    assert told(compare({"faces": [a_face(HERE)]}, {"faces": []})) == [("lost", "face", None)]


def test_only_what_both_results_have_is_compared() -> None:
    found = Comparer().compare({"classification": [a_class("cat", 1.0)]}, {"detections": []})
    assert found.aspects == ()
    assert found.is_same


def test_an_image_of_another_size_is_told() -> None:
    a, b = ({"width": width, "height": 5, "detections": []} for width in (9, 8))
    assert Comparer().compare(a, b).is_resized
    assert not Comparer().compare(a, a).is_resized


def test_agreement_adds_up_images_classes_and_scores() -> None:
    agreement = Agreement()
    agreement.update(objects([an_object("car", HERE, 0.5)], [an_object("car", HERE, 0.75)]))
    agreement.update(objects([an_object("car", HERE, 0.5)], [an_object("bus", HERE, 0.5)]))
    agreement.update(objects([an_object("car", HERE)], [an_object("car", OVER)]))
    agreement.update(objects([an_object("car", HERE, 0.5)], [an_object("car", HERE, 0.375)]))
    assert (agreement.n, agreement.n_same, agreement.rate) == (4, 2, 0.5)
    assert agreement.kinds == {"kept": 2, "relabelled": 1, "moved": 1}
    assert agreement.transitions == {("car", "bus"): 1}
    car, bus = agreement.classes["car"], agreement.classes["bus"]
    assert (car.n_a, car.n_b, car.kept, car.moved, car.was, car.lost) == (4, 3, 2, 1, 1, 0)
    assert (bus.n_a, bus.n_b, bus.became, bus.gained) == (0, 1, 1, 0)
    # +0.25 and -0.125: +0.0625 on average, 0.1875 without regard to the sign
    assert (agreement.scores.mean, agreement.scores.mean_moved) == (0.0625, 0.1875)
    # in twenty parts of [-1, 1]: 0.25 is in that from 0.2 on, -0.125 in that from -0.2 on
    assert agreement.scores.bins.tolist() == [0] * 8 + [1, 0, 0, 0, 1] + [0] * 7


def test_of_no_images_there_is_no_agreement() -> None:
    agreement = Agreement()
    assert (agreement.rate, agreement.scores.mean, agreement.scores.mean_moved) == (0, 0, 0)


def test_the_weight_of_what_was_kept_is_0() -> None:
    assert Change("kept", None, None).weight == 0


@pytest.mark.parametrize(
    ("n_first", "n_second", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 x 1/2
        (5, 0, 0.0625),  # 2 x 1/32
        (1, 5, 0.21875),  # 2 x (1 + 6) / 64
        (4, 4, 1.0),
    ],
)
def test_the_exact_test_of_mcnemar(n_first: int, n_second: int, p_value: float) -> None:
    assert mcnemar(n_first, n_second) == pytest.approx(p_value)
