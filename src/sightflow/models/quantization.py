"""Static quantisation of ONNX files: float32 weights and activations become 8-bit integers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError, SightflowError
from sightflow.models.files import ModelFile

__all__ = ["write_int8"]

_MIN_OPSET = 13
"""The first version of ONNX in which each channel may have a scale of its own."""

_KEPT_FLOAT = ("Softmax", "LogSoftmax", "Sigmoid")
"""Of 1,000 probabilities in steps of 1/256 hardly one would differ from 0."""

_FLOAT_OUTPUTS = ("Gemm", "MatMul")
"""Logits stay float: in 256 steps the best two classes would often be equal."""


def write_int8(
    model: ModelFile,
    out: Path,
    batches: Iterator[npt.NDArray[np.float32]],
    *,
    per_channel: bool,
) -> None:
    """Write a model with 8-bit weights and activations; inputs and outputs stay float32.

    Activations are uint8 and weights int8, which CPUs multiply fastest. A CPU without VNNI
    instructions adds two products in 16 bits, which is too few for all values of both. With
    `per_channel` weights therefore use 7 bits; with one scale for a whole layer 7 bits lose more
    than that, and weights use 8.

    Args:
        model: the float model, which fits its card.
        out: the file to write.
        batches: pictures as the model takes them, float32 [1, 3, H, W] or [1, H, W, 3]; the range
            of each activation is the range seen on them.
        per_channel: give each output channel of a layer its own scale.

    Raises:
        ModelError: the file is quantised already, has nothing to quantise, or is refused by ONNX
            Runtime.
    """
    from onnxruntime import quantization  # takes a second to import

    with tempfile.TemporaryDirectory(prefix="sightflow-") as folder:
        prepared = Path(folder, "prepared.onnx")
        try:
            name, excluded = _prepare(model, prepared)
            quantization.quantize_static(
                prepared,
                out,
                _Reader(name, batches),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=per_channel,
                reduce_range=per_channel,
                nodes_to_exclude=excluded,
                extra_options={"OpTypesToExcludeOutputQuantization": list(_FLOAT_OUTPUTS)},
            )
        except SightflowError:
            raise
        except Exception as error:  # the exceptions of onnx and onnxruntime have no common root
            raise ModelError(f"{model.path}: cannot be quantised: {error}") from error
    if "DequantizeLinear" not in _operators(out):
        raise ModelError(
            f"{model.path}: needs layers that can be int8, such as Conv, Gemm and MatMul; has "
            f"{', '.join(sorted(_operators(Path(model.path))))}; keep the float model"
        )


class _Reader:
    """Hands pictures to the calibration, which asks until it is given None."""

    def __init__(self, name: str, batches: Iterator[npt.NDArray[np.float32]]) -> None:
        """Take the name of the model's input and what it shall be given."""
        self._name, self._batches = name, batches

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """Return the next input, by name."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def _prepare(model: ModelFile, prepared: Path) -> tuple[str, list[str]]:
    """Write the model as quantisation wants it: fused layers, known shapes, a name for each node.

    Returns:
        The name of the input, and the names of the nodes that stay float.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    proto = onnx.load(model.path)
    found = {node.op_type for node in proto.graph.node}
    if found & {"QuantizeLinear", "DequantizeLinear"}:
        raise ModelError(
            f"{model.path}: must be a float model; is quantised already; take the file that it was "
            "made from"
        )
    opset = next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))
    if opset < _MIN_OPSET:
        proto = onnx.version_converter.convert_version(proto, _MIN_OPSET)
    quant_pre_process(proto, prepared, skip_symbolic_shape=True)
    proto = onnx.load(prepared)
    for number, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{number}"
    onnx.save(proto, prepared)
    weights = {weight.name for weight in proto.graph.initializer}
    inputs = [value.name for value in proto.graph.input if value.name not in weights]
    excluded = [node.name for node in proto.graph.node if node.op_type in _KEPT_FLOAT]
    return model.card.input.name or inputs[0], excluded


def _operators(path: Path) -> set[str]:
    import onnx

    return {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
