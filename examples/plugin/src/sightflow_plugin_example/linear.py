"""Run linear classifiers that are two arrays in a `.npz` file; a card says `backend: npz`."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError
from sightflow.models import Card
from sightflow.protocols import Inference, Model

__all__ = ["Npz", "save_linear"]

_DAMAGED = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile)


def save_linear(path: Path, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> None:
    """Write a model: weight float32 [D, classes] of the D numbers of an input, bias [classes]."""
    np.savez(path, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


class Npz:
    """Runs such files, in numpy. The output is `logits`, float32 [B, classes]."""

    def load(self, path: str, card: Card, inference: Inference) -> Model:
        """Return the model as a function; several threads may call it, for it changes nothing.

        Raises:
            ModelError: the file is no such model, or does not take what its card makes.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                weight, bias = file["weight"], file["bias"]
        except _DAMAGED as error:
            raise ModelError(f"{path}: is no linear model: {error}") from error
        height, width = card.input.preprocess.size or (0, 0)
        if weight.shape != (3 * height * width, *bias.shape):
            raise ModelError(
                f"{path}: `weight` is {list(weight.shape)}, `bias` {list(bias.shape)}; its card "
                f"makes inputs of 3 x {height} x {width} numbers; correct `input.preprocess`"
            )

        def run(batch: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[np.float32]]:
            rows = batch.reshape(len(batch), -1).astype(np.float32)
            # one by one: a product of matrices adds in another order for each size of batch
            return {"logits": np.stack([row @ weight + bias for row in rows])}

        return run
