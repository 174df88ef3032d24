"""Columns of detections are parallel."""

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records import Detections, ObjectClasses


def detections(**changes):
    columns = {
        "boxes_xyxy": np.zeros((2, 4), np.float32),
        "scores": np.zeros(2, np.float32),
        "class_ids": np.zeros(2, np.int32),
        "labels": ("cat", "dog"),
    }
    return Detections(**{**columns, **changes})


def classes(*labels):
    ids = tuple(None if label is None else i for i, label in enumerate(labels))
    return ObjectClasses(labels, ids, np.linspace(0.5, 1, len(labels)).astype(np.float32))


def test_columns_are_empty_until_a_step_fills_them():
    found = detections()
    assert (found.track_ids, found.states, found.signs) == (None, None, None)


def test_objects_are_taken_with_all_that_is_known_of_them():
    known = detections(
        track_ids=(7, None), states=classes("red", None), signs=classes("stop", "40")
    )
    some = known.take([1, 0])
    assert (some.labels, some.track_ids) == (("dog", "cat"), (None, 7))
    assert (some.states.labels, some.states.class_ids) == ((None, "red"), (None, 0))
    assert some.signs.labels == ("40", "stop")
    assert some.signs.scores.tolist() == [1, 0.5]
    (one,) = (known.take(np.array([False, True])),)
    assert (one.labels, one.track_ids, one.states.labels) == (("dog",), (None,), (None,))
    assert detections().take([0]).states is None


def test_classes_of_objects_are_parallel():
    assert len(classes("red", None)) == 2
    with pytest.raises(ShapeError, match=r"^`class_ids` must have 2 items; got 1$"):
        ObjectClasses(("a", "b"), (0,), np.zeros(2, np.float32))
    with pytest.raises(ShapeError, match=r"^`scores` must be float32 \[2\]; got float32 \[3\]$"):
        ObjectClasses(("a", "b"), (0, 1), np.zeros(3, np.float32))
    with pytest.raises(ShapeError, match=r"^`scores` must be float32 \[1\]; got float64"):
        ObjectClasses(("a",), (0,), np.zeros(1))


@pytest.mark.parametrize("name", ["track_ids", "states", "signs"])
def test_what_later_steps_say_is_parallel_too(name):
    column = (1,) if name == "track_ids" else classes("red")
    with pytest.raises(ShapeError, match=f"^`{name}` must have 2 items; got 1$"):
        detections(**{name: column})


def test_the_length_is_the_number_of_objects():
    assert len(detections()) == 2


def test_nothing_found_is_a_length_of_zero():
    columns = {"scores": np.zeros(0, np.float32), "class_ids": np.zeros(0, np.int32)}

    assert len(detections(boxes_xyxy=np.zeros((0, 4), np.float32), labels=(), **columns)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"boxes_xyxy": np.zeros((2, 5), np.float32)},
            r"`boxes_xyxy` must be float32 \[2, 4\]; got float32 \[2, 5\]",
        ),
        ({"boxes_xyxy": np.zeros((2, 4))}, r"`boxes_xyxy` must be float32 .* got float64"),
        ({"scores": np.zeros(1, np.float32)}, r"`scores` must be float32 \[2\]; got float32 \[1\]"),
        ({"class_ids": np.zeros(2, np.int64)}, r"`class_ids` must be int32 \[2\]; got int64"),
        ({"labels": ("cat",)}, r"`boxes_xyxy` must be float32 \[1, 4\]"),
    ],
)
def test_columns_that_are_not_parallel_are_refused(changes, message):
    with pytest.raises(ShapeError, match=message):
        detections(**changes)


def test_some_rows_are_taken_by_number_or_by_a_mask():
    found = Detections(
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.array([5, 6, 7], np.int32),
        ("a", "b", "c"),
    )
    for rows in (np.array([0, 2]), np.array([True, False, True])):
        taken = found.take(rows)
        assert taken.labels == ("a", "c")
        assert taken.class_ids.tolist() == [5, 7]
        assert taken.boxes_xyxy[1].tolist() == [8, 9, 10, 11]
    assert len(found.take(np.zeros(3, bool))) == 0
