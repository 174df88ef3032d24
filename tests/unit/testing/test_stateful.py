"""The checks of steps with a state pass what keeps its promises and find what does not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.steps import Count

from sightflow.protocols import Context, Fold, Place
from sightflow.records import Event, ImageRecord, ModelUse, Outcome
from sightflow.tasks.prepare import Prepare
from sightflow.testing import a_record, an_origin, check_keyed_operator, check_learning_operator


def test_a_keyed_step_that_keeps_its_promises_passes() -> None:
    events = check_keyed_operator(Count())
    assert [event.kind for event in events] == ["tenth"] * 4 + ["over"]


@dataclass(frozen=True)
class Leaky(Count):
    """It keeps a count beside its state, which a restart forgets."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold = super().open_fold(context)
        return replace(fold, decode=lambda data: (fold.decode(data)[0] + 1, 0, ""))


@dataclass(frozen=True)
class Beside(Count):
    """What it remembers is not in its states: streams count together, and restarts forget."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold, seen = super().open_fold(context), [0]

        def step(state: Any, record: ImageRecord) -> Any:
            seen[0] += 1
            return fold.step((seen[0], 0, state[2]), record)

        return replace(fold, step=step)


@dataclass(frozen=True)
class Gossiping(Count):
    """It knows of other streams, and not of restarts."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold, names = super().open_fold(context), set[str]()

        def step(state: Any, record: ImageRecord) -> Any:
            names.add(record.origin.source_id)
            behind, outcome, events = fold.step(state, record)
            use = ModelUse("n", "names", str(len(names)))
            return behind, replace(outcome, models=(use,)), events

        return replace(fold, step=step)


@dataclass(frozen=True)
class Mutating(Count):
    """It changes its state in place."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold = super().open_fold(context)

        def step(state: list[Any], record: ImageRecord) -> Any:
            state[0] = fold.step(state[0], record)[0]
            return state, record, ()

        return Fold(
            initial=lambda: [fold.initial()],
            step=step,
            end=fold.end,
            encode=lambda state: fold.encode(state[0]),
            decode=lambda data: [fold.decode(data)],
        )


@dataclass(frozen=True)
class Silent(Count):
    """It has nothing to say."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold = super().open_fold(context)
        return replace(fold, step=lambda s, record: (s, record, ()), end=lambda state: ())


@dataclass(frozen=True)
class Stranger(Count):
    """It gives another image than it got."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold = super().open_fold(context)

        def step(state: Any, record: ImageRecord) -> Any:
            return fold.step(state, replace(record, origin=replace(record.origin, sequence=99)))

        return replace(fold, step=step)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (Leaky(), "a restart must not change results"),
        (Beside(), "a restart must not change results"),
        (Gossiping(), "streams must not know of each other"),
        (Mutating(), "states must not be changed in place"),
        (Silent(), "it says nothing, so nothing was checked"),
        (Stranger(), "an image comes out as itself"),
        (Count(-1), "`max_out_of_order_ms` is from 0"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_keyed_step_that_breaks_a_promise_is_found(operator: Count, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_keyed_operator(operator)


@dataclass(frozen=True)
class Tally:
    """Counts labels and chunks, and tells how many; it may break one promise."""

    breaks: str = ""
    takes = ("features",)

    @property
    def preparation(self) -> Prepare | None:
        return Prepare() if self.breaks == "preparation" else None

    def check(self) -> None:
        """Accept everything."""

    def open_learner(self, context: Context, snapshot: bytes | None) -> "_Tally":
        return _Tally(self.breaks, [int(n) for n in (snapshot or b"0 0 0").split()])


class _Tally:
    def __init__(self, breaks: str, counts: list[int]) -> None:
        self._breaks, self._counts, self._beside = breaks, counts, 0

    def take(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> tuple[Sequence[Outcome], Sequence[tuple[int, Event]]]:
        self._counts[0] += sum(record.origin.label is not None for record in records)
        outcomes = list(records)[::-1] if self._breaks == "order" else records
        row = 99 if self._breaks == "row" else 0
        return outcomes, [(row, self._event())] if records and self._breaks != "silent" else []

    def take_labels(
        self, records: Sequence[ImageRecord], places: Sequence[Place]
    ) -> Sequence[tuple[int, Event]]:
        self._counts[1] += len(records)
        return [(len(records), self._event())] if self._breaks == "late row" else []

    def end_chunk(self, index: int) -> None:
        self._counts[2] += 1
        self._beside += 1

    def end(self) -> Sequence[Event]:
        return [] if self._breaks == "silent" else [self._event()]

    def snapshot(self) -> bytes:
        return " ".join(map(str, self._counts)).encode()

    def _event(self) -> Event:
        chunks = self._beside if self._breaks == "beside" else self._counts[2]
        return Event(
            "counted", "s", "p", 0, 0, n_in=self._counts[0] + self._counts[1], n_out=chunks
        )


def test_a_learning_step_that_keeps_its_promises_passes() -> None:
    events = check_learning_operator(Tally())
    assert [event.n_out for event in events] == [0, 1, 3, 4, 5, 6, 7], "chunks, one without images"
    assert events[-1].n_in == 40


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("beside", "a restart must not change results"),  # which only `end_chunk` shows
        ("order", "each as itself"),
        ("row", "events belong to an image"),
        ("late row", "events belong to an image"),
        ("silent", "it says nothing, so nothing was checked"),
        ("preparation", "the preparation gives 'features'"),
    ],
)
def test_a_learning_step_that_breaks_a_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_learning_operator(Tally(breaks))


def test_a_keyed_operator_may_be_checked_with_images_of_ones_own() -> None:
    images = [a_record(origin=an_origin(sequence=i, event_time_ms=i)) for i in range(5)]
    assert [event.sequence for event in check_keyed_operator(Count(), images)][-1] == 5
