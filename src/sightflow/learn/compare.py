"""Compare what two classifiers say of the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from sightflow.options import check_count
from sightflow.protocols import Context, Place
from sightflow.records import Classification, Event, ImageRecord, Moment, Origin, Outcome
from sightflow.records.state import StateCodec

__all__ = ["Compare"]


@dataclass(frozen=True)
class Compare:
    """Tell where `shadow` differs from `classification`, and how often.

    Images pass unchanged. `differed` is told of each image whose best class is another one,
    `compared` of all images so far.
    """

    every: int = 500
    """Images between events of the kind `compared`."""

    gives: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ("classification", "shadow")
    takes: ClassVar[tuple[str, ...]] = ()
    preparation: ClassVar[None] = None

    def check(self) -> None:
        """Refuse what is no count."""
        check_count(self, "every", at_least=1)

    def open_learner(self, context: Context, snapshot: bytes | None) -> "_Comparison":
        """Return the comparison, from its beginning or from a snapshot of it."""
        counts = _Counts() if snapshot is None else _COUNTS.decode(snapshot)
        return _Comparison(self, context.step, counts)


class _Counts(msgspec.Struct, array_like=True):
    """What a comparison remembers."""

    n: int = 0
    n_different: int = 0
    n_labelled: int = 0
    n_right: int = 0
    n_shadow_right: int = 0
    last: Moment = Moment()
    """Of the last image."""
    told: tuple[int, int] = (0, 0)
    """`n` and `n_labelled` when they were told last."""


_COUNTS = StateCodec(_Counts, "comparison", version=2)


class _Comparison:
    """A comparison under way; see `protocols.Learner`."""

    def __init__(self, how: Compare, step: str, counts: _Counts) -> None:
        self._how = how
        self._step = step
        self._counts = counts

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[list[Outcome], list[tuple[int, Event]]]:
        """Compare the next images; they come out as they are."""
        events = list[tuple[int, Event]]()
        for row, record in enumerate(records):
            said, on_trial = _best(record.classification), _best(record.shadow)
            self._count(record.origin, said[0], on_trial[0])
            if record.origin.label is not None:
                self._judge(record)
            if said[0] != on_trial[0]:
                events.append((row, self._differed(record.origin, said, on_trial)))
            if self._counts.n % self._how.every == 0:
                events.append((row, self._compared()))
        return list(records), events

    def take_labels(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> list[tuple[int, Event]]:
        """Count which of the two was right."""
        for record in records:
            self._judge(record)
        return []

    def end_chunk(self, index: int) -> None:
        """Nothing happens at the end of a chunk: events come after `every` images."""

    def end(self) -> list[Event]:
        """Return a last `compared`, unless all of it was told already."""
        counts = self._counts
        return [self._compared()] if counts.told != (counts.n, counts.n_labelled) else []

    def snapshot(self) -> bytes:
        """Return all that is needed to go on."""
        return _COUNTS.encode(self._counts)

    def _count(self, origin: Origin, said: str | None, on_trial: str | None) -> None:
        counts = self._counts
        counts.n += 1
        counts.n_different += said != on_trial
        counts.last = Moment.of(origin)

    def _judge(self, record: ImageRecord) -> None:
        label = record.origin.label
        self._counts.n_labelled += 1
        self._counts.n_right += _best(record.classification)[0] == label
        self._counts.n_shadow_right += _best(record.shadow)[0] == label

    def _differed(
        self, origin: Origin, said: tuple[str | None, float], on_trial: tuple[str | None, float]
    ) -> Event:
        return Event(
            "differed",
            self._step,
            origin.source_id,
            origin.sequence,
            origin.event_time_ms,
            label=origin.label,
            predicted=said[0],
            uri=origin.uri,
            figures={"score": said[1], "shadow_score": on_trial[1]},
            reason=f"on trial: {on_trial[0] or 'nothing'}",
        )

    def _compared(self) -> Event:
        counts = self._counts
        figures = {
            "n": float(counts.n),
            "n_different": float(counts.n_different),
            "agreement": 1 - counts.n_different / counts.n,
        }
        if counts.n_labelled:
            figures["accuracy"] = counts.n_right / counts.n_labelled
            figures["shadow_accuracy"] = counts.n_shadow_right / counts.n_labelled
        counts.told = counts.n, counts.n_labelled
        return counts.last.event("compared", self._step, figures=figures)


def _best(found: Classification | None) -> tuple[str | None, float]:
    """Return the best class and its score; None where there is none."""
    if found is None or not found.labels:
        return None, 0.0
    return found.labels[0], float(str(found.scores[0]))
