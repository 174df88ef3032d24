"""Builds ONNX models whose bytes depend on their content and on nothing else."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tools.convert.errors import ConvertError

OPSET = 18
IR_VERSION = 8
MIN_HALF_SIZE = 64
"""A constant with no more elements than this is not worth a Cast node."""

Array = npt.NDArray[Any]
Constants = Mapping[str, Array]
Attribute = int | float | str | Sequence[int]


@dataclass(frozen=True)
class Port:
    """A float32 input or output of a model."""

    name: str
    shape: tuple[int | str, ...]
    """One entry per axis; a string names an axis of any length."""


class GraphBuilder:
    """Collects nodes and constants and gives each tensor a name."""

    def __init__(self) -> None:
        """Start without nodes."""
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Array] = {}

    def constant(self, value: npt.ArrayLike, hint: str) -> str:
        """Add a constant and return its name, which begins with the hint."""
        name = self._new_name(hint)
        self._constants[name] = np.asarray(value, order="C")
        return name

    def node(self, op: str, inputs: Sequence[str], /, **attributes: Attribute) -> str:
        """Add a node with one output and return that output's name."""
        return self.named_node(self._new_name(op), op, inputs, **attributes)

    def named_node(
        self, output: str, op: str, inputs: Sequence[str], /, **attributes: Attribute
    ) -> str:
        """Add a node whose one output has a given name and return that name."""
        self._add(op, inputs, [output], attributes)
        return output

    def node_of_many(
        self, op: str, inputs: Sequence[str], n_outputs: int, /, **attributes: Attribute
    ) -> tuple[str, ...]:
        """Add a node with several outputs and return their names."""
        stem = self._new_name(op)
        outputs = tuple(f"{stem}_{index}" for index in range(n_outputs))
        self._add(op, inputs, outputs, attributes)
        return outputs

    def model(
        self,
        name: str,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        properties: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Finish the model and check it, the declared shapes included.

        Raises:
            ConvertError: What was built is not valid ONNX.
        """
        nodes, constants = _fold_biases(
            self._nodes, self._constants, [output.name for output in outputs]
        )
        initializers, casts = _stored(constants, nodes)
        graph = helper.make_graph(
            [*casts, *nodes], name, _infos(inputs), _infos(outputs), initializers
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="sightflow",
        )
        helper.set_model_props(model, dict(sorted(properties.items())))
        _check(model, name)
        return model

    def _add(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Attribute],
    ) -> None:
        node = helper.make_node(op, inputs, outputs)
        for name, value in sorted(attributes.items()):
            node.attribute.append(helper.make_attribute(name, value))
        self._nodes.append(node)

    def _new_name(self, hint: str) -> str:
        """Return a name with a number that grows with everything that is added."""
        return f"{hint.lower()}_{len(self._nodes) + len(self._constants)}"


def serialize(model: onnx.ModelProto) -> bytes:
    """Return the bytes of a model, the same ones on each run."""
    return bytes(model.SerializeToString(deterministic=True))


def _fold_biases(
    nodes: Sequence[NodeProto], constants: Constants, outputs: Sequence[str]
) -> tuple[list[NodeProto], Constants]:
    """Turn each convolution that is followed by the addition of a constant into one with a bias."""
    n_uses = Counter([*outputs, *(tensor for node in nodes for tensor in node.input)])
    bare = {
        node.output[0]: node for node in nodes if node.op_type == "Conv" and len(node.input) == 2
    }
    additions = {}
    for node in nodes:
        if node.op_type != "Add" or node.input[0] not in bare or node.input[1] not in constants:
            continue
        n_channels = constants[bare[node.input[0]].input[1]].shape[0]
        fits = constants[node.input[1]].shape == (1, n_channels, 1, 1)
        if fits and all(n_uses[tensor] == 1 for tensor in node.input):
            additions[node.input[0]] = node
    removed = {node.output[0] for node in additions.values()}
    biases = {node.input[1]: constants[node.input[1]].reshape(-1) for node in additions.values()}
    merged = [
        _with_bias(node, additions[node.output[0]]) if node.output[0] in additions else node
        for node in nodes
        if node.output[0] not in removed
    ]
    return merged, {**constants, **biases}


def _with_bias(conv: NodeProto, addition: NodeProto) -> NodeProto:
    """Return the convolution with the bias and the output of the addition after it."""
    merged = NodeProto()
    merged.CopyFrom(conv)
    merged.input.append(addition.input[1])
    merged.output[0] = addition.output[0]
    return merged


def _stored(
    constants: Constants, nodes: Sequence[NodeProto]
) -> tuple[list[TensorProto], list[NodeProto]]:
    """Return the constants that the nodes use, in half precision where that loses nothing.

    Returns:
        The initializers, and the Cast nodes that widen the half-precision ones to float32 again.
    """
    used = {tensor for node in nodes for tensor in node.input}
    initializers, casts = [], []
    for name, array in constants.items():
        if name not in used:
            continue
        if _fits_half(array):
            half = f"{name}_half"
            initializers.append(numpy_helper.from_array(array.astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
        else:
            initializers.append(numpy_helper.from_array(array, name))
    return initializers, casts


def _fits_half(array: Array) -> bool:
    """Tell whether every element survives the way to float16 and back."""
    if array.dtype != np.float32 or array.size <= MIN_HALF_SIZE:
        return False
    with np.errstate(over="ignore"):
        return np.array_equal(array.astype(np.float16).astype(np.float32), array)


def _infos(ports: Sequence[Port]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(port.name, TensorProto.FLOAT, port.shape) for port in ports
    ]


def _check(model: onnx.ModelProto, name: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ConvertError(
            f"{name}: the converted graph must be valid ONNX; onnx found: {error}; "
            "compare the recipe with the layers of the package"
        ) from error
