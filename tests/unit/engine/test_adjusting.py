"""What is set while a job runs holds from the next batch or image on; what steps know stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from tests.steps import Bright, Measured

from sightflow import CountLine, Zone
from sightflow.engine.adjusting import open_fold, open_process
from sightflow.pipeline import KeyedStep, Step
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Tracks
from sightflow.tasks.control import Settings
from sightflow.testing import a_context, a_record, an_origin


@dataclass(frozen=True)
class Dim(Bright):
    """`Bright`, and what it opened and closed."""

    log: ClassVar[list[str]] = []

    def open(self, context: Context) -> Process:
        self.log.append(f"open {self.reject_below}")
        context.resources.callback(self.log.append, f"close {self.reject_below}")
        return super().open(context)


class Dial:
    """What is set, turned by hand."""

    def __init__(self) -> None:
        self.now = Settings()

    def __call__(self) -> Settings:
        return self.now

    def turn(self, version: int, step: str, **options: Any) -> None:
        self.now = Settings(version, {step: options}, {step: version})


def outcomes(process: Process) -> list[str]:
    grey = a_record(pixels=np.full((4, 4, 3), 51, np.uint8))  # brightness 0.2
    return [type(outcome).__name__ for outcome in process([grey])]


def versions(records: Sequence[Any]) -> list[tuple[str, str, str]]:
    return [(use.step, use.model, use.version) for record in records for use in record.models]


def test_a_threshold_holds_from_the_next_batch_on_and_what_was_open_is_released():
    dial, context = Dial(), a_context("dim")
    Dim.log.clear()
    with context.resources:
        process = open_process(Step("dim", Dim()), context, dial)
        assert outcomes(process) == ["ImageRecord"]
        dial.turn(3, "dim", reject_below=0.5)
        assert outcomes(process) == ["Rejected"]
        dial.turn(4, "dim")
        assert outcomes(process) == ["ImageRecord"]
        assert outcomes(process) == ["ImageRecord"]
        opened = ["open 0.0", "open 0.5", "close 0.0", "open 0.0", "close 0.5"]
        assert Dim.log == opened, "first the next is opened, so that a shared model stays"
    assert Dim.log[5:] == ["close 0.0"]


def test_a_result_says_which_message_set_its_step_and_before_any_nothing():
    dial, context = Dial(), a_context("dim")
    process = open_process(Step("dim", Dim()), context, dial)
    assert versions(process([a_record()])) == [("dim", "brightness", "1")]
    dial.turn(7, "dim", reject_below=0.0)
    stamped = process([a_record()])
    assert versions(stamped) == [("dim", "settings", "7"), ("dim", "brightness", "1")]


def test_a_step_that_cannot_change_is_opened_as_it_is():
    dial, context = Dial(), a_context("bright")
    process = open_process(Step("measured", Measured()), context, dial)
    dial.turn(1, "measured", mean=0.9)
    assert not versions(process([a_record()]))
    assert outcomes(open_process(Step("dim", Dim()), context, None)) == ["ImageRecord"]


def at(x: float, time_ms: int) -> ImageRecord:
    """Return an image of one object, which stands at x on the ground y = 10."""
    tracks = Tracks(
        np.array([1]),
        np.array([[x - 1, 0, x + 1, 10]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        ("car",),
        np.zeros((1, 2), np.float32),
        np.zeros(1, np.int64),
        np.ones(1, np.int32),
    )
    return a_record(origin=an_origin(sequence=time_ms, event_time_ms=time_ms), tracks=tracks)


def square(left: float) -> tuple[tuple[float, float], ...]:
    return ((left, 0), (left + 20, 0), (left + 20, 20), (left, 20))


def test_who_is_in_a_zone_that_moves_is_judged_anew_with_the_next_image():
    dial, context = Dial(), a_context("zone")
    fold = open_fold(KeyedStep("zone", Zone(corners=square(0))), context, dial)
    state, _, first = fold.step(fold.initial(), at(10, 0))
    dial.turn(2, "zone", corners=square(100))
    state, outcome, second = fold.step(state, at(10, 500))
    dial.turn(3, "zone", corners=square(0))
    state, _, third = fold.step(fold.decode(fold.encode(state)), at(10, 900))
    assert [(e.kind, e.duration_ms) for e in (*first, *second, *third)] == [
        ("entered", None),
        ("exited", 500),
        ("entered", None),
    ]
    assert versions([outcome]) == [("zone", "settings", "2")]


def test_a_line_that_moves_over_an_object_is_not_crossed_by_it():
    dial, context = Dial(), a_context("line")
    line = CountLine(start=(50, 20), end=(50, 0))
    fold = open_fold(KeyedStep("line", line), context, dial)
    state, _, first = fold.step(fold.initial(), at(60, 0))
    dial.turn(1, "line", start=[90, 20], end=[90, 0])
    state, _, second = fold.step(state, at(60, 100))
    state, _, third = fold.step(state, at(120, 200))
    assert [len(events) for events in (first, second, third)] == [0, 0, 1]
