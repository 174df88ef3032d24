"""A detector that is there at once: its maps are means of squares of the picture."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from sightflow.models import Card, ModelFile, ModelInput
from sightflow.ops.preprocess import Preprocess

__all__ = ["SIDE", "mean_maps"]

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
