"""Delivery: results of chunks, which come in any order, go to the sinks in order and once.

The place in the output is a small value that a runner keeps in its checkpoints; after a restart a
delivery opened at that value cuts off what was written since and goes on. Some sinks show their
output as the run goes on: what is before the place of a checkpoint appears once that is complete.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from sightflow.engine.chunks import ChunkResult
from sightflow.engine.showing import Showing
from sightflow.pipeline import Pipeline
from sightflow.protocols import ResultSink
from sightflow.records.ledger import Ledger, Summary
from sightflow.records.state import StateCodec

__all__ = ["Delivery", "Progress", "RunTimes", "finish"]


@dataclass(frozen=True)
class Progress:
    """How far a delivery has come."""

    next_chunk: int = 0
    """How many chunks are in the output; where they come in order, also the number of the next."""
    positions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Where the output of each sink stands, by its name; of one that is not here nothing is
    written yet."""
    ledger: Ledger = field(default_factory=Ledger)
    first_result_at: float | None = None
    """When the first result was delivered, in seconds since 1970."""
    last_result_at: float | None = None
    """When the last result was delivered."""
    n_chunks: int | None = None
    """How many chunks there are in all; None until the end of a stream was seen."""
    n_images: int | None = None
    """How many images there are in all; None until then."""

    def is_complete(self, n_chunks: int | None = None) -> bool:
        """Return whether all is delivered: so many chunks, or those of a stream that has ended."""
        return self.next_chunk == (self.n_chunks if n_chunks is None else n_chunks)

    def encode(self) -> bytes:
        """Return the place as JSON."""
        return _PLACES.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Progress":
        """Return the place that `encode` made.

        Raises:
            JobError: it was written by another version of this class.
        """
        return _PLACES.decode(data)


_PLACES = StateCodec(Progress, "place", version=5)


class Delivery:
    """Writes chunk after chunk; the caller keeps early chunks until their turn has come."""

    def __init__(
        self,
        sinks: Mapping[str, ResultSink],
        place: Progress,
        *,
        ordered: bool = True,
        showing: Showing | None = None,
    ) -> None:
        """Open the sinks, by their names, at a place.

        Args:
            sinks: by their names.
            place: where they stand.
            ordered: whether chunks must come in their order.
            showing: what people look at is shown here as well.
        """
        self._ordered = ordered
        self._showing = showing
        self.place = place
        self._writers = {
            name: sink.open_results(place.positions.get(name)) for name, sink in sinks.items()
        }
        if showing is not None:
            showing.begin(place.ledger)

    def takes(self, number: int | None) -> bool:
        """Return whether it is this chunk's turn; it always is that of news."""
        return not self._ordered or number is None or number == self.place.next_chunk

    def deliver(self, result: ChunkResult) -> None:
        """Write a chunk whose turn it is; the place holds what was counted, not yet where it is."""
        if not self.takes(result.number):
            raise ValueError(f"chunk {self.place.next_chunk} is next; got {result.number}")
        for writer in self._writers.values():
            writer.append(result.rows, result.rejected, result.events)
            if not hasattr(writer, "publish"):
                writer.position()  # so that it is out at once; a part waits for its checkpoint
        if result.number is not None:
            self._count(result)
        if self._showing is not None:
            self._showing.deliver(result, self.place.ledger)

    def _count(self, result: ChunkResult) -> None:
        """Note what was delivered with a chunk."""
        place = self.place
        if result.n_images is not None:
            self.place = replace(place, n_chunks=result.number, n_images=result.n_images)
            return
        now = time.time()
        self.place = replace(
            place,
            next_chunk=place.next_chunk + 1,
            ledger=place.ledger.add(
                read=result.n_read,
                recognised=len(result.rows),
                rejected=len(result.rejected),
                skipped=result.n_skipped,
            ),
            first_result_at=place.first_result_at or (now if result.rows else None),
            last_result_at=now,
        )

    def end(self) -> None:
        """Note that all has come, where nothing else has told how much there is."""
        place = self.place
        if place.n_chunks is None:
            self.place = replace(place, n_chunks=place.next_chunk, n_images=place.ledger.read)

    def checkpoint(self) -> Progress:
        """Write out all that was delivered; return the place behind it, to go on from."""
        positions = {name: writer.position() for name, writer in self._writers.items()}
        self.place = replace(self.place, positions=positions)
        return self.place

    def publish(self, place: Progress) -> None:
        """Let what is before a place appear, in sinks that show it as the run goes on.

        The caller has made sure that no restart goes back behind this place.
        """
        for name, position in place.positions.items():
            publish = getattr(self._writers[name], "publish", None)
            if publish is not None:
                publish(position)

    def close(self) -> None:
        """Close the writers; the output stays unfinished until the sinks commit."""
        for writer in self._writers.values():
            writer.close()
        if self._showing is not None:
            self._showing.end()


@dataclass(frozen=True)
class RunTimes:
    """When a run began, and what ran it."""

    started: float
    """In seconds since 1970."""
    runner: str
    """Its name."""
    workers: int
    """How many worked in parallel."""

    def summary(self, place: Progress, *, has_ended: bool = True) -> Summary:
        """Return what came of the run by now."""
        first, last = place.first_result_at, place.last_result_at
        return Summary(
            ledger=place.ledger,
            seconds=time.time() - self.started,
            first_result_s=None if first is None else first - self.started,
            last_result_s=None if last is None else last - self.started,
            runner=self.runner,
            workers=self.workers,
            has_ended=has_ended,
        )


def finish(
    pipeline: Pipeline,
    place: Progress,
    n_images: int | None,
    times: RunTimes,
    *,
    committed: Collection[str] = (),
    on_commit: Callable[[str], None] = lambda name: None,
) -> Summary:
    """Check the ledger of a run whose results are all delivered, and make its output appear.

    Sinks with work left that may fail come first, so that nothing has appeared if one does.

    Args:
        pipeline: what ran.
        place: the last place of its delivery.
        n_images: images that the source listed; None for a stream, whose end says it.
        times: of the run.
        committed: sinks whose output has appeared in an earlier attempt.
        on_commit: told each sink whose output has appeared.

    Raises:
        LedgerError: an image was lost or counted twice; no output appears.
    """
    place.ledger.check(place.n_images or 0 if n_images is None else n_images)
    sinks = [(name, sink) for name, sink in pipeline.result_sinks if name not in committed]
    sinks.sort(key=lambda named: not getattr(named[1], "commits_first", False))
    for name, sink in sinks:
        sink.commit(times.summary(place))
        on_commit(name)
    return times.summary(place)
