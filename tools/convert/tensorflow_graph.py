"""Turns a TensorFlow graph, whatever file it was read from, into ONNX."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError
from tools.convert.onnx_graph import GraphBuilder
from tools.convert.tensorflow_ops import FOLDS, OPERATORS, Node, Operand, View, settled

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Graph:
    """A TensorFlow graph as it was read: nodes by name, and the values of its constants by name.

    A batch that was traced into the shapes of the graph has a length of one.
    """

    origin: str
    """What to call the model in errors."""
    nodes: Mapping[str, Node]
    constants: Mapping[str, Array]


def write_graph(
    source: Graph,
    graph: GraphBuilder,
    inputs: Mapping[str, View],
    outputs: Mapping[str, str],
) -> None:
    """Add the nodes that lead from the inputs to the outputs of a TensorFlow graph.

    A batch of one that was traced into the model becomes a batch of any size.

    Args:
        source: The TensorFlow graph.
        graph: Where to add the nodes.
        inputs: Names in the TensorFlow graph to the inputs in ONNX.
        outputs: Names in the TensorFlow graph to names in ONNX.

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
    source: Graph,
    graph: GraphBuilder,
    node: Node,
    operands: Sequence[Operand],
    inputs: Mapping[str, View],
) -> tuple[Operand, ...]:
    """Return the outputs of one node: computed now where all operands are known, else added."""
    where = f"{source.origin}: node `{node.name}` ({node.op})"
    if node.op == "Const":
        return (source.constants[node.name],)
    if node.op == "Placeholder" and node.name in inputs:
        return (inputs[node.name],)
    arrays = [operand for operand in operands if not isinstance(operand, View)]
    if node.op in FOLDS and len(arrays) == len(operands):
        return (np.asarray(FOLDS[node.op](*arrays)),)
    if node.op not in OPERATORS:
        raise ConvertError(
            f"{where} must be one of the operations {', '.join(sorted(OPERATORS))}; got {node.op}; "
            "add it to tensorflow_ops.py"
        )
    try:
        return OPERATORS[node.op](graph, node, operands)
    except ConvertError as error:
        raise ConvertError(f"{where} {error}") from error


def _order(source: Graph, outputs: Sequence[str]) -> Iterator[str]:
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
