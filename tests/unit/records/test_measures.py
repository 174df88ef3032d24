"""Numbers that a step has measured travel, and are in the results."""

import numpy as np
import pytest

from sightflow.errors import ShapeError
from sightflow.records import Measures, result_row
from sightflow.records.codec import decode_outcomes, encode_outcomes
from sightflow.testing import a_record


def measures(**values: float) -> Measures:
    return Measures(tuple(values), np.array(list(values.values()), np.float32))


def test_they_are_in_the_result_with_the_digits_they_need() -> None:
    row = result_row(a_record(measures=measures(sharpness=0.1, height_px=3)))
    assert row["measures"] == [
        {"name": "sharpness", "value": 0.1},
        {"name": "height_px", "value": 3.0},
    ]
    assert "measures" not in result_row(a_record())


def test_they_travel_to_other_workers() -> None:
    (back,) = decode_outcomes(encode_outcomes([a_record(measures=measures(a=0.1))]))
    assert (back.measures.names, back.measures.values.tolist()) == (("a",), [np.float32(0.1)])


def test_those_of_a_later_step_come_behind_and_replace_those_of_the_same_name() -> None:
    both = measures(b=20, c=30).and_of(measures(a=1, b=2))
    assert dict(zip(both.names, both.values.tolist(), strict=True)) == {"a": 1, "b": 20, "c": 30}
    assert measures(a=1).and_of(None).names == ("a",)


def test_each_number_has_a_name() -> None:
    with pytest.raises(ShapeError, match=r"`values` must be float32 \[2\]; got float32 \[1\]"):
        Measures(("a", "b"), np.zeros(1, np.float32))
