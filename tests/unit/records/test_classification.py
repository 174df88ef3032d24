"""Columns of a classification and of a scene are parallel."""

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records import Classification, Scene


def a_classification(**changes):
    columns = {
        "labels": ("cat", "dog"),
        "class_ids": np.array([3, 5], np.int32),
        "scores": np.array([0.7, 0.2], np.float32),
    }
    return Classification(**{**columns, **changes})


def test_parallel_columns_are_kept():
    assert a_classification().labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("cat",)}, r"`class_ids` must be int32 \[1\]; got int32 \[2\]"),
        ({"class_ids": np.zeros(2, np.int64)}, r"`class_ids` must be int32 \[2\]; got int64 \[2\]"),
        ({"scores": np.zeros(3, np.float32)}, r"`scores` must be float32 \[2\]; got float32 \[3\]"),
        ({"scores": np.zeros(2)}, r"`scores` must be float32 \[2\]; got float64 \[2\]"),
    ],
)
def test_columns_that_are_not_parallel_are_refused(changes, message):
    with pytest.raises(ShapeError, match=message):
        a_classification(**changes)


def test_a_scene_with_a_score_too_many_is_refused():
    with pytest.raises(ShapeError, match=r"`scores` must be float32 \[1\]; got float32 \[2\]"):
        Scene(("coast",), np.zeros(2, np.float32))
