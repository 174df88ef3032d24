"""A model file with another head: the graph up to its features, and new layers behind them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError
from sightflow.models.files import ModelFile

__all__ = ["OUTPUT", "with_head"]

Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

OUTPUT = "probabilities"
"""Name of the output of the new head."""


def with_head(model: ModelFile, layers: Sequence[Layer]) -> bytes:
    """Return an ONNX file: a model up to its features, then layers with ReLU between, then softmax.

    Args:
        model: its card names the output `features`, float32 [B, D].
        layers: weight float32 [n_in, n_out] and bias float32 [n_out] of each, the first on D.

    Raises:
        CardError: the card names no features, or the file has no such output.
    """
    import onnx

    loaded = onnx.load(model.path)
    features = model.card.features
    kept = [output for output in loaded.graph.output if output.name == features]
    if not kept:
        names = [output.name for output in loaded.graph.output]
        raise CardError(
            f"model {model.card.name!r}: `features` on its card is one of its outputs {names}; "
            f"got {features!r}"
        )
    del loaded.graph.output[:]
    _keep_what_leads_to(loaded.graph, str(features))
    value = str(features)
    for i, (weight, bias) in enumerate(layers):
        names = [f"head/{i}/weight", f"head/{i}/bias"]
        for name, array in zip(names, (weight, bias), strict=True):
            loaded.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        value = _add(loaded.graph, "Gemm", [value, *names], f"head/{i}/out")
        if i < len(layers) - 1:
            value = _add(loaded.graph, "Relu", [value], f"head/{i}/relu")
    _add(loaded.graph, "Softmax", [value], OUTPUT, axis=1)
    shape = ["batch", len(layers[-1][1])]
    output = onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, shape)
    loaded.graph.output.append(output)
    onnx.checker.check_model(loaded)
    data: bytes = loaded.SerializeToString(deterministic=True)
    return data


def _add(graph: Any, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
    import onnx

    graph.node.append(onnx.helper.make_node(operation, inputs, [output], output, **attributes))
    return output


def _keep_what_leads_to(graph: Any, name: str) -> None:
    """Remove the nodes and weights that a value does not depend on."""
    wanted, nodes = {name}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    weights = [weight for weight in graph.initializer if weight.name in wanted]
    nodes.reverse()
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
