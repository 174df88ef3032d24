"""ONNX Runtime back end. The only place that imports onnxruntime."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from sightflow.errors import ModelError
from sightflow.models.card import Card
from sightflow.protocols import Model

__all__ = ["Onnx"]


class Onnx:
    """Runs `.onnx` files; see `models.backend.Backend`."""

    def check(self, path: str, card: Card) -> None:
        """Raise `ModelError` unless the file's input takes what the card's preprocessing gives."""
        session = _session(path, n_threads=1, optimize=False)
        found = _input(session, path, card)
        want = _shape_of(card)
        fits = len(found.shape) == 4 and all(
            not isinstance(have, int) or need is None or have == need
            for have, need in zip(found.shape, want, strict=True)
        )
        if not fits or found.type != "tensor(float)":
            raise ModelError(
                f"{path}: input `{found.name}` is {found.type} {found.shape}; its card makes "
                f"float32 {['B' if n is None else n for n in want]}; correct "
                "`input.preprocess` (size, layout) on the card, or export the model with this input"
            )

    def load(self, path: str, card: Card, *, n_threads: int) -> Model:
        """Return the model as a function: float32 batch to its outputs by name."""
        session = _session(path, n_threads=n_threads, optimize=True)
        input_name = _input(session, path, card).name
        output_names = [output.name for output in session.get_outputs()]

        def run(batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
            outputs = session.run(output_names, {input_name: batch})
            return dict(zip(output_names, outputs, strict=True))

        return run


def _session(path: str, *, n_threads: int, optimize: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimize:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common root
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {error}") from error


def _input(session: onnxruntime.InferenceSession, path: str, card: Card) -> Any:
    inputs = {found.name: found for found in session.get_inputs()}
    name = card.input.name or (next(iter(inputs)) if len(inputs) == 1 else None)
    if name not in inputs:
        raise ModelError(
            f"{path}: the card's `input.name` must be one of {sorted(inputs)}; got {name!r}"
        )
    return inputs[name]


def _shape_of(card: Card) -> tuple[int | None, ...]:
    """Return the shape of the card's input; None where it is free."""
    height, width = card.input.preprocess.size or (None, None)
    if card.input.preprocess.layout == "CHW":
        return None, 3, height, width
    return None, height, width, 3
