"""Finds parametric ReLUs that a graph spells out, and says each in one operation.

A PReLU is x where x is positive and slope * x elsewhere. A graph without an operation for it says
`relu(x) + slope * -relu(-x)` or `relu(x) + slope / 2 * (x - |x|)`, which goes over the whole tensor
five or six times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.tensorflow_graph import Graph
from tools.convert.tensorflow_ops import Node

Array = npt.NDArray[Any]
Spelling = tuple[Any, ...]
"""An operation and the spelling of each of its inputs."""

X: Spelling = ("x",)
MULTIPLES: Mapping[Spelling, int] = MappingProxyType(
    {("Neg", ("Relu", ("Neg", X))): 1, ("Sub", X, ("Abs", X)): 2}
)
"""How to say the smaller one of x and 0, and which multiple of it that is."""


def join_prelus(source: Graph) -> Graph:
    """Replace the last operation of each spelled-out PReLU by a PReLU.

    The results are the same bit by bit, and the other operations stay, without use.

    Args:
        source: A graph whose slopes are constants.
    """
    nodes, constants = dict(source.nodes), dict(source.constants)
    for node in source.nodes.values():
        for x, slope in _matches(source, node):
            name = f"{node.name}/slope"
            nodes[name] = Node(name, "Const", (), {})
            constants[name] = slope
            nodes[node.name] = Node(node.name, "Prelu", (x, name), {})
    return replace(source, nodes=nodes, constants=constants)


def _matches(source: Graph, node: Node) -> Iterator[tuple[str, Array]]:
    """Yield the input and the slope of the PReLU that ends in a node, if one does."""
    if node.op != "Add":
        return
    for positive, scaled in permutations(source.nodes[name] for name in node.inputs):
        if (positive.op, scaled.op) != ("Relu", "Mul"):
            continue
        (x,) = positive.inputs
        for factor, negative in permutations(scaled.inputs):
            multiple = MULTIPLES.get(_spelled(source, negative, x, depth=3))
            if multiple and factor in source.constants:
                yield x, source.constants[factor] * np.float32(multiple)


def _spelled(source: Graph, name: str, x: str, depth: int) -> Spelling:
    """Return what is computed from x, as far as it goes back, in words that can be compared."""
    if name == x:
        return X
    if not depth:
        return ("...",)
    node = source.nodes[name]
    return (node.op, *(_spelled(source, origin, x, depth - 1) for origin in node.inputs))
