"""Steps without a state, and the models that they call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.protocols.context import Context
from sightflow.records import ImageRecord, Outcome

__all__ = ["Model", "Operator", "Process", "given_by", "last_giver", "needed_by"]

Process: TypeAlias = Callable[[Sequence[ImageRecord]], Sequence[Outcome]]
"""Takes a batch of images; returns one outcome for each, in the same order.

An outcome is the record with more of its fields filled, or `Rejected`. Records are not changed in
place, and an image has the same result in any batch. An exception ends the job."""


class Model(Protocol):
    """A loaded model."""

    def __call__(self, batch: npt.NDArray[Any], /) -> Mapping[str, npt.NDArray[Any]]:
        """Return the outputs for a batch, by name.

        Args:
            batch: float32 [B, 3, H, W] or [B, H, W, 3], as the preprocessing of the card makes it.

        Returns:
            Each output [B, ...]; row i is about image i.
        """


class Operator(Protocol):
    """A stateless step: one outcome for each image.

    A model in a field of it, a `ModelFile`, is loaded in advance. An operator of any kind may also
    have

    - `needs` and `gives`: tuples of fields of a record, such as `("faces",)`, that a part before it
      must fill, and that it fills; without `gives` it may fill any.
    - `check_after(earlier)`: raises an error if the operators before it, in order, do not fit.
    """

    def check(self) -> None:
        """Raise an error if this configuration cannot work; called while the job is built."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the smallest factor in (0, 1] by which such an image may be shrunk in decoding.

        Then `record.pixels` are fewer than `record.width` x `record.height`; results stay in pixels
        of the original. 1 asks for the whole image.
        """

    def open(self, context: Context) -> Process:
        """Return the function that does the work in this worker."""


def given_by(*parts: object) -> tuple[str, ...] | None:
    """Return which fields of a record all of these give; None: one of them may give anything."""
    gives = [getattr(part, "gives", None) for part in parts]
    known = [set(given) for given in gives if given is not None]
    if len(known) < len(gives):
        return None
    return tuple(sorted(set.intersection(*known))) if known else ()


def needed_by(part: object) -> tuple[str, ...]:
    """Return which fields of a record a part needs.

    Raises:
        PipelineError: its `needs` are no tuple of names.
    """
    needs = getattr(part, "needs", ())
    if not isinstance(needs, tuple | list) or not all(isinstance(name, str) for name in needs):
        raise PipelineError(
            f"{type(part).__name__}: `needs` is a tuple of fields of a record, such as "
            f"('faces',); got {needs!r}"
        )
    return tuple(needs)


def last_giver(operators: Iterable[object], *names: str) -> object | None:
    """Return the last operator that gives one of these fields, or may give anything; or None."""
    for operator in reversed(list(operators)):
        gives = given_by(operator)
        if gives is None or not set(names).isdisjoint(gives):
            return operator
    return None
