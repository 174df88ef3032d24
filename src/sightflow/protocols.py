"""The shapes that plug-ins have: sources, operators, models, sinks.

Each is a frozen dataclass that holds configuration and survives pickling. Work begins in `open`,
whose return value does it; what `open` acquires is registered in `context.resources`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

from sightflow.ledger import Summary
from sightflow.records import Claim, EncodedImage, ImageRecord, Rejected, Row

__all__ = [
    "Context",
    "ImageSink",
    "Inference",
    "Metrics",
    "Model",
    "Operator",
    "Outcome",
    "Process",
    "Read",
    "ResultSink",
    "ResultWriter",
    "Source",
    "Stream",
    "StreamSource",
]

Outcome: TypeAlias = ImageRecord | Rejected

Read: TypeAlias = Callable[[Claim], Iterator[EncodedImage | ImageRecord | Rejected]]
"""Redeems a claim: gives exactly `claim.n_images` images, in order, as bytes or pixels."""

Process: TypeAlias = Callable[[Sequence[ImageRecord]], Sequence[Outcome]]
"""One outcome for each record, in the same order."""


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


class NoMetrics:
    """Keeps nothing."""

    def count(self, name: str, n: int = 1, /) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, /) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Context:
    """What an opened part knows of the job around it."""

    step: str
    """Name of the step."""
    inference: Inference = field(default_factory=Inference)
    metrics: Metrics = field(default_factory=NoMetrics)
    resources: ExitStack = field(default_factory=ExitStack)
    """Closed when the worker stops."""

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

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | None:
        """Return the next image, or None when none came in this time or the stream has ended."""

    def ended(self) -> bool:
        """Return whether nothing will come any more."""

    def position(self) -> str:
        """Return where the stream stands, in the source's own words; kept in checkpoints."""


@runtime_checkable
class StreamSource(Protocol):
    """Where images come from over time. It is read in one place and its images are handed out."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        """Return the stream, from its start or from a position that it gave before."""


class Operator(Protocol):
    """A stateless step: one outcome for each image."""

    def check(self) -> None:
        """Raise an error if this configuration cannot work; called while the job is built."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the smallest scale in (0, 1] at which an image of this size is good enough."""

    def open(self, context: Context) -> Process:
        """Return the function that does the work in this worker."""


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

    def append(self, rows: Sequence[Row], rejected: Sequence[Row]) -> None:
        """Append results and rejected images."""

    def position(self) -> tuple[int, ...]:
        """Return where the output stands, after all that was appended has left this process."""

    def close(self) -> None:
        """Release what is open; the output stays unfinished."""


@runtime_checkable
class ResultSink(Protocol):
    """Takes all results in order, in one place; they appear at once when the run is complete."""

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
