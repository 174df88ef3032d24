"""The checks for plug-ins: they pass what keeps its promises and find what does not."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.steps import Count
from tests.streams import Offered

from sightflow.protocols import Context, Fold, Stream
from sightflow.records import EncodedImage, ImageRecord, Rejected, Skipped
from sightflow.testing import check_keyed_operator, check_stream


def test_a_stream_that_keeps_its_promises_passes() -> None:
    images = check_stream(Offered(9, broken=(2,), missing=(5,)))
    assert [isinstance(image, EncodedImage) for image in images].count(False) == 1
    assert len(images) == 9


def test_a_stream_without_images_passes() -> None:
    assert check_stream(Offered(0)) == []


@dataclass(frozen=True)
class Forgetful(Offered):
    """It starts anew whatever the position."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        return super().open_stream(context, None)


@pytest.mark.parametrize("n_images", [1, 4])
def test_a_stream_that_ignores_its_position_is_found(n_images: int) -> None:
    with pytest.raises(AssertionError, match="opened at the position behind an image"):
        check_stream(Forgetful(n_images))


@dataclass(frozen=True)
class Repeating(Offered):
    """All its images have one name."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        stream = super().open_stream(context, position)
        poll = stream.poll
        stream.poll = lambda timeout_s: _renamed(poll(timeout_s))  # type: ignore[method-assign]
        return stream


def _renamed(image: EncodedImage | Rejected | None) -> EncodedImage | Rejected | None:
    return image and replace(image, origin=replace(image.origin, name="same.jpg"))


@dataclass(frozen=True)
class Doubling(Offered):
    """It starts anew when it is opened at its end."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        return super().open_stream(context, None if position == str(self.n_images) else position)


def test_a_stream_that_doubles_images_after_its_end_is_found() -> None:
    with pytest.raises(AssertionError, match="opened at the position behind an image"):
        check_stream(Doubling(4))


def test_a_stream_whose_names_are_not_unique_is_found() -> None:
    with pytest.raises(AssertionError, match="names must be unique"):
        check_stream(Repeating(3))


def test_a_keyed_step_that_keeps_its_promises_passes() -> None:
    events = check_keyed_operator(Count())
    assert [event.kind for event in events] == ["tenth"] * 4 + ["over"]


@dataclass(frozen=True)
class Leaky(Count):
    """It keeps a count beside its state, which a restart forgets."""

    def open_fold(self, context: Context) -> Fold[Any]:
        fold = super().open_fold(context)
        return replace(fold, decode=lambda data: (fold.decode(data)[0] + 1, 0, ""))


def test_a_keyed_step_that_a_restart_changes_is_found() -> None:
    with pytest.raises(AssertionError, match="a restart must not change results"):
        check_keyed_operator(Leaky())


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
            end=lambda state: (),
            encode=lambda state: fold.encode(state[0]),
            decode=lambda data: [fold.decode(data)],
        )


def test_a_keyed_step_that_changes_its_state_in_place_is_found() -> None:
    with pytest.raises(AssertionError, match="states must not be changed in place"):
        check_keyed_operator(Mutating())


@dataclass(frozen=True)
class Passing(Offered):
    """It cannot show again what it showed: opened at a position, two pictures have passed."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        return super().open_stream(context, str(int(position) + 2) if position else None)


def test_a_stream_that_cannot_be_replayed_must_only_give_new_names() -> None:
    assert len(check_stream(Passing(6), replays=False)) == 6
    with pytest.raises(AssertionError, match="a stream must give those behind it"):
        check_stream(Passing(6))
    with pytest.raises(AssertionError, match=r"a stream gave it again: .*0\.jpg"):
        check_stream(Forgetful(6), replays=False)


@dataclass(frozen=True)
class Skipping(Offered):
    """It is asked too seldom: every other picture is left out."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        stream = super().open_stream(context, position)
        poll = stream.poll
        stream.poll = lambda timeout_s: _left_out(poll(timeout_s))  # type: ignore[method-assign]
        return stream


def _left_out(image: EncodedImage | Rejected | None) -> EncodedImage | Rejected | Skipped | None:
    return Skipped(image.origin, 1) if image and image.origin.sequence % 2 else image


def test_what_a_stream_skips_counts_as_given() -> None:
    skipped = [isinstance(outcome, Skipped) for outcome in check_stream(Skipping(5))]
    assert skipped == [False, True, False, True, False]
