"""The checks of sources pass what keeps its promises and find what does not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from tests.streams import Offered

from sightflow.protocols import Context, LabelStream, Read, Stream
from sightflow.records import Claim, EncodedImage, Label, Rejected, Skipped
from sightflow.testing import (
    a_claim,
    check_labels,
    check_source,
    check_stream,
    draw_scene,
    encode_image,
)

PICTURE = encode_image(draw_scene(32, 24))


@dataclass(frozen=True)
class Listed:
    """Three pictures, as they must be."""

    n_images: int = 3

    def claims(self) -> Iterator[Claim]:
        return (a_claim(sequence=i, name=f"{i}.jpg") for i in range(self.n_images))

    def open(self, context: Context) -> Read:
        return lambda claim: iter([EncodedImage(claim.origin, PICTURE)])


class Melted(Listed):
    """No dataclass of its own: it equals its parent, and may be changed."""

    __eq__ = object.__eq__


@dataclass(frozen=True)
class Growing(Listed):
    """It lists more each time."""

    def claims(self) -> Iterator[Claim]:
        object.__setattr__(self, "n_images", self.n_images + 1)
        return super().claims()


@dataclass(frozen=True)
class Namesakes(Listed):
    def claims(self) -> Iterator[Claim]:
        return (a_claim(sequence=i) for i in range(3))


@dataclass(frozen=True)
class LeadingOut(Listed):
    def claims(self) -> Iterator[Claim]:
        return (a_claim(sequence=i, name=f"../{i}.jpg") for i in range(3))


@dataclass(frozen=True)
class Unnumbered(Listed):
    def claims(self) -> Iterator[Claim]:
        return (a_claim(name=f"{i}.jpg") for i in range(3))


@dataclass(frozen=True)
class Empty(Listed):
    def open(self, context: Context) -> Read:
        return lambda claim: iter([])


@dataclass(frozen=True)
class Swapped(Listed):
    """Redeemed claims give the image of another."""

    def open(self, context: Context) -> Read:
        return lambda claim: iter([EncodedImage(a_claim().origin, PICTURE)])


@dataclass(frozen=True)
class InOrder(Listed):
    """It reads on, whatever it is asked for."""

    def open(self, context: Context) -> Read:
        numbers = iter(range(9))
        return lambda claim: iter([EncodedImage(claim.origin, PICTURE + bytes([next(numbers)]))])


@dataclass(frozen=True)
class Bare(Listed):
    """It gives bytes and not images."""

    def open(self, context: Context) -> Read:
        return lambda claim: iter([PICTURE])  # type: ignore[list-item]


def test_a_source_that_keeps_its_promises_passes() -> None:
    assert len(check_source(Listed())) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Listed(1), "a check needs two images or more"),
        (Growing(), "the same list each time"),
        (Namesakes(), "names must be unique"),
        (LeadingOut(), "names are relative paths"),
        (Unnumbered(), "`sequence` counts up from 0"),
        (Empty(), "a check needs two images or more"),
        (Swapped(), "an image has the origin of its claim"),
        (InOrder(), "claims can be redeemed in any order"),
        (Bare(), "a claim gives bytes, pixels, or rejects"),
        (Melted(), "must survive pickling"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_source_that_breaks_a_promise_is_found(source: Listed, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_source(source)


@dataclass
class Soft:
    """It is not frozen."""

    def claims(self) -> Iterator[Claim]:
        return iter([a_claim()])


@pytest.mark.parametrize(
    ("part", "message"), [(Soft(), "must be frozen"), (object(), "must be a dataclass")]
)
def test_what_is_no_frozen_dataclass_is_found(part: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_source(part)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Strange(Listed):
    """Its option cannot be written in YAML and read again."""

    when: frozenset[int] | complex = 1j


def test_an_option_that_yaml_does_not_take_is_found() -> None:
    with pytest.raises((AssertionError, TypeError)):
        check_source(Strange(when=2j))


def test_a_stream_that_keeps_its_promises_passes() -> None:
    images = check_stream(Offered(9, broken=(2,), missing=(5,)))
    assert [isinstance(image, EncodedImage) for image in images].count(False) == 1
    assert len(images) == 9


def test_a_stream_without_images_shows_nothing() -> None:
    with pytest.raises(AssertionError, match="a check needs a stream that gives images"):
        check_stream(Offered(0))


@dataclass(frozen=True)
class Forgetful(Offered):
    """It starts anew whatever the position."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        return super().open_stream(context, None)


