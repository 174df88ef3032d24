"""Arrays are checked where they enter a record."""

import re

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records.arrays import check_array


def test_an_array_of_the_promised_shape_and_dtype_passes():
    check_array("scores", np.zeros(3, np.float32), (3,), np.float32)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros(2, np.float32), "float32 [2]"),
        (np.zeros((3, 1), np.float32), "float32 [3, 1]"),
        (np.zeros(3, np.float64), "float64 [3]"),
    ],
)
def test_another_shape_or_dtype_is_refused_with_both(array, got):
    message = re.escape(f"`scores` must be float32 [3]; got {got}")

    with pytest.raises(ShapeError, match=f"^{message}$"):
        check_array("scores", array, (3,), np.float32)
