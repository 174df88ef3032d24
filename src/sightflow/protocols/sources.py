"""Where images come from: sources that list them, streams that give them, streams of labels."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, cast, runtime_checkable

from sightflow.errors import PipelineError
from sightflow.protocols.context import Context
from sightflow.records import (
    Claim,
    EncodedImage,
    ImageRecord,
    Label,
    Rejected,
    Skipped,
    SourceEnd,
)

__all__ = [
    "MAX_WAITING",
    "MAX_WAITING_MIB",
    "ConnectorSource",
    "LabelSource",
    "LabelStream",
    "Polled",
    "Read",
    "Source",
    "Stream",
    "StreamSource",
    "reader_of",
]

Read: TypeAlias = Callable[[Claim], Iterator[EncodedImage | ImageRecord | Rejected]]
"""Redeems a claim: gives exactly `claim.n_images` images, in order, as bytes or as pixels.

An image that cannot be read is given as `Rejected`; an exception ends the job. An image of a video
has the origin of its claim, with the number and the time of its own row of `claim.frames`."""

Polled: TypeAlias = Claim | EncodedImage | Rejected | Skipped | Label | SourceEnd
"""What a stream gives: images, where images are, or news of them."""

MAX_WAITING, MAX_WAITING_MIB = 5_000, 256
"""Limits for images of a stream that wait for their labels, where the source gives none."""


class Source(Protocol):
    """A source that lists its images.

    The `name` of each image is unique in the source. Images with the same `source_id` belong to one
    stream, in which `sequence` counts up from 0; `event_time_ms` never goes back there, or keyed
    steps reject what comes `late`.
    """

    def claims(self) -> Iterator[Claim]:
        """List the images in order, without reading them; the same list each time.

        It is called in the process that builds the job.

        Raises:
            SourceError: the source cannot be listed at all.
        """

    def open(self, context: Context) -> Read:
        """Return the function that redeems claims in this worker."""


class Stream(Protocol):
    """An opened stream: images one by one, as they arrive. One thread uses it."""

    def poll(self, timeout_s: float) -> Polled | None:
        """Return the next image, or None when none came in this time or the stream has ended.

        A `Claim` says where images are; workers redeem it, with what the source's `open` returns.
        A live stream that is read too slowly may leave images out, and says how many: `Skipped`.
        A `Label` belongs to the image with its `source_id` and `sequence`; see `StreamSource`.
        `SourceEnd` says that one of several streams of images has ended while others go on.

        Raises:
            SourceError: the stream cannot go on; the job ends.
        """

    def ended(self) -> bool:
        """Return whether nothing will come any more."""

    def position(self) -> str:
        """Return from where to go on: behind the last item that `poll` gave.

        It is kept in checkpoints, and given to `open_stream` after a restart.
        """


@runtime_checkable
class StreamSource(Protocol):
    """Where images come from over time. It is read in one place and its images are handed out.

    The label of an image may come later than the image, or before it. Then the stream gives images
    whose origin has `awaits_label`, and a `Label` for each at some time, and the source has a class
    variable `labels_come_later = True`.

    A stream that gives claims has a source with `open(context) -> Read`, as a `Source` has: its
    images are read by all workers and not in the one place where the stream is.
    """

    def open_stream(self, context: Context, position: str | None) -> Stream:
        """Return the stream, from its start or from a position that it gave before."""


@runtime_checkable
class ConnectorSource(StreamSource, Protocol):
    """A stream that Flink reads by a connector of its own, in all workers at the same time."""

    connector: str
    """The class of the connector, `package.module:Class`; see `sightflow.flink.connectors`."""


def reader_of(source: Source | StreamSource, context: Context) -> Read:
    """Return the function that redeems the claims of a source or a stream, opened in this worker.

    That of a stream without `open`, which gives none, raises `PipelineError`.
    """
    if hasattr(source, "open"):
        return cast("Source", source).open(context)

    def refuse(claim: Claim) -> Iterator[EncodedImage | ImageRecord | Rejected]:
        raise PipelineError(
            f"{type(source).__name__}: a stream that gives claims has a method `open`, which "
            f"redeems them; it gave one for {claim.origin.uri}"
        )

    return refuse


class LabelStream(Protocol):
    """An opened stream of labels: what images show, in the order in which it becomes known."""

    def poll(self, timeout_s: float) -> Label | Rejected | None:
        """Return the next label, or None when none came in this time or the stream has ended.

        What is no label is given as `Rejected`.
        """

    def ended(self) -> bool:
        """Return whether nothing will come any more."""

    def position(self) -> str:
        """Return from where to go on: behind the last item that `poll` gave."""


@runtime_checkable
class LabelSource(Protocol):
    """Where the labels of a stream of images come from over time; used by `Joined`."""

    def open_labels(self, context: Context, position: str | None) -> LabelStream:
        """Return the stream, from its start or from a position that it gave before."""
