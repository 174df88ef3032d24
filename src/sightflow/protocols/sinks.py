"""Where results and pictures go."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sightflow.protocols.context import Context
from sightflow.records import ImageRecord, Row
from sightflow.records.ledger import Summary

__all__ = [
    "ContinuousSink",
    "ContinuousWriter",
    "ImageSink",
    "Message",
    "MessageSink",
    "MessageWriter",
    "ResultSink",
    "ResultWriter",
    "appears_as_it_comes",
]


@runtime_checkable
class ImageSink(Protocol):
    """Writes something for each image, beside its pixels, in every worker.

    After a restart an image may be written again: writing must be atomic and give the same file.
    A sink of either kind may have `needs`: a tuple of fields of a record that a step must fill.
    """

    def check(self) -> None:
        """Raise an error if this cannot be written; called while the job is built."""

    def outputs(self) -> Sequence[str]:
        """Return the files and folders that will appear."""

    def scale_for(self, width: int, height: int) -> float:
        """Return the smallest factor in (0, 1] by which such an image may be shrunk; 1: not."""

    def open_images(self, context: Context) -> Callable[[ImageRecord], None]:
        """Return the function that writes one image, in the folder of `outputs`."""


class ResultWriter(Protocol):
    """Appends results, in one worker; resumable at the position of a checkpoint."""

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        """Append what became of the next chunk.

        Args:
            rows: of `records.RESULT_SCHEMA`.
            rejected: of `records.REJECTED_SCHEMA`.
            events: of `records.EVENT_SCHEMA`.
        """

    def position(self) -> tuple[int, ...]:
        """Write out all that was appended; return from where to go on, such as a file's length."""

    def close(self) -> None:
        """Release what is open; the output stays unfinished."""


@runtime_checkable
class ResultSink(Protocol):
    """Takes all results in order, in one place; they appear at once when the run is complete.

    The writer works in a worker. `check`, `commit` and `discard` are called in the process that
    started the job: they share files with it, and no memory. A sink whose `commit` may fail has a
    class variable `commits_first = True`: then nothing has appeared if it does.
    """

    def check(self) -> None:
        """Raise an error if this cannot be written; called while the job is built."""

    def outputs(self) -> Sequence[str]:
        """Return the files and folders that will appear."""

    def open_results(self, position: tuple[int, ...] | None) -> ResultWriter:
        """Return a writer that goes on at a position, or starts anew when there is none.

        What was written behind the position is cut off.
        """

    def commit(self, summary: Summary) -> None:
        """Make the complete output appear under its final name; called once."""

    def discard(self) -> None:
        """Remove what an unfinished run left; may be called again."""


class ContinuousWriter(ResultWriter, Protocol):
    """Appends results, and lets them appear as the run goes on."""

    def publish(self, position: tuple[int, ...]) -> None:
        """Make what was written before a position appear; it may be there already.

        A checkpoint with this position is complete, so no restart takes back what is before it.
        """


class ContinuousSink(ResultSink, Protocol):
    """Takes all results in one place as a `ResultSink` does, and shows them as the run goes on.

    It has a class variable `is_continuous = True`. A writer that is opened at a position publishes
    what is before it. Where something behind the position has appeared already, it raises
    `JobError`; where it begins anew and something of another run is there, `OutputExistsError`.
    """

    def open_results(self, position: tuple[int, ...] | None) -> ContinuousWriter:
        """Return a writer that goes on at a position, or starts anew when there is none."""


def appears_as_it_comes(sink: object) -> bool:
    """Return whether a sink of results shows them as the run goes on: whether it is continuous."""
    return bool(getattr(sink, "is_continuous", False))


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a broker."""

    destination: str
    """The topic or queue."""
    key: bytes
    """Messages with the same key stay in order."""
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class MessageWriter(Protocol):
    """Sends messages, in one place."""

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages; they are on their way when this returns.

        Raises:
            OutputError: one of them, or one before them, cannot be sent.
        """

    def flush(self) -> None:
        """Return once all have arrived.

        Raises:
            OutputError: one cannot be sent.
        """


@runtime_checkable
class MessageSink(Protocol):
    """Sends results to a broker while the run goes on; what was sent stays.

    What is sent is worked out by `messages`, the same for every runner. Flink sends it by the
    connector that a class variable `connector` names, each message once, whatever fails;
    `open_messages` is for other runners.
    """

    def check(self) -> None:
        """Raise an error if nothing can be sent; called while the job is built."""

    def outputs(self) -> Sequence[str]:
        """Return the addresses that messages go to."""

    def messages(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row]
    ) -> Iterator[Message]:
        """Yield the messages for what became of a chunk; the same each time.

        Args:
            rows: of `records.RESULT_SCHEMA`.
            rejected: of `records.REJECTED_SCHEMA`.
            events: of `records.EVENT_SCHEMA`.
        """

    def open_messages(self, context: Context) -> MessageWriter:
        """Return what sends messages; it lets go what it holds with `context.resources`."""
