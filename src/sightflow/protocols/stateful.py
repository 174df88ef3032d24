"""Steps with a state: a fold for each stream, or a learner of all images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from sightflow.protocols.context import Context, Place
from sightflow.protocols.operators import Operator
from sightflow.records import Event, ImageRecord, Outcome

__all__ = [
    "Fold",
    "KeyedOperator",
    "Learner",
    "LearningOperator",
    "SourceFacts",
    "TakesSourceFacts",
]

State = TypeVar("State")


@dataclass(frozen=True)
class Fold(Generic[State]):
    """The work of a keyed step: the state of one stream, and what each of its images makes of it.

    States are values: `step` returns a new one and leaves the old one as it was. The same images in
    the same order give the same states and results, to the last bit: after a restart they do.
    """

    initial: Callable[[], State]
    step: Callable[[State, ImageRecord], tuple[State, ImageRecord, Sequence[Event]]]
    """Takes the images of a stream in the order of their time, and cannot reject one."""
    end: Callable[[State], Sequence[Event]]
    """Called when the stream has ended."""
    encode: Callable[[State], bytes]
    """With the version of its form; `records.state.StateCodec` does it."""
    decode: Callable[[bytes], State]


@runtime_checkable
class KeyedOperator(Protocol):
    """A step with a state for each stream (`source_id`), kept in checkpoints.

    It sees what was recognised and not the pixels, which stay in the worker that decoded them.
    """

    @property
    def max_out_of_order_ms(self) -> int:
        """By how much of event time images of a stream may come out of order.

        They are put in order; later ones are rejected as `late`. The largest value of all keyed
        steps holds.
        """

    def check(self) -> None:
        """Raise an error if this configuration cannot work; called while the job is built."""

    def open_fold(self, context: Context) -> Fold[Any]:
        """Return the functions that do the work in this worker."""


class Learner(Protocol):
    """The work of a step that sees all images; it changes in place.

    The same images in the same order give the same state and results, to the last bit.
    """

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[Sequence[Outcome], Sequence[tuple[int, Event]]]:
        """Take the next images.

        Args:
            records: without pixels; what the image shows is `record.origin.label`, if anybody has
                told. From those that are `held_out` nothing may be learned.
            places: where each was listed, by which `context.recall` reads it again.

        Returns:
            An outcome for each, and events, each with the index of its image in `records`.
        """

    def take_labels(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> Sequence[tuple[int, Event]]:
        """Take images whose labels have come later.

        Args:
            records: as the last step returned them before, now with `origin.label`.
            places: where each was listed.

        Returns:
            Events, each with the index of its image in `records`.
        """

    def end_chunk(self, index: int) -> None:
        """Called behind each chunk of this place, also one without images.

        Args:
            index: position of the chunk among those of this place, from 0.
        """

    def end(self) -> Sequence[Event]:
        """Called when there are no more images."""

    def snapshot(self) -> bytes:
        """Return all that it needs to go on, with the version of its form."""


@runtime_checkable
class LearningOperator(Protocol):
    """A step that sees all images in one place, in the order in which the source lists them.

    Its state is in checkpoints. It sees what was recognised and not the pixels. One with a field
    `trainers` above 1 works in so many places, and chunks are dealt out to them by turns.
    """

    @property
    def preparation(self) -> Operator | None:
        """A stateless step that works before it, beside the pixels."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Arrays of a record that it gets: `prepared`, `features`."""

    def check(self) -> None:
        """Raise an error if this configuration cannot work; called while the job is built."""

    def open_learner(self, context: Context, snapshot: bytes | None) -> Learner:
        """Return what does the work, from its beginning or from a snapshot of it.

        Raises:
            JobError: the snapshot is of another version or configuration.
        """


@dataclass(frozen=True)
class SourceFacts:
    """What a source lists, for learning steps; of a stream nothing is known."""

    labels: tuple[str, ...] = ()
    """Those of its images, sorted."""
    object_labels: tuple[str, ...] = field(default=(), kw_only=True)
    """Those of the objects in its images, sorted."""
    n_images: int | None = None
    """How many images are learned from."""


@runtime_checkable
class TakesSourceFacts(Protocol):
    """A learning step that takes from the source what its options leave out."""

    @property
    def lacks_facts(self) -> bool:
        """Whether anything is left out; only then is the source listed."""

    def with_facts(self, facts: SourceFacts, /) -> LearningOperator:
        """Return the same step with what was left out, where the facts say it."""
