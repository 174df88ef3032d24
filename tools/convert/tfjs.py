"""Reads TensorFlow.js graph models and turns them into ONNX.

Source: the layout of `model.json` that the TensorFlow.js converter writes for format `graph-model`,
with weights in plain or quantized form.
"""

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError
from tools.convert.onnx_graph import GraphBuilder
from tools.convert.tfjs_ops import FOLDS, OPERATORS, Node, Operand, View, settled

STORED_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "float32": "<f4",
        "float16": "<f2",
        "int32": "<i4",
        "uint16": "<u2",
        "uint8": "|u1",
        "bool": "|b1",
    }
)
"""Name of a dtype in `model.json` to numpy's."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TfjsGraph:
    """A graph model as it was read: nodes by name, and the values of its constants by name."""

    origin: str
    """What to call the model in errors."""
    nodes: Mapping[str, Node]
    constants: Mapping[str, Array]


def read_graph(model_json: bytes, shards: Mapping[str, bytes], origin: str) -> TfjsGraph:
    """Read a graph model.

    Args:
        model_json: Contents of `model.json`.
        shards: Contents of the weight files, by the paths that `model.json` gives them.
        origin: What to call the model in errors.

    Raises:
        ConvertError: The files are no graph model, or are cut off.
    """
    try:
        model = json.loads(model_json)
        if model.get("format", "graph-model") != "graph-model":
            raise ConvertError(
                f"{origin}: format must be 'graph-model'; got {model['format']!r}; "
                "convert the layers model to a graph model first"
            )
        nodes = {raw["name"]: _node(raw) for raw in model["modelTopology"]["node"]}
        constants = dict(_weights(model["weightsManifest"], shards, origin))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeError) as error:
        raise ConvertError(
            f"{origin}: must be the `model.json` of a graph model with all its weight files; got "
            f"{type(error).__name__}: {error}; pass the files of one model"
        ) from error
    return TfjsGraph(origin, nodes, constants)


def write_graph(
    source: TfjsGraph,
    graph: GraphBuilder,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Add the nodes that lead from the inputs to the outputs of a graph model.

    A batch of one that was traced into the model becomes a batch of any size.

    Args:
        source: The graph model.
        graph: Where to add the nodes.
        inputs: Names in the graph model to names in ONNX.
        outputs: Names in the graph model to names in ONNX.

    Raises:
        ConvertError: The graph asks for an operation, or a variant of one, that is not supported.
    """
    values: dict[str, tuple[Operand, ...]] = {}
    for name in _order(source, list(outputs)):
        node = source.nodes[name]
        operands = [values[source_name][port] for source_name, port in map(_parse, node.inputs)]
        values[name] = _convert_node(source, graph, node, operands, inputs)
    for name, output in outputs.items():
        source_name, port = _parse(name)
        value = values[source_name][port]
        if not isinstance(value, View):
            raise ConvertError(
                f"{source.origin}: output `{name}` must depend on an input; got a constant; "
                "name another output"
            )
        graph.named_node(output, "Identity", [settled(graph, value)])


def _convert_node(
    source: TfjsGraph,
    graph: GraphBuilder,
    node: Node,
    operands: Sequence[Operand],
    inputs: Mapping[str, str],
) -> tuple[Operand, ...]:
    """Return the outputs of one node: computed now where all operands are known, else added."""
    where = f"{source.origin}: node `{node.name}` ({node.op})"
    if node.op == "Const":
        return (source.constants[node.name],)
    if node.op == "Placeholder" and node.name in inputs:
        return (View.plain(inputs[node.name], len(node.attributes["shape"])),)
    arrays = [operand for operand in operands if not isinstance(operand, View)]
    if node.op in FOLDS and len(arrays) == len(operands):
        return (np.asarray(FOLDS[node.op](*arrays)),)
    if node.op not in OPERATORS:
        raise ConvertError(
            f"{where} must be one of the operations {', '.join(sorted(OPERATORS))}; got {node.op}; "
            "add it to tfjs_ops.py"
        )
    try:
        return OPERATORS[node.op](graph, node, operands)
    except ConvertError as error:
        raise ConvertError(f"{where} {error}") from error


