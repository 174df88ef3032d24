"""The table of the models that ship."""

from sightflow.models import zoo_names
from sightflow.models.listing import COLUMNS, list_models


def test_each_model_that_ships_has_a_row_with_every_column():
    rows = list_models()

    assert [row["name"] for row in rows] == list(zoo_names())
    assert all(tuple(row) == COLUMNS for row in rows)


def test_a_row_says_what_the_model_is_for_and_what_it_looks_at():
    rows = {row["name"]: row for row in list_models()}
    classifier, detector = rows["efficientnet_lite0"], rows["nanodet"]

    assert (classifier["task"], classifier["input"]) == ("classify", "224 x 224 RGB")
    assert (detector["task"], detector["input"]) == ("detect", "416 x 416 BGR")
    assert detector["licence"].startswith("Apache-2.0")
