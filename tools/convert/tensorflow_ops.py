"""How each TensorFlow operation is written in ONNX.

TensorFlow's convolutions keep channels last and ONNX's keep them second, so a graph is full of
transpositions and paddings that lead from one to the other. They are not copied: a `View` remembers
them, and they are written out only where an operation cannot absorb them.

Source: the definitions of the operations in TensorFlow's reference and in ONNX operator set 18.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError
from tools.convert.onnx_graph import Attribute, GraphBuilder

Array = npt.NDArray[Any]

NCHW_OF_NHWC = (0, 3, 1, 2)
NHWC_OF_NCHW = (0, 2, 3, 1)


@dataclass(frozen=True)
class Node:
    """One node of a TensorFlow graph."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """A TensorFlow tensor, seen as an ONNX tensor with its axes in another order and zeros around.

    The ONNX tensor is called the stored one.
    """

    name: str
    axes: tuple[int, ...]
    """For each axis of the view the stored axis that it is."""
    pads: tuple[tuple[int, int], ...]
    """For each axis of the view the number of zeros before and after the stored elements."""

    @classmethod
    def plain(cls, name: str, rank: int) -> "View":
        """View a tensor as it is stored."""
        return cls.ordered(name, tuple(range(rank)))

    @classmethod
    def ordered(cls, name: str, axes: tuple[int, ...]) -> "View":
        """View a tensor without padding."""
        return cls(name, axes, ((0, 0),) * len(axes))

    @property
    def stored_order(self) -> tuple[int, ...]:
        """For each stored axis the axis of the view that it is."""
        return tuple(sorted(range(len(self.axes)), key=self.axes.__getitem__))


Operand = View | Array
"""A tensor that the model computes, or one whose value is known."""

Operator = Callable[[GraphBuilder, Node, Sequence[Operand]], tuple[Operand, ...]]


def settled(graph: GraphBuilder, view: View) -> str:
    """Write a view out and return the tensor that is stored just as TensorFlow sees it."""
    return _stored(graph, view, tuple(range(len(view.axes))))


def _stored(graph: GraphBuilder, view: View, order: Sequence[int]) -> str:
    """Return a tensor whose axes are the axes of the view in the given order."""
    name = _padded(graph, view)
    permutation = [view.axes[axis] for axis in order]
    if permutation == sorted(permutation):
        return name
    return graph.node("Transpose", [name], perm=permutation)


def _padded(graph: GraphBuilder, view: View, value: float = 0.0) -> str:
    """Return the stored tensor with the padding of the view around it."""
    if not any(map(any, view.pads)):
        return view.name
    pads = [view.pads[axis] for axis in view.stored_order]
    amounts = np.array([before for before, _ in pads] + [after for _, after in pads], np.int64)
    inputs = [
        view.name,
        graph.constant(amounts, "pads"),
        graph.constant(np.float32(value), "value"),
    ]
    return graph.node("Pad", inputs)


def _transpose(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x, order = _view(graph, operands[0]), _integers(operands[1], "order of axes")
    axes = tuple(x.axes[axis] for axis in order)
    return (View(x.name, axes, tuple(x.pads[axis] for axis in order)),)


def _pad(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x = _view(graph, operands[0])
    added = _known(operands[1], "amount of padding").tolist()
    value = float(_known(operands[2], "value of padding")) if len(operands) > 2 else 0.0
    if value:
        outer = View(_padded(graph, x), x.axes, tuple((before, after) for before, after in added))
        return (View.ordered(_padded(graph, outer, value), x.axes),)
    pairs = zip(x.pads, added, strict=True)
    pads = tuple((old[0] + new[0], old[1] + new[1]) for old, new in pairs)
    return (View(x.name, x.axes, pads),)


def _elementwise(op: str) -> Operator:
    """Return how an ONNX operation is written that works element by element, with broadcast."""

    def write(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        ranks = [_rank(operand) for operand in operands]
        views = [operand for operand in operands if isinstance(operand, View)]
        if {len(view.axes) for view in views} != {max(ranks)}:
            raise ConvertError(
                "must join computed tensors of one rank with constants of no higher rank; "
                f"got ranks {ranks}; add the broadcast to tensorflow_ops.py"
            )
        lead = views[0]
        names = [_laid_out(graph, operand, lead.stored_order) for operand in operands]
        return (View.ordered(graph.node(op, names), lead.axes),)

    return write


def _laid_out(graph: GraphBuilder, operand: Operand, order: Sequence[int]) -> str:
    """Return a tensor whose axes are those of the operand, with ones before, in a given order."""
    if isinstance(operand, View):
        return _stored(graph, operand, order)
    full = operand.reshape((1,) * (len(order) - operand.ndim) + operand.shape)
    return graph.constant(full.transpose(order), "bias")


def _conv_2d(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    weight = _known(operands[1], "kernel").transpose(3, 2, 0, 1)
    return (_convolution(graph, node, _view(graph, operands[0]), weight),)


def _depthwise_conv_2d(
    graph: GraphBuilder, node: Node, operands: Sequence[Operand]
) -> tuple[Operand, ...]:
    kernel = _known(operands[1], "kernel")
    height, width, n_channels, _ = kernel.shape
    weight = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)
    x = _view(graph, operands[0])
    return (_convolution(graph, node, x, weight, group=n_channels),)


def _convolution(
    graph: GraphBuilder, node: Node, x: View, weight: Array, **attributes: Attribute
) -> View:
    """Add a convolution whose weights are [output channels, channels per group, height, width]."""
    attributes |= _window(node)
    if "auto_pad" not in attributes and not any(map(any, (x.pads[0], x.pads[3]))):
        (top, bottom), (left, right) = x.pads[1:3]
        attributes["pads"] = [top, left, bottom, right]
        x = View.ordered(x.name, x.axes)
    weight_name = graph.constant(weight, "weight")
    y = graph.node(
        "Conv",
        [_stored(graph, x, NCHW_OF_NHWC), weight_name],
        kernel_shape=weight.shape[2:],
        dilations=node.attributes.get("dilations", [1, 1, 1, 1])[1:3],
        **attributes,
    )
    return View.ordered(y, NHWC_OF_NCHW)


def _mat_mul(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    transposed = [key for key in ("transpose_a", "transpose_b") if node.attributes.get(key)]
    if transposed:
        raise ConvertError(
            f"must take both sides as they are; got {' and '.join(transposed)}; "
            "add the variant to tensorflow_ops.py"
        )
    x = settled(graph, _view(graph, operands[0]))
    weight = graph.constant(_known(operands[1], "right side"), "weight")
    return (View.plain(graph.node("MatMul", [x, weight]), 2),)


def _fused(first: Operator) -> Operator:
    """Return how an operation is written that others were fused into; the bias comes third."""

    def write(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        value = first(graph, node, operands[:2])
        for op in node.attributes["fused_ops"]:
            if op not in ("BiasAdd", "Relu"):
                raise ConvertError(
                    f"must be fused with BiasAdd or Relu; got {op}; add it to tensorflow_ops.py"
                )
            addend = operands[2:3] if op == "BiasAdd" else []
            value = OPERATORS[op](graph, node, [*value, *addend])
        return value

    return write


def _max_pool(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x = _stored(graph, _view(graph, operands[0]), NCHW_OF_NHWC)
    size = node.attributes["ksize"][1:3]
    y = graph.node("MaxPool", [x], kernel_shape=size, **_window(node))
    return (View.ordered(y, NHWC_OF_NCHW),)


def _window(node: Node) -> dict[str, Attribute]:
    """Return what a sliding window's node says of strides and padding."""
    layout = node.attributes.get("data_format", "NHWC")
    padding = node.attributes["padding"]
    if layout != "NHWC" or padding not in ("VALID", "SAME"):
        raise ConvertError(
            f"must have layout NHWC and padding VALID or SAME; got {layout} and {padding}; "
            "add the variant to tensorflow_ops.py"
        )
    window: dict[str, Attribute] = {"strides": node.attributes["strides"][1:3]}
    return window if padding == "VALID" else {**window, "auto_pad": "SAME_UPPER"}


