"""How each operator of a TFLite graph is said in TensorFlow's words.

A TFLite operator is a TensorFlow operation with its weights in another order, so a file is not
converted straight to ONNX: what is said here is written by `tensorflow_ops.py`.

Source: the schema of TFLite files, version 3, for the numbers of operators and of their options.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError
from tools.convert.flatbuffer import BYTE, INT, Table
from tools.convert.tensorflow_ops import Node

PADDINGS = ("SAME", "VALID")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of a TFLite graph."""

    name: str
    shape: tuple[int, ...]
    """The batch that the model was exported with comes first."""


@dataclass(frozen=True)
class Operator:
    """One operator of a TFLite graph."""

    inputs: Sequence[Tensor]
    """Without those that are optional and left out."""
    output: Tensor
    options: Table | None
    """What the file says of the operator; a file may say nothing where all is as usual."""

    def option(self, number: int, kind: str, default: int = 0) -> int:
        """Return an option by its number in the schema."""
        return default if self.options is None else self.options.number(number, kind, default)


@dataclass
class Draft:
    """The TensorFlow graph that the operators add to."""

    batch_size: int
    """The batch that the model was exported with."""
    nodes: dict[str, Node] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)

    def node(self, name: str, op: str, inputs: Sequence[str], /, **attributes: Any) -> str:
        """Add a node and return its name, which is also that of its one output."""
        self.nodes[name] = Node(name, op, tuple(inputs), attributes)
        return name

    def constant(self, name: str, value: Array) -> str:
        """Add a constant and return its name."""
        self.constants[name] = value
        return self.node(name, "Const", [])

    def value(self, tensor: Tensor, role: str) -> Array:
        """Return the value of a tensor that must be known now."""
        if tensor.name not in self.constants:
            raise ConvertError(
                f"must have a constant {role}; got `{tensor.name}`, which the model computes; "
                "export the model with fixed shapes and weights"
            )
        return self.constants[tensor.name]


Translation = Callable[[Draft, Operator], None]


def _plain(op: str) -> Translation:
    """Return the translation of an operator without options that matter."""

    def translate(draft: Draft, operator: Operator) -> None:
        draft.node(operator.output.name, op, _names(operator.inputs))

    return translate


def _arithmetic(op: str) -> Translation:
    """Return the translation of an operator whose one option is the activation behind it."""

    def translate(draft: Draft, operator: Operator) -> None:
        _check_no_activation(operator, 0)
        _plain(op)(draft, operator)

    return translate


def _conv_2d(draft: Draft, operator: Operator) -> None:
    _check_no_activation(operator, 3)
    kernel = draft.value(operator.inputs[1], "kernel").transpose(1, 2, 3, 0)
    _convolution(draft, operator, "_FusedConv2D", kernel, dilation=4)


def _depthwise_conv_2d(draft: Draft, operator: Operator) -> None:
    _check_no_activation(operator, 4)
    weights = draft.value(operator.inputs[1], "kernel")
    height, width = weights.shape[1:3]
    kernel = weights.reshape(height, width, operator.inputs[0].shape[3], -1)
    _convolution(draft, operator, "_FusedDepthwiseConv2dNative", kernel, dilation=5)


def _convolution(draft: Draft, operator: Operator, op: str, kernel: Array, dilation: int) -> None:
    """Add a convolution; `dilation` is the number of the option with its first dilation."""
    across, down = (operator.option(number, INT, 1) for number in (dilation, dilation + 1))
    x, _, *bias = _names(operator.inputs)
    draft.node(
        operator.output.name,
        op,
        [x, draft.constant(f"{operator.output.name}/kernel", kernel), *bias],
        dilations=[1, down, across, 1],
        fused_ops=["BiasAdd"] * len(bias),
        **_window(operator),
    )


def _max_pool_2d(draft: Draft, operator: Operator) -> None:
    _check_no_activation(operator, 5)
    width, height = (operator.option(number, INT) for number in (3, 4))
    draft.node(
        operator.output.name,
        "MaxPool",
        _names(operator.inputs),
        ksize=[1, height, width, 1],
        **_window(operator),
    )


def _fully_connected(draft: Draft, operator: Operator) -> None:
    _check_no_activation(operator, 0)
    if operator.option(1, BYTE) or operator.option(2, BYTE):
        raise ConvertError(
            "must have plain weights and an output of rank 2; got shuffled weights or "
            "`keep_num_dims`; add the variant to tflite_ops.py"
        )
    name = operator.output.name
    weights = draft.value(operator.inputs[1], "matrix").T
    x, _, *bias = _names(operator.inputs)
    if operator.inputs[0].shape[1:] != weights.shape[:1]:
        shape = draft.constant(f"{name}/shape", np.array([-1, len(weights)]))
        x = draft.node(f"{name}/flat", "Reshape", [x, shape])
    matrix = draft.constant(f"{name}/matrix", weights)
    fused_ops = ["BiasAdd"] * len(bias)
    draft.node(name, "_FusedMatMul", [x, matrix, *bias], fused_ops=fused_ops)


def _reduce(op: str) -> Translation:
    """Return the translation of an operator that makes some axes one long."""

    def translate(draft: Draft, operator: Operator) -> None:
        keep_dims = bool(operator.option(0, BYTE))
        draft.node(operator.output.name, op, _names(operator.inputs), keep_dims=keep_dims)

    return translate


def _reshape(draft: Draft, operator: Operator) -> None:
    batch_size, *rest = operator.output.shape
    if batch_size != draft.batch_size:
        raise ConvertError(
            f"must keep the batch of {draft.batch_size} in front; got the shape "
            f"{list(operator.output.shape)}; add the variant to tflite_ops.py"
        )
    shape = draft.constant(f"{operator.output.name}/shape", np.array([1, *rest]))
    draft.node(operator.output.name, "Reshape", [operator.inputs[0].name, shape])


def _window(operator: Operator) -> dict[str, Any]:
    """Return what a sliding window says of padding and strides, in its first three options."""
    padding, across, down = (operator.option(n, kind) for n, kind in enumerate((BYTE, INT, INT)))
    return {"padding": PADDINGS[padding], "strides": [1, down, across, 1]}


def _check_no_activation(operator: Operator, number: int) -> None:
    """Refuse an operator with an activation behind it, which is the option of that number."""
    activation = operator.option(number, BYTE)
    if activation:
        raise ConvertError(
            f"must have its activation as an operator of its own; got activation {activation} "
            "behind it; add the variant to tflite_ops.py"
        )


def _names(tensors: Sequence[Tensor]) -> list[str]:
    return [tensor.name for tensor in tensors]


TRANSLATIONS: Mapping[int, Translation] = MappingProxyType(
    {
        0: _arithmetic("Add"),
        3: _conv_2d,
        4: _depthwise_conv_2d,
        9: _fully_connected,
        17: _max_pool_2d,
        18: _arithmetic("Mul"),
        19: _plain("Relu"),
        22: _reshape,
        41: _arithmetic("Sub"),
        42: _arithmetic("RealDiv"),
        47: _plain("Exp"),
        59: _plain("Neg"),
        74: _reduce("Sum"),
        82: _reduce("Max"),
        101: _plain("Abs"),
    }
)
"""Number of an operator in the schema to its translation."""
