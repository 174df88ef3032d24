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


def _add(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    first, second = operands
    view, other = (first, second) if isinstance(first, View) else (second, first)
    view = _view(graph, view)
    rank, other_rank = len(view.axes), _rank(other)
    if other_rank > rank or (isinstance(other, View) and other_rank < rank):
        raise ConvertError(
            f"must add tensors of one rank, or a constant of lower rank; got ranks {rank} and "
            f"{other_rank}; add the broadcast to tfjs_ops.py"
        )
    if isinstance(other, View):
        addend = _stored(graph, other, view.stored_order)
    else:
        full = other.reshape((1,) * (rank - other_rank) + other.shape)
        addend = graph.constant(full.transpose(view.stored_order), "bias")
    return (View.ordered(graph.node("Add", [_padded(graph, view), addend]), view.axes),)


def _conv_2d(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x, kernel = _view(graph, operands[0]), _known(operands[1], "kernel")
    attributes = _window(node)
    if "auto_pad" not in attributes and not any(map(any, (x.pads[0], x.pads[3]))):
        (top, bottom), (left, right) = x.pads[1:3]
        attributes["pads"] = [top, left, bottom, right]
        x = View.ordered(x.name, x.axes)
    weight = graph.constant(kernel.transpose(3, 2, 0, 1), "weight")
    y = graph.node(
        "Conv",
        [_stored(graph, x, NCHW_OF_NHWC), weight],
        kernel_shape=kernel.shape[:2],
        dilations=node.attributes.get("dilations", [1, 1, 1, 1])[1:3],
        **attributes,
    )
    return (View.ordered(y, NHWC_OF_NCHW),)


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
            "add the variant to tfjs_ops.py"
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


def _leaky_relu(
    graph: GraphBuilder, node: Node, operands: Sequence[Operand]
) -> tuple[Operand, ...]:
    x = _view(graph, operands[0])
    alpha = node.attributes.get("alpha", 0.2)
    return (View.ordered(graph.node("LeakyRelu", [_padded(graph, x)], alpha=alpha), x.axes),)


def _sigmoid(graph: GraphBuilder, node: Node, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    x = _view(graph, operands[0])
    return (View.ordered(graph.node("Sigmoid", [_padded(graph, x)]), x.axes),)


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
        "Add": _add,
        "AddV2": _add,
        "ConcatV2": _concat,
        "Conv2D": _conv_2d,
        "Identity": _identity,
        "LeakyRelu": _leaky_relu,
        "MaxPool": _max_pool,
        "Pad": _pad,
        "PadV2": _pad,
        "Reshape": _reshape,
        "ResizeBilinear": _resize_bilinear,
        "Sigmoid": _sigmoid,
        "SplitV": _split,
        "Transpose": _transpose,
    }
)
"""What is written to the graph."""
