"""ONNX Runtime back end. The only place that imports onnxruntime."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from sightflow.errors import ModelError
from sightflow.models.card import Card
from sightflow.protocols import Inference, Model

__all__ = ["Onnx"]

_CPU, _CUDA, _TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


class Onnx:
    """Runs `.onnx` files; see `models.backend.Backend`."""

    def load(self, path: str, card: Card, inference: Inference) -> Model:
        """Return the model as a function: float32 batch to its outputs by name.

        A model exported for a batch of 1 is called image by image.

        Raises:
            ModelError: the file's input does not take what the card's preprocessing gives, or the
                device is not there.
        """
        session = _session(path, card, inference)
        found = _checked_input(session, path, card)
        names = [output.name for output in session.get_outputs()]

        def run(batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
            outputs = session.run(names, {found.name: batch})
            return dict(zip(names, outputs, strict=True))

        def run_one_by_one(batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
            single = [run(batch[i : i + 1]) for i in range(len(batch))]
            return {name: np.concatenate([outputs[name] for outputs in single]) for name in names}

        if found.shape[0] == 1:
            return run_one_by_one
        run.gains_from_batches = session.get_providers()[0] != _CPU  # type: ignore[attr-defined]
        return run


def _session(path: str, card: Card, inference: Inference) -> onnxruntime.InferenceSession:
    """Load a file on the device that is asked for.

    ONNX Runtime goes on without a provider that does not start, so what is used is looked at after.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inference.n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = _providers(inference.device, card)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[*wanted, _CPU])
    except Exception as error:  # onnxruntime's exceptions have no common root
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {error}") from error
    used = session.get_providers()
    if inference.device != "auto" and wanted and wanted[0][0] not in used:
        raise ModelError(
            f"device {inference.device!r} needs ONNX Runtime's {wanted[0][0]}; it did not start "
            f"and {used[0]} would be used; check the driver and the CUDA libraries, or use 'auto'"
        )
    return session


def _providers(device: str, card: Card) -> list[tuple[str, dict[str, Any]]]:
    """Return the providers for a device, best first, with their options; none for the CPU."""
    kind, _, number = device.partition(":")
    there = onnxruntime.get_available_providers()
    wanted = {"cpu": [], "cuda": [_CUDA], "tensorrt": [_TENSORRT, _CUDA]}
    if kind == "auto":
        kind = "cuda" if _CUDA in there else "cpu"
    if wanted[kind] and wanted[kind][0] not in there:
        raise ModelError(
            f"device {device!r} needs ONNX Runtime's {wanted[kind][0]}; this installation has "
            f"{', '.join(there)}; install `onnxruntime-gpu` in place of `onnxruntime`"
        )
    device_id = {"device_id": int(number or 0)}
    half = {"trt_fp16_enable": card.fp16}
    return [(name, device_id | (half if name == _TENSORRT else {})) for name in wanted[kind]]


def _checked_input(session: onnxruntime.InferenceSession, path: str, card: Card) -> Any:
    """Return the input that the card means, if it takes what the card's preprocessing makes."""
    found = _input(session, path, card)
    want = _shape_of(card)
    dtype = "float32" if card.input.preprocess.normalizes else "uint8"
    if found.type != "tensor(float)" or dtype != "float32" or not _fits(found.shape, want):
        raise ModelError(
            f"{path}: input `{found.name}` is {found.type} {found.shape}; its card makes "
            f"{dtype} {list(want)}; correct `input.preprocess` (size, layout, mean and std) on "
            "the card, or export the model with this input"
        )
    return found


def _fits(found: Sequence[int | str | None], want: Sequence[int | str]) -> bool:
    """Return whether a file's input takes arrays of this shape; a name or None takes any size."""
    if len(found) != len(want) or (isinstance(found[0], int) and found[0] != 1):
        return False
    pairs = zip(found[1:], want[1:], strict=True)
    return all(not isinstance(have, int) or have == need for have, need in pairs)


def _input(session: onnxruntime.InferenceSession, path: str, card: Card) -> Any:
    inputs = {found.name: found for found in session.get_inputs()}
    name = card.input.name or (next(iter(inputs)) if len(inputs) == 1 else None)
    if name not in inputs:
        raise ModelError(
            f"{path}: the card's `input.name` must be one of {sorted(inputs)}; got {name!r}"
        )
    return inputs[name]


def _shape_of(card: Card) -> tuple[int | str, ...]:
    """Return the shape of what the card's preprocessing makes; a letter where it is free."""
    height, width = card.input.preprocess.size or ("H", "W")
    if card.input.preprocess.layout == "CHW":
        return "B", 3, height, width
    return "B", height, width, 3
