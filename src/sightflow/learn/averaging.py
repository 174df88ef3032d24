"""Several trainers of one network: each learns from its own images, and now and then they average.

They meet in files. A trainer writes its weights at the end of each round and goes on with the mean
of the round before, moved by what it has learned in this one: so nobody waits, unless one is a
whole round behind. Writing a round again, after a restart, gives the same file; the last two of a
trainer are in its checkpoints.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from sightflow.errors import JobError
from sightflow.learn.network import Tensors, Trainable, packed
from sightflow.learn.publish import Share
from sightflow.protocols import Trainer
from sightflow.storage.drafts import replacing

__all__ = ["Averager", "mean_of"]

_POLL_S = 0.01
_TIMEOUT_S = 120.0
"""Less than Flink gives a task to be cancelled."""
_N_KEPT = 2


class Averager:
    """What one trainer of several does."""

    def __init__(self, folder: Path, name: str, place: Trainer, every: int) -> None:
        """Take the folder that all share, and which trainer this is.

        Args:
            folder: on this machine, or one that all machines see.
            name: of the step.
            place: which trainer it is, and of how many.
            every: chunks of a trainer in one round.
        """
        self._folder = folder
        self._name = quote(name, safe="")
        self._place = place
        self._every = every
        self._written: dict[int, bytes] = {}
        self._start: Tensors = {}

    def end_chunk(self, index: int, network: Trainable | None) -> None:
        """Average, if a round ends with this chunk.

        Args:
            index: position of the chunk among those of the trainer, from 0.
            network: None before the first image.
        """
        if (index + 1) % self._every:
            return
        number = (index + 1) // self._every
        now = {} if network is None else _shared(network)
        self._write(number, packed(now))
        if network is None:
            return
        if number > 1:
            before = [self._read(number - 1, other) for other in range(self._place.of)]
            network.restore({**network.tensors(), **_moved(mean_of(before), now, self._start)})
        self._start = _shared(network)

    def finish(self, network: Trainable | None, share: Share) -> list[Share]:
        """Leave the last weights.

        Returns:
            For the trainer that ends last, the shares of all; its network has the mean of all then.
            For the others none.
        """
        own = {} if network is None else dict(network.tensors())
        told = {"share": msgspec.json.encode(share).decode()}
        self._write_file(self._path("last", self._place.number), safetensors.numpy.save(own, told))
        if not self._place.ends_last or network is None:
            return []
        paths = [self._awaited("last", other) for other in range(self._place.of)]
        tensors = [safetensors.numpy.load(path.read_bytes()) for path in paths]
        mean = mean_of(tensors)
        network.restore({name: mean[name] for name in own})
        return [_share_of(path) for path in paths]

    def state(self) -> tuple[dict[int, bytes], bytes]:
        """Return the last rounds of this trainer, and where it began the one of now."""
        return dict(self._written), packed(self._start)

    def restore(self, written: Mapping[int, bytes], start: bytes) -> None:
        """Go on from what `state` gave; the files are there again."""
        for number, data in sorted(written.items()):
            self._write(number, data)
        self._start = safetensors.numpy.load(start)

    def _write(self, number: int, data: bytes) -> None:
        self._written[number] = data
        self._write_file(self._path(f"round-{number:06d}", self._place.number), data)
        for old in [kept for kept in self._written if kept <= number - _N_KEPT]:
            del self._written[old]
        old_path = self._path(f"round-{number - _N_KEPT - 1:06d}", self._place.number)
        old_path.unlink(missing_ok=True)

    def _write_file(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_bytes(data)

    def _read(self, number: int, trainer: int) -> Tensors:
        """Return what a trainer wrote, once it has."""
        path = self._awaited(f"round-{number:06d}", trainer)
        tensors: Tensors = safetensors.numpy.load(path.read_bytes())
        return tensors

    def _awaited(self, what: str, trainer: int) -> Path:
        """Return a file of a trainer, once it is there.

        Raises:
            JobError: it does not come.
        """
        path = self._path(what, trainer)
        deadline = time.monotonic() + _TIMEOUT_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise JobError(
                    f"step {self._name!r}: the file {path.name} of trainer {trainer} is not there "
                    f"after {_TIMEOUT_S:.0f} s; a larger `average_every` lets trainers be further "
                    "apart"
                )
            time.sleep(_POLL_S)
        return path

    def _path(self, what: str, trainer: int) -> Path:
        return self._folder / f"{self._name}-{what}-{trainer}.safetensors"


def mean_of(tensors: Sequence[Tensors]) -> dict[str, npt.NDArray[Any]]:
    """Return the mean of each tensor of floats over those that have it; of others the first."""
    found: dict[str, list[npt.NDArray[Any]]] = {}
    for one in tensors:
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {
        name: np.mean(values, axis=0, dtype=np.float64).astype(values[0].dtype)
        if np.issubdtype(values[0].dtype, np.floating)
        else values[0]
        for name, values in found.items()
    }


def _shared(network: Trainable) -> dict[str, npt.NDArray[Any]]:
    own = network.tensors()
    return {name: own[name] for name in network.shared()}


def _moved(mean: Tensors, now: Tensors, start: Tensors) -> dict[str, npt.NDArray[Any]]:
    """Return the mean of the round before, moved by what was learned since the start of this one.

    A trainer whose first image came in this round has learned from where it is.
    """
    return {
        name: mean[name] + (value - start[name]) if name in start and name in mean else value
        for name, value in now.items()
    }


def _share_of(path: Path) -> Share:
    with safetensors.safe_open(path, "numpy") as file:
        return _SHARES.decode(file.metadata()["share"])


_SHARES = msgspec.json.Decoder(Share)  # made here: see `records.state`
