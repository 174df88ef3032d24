"""A model file with another head: the graph up to some of its values, and new layers behind."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError
from sightflow.models.files import ModelFile

__all__ = ["OUTPUT", "opset_of", "trunk_of", "with_graph", "with_head"]

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


def trunk_of(model: ModelFile, values: Sequence[str]) -> bytes:
    """Return an ONNX file: a model up to some of its values, which are its outputs.

    Raises:
        CardError: nothing in the file has one of these names.
    """
    import onnx

    loaded = onnx.load(model.path)
    _cut_at(model, loaded.graph, values)
    onnx.checker.check_model(loaded)
    data: bytes = loaded.SerializeToString(deterministic=True)
    return data


def with_graph(model: ModelFile, values: Sequence[str], head: bytes) -> bytes:
    """Return an ONNX file: a model up to some of its values, then another graph.

    Args:
        model: the trunk.
        values: what of it the other graph takes, in the order of its inputs.
        head: an ONNX file of the same operator set; its outputs are those of the result.

    Raises:
        CardError: nothing in the model has one of these names.
    """
    import onnx
    import onnx.compose

    trunk, behind = onnx.load(model.path), onnx.load_from_string(head)
    _cut_at(model, trunk.graph, values)
    outputs = {output.name for output in behind.graph.output}
    inside = {n for node in behind.graph.node for n in (*node.input, *node.output)} - outputs
    rename = {name: f"{_PREFIX}{name}" for name in inside if name}
    for node in behind.graph.node:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    for part in (*behind.graph.initializer, *behind.graph.input):
        part.name = rename.get(part.name, part.name)
    behind.ir_version = trunk.ir_version
    pairs = zip(values, [given.name for given in behind.graph.input], strict=True)
    merged = onnx.compose.merge_models(trunk, behind, io_map=list(pairs))
    onnx.checker.check_model(merged)
    data: bytes = merged.SerializeToString(deterministic=True)
    return data


def opset_of(model: ModelFile) -> int:
    """Return the version of the operators that a model file is written in."""
    import onnx

    versions = {one.domain: one.version for one in onnx.load(model.path).opset_import}
    return int(versions[""])


_PREFIX = "detection/"
"""Before the names inside of another graph, which may be those of the trunk."""


def _cut_at(model: ModelFile, graph: Any, values: Sequence[str]) -> None:
    """Make some values of a graph its outputs, and remove what they do not depend on."""
    import onnx

    there = {name for node in graph.node for name in node.output}
    if missing := [value for value in values if value not in there]:
        raise CardError(
            f"model {model.card.name!r}: `maps` on its card are values of its graph; it has no "
            f"{missing[0]!r}"
        )
    del graph.output[:]
    for value in values:
        shape = ["batch", None, None, None]
        graph.output.append(
            onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, shape)
        )
    _keep_what_leads_to(graph, *values)


def _add(graph: Any, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
    import onnx

    graph.node.append(onnx.helper.make_node(operation, inputs, [output], output, **attributes))
    return output


def _keep_what_leads_to(graph: Any, *names: str) -> None:
    """Remove the nodes and weights that no value of these names depends on."""
    wanted, nodes = set(names), []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    weights = [weight for weight in graph.initializer if weight.name in wanted]
    nodes.reverse()
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
