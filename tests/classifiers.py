"""A tiny classifier whose answers are plain: it names the strongest colour of a picture."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model
from PIL import Image

__all__ = ["COLOURS", "COLOUR_CARD", "save_colour_classifier", "save_colours"]

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}

COLOUR_CARD = """\
name: colours
task: classify
version: "3"
licence: CC0-1.0
origin: made by hand
input: {preprocess: {stretch: [8, 8], std: [255, 255, 255]}}
head: {kind: Probabilities, output: prob}
labels: [red, green, blue]
fp16: true
scenes: {garden: {1: 1.0}}
measured:
  - {data: all colours, metric: top-1 %, value: 100}
notes: Knows three colours.
"""


def save_colour_classifier(path: Path, *, batch: int | str = "B", opset: int = 17) -> str:
    """Write the model: a convolution, the mean over the picture, a dense layer, a softmax."""
    one = np.eye(3, dtype=np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["features"]),
        helper.make_node("Gemm", ["features", "dense"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["prob"], axis=1),
    ]
    weights = {"kernel": one.reshape(3, 3, 1, 1), "dense": 10 * one}
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    path.with_suffix(".yaml").write_text(COLOUR_CARD, "utf-8")
    return str(path)


def save_colours(folder: Path, n: int) -> str:
    """Write n pictures, red, green, blue and so on, each a little brighter than the last."""
    folder.mkdir()
    for i in range(n):
        colour = np.array(list(COLOURS.values())[i % 3]) + i
        pixels = np.full((12, 16, 3), colour, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return str(folder)
