"""A training under way: what `Train` does with the images, and what it remembers of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from sightflow.errors import JobError
from sightflow.learn.averaging import Averager
from sightflow.learn.contest import Contest
from sightflow.learn.network import Said, Trainable, packed
from sightflow.learn.publish import Publisher, Share, together, weights_of
from sightflow.learn.recollection import Recollection
from sightflow.learn.samples import ReplayMemory, Sample
from sightflow.learn.snapshot import SNAPSHOTS, Snapshot
from sightflow.learn.subjects import open_subject
from sightflow.protocols import Context, Place
from sightflow.records import (
    Event,
    ImageRecord,
    ModelUse,
    Moment,
    Outcome,
    Rejected,
)

if TYPE_CHECKING:
    from sightflow.learn.train import Train

__all__ = ["Training"]

_MAX_PREDICT = 256
_NEVER = 1 << 62
_DRAW_REPLAY, _DRAW_AUGMENT = 1, 2
"""Each use of randomness in a step has a stream of its own."""


class Training:
    """A training under way; see `protocols.Learner`."""

    def __init__(self, how: "Train", context: Context, snapshot: bytes | None) -> None:
        """Start with first weights, or with what a snapshot of an earlier run holds."""
        self._how = how
        self._context = context
        self._subject = open_subject(how)
        self._network: Trainable | None = None
        self._shape: tuple[int, ...] | None = None
        self._step = self._n_samples = self._n_unknown = 0
        self._loss = 0.0
        self._waiting: list[Sample] = []
        self._recollection = Recollection(context.recall, self._input, how.kept_bytes)
        self._memory = None if how.replay is None else ReplayMemory(how.replay.size, how.seed)
        self._moment = Moment()
        self._told = (0, 0)
        """Step and `n_unknown` when they were told last."""
        self._times_ms = (_NEVER, -_NEVER)
        self._last_version: int | None = None
        self._publisher: Publisher | None = None
        if how.publish is not None:
            self._publisher = Publisher(how.publish, context.run_id, start=how.start)
            self._last_version = self._publisher.parent
        self._averager: Averager | None = None
        if how.trainers > 1:
            if context.shared is None:
                raise JobError(
                    f"step {context.step!r}: several trainers need a folder that all see, "
                    "`Context.shared`; let `run` make it, or take one trainer"
                )
            folder = context.shared / f"averages-{context.run_id}"
            self._averager = Averager(folder, context.step, context.trainer, how.average_every)
        if snapshot is not None:
            self._restore(SNAPSHOTS.decode(snapshot))

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[list[Outcome], list[tuple[int, Event]]]:
        """Recognise the next images, then learn from those with a label."""
        outcomes: list[Outcome] = list(records)
        rows = []
        for row, record in enumerate(records):
            unknown = self._subject.unknown(record.origin)
            if unknown is None:
                rows.append(row)
            else:
                step = self._context.step
                outcomes[row] = Rejected(record.origin, step, "unknown_label", unknown)
        events = list[tuple[int, Event]]()
        for part in self._parts(records, rows, events):
            found = list(self._recognised([records[row] for row in part]))
            for row, outcome in zip(part, found, strict=True):
                outcomes[row] = outcome
            self._compare(found)
            for row in part:
                events.extend((row, event) for event in self._see(records[row], places[row]))
        return outcomes, events

    def take_labels(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> list[tuple[int, Event]]:
        """Learn from images that were recognised when they came; unknown labels are counted."""
        if not self._subject.may_come_later:
            return []
        rows = [i for i, r in enumerate(records) if self._subject.unknown(r.origin) is None]
        self._n_unknown += len(records) - len(rows)
        events = list[tuple[int, Event]]()
        for part in self._parts(records, rows, events):
            if self._publisher is not None:
                self._compare(list(self._recognised([records[row] for row in part])))
            for row in part:
                events.extend((row, event) for event in self._see(records[row], places[row]))
        return events

    def _parts(
        self,
        records: Sequence[ImageRecord],
        rows: Sequence[int],
        events: list[tuple[int, Event]],
    ) -> Iterator[list[int]]:
        """Yield rows of images that are all held out, or all not.

        What is tested has learned all before it: events of that are added.
        """
        for is_test, group in groupby(rows, lambda row: records[row].origin.held_out):
            part = list(group)
            labelled = (row for row in part if self._subject.truth(records[row]) is not None)
            first = next(labelled, None)
            if is_test and first is not None and len(self._waiting) > 1:
                events.extend((part[0], event) for event in self._learn())
            yield part

    def end_chunk(self, index: int) -> None:
        """Average with the other trainers, where there are some and it is time."""
        if self._averager is not None:
            self._averager.end_chunk(index, self._network)

    def _see(self, record: ImageRecord, place: Place) -> Iterator[Event]:
        """Keep an image to learn from, and learn if it makes a batch."""
        origin = record.origin
        self._moment = Moment.of(origin)
        truth = self._subject.truth(record)
        if truth is None or origin.held_out:
            return
        first_ms, last_ms = self._times_ms
        time_ms = origin.event_time_ms
        self._times_ms = min(first_ms, time_ms), max(last_ms, time_ms)
        group = self._subject.group(truth)
        self._waiting.append(Sample(place, truth, self._input(record), group))
        if len(self._waiting) == self._how.batch_size:
            yield from self._learn()

    def end(self) -> list[Event]:
        """Learn from the last images, which are fewer than a batch, and tell how it went."""
        events = list(self._learn()) if len(self._waiting) > 1 else []
        if self._told != (self._step, self._n_unknown):
            events.append(self._trained())
        shares = [self._share()]
        if self._averager is not None:
            shares = self._averager.finish(self._network, shares[0])
        if self._publisher is not None and not self._publisher.is_due(self._step):
            events.extend(self._published(self._publisher, shares))
        return events

    def snapshot(self) -> bytes:
        """Return all that is needed to go on."""
        memory = ReplayMemory(1, 0) if self._memory is None else self._memory
        n_seen, full, rows = memory.state()
        return SNAPSHOTS.encode(
            Snapshot(
                self._how.labels,
                self._shape,
                self._step,
                self._n_samples,
                self._loss,
                b"" if self._network is None else packed(self._network.tensors()),
                self._recollection.keep(self._waiting),
                self._recollection.keep(memory.samples),
                n_seen,
                full,
                rows,
                self._moment,
                self._times_ms,
                None if self._publisher is None else self._publisher.serving,
                ([], [], False) if self._publisher is None else self._publisher.contest.state(),
                *(({}, b"") if self._averager is None else self._averager.state()),
                self._last_version,
                self._n_unknown,
                self._told,
            )
        )

    def _restore(self, kept: Snapshot) -> None:
        if kept.labels != self._how.labels:
            raise JobError(
                f"step {self._context.step!r}: the checkpoint has a training for "
                f"{list(kept.labels)}; this one is for {list(self._how.labels)}; start the run anew"
            )
        self._step, self._n_samples, self._loss = kept.step, kept.n_samples, kept.loss
        self._moment, self._told = kept.last, kept.told
        self._times_ms = kept.times_ms
        if self._publisher is not None:
            self._publisher.serving = kept.serving
            self._publisher.contest.restore(*kept.contest)
        if self._averager is not None:
            self._averager.restore(kept.rounds, kept.start)
        self._last_version, self._n_unknown = kept.last_version, kept.n_unknown
        if kept.shape is not None:
            self._restore_network(kept.shape, kept.tensors)
        samples = self._recollection.samples([*kept.waiting, *kept.remembered])
        self._waiting = samples[: len(kept.waiting)]
        if self._memory is not None:
            remembered = samples[len(kept.waiting) :]
            self._memory.restore(remembered, kept.n_seen, kept.full, kept.rows)

    def _restore_network(self, shape: tuple[int, ...], tensors: bytes) -> None:
        try:
            self._open(shape).restore(safetensors.numpy.load(tensors))
        except JobError as error:
            raise JobError(
                f"step {self._context.step!r}: {error}; give it the network of the checkpoint, or "
                "start the run anew"
            ) from error

    def _input(self, record: ImageRecord) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = getattr(record, self._how.network.takes)
        return array

    def _recognised(self, records: Sequence[ImageRecord]) -> Iterator[ImageRecord]:
        """Yield the records with what the network says now."""
        use = ModelUse(self._context.step, type(self._how.network).__name__, f"step-{self._step}")
        for start in range(0, len(records), _MAX_PREDICT):
            part = records[start : start + _MAX_PREDICT]
            inputs = self._stacked([self._input(record) for record in part])
            for record, said in zip(part, self._opened(inputs).predict(inputs), strict=True):
                found = self._subject.found(record, said)
                yield replace(found, models=(*record.models, use))

    def _stacked(self, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return arrays as a batch.

        Raises:
            JobError: they differ in shape.
        """
        shape = self._shape or arrays[0].shape
        for array in arrays:
            if array.shape != shape:
                raise JobError(
                    f"step {self._context.step!r} learns from {self._how.network.takes} of one "
                    f"shape, {list(shape)}; got {list(array.shape)}; give the preprocessing a size"
                )
        return np.stack(arrays)

    def _opened(self, inputs: npt.NDArray[Any]) -> Trainable:
        if self._network is not None:
            return self._network
        network = self._open(inputs.shape[1:])
        if self._how.start is not None:
            network.start(weights_of(self._how.start))
        return network

    def _open(self, shape: tuple[int, ...]) -> Trainable:
        how = self._how
        self._shape = shape
        self._network = how.network.open(len(how.labels), shape, how.optimiser, how.seed)
        if self._publisher is not None:
            self._publisher.open(self._network)
        return self._network

    def _learn(self) -> Iterator[Event]:
        """Learn from the batch that waits, then from the memory."""
        batch, self._waiting = self._waiting, []
        self._n_samples += len(batch)
        self._loss = self._descend(batch)
        yield from self._after_step()
        if self._memory is None or self._how.replay is None:
            return
        for sample in batch:
            self._memory.add(sample)
        for _ in range(self._how.replay.batches):
            drawn = self._memory.draw(self._how.batch_size, self._rng(_DRAW_REPLAY))
            self._descend(drawn)
            yield from self._after_step()

    def _after_step(self) -> Iterator[Event]:
        """Tell how it goes, and publish, where it is time."""
        if self._step % self._how.report_every == 0:
            yield self._trained()
        if self._publisher is not None and self._publisher.is_due(self._step):
            yield from self._published(self._publisher, [self._share()])

    def _compare(self, records: Sequence[ImageRecord]) -> None:
        """Hold the network against the one that serves, if it is to be published.

        Args:
            records: as they were recognised; all are held out, or none.
        """
        if self._publisher is None:
            return
        subject = self._subject
        known = [record for record in records if subject.truth(record) is not None]
        if not known:
            return

        def judge(said: Said) -> list[bool]:
            pairs = zip(known, said, strict=True)
            return [subject.is_right(subject.found(record, one)) for record, one in pairs]

        inputs = self._stacked([self._input(record) for record in known])
        ours = [subject.is_right(record) for record in known]
        self._publisher.compare(inputs, ours, judge, held_out=known[0].origin.held_out)

    def _published(self, publisher: Publisher, shares: Sequence[Share]) -> Iterator[Event]:
        """Publish the network as it is now, if those who share in it have learned anything."""
        if self._network is None or not any(share.step for share in shares):
            return
        facts, verdict = together(shares)
        facts = replace(facts, parent=self._last_version)
        found = publisher.publish(self._network, self._how.labels, facts, verdict)
        self._last_version = found.number
        figures = {
            "step": facts.step,
            "version": found.number,
            "serves": float(found.promoted),
            **found.verdict.figures(),
        }
        yield self._moment.event(
            "published",
            self._context.step,
            figures=figures,
            uri=found.address,
            reason=found.reason,
        )

    def _descend(self, samples: Sequence[Sample]) -> float:
        """Make one step of gradient descent; return the loss before it."""
        inputs = self._stacked([sample.array for sample in samples])
        truths = [sample.truth for sample in samples]
        inputs, changed = self._subject.changed(inputs, truths, self._rng(_DRAW_AUGMENT))
        loss = self._opened(inputs).learn(inputs, changed, self._step)
        if not math.isfinite(loss):
            raise JobError(
                f"step {self._context.step!r}: the loss is {loss} at step {self._step} of gradient "
                f"descent, at a rate of {self._how.optimiser.rate_at(self._step):g}; a lower "
                "`optimiser.rate` keeps the weights finite"
            )
        self._step += 1
        self._context.metrics.count("steps")
        self._context.metrics.measure("loss", loss)
        return loss

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._how.seed, self._step, purpose])

    def _share(self) -> Share:
        """Return what this trainer has done."""
        contest = Contest(1) if self._publisher is None else self._publisher.contest
        first_ms, last_ms = self._times_ms
        return Share(self._step, self._n_samples, first_ms, last_ms, self._loss, contest.verdict())

    def _trained(self) -> Event:
        figures = {
            "step": self._step,
            "n_samples": self._n_samples,
            "loss": self._loss,
            "rate": self._how.optimiser.rate_at(max(0, self._step - 1)),
            "n_unknown": self._n_unknown,
        }
        self._told = self._step, self._n_unknown
        return self._moment.event("trained", self._context.step, figures=figures)