def _resize_bilinear(
    graph: GraphBuilder, node: Node, operands: Sequence[Operand]
) -> tuple[Operand, ...]:
    x = _stored(graph, _view(graph, operands[0]), NCHW_OF_NHWC)
    size = np.array(_integers(operands[1], "size"), np.int64)
    mode = "asymmetric"
    if node.attributes.get("align_corners"):
        mode = "align_corners"
    elif node.attributes.get("half_pixel_centers"):
        mode = "half_pixel"
    y = graph.node(
        "Resize",
        [x, "", "", graph.constant(size, "size")],
        axes=[2, 3],
        mode="linear",
        coordinate_transformation_mode=mode,
    )
    return (View.ordered(y, NHWC_OF_NCHW),)


def _unary(op: str) -> Operator:
    """Return how an ONNX operation is written that works on each element of one tensor."""

    def write(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        x = _view(graph, operands[0])
        return (View.ordered(graph.node(op, [_padded(graph, x)]), x.axes),)

    return write


def _leaky_relu(
    graph: GraphBuilder, node: Node, operands: Sequence[Operand]
) -> tuple[Operand, ...]:
    x = _view(graph, operands[0])
    alpha = node.attributes.get("alpha", 0.2)
    return (View.ordered(graph.node("LeakyRelu", [_padded(graph, x)], alpha=alpha), x.axes),)


def _reduce(op: str) -> Operator:
    """Return how an ONNX operation is written that makes some axes one long."""

    def write(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        x, axes = _view(graph, operands[0]), _integers(operands[1], "axes")
        if not node.attributes.get("keep_dims"):
            raise ConvertError(
                "must have `keep_dims`; got none; add the variant to tensorflow_ops.py"
            )
        stored = np.array([x.axes[axis] for axis in axes], np.int64)
        y = graph.node(op, [_padded(graph, x), graph.constant(stored, "axes")], keepdims=1)
        return (View.ordered(y, x.axes),)

    return write


def _concat(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    views = [_view(graph, operand) for operand in operands[:-1]]
    axes, order = views[0].axes, views[0].stored_order
    parts = [_stored(graph, view, order) for view in views]
    axis = axes[int(_known(operands[-1], "axis"))]
    return (View.ordered(graph.node("Concat", parts, axis=axis), axes),)


def _split(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x, axis = _view(graph, operands[0]), int(_known(operands[2], "axis"))
    sizes = np.array(_integers(operands[1], "sizes of the parts"), np.int64)
    inputs = [_padded(graph, x), graph.constant(sizes, "sizes")]
    parts = graph.node_of_many("Split", inputs, len(sizes), axis=x.axes[axis])
    return tuple(View.ordered(part, x.axes) for part in parts)


def _reshape(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x = settled(graph, _view(graph, operands[0]))
    shape = _integers(operands[1], "shape")
    if shape[:1] == [1]:
        shape[0] = 0  # the batch of one that was traced; in ONNX, 0 keeps the length of the input
    target = graph.constant(np.array(shape, np.int64), "shape")
    return (View.plain(graph.node("Reshape", [x, target]), len(shape)),)


def _identity(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    return (operands[0],)


def _sparse_to_dense(indices: Array, shape: Array, values: Array, default: Array) -> Array:
    """Return an array of the default value with the given values at the given places."""
    dense = np.full(shape, default)
    dense[tuple(indices.T)] = values
    return dense


def _view(graph: GraphBuilder, operand: Operand) -> View:
    """Return an operand as a view; a known value becomes a constant of the graph."""
    if isinstance(operand, View):
        return operand
    return View.plain(graph.constant(operand, "constant"), operand.ndim)


def _known(operand: Operand, role: str) -> Array:
    """Return an operand whose value must be known now."""
    if isinstance(operand, View):
        raise ConvertError(
            f"must have a constant {role}; got one that the model computes; "
            "export the model with fixed shapes and weights"
        )
    return operand


def _integers(operand: Operand, role: str) -> list[int]:
    return [int(number) for number in _known(operand, role).reshape(-1)]


def _rank(operand: Operand) -> int:
    return len(operand.axes) if isinstance(operand, View) else operand.ndim


FOLDS: Mapping[str, Callable[..., Array]] = MappingProxyType(
    {"Add": np.add, "AddV2": np.add, "SparseToDense": _sparse_to_dense}
)
"""What is computed during the conversion when all operands are known."""

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "Add": _elementwise("Add"),
        "AddV2": _elementwise("Add"),
        "BiasAdd": _elementwise("Add"),
        "ConcatV2": _concat,
        "Conv2D": _conv_2d,
        "DepthwiseConv2dNative": _depthwise_conv_2d,
        "Exp": _unary("Exp"),
        "Identity": _identity,
        "LeakyRelu": _leaky_relu,
        "Max": _reduce("ReduceMax"),
        "MaxPool": _max_pool,
        "Pad": _pad,
        "PadV2": _pad,
        "Prelu": _elementwise("PRelu"),
        "RealDiv": _elementwise("Div"),
        "Relu": _unary("Relu"),
        "Reshape": _reshape,
        "ResizeBilinear": _resize_bilinear,
        "Sigmoid": _unary("Sigmoid"),
        "SplitV": _split,
        "Sub": _elementwise("Sub"),
        "Sum": _reduce("ReduceSum"),
        "Transpose": _transpose,
        "_FusedConv2D": _fused(_conv_2d),
        "_FusedDepthwiseConv2dNative": _fused(_depthwise_conv_2d),
        "_FusedMatMul": _fused(_mat_mul),
    }
)
"""What is written to the graph."""
