"""Columns of faces are parallel, and those that no step has filled are None."""

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records import Faces


def faces(**changes):
    columns = {
        "boxes_xyxy": np.array([[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]], np.float32),
        "scores": np.array([0.9, 0.8, 0.7], np.float32),
        "landmarks_xy": np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    }
    return Faces(**{**columns, **changes})


def named_faces():
    return faces(
        embeddings=np.eye(3, dtype=np.float32),
        person_ids=("ada", None, "bob"),
        similarities=np.array([0.6, 0.1, 0.5], np.float32),
        track_ids=(7, 8, None),
    )


def test_the_length_is_the_number_of_faces():
    assert len(faces()) == 3


def test_columns_are_empty_until_a_step_fills_them():
    found = faces()
    later = (found.embeddings, found.person_ids, found.similarities, found.track_ids)
    assert later == (None, None, None, None)


def test_columns_that_are_parallel_are_taken():
    assert named_faces().person_ids == ("ada", None, "bob")
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
    assert len(Faces(*none, np.zeros((0, 0), np.float32), (), np.zeros(0, np.float32), ())) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_xyxy": np.zeros((3, 5), np.float32)}, r"`boxes_xyxy` must be float32 \[3, 4\]; g"),
        ({"boxes_xyxy": np.zeros((2, 4), np.float32)}, r"`scores` must be float32 \[2\]; got fl"),
        ({"boxes_xyxy": np.zeros((3, 4))}, r"`boxes_xyxy` must be float32 \[3, 4\]; got float64"),
        ({"scores": np.zeros(3)}, r"`scores` must be float32 \[3\]; got float64 \[3\]"),
        ({"scores": np.zeros((3, 1), np.float32)}, r"`scores` must be float32 \[3\]; got"),
        (
            {"landmarks_xy": np.zeros((3, 2, 3), np.float32)},
            r"`landmarks_xy` must be float32 \[3, 2, 2\]; got float32 \[3, 2, 3\]",
        ),
        (
            {"landmarks_xy": np.zeros((3, 4), np.float32)},
            r"`landmarks_xy` must be float32 \[3, 0, 2\]; got float32 \[3, 4\]",
        ),
        ({"landmarks_xy": np.zeros((2, 5, 2), np.float32)}, r"`landmarks_xy` must be .*\[3, 5, 2"),
        ({"landmarks_xy": np.zeros((3, 5, 2))}, r"`landmarks_xy` must be float32 .* got float64"),
        (
            {"embeddings": np.zeros((2, 4), np.float32)},
            r"`embeddings` must be float32 \[3, 4\]; got float32 \[2, 4\]",
        ),
        ({"embeddings": np.zeros((3, 4))}, r"`embeddings` must be float32 \[3, 4\]; got float64"),
        (
            {"embeddings": np.float32(1)[...]},
            r"`embeddings` must be float32 \[3, 0\]; got float32 \[\]",
        ),
        ({"similarities": np.zeros(2, np.float32)}, r"`similarities` must be float32 \[3\]; got"),
        ({"similarities": np.zeros(3)}, r"`similarities` must be float32 \[3\]; got float64"),
        ({"person_ids": ("ada",)}, "`person_ids` must have 3 items; got 1"),
        ({"track_ids": (1, 2, 3, 4)}, "`track_ids` must have 3 items; got 4"),
    ],
)
def test_columns_that_are_not_parallel_are_refused(changes, message):
    with pytest.raises(ShapeError, match=f"^{message}"):
        faces(**changes)


@pytest.mark.parametrize("rows", [[2, 0], np.array([2, 0])])
def test_faces_are_taken_by_their_numbers(rows):
    some = named_faces().take(rows)

    assert some.boxes_xyxy.tolist() == [[4, 4, 5, 5], [0, 0, 1, 1]]
    assert some.scores == pytest.approx([0.7, 0.9])
    assert some.landmarks_xy[:, 0, 0].tolist() == [8, 0]
    assert some.embeddings.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert some.similarities == pytest.approx([0.5, 0.6])
    assert (some.person_ids, some.track_ids) == (("bob", "ada"), (None, 7))


def test_faces_are_taken_by_a_mask_and_empty_columns_stay_empty():
    some = faces(person_ids=("ada", None, "bob")).take(np.array([False, True, True]))

    assert some.boxes_xyxy[:, 0].tolist() == [2, 4]
    assert (some.person_ids, some.embeddings, some.track_ids) == ((None, "bob"), None, None)
