"""A test under way: what `Evaluate` does with the images, and what it remembers of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from sightflow.errors import PipelineError
from sightflow.learn.account import Account, KeptAccount
from sightflow.learn.held_out import HeldOutTests
from sightflow.learn.options import check_same, options_of
from sightflow.learn.watch import KeptValue, measure
from sightflow.metrics.classification import Window
from sightflow.metrics.verdicts import Verdicts, judge
from sightflow.protocols import Context, Place
from sightflow.records import Classification, Event, ImageRecord, Outcome
from sightflow.records.arrays import PackedArray
from sightflow.records.state import StateCodec

if TYPE_CHECKING:
    from sightflow.learn.evaluate import Evaluate

__all__ = ["Evaluation"]

_MAX_WINDOW = 100_000

_Told = list[tuple[int, Event]]


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A test in a checkpoint."""

    labels: tuple[str, ...]
    options: str
    """The others, as Python writes them."""
    online: KeptAccount
    n_told: int
    window: dict[str, PackedArray]
    watch: list[KeptValue]
    tested: KeptAccount
    n_tests: int
    is_testing: bool


_SNAPSHOTS = StateCodec(_Snapshot, "test", version=3)


class Evaluation:
    """A test under way; see `protocols.Learner`."""

    def __init__(self, how: "Evaluate", context: Context, snapshot: bytes | None) -> None:
        """Start with no image, or with what a snapshot of an earlier run holds."""
        self._how = how
        self._step = context.step
        self._metrics = context.metrics
        self._class_ids = {label: i for i, label in enumerate(how.labels)}
        self._online, self._tested = (
            Account(how.labels, top_k=how.top_k, n_mistakes=how.n_mistakes, held_out=held_out)
            for held_out in (False, True)
        )
        self._has_window = bool(how.window or how.window_ms)
        self._window = Window(how.window or _MAX_WINDOW, how.window_ms, top_k=how.top_k)
        self._watch = None if how.drift is None else how.drift.open()
        self._tests = HeldOutTests(self._tested, context.step)
        self._n_told = 0
        if snapshot is not None:
            self._restore(_SNAPSHOTS.decode(snapshot))

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[list[Outcome], _Told]:
        """Test the next images; they come out as they are."""
        return list(records), self._judged_by_part(records, again=False)

    def take_labels(self, records: Sequence[ImageRecord], places: Sequence[Place]) -> _Told:
        """Test images by what was said of them when they came."""
        return self._judged_by_part(records, again=True)

    def end_chunk(self, index: int) -> None:
        """Nothing happens at the end of a chunk: events come after `every` images."""

    def end(self) -> list[Event]:
        """Tell all that there is to tell."""
        events = list(self._tests.end())
        online = self._online
        if online.n > self._n_told or (online.n == 0 and online.n_unknown):
            events.append(self._evaluated())
        return [*events, *online.details(self._step), *self._tested.details(self._step)]

    def snapshot(self) -> bytes:
        """Return all that is needed to go on."""
        window = {name: PackedArray.of(array) for name, array in self._window.state().items()}
        return _SNAPSHOTS.encode(
            _Snapshot(
                self._how.labels,
                options_of(self._how),
                self._online.state(),
                self._n_told,
                window,
                [] if self._watch is None else self._watch.state(),
                self._tested.state(),
                self._tests.n,
                self._tests.is_under_way,
            )
        )

    def _restore(self, kept: _Snapshot) -> None:
        check_same(self._step, (kept.labels, kept.options), self._how)
        self._online.restore(kept.online)
        self._tested.restore(kept.tested)
        self._window.restore({name: array.unpack() for name, array in kept.window.items()})
        if self._how.drift is not None:
            self._watch = self._how.drift.open(kept.watch)
        self._n_told = kept.n_told
        self._tests.restore(kept.n_tests, is_under_way=kept.is_testing)

    def _judged_by_part(self, records: Sequence[ImageRecord], *, again: bool) -> _Told:
        """Test images, those apart that are held out; `again`: they were seen before."""
        events = _Told()
        for start, stop in _runs(records):
            part = records[start:stop]
            if part[0].origin.held_out:
                self._test(part)
            else:
                events.extend((start + row, e) for row, e in self._evaluate(part, again=again))
        return events

    def _test(self, records: Sequence[ImageRecord]) -> None:
        """Test images that are held out."""
        rows, unknown = self._labelled(records)
        if not rows and not unknown:
            return
        self._tests.begin()
        known = [records[row] for row in rows]
        self._tested.add(known, self._judged(known))
        self._tested.n_unknown += len(unknown)
        self._tested.see(records[max([*rows, *unknown])].origin)

    def _evaluate(self, records: Sequence[ImageRecord], *, again: bool) -> _Told:
        """Test images that are not held out, one `every` after the other."""
        rows, unknown = self._labelled(records)
        told = [(0, event) for event in self._tests.end()] if rows or unknown else []
        known = [records[row] for row in rows]
        verdicts = self._judged(known)
        told.extend(self._drifted(records, rows, verdicts, again=again))
        start = n_before = 0
        while start < len(rows):
            stop = start + self._how.every - self._online.n % self._how.every
            chosen = slice(start, stop)
            self._add(known[chosen], verdicts.take(chosen))
            if stop <= len(rows):
                row = rows[stop - 1]
                n_until = sum(other < row for other in unknown)
                self._online.n_unknown += n_until - n_before
                n_before = n_until
                told.append((row, self._evaluated()))
            start = stop
        self._online.n_unknown += len(unknown) - n_before
        if labelled := [*rows, *unknown]:
            self._online.see(records[max(labelled)].origin)
        return sorted(told, key=lambda pair: pair[0])  # stable

    def _add(self, records: Sequence[ImageRecord], verdicts: Verdicts) -> None:
        self._online.add(records, verdicts)
        self._online.see(records[-1].origin)
        if self._has_window:
            times = [record.origin.event_time_ms for record in records]
            self._window.add(np.array(times, np.int64), verdicts)

    def _evaluated(self) -> Event:
        self._n_told = self._online.n
        figures = self._online.figures()
        if self._has_window:
            recent = self._window.compute()
            values = recent.figures() if recent.n else {"n": 0}
            figures.update((f"window_{name}", value) for name, value in values.items())
        for name in ("accuracy", "window_accuracy", "log_loss", "calibration_error"):
            if name in figures:
                self._metrics.measure(name, figures[name])
        return self._online.event("evaluated", self._step, figures)

    def _drifted(
        self,
        records: Sequence[ImageRecord],
        rows: Sequence[int],
        verdicts: Verdicts,
        *,
        again: bool,
    ) -> Iterator[tuple[int, Event]]:
        """Show values to their watch and yield the alarms: all, or `again` what labels tell."""
        for watched in () if self._watch is None else self._watch.values:
            values: Iterable[tuple[int, float]]
            if watched.name == "error":
                wrong = (verdicts.ranks != 0).tolist()
                values = zip(rows, map(float, wrong), strict=True)
            elif again:
                continue
            else:
                values = enumerate(self._value(watched.name, record) for record in records)
            for row, value in values:
                for figures in watched.see(value):
                    origin = records[row].origin
                    where = origin.source_id, origin.sequence, origin.event_time_ms
                    yield row, Event("drifted", self._step, *where, figures=figures)

    def _value(self, name: str, record: ImageRecord) -> float:
        if name == "confidence":
            scores = self._found(record).scores
            return float(scores[0]) if len(scores) else 0.0
        field = name.partition("_")[0]
        array = getattr(record, field)
        if array is None:
            raise PipelineError(
                f"step {self._step!r} watches {name!r}; an image came without `{field}`; apply "
                "Features or Prepare before it"
            )
        return measure(name, array)

    def _found(self, record: ImageRecord) -> Classification:
        if record.classification is None:
            raise PipelineError(
                f"step {self._step!r} tests what an earlier step classified; an image came without "
                "a classification; apply Classify or Train before it"
            )
        return record.classification

    def _labelled(self, records: Sequence[ImageRecord]) -> tuple[list[int], list[int]]:
        """Return the rows of images with a label, and of those with one that is unknown here."""
        known, unknown = list[int](), list[int]()
        for row, record in enumerate(records):
            if (label := record.origin.label) is not None:
                (known if label in self._class_ids else unknown).append(row)
        return known, unknown

    def _judged(self, records: Sequence[ImageRecord]) -> Verdicts:
        """Hold what was found in labelled images against their labels."""
        found = [self._found(record) for record in records]
        width = max((len(one.labels) for one in found), default=0)
        class_ids = np.full((len(found), width), -1)
        scores = np.zeros((len(found), width), np.float32)
        for row, one in enumerate(found):
            n = len(one.labels)
            class_ids[row, :n] = [self._class_ids.get(label, -1) for label in one.labels]
            scores[row, :n] = one.scores
        labels = [record.origin.label or "" for record in records]
        truths = np.array([self._class_ids[label] for label in labels], np.int64)
        return judge(truths, scores, class_ids, n_classes=len(self._class_ids))


def _runs(records: Sequence[ImageRecord]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of images that are all held out, or all not."""
    start = 0
    for row in range(1, len(records) + 1):
        is_end = row == len(records)
        if is_end or records[row].origin.held_out != records[start].origin.held_out:
            yield start, row
            start = row
