"""Tiny ONNX models with answers that can be worked out by hand."""

from dataclasses import replace
from functools import partial

import pytest
from onnx import TensorProto, helper, numpy_helper, save_model
from tests.detectors import always

from sightflow.models import Card, ModelFile, ModelInput, write_card
from sightflow.ops.preprocess import Preprocess


def _save(path, nodes, output, shape, constants):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, "H", "W"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


def _with_card(path, card):
    write_card(card, path.with_suffix(".yaml"))
    return ModelFile(str(path), card)


@pytest.fixture
def classifier(tmp_path):
    """Return a function that makes a classifier: the score of a class is the mean of its channel.

    Its answer for a picture of one colour (r, g, b) is [r, g, b] / 255.
    """

    def make(**changes):
        path = tmp_path / "means.onnx"
        node = helper.make_node("ReduceMean", ["images"], ["scores"], axes=[2, 3], keepdims=0)
        _save(path, [node], "scores", ["B", 3], {})
        card = Card(
            name="means",
            task="classify",
            version="3",
            input=ModelInput(Preprocess(stretch=(4, 4), std=(255, 255, 255))),
            head={"kind": "Probabilities"},
            labels=("red", "green", "blue"),
        )
        return _with_card(path, replace(card, **changes))

    return make


@pytest.fixture
def detector(tmp_path):
    """Return a function that makes a detector which finds the same rows in every picture.

    A row is x1, y1, x2, y2 in pixels of the input of 100 x 100, score, class id.
    """

    return partial(always, tmp_path)
