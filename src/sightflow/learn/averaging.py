"""Several trainers of one network: each learns from its own images, and now and then they average.

They meet in files. A trainer writes its weights at the end of each round and goes on with the mean
of the round before, moved by what it has learned since: so nobody waits, unless one is a whole
round behind. Writing a round again, after a restart, gives the same file; the last two of a trainer
are in its checkpoints, so that the others find them whatever is left of the folder.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from sightflow.errors import JobError
from sightflow.learn.network import Tensors, Trainable
from sightflow.learn.publish import Share
from sightflow.sinks.staging import replacing

__all__ = ["Averager", "mean_of"]

_POLL_S = 0.01
_TIMEOUT_S = 300.0
_N_KEPT = 2


class Averager:
    """What one trainer of several does."""

    def __init__(self, folder: Path, name: str, trainer: int, n_trainers: int, every: int) -> None:
        """Take the folder that all share, and which trainer this is.

        Args:
            folder: on this machine, or one that all machines see.
            name: of the step.
            trainer: its number, from 0.
            n_trainers: how many there are.
            every: chunks of a trainer in one round.
        """
        self._folder = folder
        self._name = name
        self._trainer = trainer
        self._n_trainers = n_trainers
        self._every = every
        self._written: dict[int, bytes] = {}

    def end_chunk(self, index: int, network: Trainable) -> None:
        """Average, if a round ends with this chunk; `index` is its position, from 0."""
        if (index + 1) % self._every:
            return
        number = (index + 1) // self._every
        own = network.tensors()
        shared = {name: own[name] for name in network.shared()}
        self._write(number, safetensors.numpy.save(shared))
        if number > 1:
            before = [self._read(number - 1, trainer) for trainer in range(self._n_trainers)]
            network.restore({**own, **_moved(shared, before, before[self._trainer])})

    def finish(self, network: Trainable, share: Share) -> list[Share]:
        """Leave the last weights; return the shares of all trainers once they all have, else none.

        The network then has the mean of all.
        """
        own = network.tensors()
        told = {"share": msgspec.json.encode(share).decode()}
        self._write_file(self._path("last", self._trainer), safetensors.numpy.save(dict(own), told))
        paths = [self._path("last", trainer) for trainer in range(self._n_trainers)]
        if not all(path.exists() for path in paths):
            return []
        tensors = [safetensors.numpy.load(path.read_bytes()) for path in paths]
        network.restore({**own, **mean_of(tensors)})
        return [_share_of(path) for path in paths]

    def state(self) -> dict[int, bytes]:
        """Return the last rounds that this trainer wrote, for a checkpoint."""
        return dict(self._written)

    def restore(self, written: Mapping[int, bytes]) -> None:
        """Go on from what `state` gave; the files are there again."""
        for number, data in written.items():
            self._write(number, data)

    def _write(self, number: int, data: bytes) -> None:
        self._written[number] = data
        self._write_file(self._path(f"round-{number:06d}", self._trainer), data)
        for old in [kept for kept in self._written if kept <= number - _N_KEPT]:
            del self._written[old]
        self._path(f"round-{number - _N_KEPT - 1:06d}", self._trainer).unlink(missing_ok=True)

    def _write_file(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_bytes(data)

    def _read(self, number: int, trainer: int) -> Tensors:
        """Return what a trainer wrote, once it has.

        Raises:
            JobError: it does not come.
        """
        path = self._path(f"round-{number:06d}", trainer)
        deadline = time.monotonic() + _TIMEOUT_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise JobError(
                    f"step {self._name!r}: trainer {trainer} has not ended round {number} within "
                    f"{_TIMEOUT_S:.0f} s; a larger `average_every` lets trainers be further apart"
                )
            time.sleep(_POLL_S)
        tensors: Tensors = safetensors.numpy.load(path.read_bytes())
        return tensors

    def _path(self, what: str, trainer: int) -> Path:
        return self._folder / f"{self._name}-{what}-{trainer}.safetensors"


def mean_of(tensors: Sequence[Tensors]) -> dict[str, npt.NDArray[Any]]:
    """Return the mean of each tensor of floats; of others the first."""
    return {
        name: np.mean([one[name] for one in tensors], axis=0, dtype=np.float64).astype(first.dtype)
        if np.issubdtype(first.dtype, np.floating)
        else first
        for name, first in tensors[0].items()
    }


def _moved(
    now: Tensors, before: Sequence[Tensors], own_before: Tensors
) -> dict[str, npt.NDArray[Any]]:
    """Return the mean of the round before, moved by what this trainer has learned since."""
    mean = mean_of(before)
    return {name: mean[name] + (value - own_before[name]) for name, value in now.items()}


def _share_of(path: Path) -> Share:
    with safetensors.safe_open(path, "numpy") as file:
        return _SHARES.decode(file.metadata()["share"])


_SHARES = msgspec.json.Decoder(Share)  # made here: see `chunks` on msgspec and threads
