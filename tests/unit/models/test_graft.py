"""A model is cut at some of its values, and another graph goes on from there."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tests.detectors import mean_maps

from sightflow.errors import CardError
from sightflow.models.graft import opset_of, trunk_of, with_graph


def outputs_of(data: bytes, batch: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": batch}), strict=True))


BATCH = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)


def test_a_trunk_gives_the_values_and_has_nothing_behind_them(tmp_path: Path) -> None:
    data = trunk_of(mean_maps(tmp_path), ["fine"])
    (fine,) = outputs_of(data, BATCH).values()
    assert fine == pytest.approx(BATCH.reshape(2, 3, 8, 8, 8, 8).mean(axis=(3, 5)), abs=1e-5)
    graph = onnx.load_from_string(data).graph
    assert ([node.op_type for node in graph.node], len(graph.initializer)) == (["AveragePool"], 0)


def doubling(names: tuple[str, str]) -> bytes:
    """Return a graph of two inputs, whose inner names are those of the trunk."""
    shape = ["B", None, None, None]
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in names]
    nodes = [
        helper.make_node("Add", [names[0], names[0]], ["half"]),
        helper.make_node("Identity", ["half"], ["double"]),
        helper.make_node("Identity", [names[1]], ["as_it_is"]),
    ]
    told = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("double", "as_it_is")
    ]
    graph = helper.make_graph(nodes, "head", given, told)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    data: bytes = model.SerializeToString()
    return data


def test_another_graph_goes_on_from_them(tmp_path: Path) -> None:
    model = mean_maps(tmp_path)
    values = outputs_of(trunk_of(model, ["fine", "coarse"]), BATCH)
    found = outputs_of(with_graph(model, ["fine", "coarse"], doubling(("a", "images"))), BATCH)
    assert list(found) == ["double", "as_it_is"]
    assert found["double"] == pytest.approx(2 * values["fine"])
    assert found["as_it_is"] == pytest.approx(values["coarse"])


def test_a_value_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"model 'maps': `maps` on its card .* has no 'finest'"):
        trunk_of(mean_maps(tmp_path), ["finest"])


def test_the_version_of_its_operators_is_told(tmp_path: Path) -> None:
    assert opset_of(mean_maps(tmp_path)) == 17
