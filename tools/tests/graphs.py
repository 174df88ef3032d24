"""Tiny TensorFlow.js graphs, and how to run what they become."""

import base64
import json

import numpy as np
import onnxruntime

from tools.convert.onnx_graph import GraphBuilder, Port, serialize
from tools.convert.tensorflow_graph import write_graph
from tools.convert.tensorflow_ops import View
from tools.convert.tfjs import read_graph


def node(name, op, *inputs, **attributes):
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def text(value):
    return {"s": base64.b64encode(value.encode()).decode()}


def integers(*values):
    return {"list": {"i": [str(value) for value in values]}}


def tiny_graph(nodes, constants, shape=(1, 1, 3, 3)):
    """Return the `model.json` and the weights of a graph from `x` through the given nodes."""
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    arrays = {
        name: array.astype("<i4" if array.dtype.kind == "i" else "<f4")
        for name, array in arrays.items()
    }
    sizes = {"shape": {"dim": [{"size": str(size)} for size in shape]}}
    weights = [
        {"name": name, "shape": array.shape, "dtype": array.dtype.name}
        for name, array in arrays.items()
    ]
    model = {
        "format": "graph-model",
        "modelTopology": {
            "node": [
                {"name": "x", "op": "Placeholder", "attr": {"shape": sizes}},
                *({"name": name, "op": "Const"} for name in arrays),
                *nodes,
            ]
        },
        "weightsManifest": [{"paths": ["tiny.bin"], "weights": weights}],
    }
    shards = {"tiny.bin": b"".join(array.tobytes() for array in arrays.values())}
    return json.dumps(model).encode(), shards


def converted(nodes, constants, output_shape, shape=(1, 1, 3, 3)):
    """Convert a tiny graph whose output is called `y`."""
    source = read_graph(*tiny_graph(nodes, constants, shape), "tiny.json")
    graph = GraphBuilder()
    write_graph(
        source, graph, inputs={"x": View.plain("input", len(shape))}, outputs={"y:0": "output"}
    )
    ports = [Port("input", ("N", *shape[1:]))], [Port("output", ("N", *output_shape))]
    return graph.model("tiny", *ports, properties={})


def run(model, x):
    session = onnxruntime.InferenceSession(serialize(model), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": np.asarray(x, np.float32)})[0]


def operations(model):
    return [node.op_type for node in model.graph.node]
