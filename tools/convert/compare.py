"""Compares two ONNX models by what they compute."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from tools.convert.errors import ConvertError

BATCH_SIZES = (1, 3)
SEED = 20
MAX_RELATIVE_DIFFERENCE = 1e-4

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Difference:
    """How far one output of a model is from the reference."""

    output: str
    batch_size: int
    max_abs: float
    relative: float
    """The greatest absolute difference, as a share of the range of the reference's values."""

    @property
    def is_small(self) -> bool:
        """Tell whether the two are equal but for rounding; not-a-number never is."""
        return self.relative <= MAX_RELATIVE_DIFFERENCE


def compare(model: Path, reference: Path) -> Iterator[Difference]:
    """Run two models on the same random inputs.

    Args:
        model: An ONNX file with one float32 input.
        reference: Another; outputs are matched by name, or by shape where names differ.

    Yields:
        One difference for each output and each batch size of 1 and 3.

    Raises:
        ConvertError: A file cannot be run, or the inputs or outputs do not match.
    """
    sessions = [_session(path) for path in (model, reference)]
    shape, reference_shape = (session.get_inputs()[0].shape[1:] for session in sessions)
    if shape != reference_shape:
        raise ConvertError(
            f"{reference}: the input must be [N, {str(shape)[1:-1]}]; "
            f"got [N, {str(reference_shape)[1:-1]}]; pass the file of the same model"
        )
    random = np.random.default_rng(SEED)
    for batch_size in BATCH_SIZES:
        x = random.standard_normal((batch_size, *shape)).astype(np.float32)
        ours, theirs = (_run(session, x) for session in sessions)
        for name, expected in _matched(ours, theirs, reference):
            yield _difference(name, ours[name], expected)


def _session(path: Path) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no public root
        raise ConvertError(
            f"{path}: must be an ONNX file; onnxruntime says: {error}; pass another file"
        ) from error


def _run(session: onnxruntime.InferenceSession, x: Array) -> dict[str, Array]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: x}), strict=True))


def _matched(
    ours: dict[str, Array], theirs: dict[str, Array], reference: Path
) -> Iterator[tuple[str, Array]]:
    """Yield the name of each of our outputs with the reference's values for it."""
    if ours.keys() == theirs.keys():
        yield from theirs.items()
        return
    by_shape = {array.shape: array for array in theirs.values()}
    shapes = {array.shape for array in ours.values()}
    if not len(theirs) == len(by_shape) == len(ours) == len(shapes) or by_shape.keys() != shapes:
        raise ConvertError(
            f"{reference}: outputs must have the names {', '.join(ours)}, or distinct shapes "
            f"{_listed(ours)}; got {_listed(theirs)}; pass the file of the same model"
        )
    for name, array in ours.items():
        yield name, by_shape[array.shape]


def _listed(outputs: dict[str, Array]) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())


def _difference(name: str, ours: Array, theirs: Array) -> Difference:
    max_abs = float(np.abs(ours - theirs).max())
    span = float(theirs.max() - theirs.min())
    relative = max_abs / span if span else max_abs
    return Difference(name, len(ours), max_abs, relative)


def all_small(differences: Sequence[Difference]) -> bool:
    """Tell whether there is something to compare and every difference is small."""
    return bool(differences) and all(difference.is_small for difference in differences)
