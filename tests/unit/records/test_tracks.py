"""Columns of tracks are parallel."""

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records import Tracks


def tracks(**changes):
    columns = {
        "track_ids": np.array([1, 2], np.int64),
        "boxes_xyxy": np.zeros((2, 4), np.float32),
        "scores": np.zeros(2, np.float32),
        "class_ids": np.zeros(2, np.int32),
        "labels": ("cat", "dog"),
        "velocities_xy": np.zeros((2, 2), np.float32),
        "ages_ms": np.zeros(2, np.int64),
        "n_hits": np.ones(2, np.int32),
    }
    return Tracks(**{**columns, **changes})


def test_the_length_is_the_number_of_objects():
    assert len(tracks()) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("cat",)}, r"^`track_ids` must be int64 \[1\]; got int64 \[2\]$"),
        ({"track_ids": np.zeros(2, np.int32)}, r"^`track_ids` must be int64 \[2\]; got int32"),
        ({"boxes_xyxy": np.zeros((2, 5), np.float32)}, r"^`boxes_xyxy` must be float32 \[2, 4\]"),
        ({"scores": np.zeros(2)}, r"^`scores` must be float32 \[2\]; got float64"),
        ({"class_ids": np.zeros(2, np.int64)}, r"^`class_ids` must be int32 \[2\]; got int64"),
        ({"velocities_xy": np.zeros(2, np.float32)}, r"^`velocities_xy` must be float32 \[2, 2\]"),
        ({"ages_ms": np.zeros(3, np.int64)}, r"^`ages_ms` must be int64 \[2\]; got int64 \[3\]"),
        ({"n_hits": np.zeros(1, np.int32)}, r"^`n_hits` must be int32 \[2\]; got int32 \[1\]"),
    ],
)
def test_columns_that_are_not_parallel_are_refused(changes, message):
    with pytest.raises(ShapeError, match=message):
        tracks(**changes)
