"""What is found has one name, whoever shows or counts it."""

from typing import Any

import pytest

from sightflow.records.rows import name_of


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"label": "car"}, "car"),
        ({"label": "sign", "sign": {"label": "stop", "score": 0.9}}, "sign: stop"),
        ({"person_id": "ann", "similarity": 0.7}, "ann"),
        ({"person_id": None}, "unknown"),
        ({"similarity": 0.1}, "unknown"),
        ({"score": 0.9}, "face"),
    ],
)
def test_a_name_says_what_it_is_or_who(item: dict[str, Any], name: str) -> None:
    assert name_of(item) == name
