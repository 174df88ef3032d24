"""The shapes that plug-ins have: sources, operators, models, sinks.

Each is a frozen dataclass that holds configuration and survives pickling. Work begins in `open`,
whose return value does it; what `open` acquires is registered in `context.resources`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy.typing as npt

from sightflow.records import (
    Claim,
    EncodedImage,
    Event,
    ImageRecord,
    Label,
    Outcome,
    Rejected,
    Row,
    Skipped,
)
from sightflow.records.ledger import Summary

__all__ = [
    "Context",
    "Fold",
    "ImageSink",
    "Inference",
    "KeyedOperator",
    "LabelSource",
    "LabelStream",
    "Learner",
    "LearningOperator",
    "Metrics",
    "Model",
    "Operator",
    "Outcome",
    "Place",
    "Process",
    "Read",
    "Recall",
    "ResultSink",
    "ResultWriter",
    "Source",
    "Stream",
    "StreamSource",
    "Trainer",
]

Read: TypeAlias = Callable[[Claim], Iterator[EncodedImage | ImageRecord | Rejected]]
"""Redeems a claim: gives exactly `claim.n_images` images, in order, as bytes or pixels."""

Process: TypeAlias = Callable[[Sequence[ImageRecord]], Sequence[Outcome]]
"""One outcome for each record, in the same order."""


Place: TypeAlias = tuple[int, int]
"""Where an image was listed: number of its chunk, and row in it."""

Recall: TypeAlias = Callable[[Sequence[Place]], Sequence[Outcome]]
"""Reads images again and passes them through the stateless steps."""


@dataclass(frozen=True)
class Inference:
    """How models are run in a worker."""

    device: str = "auto"
    """`cpu`, `cuda`, `tensorrt`, with `:N` for a certain one; `auto` takes a GPU that works."""
    n_threads: int = 1
    """Threads of a model on a CPU: the caller's, and a pool that all callers share."""
    max_batch: int = 32
    """Images in one call that serves several workers."""
    max_wait_ms: float | None = None
    """How long a call may wait for those of other workers; None merges calls only on a device that
    gains from it, without waiting."""


class Metrics(Protocol):
    """Where a part reports what it does while the job runs."""

    def count(self, name: str, n: int = 1, /) -> None:
        """Add to a counter."""

    def observe(self, name: str, value: float, /) -> None:
        """Add a value to a distribution; names end in the unit, such as `decode_ms`."""

    def measure(self, name: str, value: float, /) -> None:
        """Say how large something is now, such as `loss`."""


class NoMetrics:
    """Keeps nothing."""

    def count(self, name: str, n: int = 1, /) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, /) -> None:
        """Do nothing."""

    def measure(self, name: str, value: float, /) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Trainer:
    """Which of several places that learn one is."""

    number: int = 0
    of: int = 1
    ends_last: bool = True
    """Whether the last chunk of all is one of its."""


@dataclass(frozen=True)
class Context:
    """What an opened part knows of the job around it."""

    step: str
    """Name of the step."""
    inference: Inference = field(default_factory=Inference)
    metrics: Metrics = field(default_factory=NoMetrics)
    resources: ExitStack = field(default_factory=ExitStack)
    """Closed when the worker stops."""
    run_id: str = "run"
    """The same after each restart of a run, and another one for each run."""
    trainer: Trainer = Trainer()
    """Of a step that learns in several places: which of them this is."""
    last_trainer: int = 0
    """The number of the one to which the last chunk of all goes."""
    shared: Path | None = None
    """Folder that all workers of the run can reach."""
    recall: Recall | None = None
    """For steps that learn; None where the source gives its images only once."""

    def at(self, step: str) -> "Context":
        """Return the same context for another step."""
        return replace(self, step=step)


class Model(Protocol):
    """A loaded model."""

    def __call__(self, batch: npt.NDArray[Any], /) -> Mapping[str, npt.NDArray[Any]]:
        """Return the outputs for a batch, by name."""


class Source(Protocol):
    """Where images come from."""

    def claims(self) -> Iterator[Claim]:
        """List the images in order, without reading them; the same list each time.

        Raises:
            SourceError: the source cannot be listed at all.
        """

    def open(self, context: Context) -> Read:
        """Return the function that redeems claims in this worker."""


class Stream(Protocol):
    """An opened stream: images one by one, as they arrive."""

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | Skipped | Label | None:
        """Return the next image, or None when none came in this time or the stream has ended.

        A live stream that is read too slowly may leave images out, and says how many: `Skipped`.
        The `Label` of an image may come any time after it.
        """

    def ended(self) -> bool:
        """Return whether nothing will come any more."""

    def position(self) -> str:
        """Return where the stream stands, in the source's own words; kept in checkpoints."""