@pytest.mark.parametrize("n_images", [1, 4])
def test_a_stream_that_ignores_its_position_is_found(n_images: int) -> None:
    with pytest.raises(AssertionError, match="opened at the position behind"):
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
    with pytest.raises(AssertionError, match="opened at the position behind"):
        check_stream(Doubling(4))


def test_a_stream_whose_names_are_not_unique_is_found() -> None:
    with pytest.raises(AssertionError, match="names must be unique"):
        check_stream(Repeating(3))


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


@dataclass(frozen=True)
class ForgetsAt(Offered):
    """One of its positions is wrong; the others are right."""

    at: int = 0

    def open_stream(self, context: Context, position: str | None) -> Stream:
        return super().open_stream(context, "0" if position == str(self.at) else position)


@pytest.mark.parametrize("at", range(1, 7))
def test_each_position_is_tested(at: int) -> None:
    with pytest.raises(AssertionError, match="opened at the position behind"):
        check_stream(ForgetsAt(6, at=at))


@dataclass(frozen=True)
class Told(Offered):
    """Behind each picture comes its label, and a position may lose it."""

    loses: bool = False
    labels_come_later = True

    def open_stream(self, context: Context, position: str | None) -> Stream:
        number, _, has_label = (position or "0").partition("+")
        stream = super().open_stream(context, number)
        return _Told(stream, self, waiting=bool(has_label) and not self.loses)


class _Told:
    def __init__(self, stream: Stream, source: Told, *, waiting: bool) -> None:
        self._stream, self._source, self._waiting = stream, source, waiting

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | Skipped | Label | None:
        if self._waiting:
            self._waiting = False
            return Label("photos", int(self._stream.position()) - 1, "cat")
        image = self._stream.poll(timeout_s)
        self._waiting = image is not None
        return image

    def ended(self) -> bool:
        return self._stream.ended() and not self._waiting

    def position(self) -> str:
        return self._stream.position() + ("+label" if self._waiting else "")


def test_labels_of_a_stream_are_given_and_compared() -> None:
    assert [isinstance(item, Label) for item in check_stream(Told(2))] == [False, True] * 2
    with pytest.raises(AssertionError, match=r"behind item 1 of 4, EncodedImage"):
        check_stream(Told(2, loses=True))


@dataclass(frozen=True)
class Unannounced(Told):
    labels_come_later = False


def test_labels_that_nobody_expects_are_found() -> None:
    with pytest.raises(AssertionError, match="labels_come_later = True"):
        check_stream(Unannounced(2))


@dataclass(frozen=True)
class Labels:
    """Labels of three images; opened at a position, it may start anew."""

    n_labels: int = 3
    forgets: bool = False

    def open_labels(self, context: Context, position: str | None) -> LabelStream:
        return _Labels(0 if self.forgets else int(position or 0), self.n_labels)


class _Labels:
    def __init__(self, number: int, n_labels: int) -> None:
        self._number, self._n_labels = number, n_labels

    def poll(self, timeout_s: float) -> Label | None:
        if self.ended():
            return None
        self._number += 1
        return Label("door", self._number - 1, "cat")

    def ended(self) -> bool:
        return self._number >= self._n_labels

    def position(self) -> str:
        return str(self._number)


def test_labels_that_keep_their_promises_pass() -> None:
    assert len(check_labels(Labels())) == 3


def test_labels_that_break_a_promise_are_found() -> None:
    with pytest.raises(AssertionError, match="a check needs a stream that gives labels"):
        check_labels(Labels(0))
    with pytest.raises(AssertionError, match="opened at the position behind a label"):
        check_labels(Labels(forgets=True))
