"""ONNX Runtime back end. The only place that imports onnxruntime."""

from collections.abc import Sequence
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
        found = _input(_session(path, n_threads=1, optimize=False), path, card)
        want = _shape_of(card)
        dtype = "float32" if card.input.preprocess.normalizes else "uint8"
        if found.type != "tensor(float)" or dtype != "float32" or not _fits(found.shape, want):
            raise ModelError(
                f"{path}: input `{found.name}` is {found.type} {found.shape}; its card makes "
                f"{dtype} {list(want)}; correct `input.preprocess` (size, layout, mean and std) on "
                "the card, or export the model with this input"
            )

    def load(self, path: str, card: Card, *, n_threads: int) -> Model:
        """Return the model as a function: float32 batch to its outputs by name.

        A model exported for a batch of 1 is called image by image.
        """
        session = _session(path, n_threads=n_threads, optimize=True)
        found = _input(session, path, card)
        names = [output.name for output in session.get_outputs()]

        def run(batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
            outputs = session.run(names, {found.name: batch})
            return dict(zip(names, outputs, strict=True))

        def run_one_by_one(batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
            single = [run(batch[i : i + 1]) for i in range(len(batch))]
            return {name: np.concatenate([outputs[name] for outputs in single]) for name in names}

        return run_one_by_one if found.shape[0] == 1 else run


def _fits(found: Sequence[int | str | None], want: Sequence[int | str]) -> bool:
    """Return whether a file's input takes arrays of this shape; a name or None takes any size."""
    if len(found) != len(want) or (isinstance(found[0], int) and found[0] != 1):
        return False
    pairs = zip(found[1:], want[1:], strict=True)
    return all(not isinstance(have, int) or have == need for have, need in pairs)


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


def _shape_of(card: Card) -> tuple[int | str, ...]:
    """Return the shape of what the card's preprocessing makes; a letter where it is free."""
    height, width = card.input.preprocess.size or ("H", "W")
    if card.input.preprocess.layout == "CHW":
        return "B", 3, height, width
    return "B", height, width, 3
