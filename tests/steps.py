"""Operators for tests, importable by name in every worker."""

import ast
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from sightflow.protocols import Context, Fold, Process
from sightflow.records import Detections, Event, ImageRecord, Measures, ModelUse, Outcome, Rejected

__all__ = [
    "Bright",
    "Count",
    "FailAt",
    "FailOnce",
    "FailWith",
    "FindBlocks",
    "Measured",
    "Old",
    "Slow",
]


class _Step:
    """Accepts every configuration and looks at every pixel."""

    def check(self) -> None:
        """Accept everything."""

    def scale_for(self, width: int, height: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class Bright(_Step):
    """Reports one object over the whole image, whose score is its mean brightness; no model."""

    reject_below: float = 0.0

    adjustable: ClassVar[tuple[str, ...]] = ("reject_below",)

    def open(self, context: Context) -> Process:
        """Return the function that measures brightness."""

        def measure(record: ImageRecord) -> Outcome:
            score = np.float32(record.pixels.mean() / 255)
            if score < self.reject_below:
                return Rejected(record.origin, context.step, "dark", f"brightness {score:.2f}")
            box = np.array([[0, 0, record.width, record.height]], np.float32)
            found = Detections(box, score[None], np.zeros(1, np.int32), ("image",))
            use = ModelUse(context.step, "brightness", "1")
            return replace(record, detections=found, models=(*record.models, use))

        return lambda records: [measure(record) for record in records]


@dataclass(frozen=True)
class Measured(_Step):
    """Measures the mean of the pixels; no model."""

    def open(self, context: Context) -> Process:
        """Return the function that measures."""

        def measure(record: ImageRecord) -> Outcome:
            found = Measures(("mean",), np.array([record.pixels.mean()], np.float32))
            return replace(record, measures=found.and_of(record.measures))

        return lambda records: [measure(record) for record in records]


@dataclass(frozen=True)
class FindBlocks(_Step):
    """Finds the red blocks that tests draw, each by its columns; no model."""

    def open(self, context: Context) -> Process:
        """Return the function that looks for red."""

        def find(record: ImageRecord) -> Outcome:
            red = (record.pixels[..., 0] > 150) & (record.pixels[..., 2] < 100)
            columns = np.flatnonzero(red.any(axis=0))
            groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
            boxes = []
            for group in groups if len(columns) else ():
                rows = np.flatnonzero(red[:, group].any(axis=1))
                boxes.append([group[0], rows[0], group[-1] + 1, rows[-1] + 1])
            n = len(boxes)
            found = Detections(
                np.array(boxes, np.float32).reshape(-1, 4),
                np.full(n, 0.9, np.float32),
                np.zeros(n, np.int32),
                ("block",) * n,
            )
            return replace(record, detections=found)

        return lambda records: [find(record) for record in records]


@dataclass(frozen=True)
class FailWith(_Step):
    """Fails at the first image, as a broken model would."""

    message: str

    def open(self, context: Context) -> Process:
        """Return a function that fails."""

        def process(records: Sequence[ImageRecord]) -> list[Outcome]:
            raise ArithmeticError(self.message)

        return process


@dataclass(frozen=True)
class FailOnce(_Step):
    """Fails once when it meets an image, and never again; slow, so that checkpoints happen."""

    name: str
    """Of the image."""
    flag: str
    """File that remembers the failure."""
    delay_s: float = 0.02

    def open(self, context: Context) -> Process:
        """Return a function that fails once."""

        def process(records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
            time.sleep(self.delay_s * len(records))
            here = any(record.origin.name == self.name for record in records)
            if here and not os.path.exists(self.flag):
                Path(self.flag).touch()
                raise ConnectionError("the first attempt fails")
            return records

        return process


@dataclass(frozen=True)
class FailAt(_Step):
    """Fails each time that it meets an image."""

    sequence: int
    """Of the image."""

    def open(self, context: Context) -> Process:
        """Return a function that fails."""

        def process(records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
            if any(record.origin.sequence == self.sequence for record in records):
                raise ConnectionError(f"image {self.sequence} cannot be")
            return records

        return process


@dataclass(frozen=True)
class Old(_Step):
    """Rejects images that were taken long ago; slow, so that a queue would form."""

    max_age_s: float
    delay_s: float

    def open(self, context: Context) -> Process:
        """Return a function that looks at the clock."""

        def look(record: ImageRecord) -> Outcome:
            age_s = time.time() - record.origin.event_time_ms / 1000
            time.sleep(self.delay_s)
            if age_s <= self.max_age_s:
                return record
            return Rejected(record.origin, context.step, "old", f"{age_s:.1f} s")

        return lambda records: [look(record) for record in records]


@dataclass(frozen=True)
class Slow(_Step):
    """Takes its time with each image."""

    delay_s: float

    def open(self, context: Context) -> Process:
        """Return a function that waits."""

        def process(records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
            time.sleep(self.delay_s * len(records))
            return records

        return process


@dataclass(frozen=True)
class Count:
    """Numbers the images of each stream by the version of a model; an event for each tenth."""

    max_out_of_order_ms: int = 0

    def check(self) -> None:
        """Accept everything."""

    def open_fold(self, context: Context) -> Fold[tuple[int, int, str]]:
        """Return the fold; its state is the count, the time and the stream of the last image."""

        def step(
            state: tuple[int, int, str], record: ImageRecord
        ) -> tuple[tuple[int, int, str], ImageRecord, list[Event]]:
            origin = record.origin
            state = state[0] + 1, origin.event_time_ms, origin.source_id
            use = ModelUse(context.step, "count", str(state[0]))
            events = [event("tenth", state)] if state[0] % 10 == 0 else []
            return state, replace(record, models=(*record.models, use)), events

        def event(kind: str, state: tuple[int, int, str]) -> Event:
            return Event(kind, context.step, state[2], state[0], state[1])

        return Fold(
            initial=lambda: (0, 0, ""),
            step=step,
            end=lambda state: [event("over", state)],
            encode=lambda state: repr(state).encode(),
            decode=lambda data: ast.literal_eval(data.decode()),
        )
