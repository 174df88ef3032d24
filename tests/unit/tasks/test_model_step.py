"""What every step with a model does."""

import numpy as np
import pytest

from sightflow.errors import ModelError
from sightflow.records import ModelUse
from sightflow.tasks.model_step import check_model, make_head, open_model, output_of
from sightflow.testing import a_context, a_record


def test_a_model_for_another_task_is_refused(classifier):
    with pytest.raises(
        ModelError, match=r"'means' is for the task 'classify'; this step needs one for 'detect'"
    ):
        check_model(classifier(), task="detect")


def test_a_model_that_is_not_what_its_card_says_is_refused(classifier):
    with pytest.raises(ModelError, match="sha256 must be"):
        check_model(classifier(sha256="0" * 64), task="classify")


def test_a_batch_has_outputs_placements_and_the_use_of_the_model(classifier):
    call = open_model(classifier(), a_context("name it"))

    batch = call([a_record().pixels, np.zeros((8, 4, 3), np.uint8)])

    assert batch.outputs["scores"] == pytest.approx(np.array([[128 / 255] * 3, [0] * 3]), abs=1e-6)
    assert [p.scale_x for p in batch.placements] == [4 / 32, 4 / 4]
    assert [p.scale_y for p in batch.placements] == [4 / 24, 4 / 8]
    assert batch.use == ModelUse("name it", "means", "3")


def test_an_output_is_taken_by_its_name_or_is_the_first():
    outputs = {"a": np.zeros(1), "b": np.ones(1)}

    assert output_of(outputs, "b") is outputs["b"]
    assert output_of(outputs, None) is outputs["a"]


def test_an_output_that_the_model_lacks_is_told_with_those_it_has():
    with pytest.raises(ModelError, match=r"the card names the output 'c'; there are \['a', 'b'\]"):
        output_of({"a": np.zeros(1), "b": np.ones(1)}, "c")


def test_what_is_wrong_with_the_outputs_comes_with_the_name_of_the_model(classifier):
    card = classifier(head={"kind": "Yolo"}).card
    with pytest.raises(ModelError, match=r"model 'means': the card's head reads .* got \[1, 3\]"):
        make_head(card)({"scores": np.zeros((1, 3), np.float32)}, min_score=0.5)
