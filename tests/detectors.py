"""Detectors that are there at once: maps that are means, and rows that are always the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from sightflow.models import Card, ModelFile, ModelInput, write_card
from sightflow.ops.preprocess import Preprocess

__all__ = ["SIDE", "always", "mean_maps"]

SIDE = 64
"""Pixels of its input on each side."""


def mean_maps(folder: Path) -> ModelFile:
    """Write a model for 64 x 64 pixels with maps at strides 8 and 16, of 3 and 6 channels."""
    ones = np.zeros((6, 3, 1, 1), np.float32)
    ones[:3, :, 0, 0], ones[3:, :, 0, 0] = np.eye(3), -np.eye(3)
    nodes = [
        helper.make_node("AveragePool", ["images"], ["fine"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("AveragePool", ["fine"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["half", "ones"], ["coarse"]),
        helper.make_node("ReduceMean", ["coarse"], ["scores"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "maps",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", 6])],
        [numpy_helper.from_array(ones, "ones")],
    )
    path = folder / "maps.onnx"
    opset = helper.make_opsetid("", 17)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    preprocess = Preprocess(letterbox=(SIDE, SIDE), std=(255, 255, 255), channels="BGR")
    head = {"kind": "XyxyScoreClass", "output": "scores"}
    maps = {8: "fine", 16: "coarse"}
    return ModelFile(
        str(path), Card("maps", "detect", ModelInput(preprocess), head, ("thing",), maps=maps)
    )


def always(
    folder: Path, *rows: tuple[float, ...], preprocess: Preprocess | None = None, **changes: Any
) -> ModelFile:
    """Write a model that finds the same rows in every picture, with its card.

    A row is x1, y1, x2, y2 in pixels of the input of 100 x 100, score, class id; changes name
    fields of the card.
    """
    path = folder / "always.onnx"
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["zeros"]),
        helper.make_node("Reshape", ["zeros", "column"], ["empty"]),
        helper.make_node("Add", ["empty", "rows"], ["boxes"]),
    ]
    constants = {
        "zero": np.float32(0).reshape(1),
        "column": np.array([-1, 1, 1], np.int64),
        "rows": np.array(rows, np.float32).reshape(1, -1, 6),
    }
    graph = helper.make_graph(
        nodes,
        "always",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, "H", "W"])],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["B", len(rows), 6])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    letterbox = Preprocess(letterbox=(100, 100), anchor="top_left", std=(255, 255, 255))
    card = Card(
        name="always",
        task="detect",
        version="1",
        input=ModelInput(preprocess or letterbox),
        head={"kind": "XyxyScoreClass"},
        labels=("cat", "dog", "cow"),
    )
    card = replace(card, **changes)
    write_card(card, path.with_suffix(".yaml"))
    return ModelFile(str(path), card)