@runtime_checkable
class StreamSource(Protocol):
    """Where images come from over time. It is read in one place and its images are handed out."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        """Return the stream, from its start or from a position that it gave before."""


class LabelStream(Protocol):
    """An opened stream of labels: what images show, in the order in which it becomes known."""

    def poll(self, timeout_s: float) -> Label | Rejected | None:
        """Return the next label, or None when none came in this time or the stream has ended."""

    def ended(self) -> bool:
        """Return whether nothing will come any more."""

    def position(self) -> str:
        """Return where the stream stands, in the source's own words; kept in checkpoints."""


@runtime_checkable
class LabelSource(Protocol):
    """Where the labels of a stream of images come from over time."""

    def open_labels(self, context: Context, position: str | None) -> LabelStream:
        """Return the stream, from its start or from a position that it gave before."""


class Operator(Protocol):
    """A stateless step: one outcome for each image.

    It may tell as class variables which fields of a record it `gives` and `needs`: then a pipeline
    in which they are missing is refused before it runs. So may sources and keyed operators. A part
    may have a method `identity` that gives, by name, what must be the same for a run to go on from
    its checkpoints; without it all options must.
    """

    def check(self) -> None:
        """Raise an error if this configuration cannot work; called while the job is built."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the smallest scale in (0, 1] at which an image of this size is good enough."""

    def open(self, context: Context) -> Process:
        """Return the function that does the work in this worker."""


State = TypeVar("State")


@dataclass(frozen=True)
class Fold(Generic[State]):
    """The work of a keyed step: the state of one stream, and what each of its images makes of it.

    States are values: `step` returns a new one and leaves the old one as it was. The same images in
    the same order give the same states and results, to the last bit: after a restart they do.
    """

    initial: Callable[[], State]
    step: Callable[[State, ImageRecord], tuple[State, ImageRecord, Sequence[Event]]]
    """Takes the images of a stream in the order of their time."""
    end: Callable[[State], Sequence[Event]]
    """Called when the stream has ended."""
    encode: Callable[[State], bytes]
    """With the version of its form: checkpoints outlive the code that wrote them."""
    decode: Callable[[bytes], State]


@runtime_checkable
class KeyedOperator(Protocol):
    """A step with a state for each stream (`source_id`), kept in checkpoints.

    It sees what was recognised and not the pixels, which stay in the worker that decoded them.
    """

    @property
    def max_out_of_order_ms(self) -> int:
        """How much later than a younger image of its stream an image may come, in event time."""

    def check(self) -> None:
        """Raise an error if this configuration cannot work; called while the job is built."""

    def open_fold(self, context: Context) -> Fold[Any]:
        """Return the functions that do the work in this worker."""


class Learner(Protocol):
    """The work of a step that learns from all images; it changes in place.

    The same images in the same order give the same state and results, to the last bit.
    """

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[Sequence[Outcome], Sequence[tuple[int, Event]]]:
        """Take the next images; return an outcome for each, and events with their image's index."""

    def take_labels(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> Sequence[tuple[int, Event]]:
        """Take images once more, as they came out before and now with their labels."""

    def end_chunk(self, index: int) -> None:
        """Called behind each chunk, also one without images; `index` is its position, from 0."""

    def end(self) -> Sequence[Event]:
        """Called when there are no more images."""

    def snapshot(self) -> bytes:
        """Return all that it needs to go on, with the version of its form."""


@runtime_checkable
class LearningOperator(Protocol):
    """A step that takes all images in one place, in the order in which the source lists them.

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


@runtime_checkable
class ImageSink(Protocol):
    """Writes something for each image, beside its pixels, in every worker.

    After a restart an image may be written again: writing must be atomic and give the same file.
    """

    def check(self) -> None:
        """Raise an error if this cannot be written; called while the job is built."""

    def outputs(self) -> Sequence[str]:
        """Return the files and folders that will appear."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the smallest scale in (0, 1] at which an image of this size is good enough."""

    def open_images(self, context: Context) -> Callable[[ImageRecord], None]:
        """Return the function that writes one image."""


class ResultWriter(Protocol):
    """Appends results in order; resumable at the position of a checkpoint."""

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        """Append results, rejected images and events."""

    def position(self) -> tuple[int, ...]:
        """Return where the output stands, after all that was appended has left this process."""

    def close(self) -> None:
        """Release what is open; the output stays unfinished."""


@runtime_checkable
class ResultSink(Protocol):
    """Takes all results in order, in one place; they appear at once when the run is complete.

    A sink whose `commit` is work that may fail has a class variable `commits_first = True`: so
    nothing has appeared if it does.
    """

    def check(self) -> None:
        """Raise an error if this cannot be written; called while the job is built."""

    def outputs(self) -> Sequence[str]:
        """Return the files and folders that will appear."""

    def open_results(self, position: tuple[int, ...] | None) -> ResultWriter:
        """Return a writer that goes on at a position, or starts anew when there is none."""

    def commit(self, summary: Summary) -> None:
        """Make the complete output appear under its final name."""

    def discard(self) -> None:
        """Remove what an unfinished run left."""
