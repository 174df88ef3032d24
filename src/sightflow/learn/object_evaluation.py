"""A test of a detector under way: what `EvaluateObjects` does with the images, and remembers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from sightflow.errors import PipelineError
from sightflow.learn.held_out import HeldOutTests
from sightflow.learn.options import check_same, options_of
from sightflow.metrics.detection import DetectionMetrics
from sightflow.protocols import Context, Place
from sightflow.records import (
    Detections,
    Event,
    ImageRecord,
    LabelledObject,
    Moment,
    Origin,
    Outcome,
)
from sightflow.records.arrays import PackedArray
from sightflow.records.state import StateCodec

if TYPE_CHECKING:
    from sightflow.learn.evaluate_objects import EvaluateObjects

__all__ = ["ObjectEvaluation"]

_Told = list[tuple[int, Event]]


class _KeptAccount(msgspec.Struct, frozen=True, array_like=True):
    """An account in a checkpoint."""

    arrays: dict[str, PackedArray]
    last: Moment


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A test in a checkpoint."""

    labels: tuple[str, ...]
    options: str
    """The others, as Python writes them."""
    online: _KeptAccount
    n_told: int
    tested: _KeptAccount
    n_tests: int
    is_testing: bool


_SNAPSHOTS = StateCodec(_Snapshot, "test of objects", version=1)


class ObjectEvaluation:
    """A test under way; see `protocols.Learner`. What it remembers grows with the detections."""

    def __init__(self, how: "EvaluateObjects", context: Context, snapshot: bytes | None) -> None:
        """Start with no image, or with what a snapshot of an earlier run holds."""
        self._how = how
        self._step = context.step
        self._metrics = context.metrics
        self._online, self._tested = (_Account(how, held_out=one) for one in (False, True))
        self._tests = HeldOutTests(self._tested, context.step)
        self._n_told = 0
        if snapshot is not None:
            self._restore(_SNAPSHOTS.decode(snapshot))

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[list[Outcome], _Told]:
        """Test the next images; they come out as they are."""
        told = _Told()
        for row, record in enumerate(records):
            if (objects := record.origin.objects) is not None:
                told.extend((row, event) for event in self._test(record, objects))
        return list(records), told

    def take_labels(self, records: Sequence[ImageRecord], places: Sequence[Place]) -> _Told:
        """Nothing is tested: what comes later is the label of an image, and not its objects."""
        return []

    def end_chunk(self, index: int) -> None:
        """Nothing happens at the end of a chunk: events come after `every` images."""

    def end(self) -> list[Event]:
        """Tell all that there is to tell."""
        events = list(self._tests.end())
        if self._online.n > self._n_told:
            events.append(self._evaluated())
        return [*events, *self._online.scored(self._step), *self._tested.scored(self._step)]

    def snapshot(self) -> bytes:
        """Return all that is needed to go on."""
        return _SNAPSHOTS.encode(
            _Snapshot(
                self._how.labels,
                options_of(self._how),
                self._online.state(),
                self._n_told,
                self._tested.state(),
                self._tests.n,
                self._tests.is_under_way,
            )
        )

    def _restore(self, kept: _Snapshot) -> None:
        check_same(self._step, (kept.labels, kept.options), self._how)
        self._online.restore(kept.online)
        self._tested.restore(kept.tested)
        self._n_told = kept.n_told
        self._tests.restore(kept.n_tests, is_under_way=kept.is_testing)

    def _test(self, record: ImageRecord, objects: Sequence[LabelledObject]) -> Iterator[Event]:
        """Test an image, and yield what there is to tell then."""
        found = self._found(record)
        if record.origin.held_out:
            self._tests.begin()
            self._tested.add(record.origin, found, objects)
            return
        yield from self._tests.end()
        self._online.add(record.origin, found, objects)
        if self._online.n % self._how.every == 0:
            yield self._evaluated()

    def _evaluated(self) -> Event:
        self._n_told = self._online.n
        figures = self._online.figures()
        for name in ("precision", "recall", "map_50", "map"):
            self._metrics.measure(name, figures[name])
        return self._online.event("evaluated", self._step, figures)

    def _found(self, record: ImageRecord) -> Detections:
        if record.detections is None:
            raise PipelineError(
                f"step {self._step!r} tests what an earlier step found; an image came without "
                "detections; apply Detect or Train before it"
            )
        return record.detections


class _Account:
    """What is known of the images that were tested, all of one kind: held out, or not."""

    def __init__(self, how: "EvaluateObjects", *, held_out: bool) -> None:
        self._labels = how.labels
        self._held_out = float(held_out)
        self._metrics = DetectionMetrics(how.labels, min_score=how.min_score, min_iou=how.min_iou)
        self._last = Moment()

    @property
    def n(self) -> int:
        """How many images were tested."""
        return self._metrics.n

    @property
    def is_empty(self) -> bool:
        """Whether there was none."""
        return self.n == 0

    def add(self, origin: Origin, found: Detections, objects: Sequence[LabelledObject]) -> None:
        """Add an image that was tested."""
        self._metrics.update(found, objects)
        self._last = Moment.of(origin)

    def reset(self) -> None:
        """Forget all images."""
        self._metrics.reset()

    def figures(self) -> dict[str, float]:
        """Return the figures of all images."""
        return self._metrics.compute().figures()

    def event(self, kind: str, step: str, figures: dict[str, float]) -> Event:
        """Return an event at the last image."""
        return self._last.event(kind, step, figures=figures)

    def scored(self, step: str) -> Iterator[Event]:
        """Yield what there is to tell of each class that occurs."""
        scores = self._metrics.compute()
        columns = {
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
            "n": scores.n_objects,
            "n_false": scores.n_false,
        }
        averages = {"ap_50": scores.ap[:, 0], "ap": scores.ap.mean(axis=1)}
        for class_id in np.flatnonzero(scores.occurs).tolist():
            known = {**columns, **(averages if scores.n_objects[class_id] else {})}
            figures = {name: column[class_id].item() for name, column in known.items()}
            event = self.event("scored", step, {**figures, "held_out": self._held_out})
            yield replace(event, class_id=class_id, label=self._labels[class_id])

    def state(self) -> _KeptAccount:
        """Return all that is remembered."""
        arrays = {name: PackedArray.of(a) for name, a in self._metrics.state().items()}
        return _KeptAccount(arrays, self._last)

    def restore(self, kept: _KeptAccount) -> None:
        """Go on from what `state` gave."""
        self._metrics.restore({name: a.unpack() for name, a in kept.arrays.items()})
        self._last = kept.last
