"""Samples in checkpoints: small ones themselves, of large ones only where they were listed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from sightflow.errors import JobError
from sightflow.learn.network import Truth
from sightflow.learn.samples import Sample
from sightflow.learn.snapshot import Kept
from sightflow.protocols import Place, Recall
from sightflow.records import ImageRecord, Rejected
from sightflow.records.arrays import PackedArray

__all__ = ["Recollection"]


class Recollection:
    """Keeps samples for a checkpoint, and brings them back."""

    def __init__(
        self,
        recall: Recall | None,
        input_of: Callable[[ImageRecord], npt.NDArray[Any]],
        kept_bytes: int,
    ) -> None:
        """Take what reads images again, what of them is learned from, and what is small."""
        self._recall, self._input_of, self._kept_bytes = recall, input_of, kept_bytes

    def keep(self, samples: Sequence[Sample]) -> list[Kept]:
        """Return samples for a checkpoint."""
        return [
            Kept(sample.place, _packed(sample.truth), self._array(sample), sample.group)
            for sample in samples
        ]

    def samples(self, kept: Sequence[Kept]) -> list[Sample]:
        """Return the samples of a checkpoint; what is not in it is read again.

        Raises:
            JobError: one cannot be read any more.
        """
        missing = [one.place for one in kept if one.array is None]
        found = dict(zip(missing, self._recalled(missing), strict=True))
        return [
            Sample(
                one.place,
                one.truth if isinstance(one.truth, int) else one.truth.unpack(),
                found[one.place] if one.array is None else one.array.unpack(),
                one.group,
            )
            for one in kept
        ]

    def _array(self, sample: Sample) -> PackedArray | None:
        is_large = sample.array.nbytes > self._kept_bytes
        return None if is_large and self._recall else PackedArray.of(sample.array)

    def _recalled(self, places: Sequence[Place]) -> list[npt.NDArray[Any]]:
        """Return the inputs of images that are read again."""
        if not places:
            return []
        if self._recall is None:
            raise JobError("the checkpoint has images of a source that can be read again")
        inputs = []
        for outcome in self._recall(places):
            if isinstance(outcome, Rejected):
                raise JobError(
                    f"{outcome.origin.uri}: was learned from and cannot be read again: "
                    f"{outcome.message}"
                )
            inputs.append(self._input_of(outcome))
        return inputs


def _packed(truth: Truth) -> int | PackedArray:
    return truth if isinstance(truth, int) else PackedArray.of(truth)
