"""The check of stateless steps passes what keeps its promises and finds what does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.steps import Bright, FindBlocks

from sightflow.errors import PipelineError
from sightflow.protocols import Context, Process
from sightflow.records import Detections, ImageRecord, Outcome, Rejected
from sightflow.testing import check_operator, draw_scene


@dataclass(frozen=True)
class Plain:
    """Passes images on; it may break one promise."""

    breaks: str = ""
    gives: ClassVar[tuple[str, ...]] = ("features",)

    def check(self) -> None:
        if self.breaks == "check":
            raise PipelineError("it cannot work")

    def scale_for(self, width: int, height: int) -> float:
        return 8.0 if self.breaks == "scale" and width > 10_000 else 1.0

    def open(self, context: Context) -> Process:
        ways: dict[str, Callable[[Sequence[ImageRecord]], list[Outcome]]] = {
            "count": lambda records: list(records[:1]),
            "order": lambda records: list(records)[::-1],
            "batch": lambda records: [_described(r, len(records)) for r in records],
            "state": lambda records: [_described(r, next(numbers)) for r in records],
            "array": lambda records: [
                _described(r, r.pixels.mean(), len(records)) for r in records
            ],
            "place": lambda records: [_painted(r) for r in records],
            "reject": lambda records: [Rejected(r.origin, context.step, "no", "") for r in records],
            "step": lambda records: [
                records[0] if len(r.pixels) == 48 else Rejected(r.origin, "me", "no", "")
                for r in records
            ],
            "gives": lambda records: [replace(r, prepared=r.pixels) for r in records],
            "size": lambda records: [replace(r, width=1) for r in records],
        }
        numbers = iter(range(99))
        return ways.get(self.breaks, lambda records: [_described(r, 1) for r in records])


def _described(record: ImageRecord, *numbers: float) -> ImageRecord:
    return replace(record, features=np.array(numbers, np.float32))


def _painted(record: ImageRecord) -> ImageRecord:
    record.pixels[:] = 0
    return record


@pytest.mark.parametrize("operator", [Plain(), Bright(), FindBlocks()])
def test_an_operator_that_keeps_its_promises_passes(operator: Any) -> None:
    assert len(check_operator(operator)) >= 4


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("scale", r"scale_for\(20000, 10\) must be in"),
        ("count", "one outcome each, in order"),
        ("order", "one outcome each, in order"),
        ("batch", "batches must not matter; alone, photos/0.jpg has other features"),
        ("state", "batches must not matter"),
        ("array", "batches must not matter"),
        ("place", "records must not be changed in place"),
        ("reject", "it rejects every picture, so nothing was checked"),
        ("step", "what is rejected names the step"),
        ("gives", r"`gives` is .*; it filled \['prepared'\]"),
        ("size", "`width` and `height` are those of the original"),
    ],
)
def test_an_operator_that_breaks_a_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_operator(Plain(breaks))


def test_a_configuration_that_cannot_work_is_its_own_error() -> None:
    with pytest.raises(PipelineError, match="it cannot work"):
        check_operator(Plain("check"))


@dataclass(frozen=True)
class Contrast(Bright):
    """Its score depends on the other images of the batch."""

    off_by: float = 0.01

    def open(self, context: Context) -> Process:
        process = super().open(context)

        def compared(records: Sequence[ImageRecord]) -> list[Outcome]:
            return [self._changed(outcome, len(records)) for outcome in process(records)]

        return compared

    def _changed(self, outcome: Outcome, n_images: int) -> Outcome:
        assert isinstance(outcome, ImageRecord)
        found = outcome.detections
        assert found is not None
        scores = (found.scores * (1 + self.off_by * n_images)).astype(np.float32)
        changed = Detections(found.boxes_xyxy, scores, found.class_ids, found.labels)
        return replace(outcome, detections=changed)


def test_results_are_compared_and_not_only_where_they_come_from() -> None:
    with pytest.raises(AssertionError, match=r"alone, photos/0\.jpg has other detections"):
        check_operator(Contrast())


def test_numbers_may_differ_only_where_that_is_asked_for() -> None:
    with pytest.raises(AssertionError, match="batches must not matter"):
        check_operator(Contrast(off_by=1e-6))
    check_operator(Contrast(off_by=1e-6), tolerance=1e-4)


def test_pictures_of_the_caller_are_taken() -> None:
    pictures = [draw_scene(40, 30), draw_scene(40, 31)]
    assert [outcome.height for outcome in check_operator(Plain(), pictures)] == [30, 31]
    with pytest.raises(AssertionError, match="a check needs two pictures or more; got 1"):
        check_operator(Plain(), pictures[:1])


@dataclass(frozen=True)
class Crowded(Plain):
    """It needs what a detector found."""

    needs: ClassVar[tuple[str, ...]] = ("detections", "classification", "features")

    def open(self, context: Context) -> Process:
        return lambda records: [
            _described(r, len(r.detections.scores), len(r.classification.scores), r.features[0])
            for r in records
        ]


def test_an_operator_gets_what_it_needs() -> None:
    (first, *_) = check_operator(Crowded())
    assert isinstance(first, ImageRecord)
    assert first.features is not None
    assert first.features.tolist() == [1, 2, 0]


@dataclass(frozen=True)
class Demanding(Plain):
    """It needs what comes after it."""

    needs: ClassVar[tuple[str, ...]] = ("tracks",)


def test_a_stateless_step_that_needs_tracks_is_found() -> None:
    with pytest.raises(AssertionError, match=r"stateless steps need .*; got \['tracks'\]"):
        check_operator(Demanding())