def _order(source: TfjsGraph, outputs: Sequence[str]) -> Iterator[str]:
    """Yield the names of the nodes that the outputs need, each after its inputs."""
    dependencies: dict[str, list[str]] = {}
    waiting = [_parse(name)[0] for name in reversed(outputs)]
    while waiting:
        name = waiting.pop()
        if name in dependencies:
            continue
        if name not in source.nodes:
            raise ConvertError(
                f"{source.origin}: node `{name}` must exist; got {len(source.nodes)} other nodes; "
                "name an output that the model has"
            )
        dependencies[name] = [_parse(reference)[0] for reference in source.nodes[name].inputs]
        waiting += reversed(dependencies[name])
    try:
        yield from TopologicalSorter(dependencies).static_order()
    except CycleError as error:
        raise ConvertError(
            f"{source.origin}: the graph must have no loop; got {error.args[1]}; "
            "export the model without control flow"
        ) from error


def _parse(reference: str) -> tuple[str, int]:
    """Split `name:2` into a node's name and the number of its output, which is 0 where absent."""
    name, _, port = reference.partition(":")
    return name, int(port or 0)


def _node(raw: Mapping[str, Any]) -> Node:
    """Read a node; control inputs, which carry no value, are left out."""
    return Node(
        name=raw["name"],
        op=raw["op"],
        inputs=tuple(name for name in raw.get("input", ()) if not name.startswith("^")),
        attributes={key: _attribute(value) for key, value in raw.get("attr", {}).items()},
    )


def _attribute(raw: Mapping[str, Any]) -> Any:
    """Read the JSON form of a TensorFlow attribute; a kind that no operation needs becomes None."""
    match raw:
        case {"s": text}:
            return base64.b64decode(text).decode()
        case {"i": number}:
            return int(number)
        case {"f": number}:
            return float(number)
        case {"b": flag}:
            return bool(flag)
        case {"shape": shape}:
            return [int(axis.get("size", -1)) for axis in shape.get("dim", ())]
        case {"list": {"i": numbers}}:
            return [int(number) for number in numbers]
        case {"list": {"s": texts}}:
            return [base64.b64decode(text).decode() for text in texts]
        case {"list": _}:
            return []
    return None


def _weights(
    manifest: Sequence[Mapping[str, Any]], shards: Mapping[str, bytes], origin: str
) -> Iterator[tuple[str, Array]]:
    """Yield the name and the value of each constant."""
    for group in manifest:
        data = b"".join(shards[path] for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            dtype = _stored_dtype(entry, origin)
            n_elements = math.prod(entry["shape"])
            end = offset + n_elements * dtype.itemsize
            if end > len(data):
                raise ConvertError(
                    f"{origin}: weight `{entry['name']}` must end at byte {end} of "
                    f"{', '.join(group['paths'])}; got {len(data)} bytes; download the model again"
                )
            stored = np.frombuffer(data, dtype, n_elements, offset).reshape(entry["shape"])
            yield entry["name"], _dequantized(stored, entry)
            offset = end


def _stored_dtype(entry: Mapping[str, Any], origin: str) -> np.dtype[Any]:
    name = entry.get("quantization", entry)["dtype"]
    if name not in STORED_DTYPES:
        raise ConvertError(
            f"{origin}: weight `{entry['name']}` must be stored as one of "
            f"{', '.join(STORED_DTYPES)}; got {name}; export the model with another dtype"
        )
    return np.dtype(STORED_DTYPES[name])


def _dequantized(stored: Array, entry: Mapping[str, Any]) -> Array:
    """Return a weight as float32, int32 or bool."""
    quantization = entry.get("quantization", {})
    if "scale" in quantization:
        stored = stored.astype(np.float32) * quantization["scale"] + quantization["min"]
    return stored.astype(entry["dtype"])
