"""Images and labels come as one stream, by turns, and both go on where they stood."""

import time
from collections import deque
from dataclasses import dataclass

import pytest

from sightflow.errors import PipelineError
from sightflow.records import Claim, EncodedImage, Label, Rejected, Skipped
from sightflow.sources.directory import Directory
from sightflow.sources.joined import Joined, JoinedStream
from sightflow.testing import a_context, an_origin


@dataclass(frozen=True)
class Given:
    """Gives what it was given, and then ends or not."""

    items: tuple[object, ...]
    ends: bool = True

    def open_stream(self, context, position):
        return _Given(self, int(position or 0))

    def open_labels(self, context, position):
        return _Given(self, int(position or 0))


class _Given:
    def __init__(self, source: Given, start: int) -> None:
        self._items, self._ends, self._next = deque(source.items[start:]), source.ends, start

    def poll(self, timeout_s):
        if not self._items:
            return None
        self._next += 1
        return self._items.popleft()

    def ended(self):
        return self._ends and not self._items

    def position(self):
        return str(self._next)


def image(sequence: int) -> EncodedImage:
    return EncodedImage(an_origin(sequence=sequence), b"")


def claim(sequence: int) -> Claim:
    return Claim(an_origin(sequence=sequence))


def label(sequence: int) -> Label:
    return Label("photos", sequence, "cat")


def opened(images, labels, position=None, **options):
    source = Joined(Given(tuple(images)), Given(tuple(labels), ends=False), **options)
    return source.open_stream(a_context("read"), position)


def read(stream) -> list[object]:
    found = []
    for _ in range(50):
        if stream.ended():
            break
        if (item := stream.poll(0.0)) is not None:
            found.append(item)
    return found


def shown(items) -> list[str]:
    names = {EncodedImage: "image", Label: "label", Rejected: "rejected", Skipped: "skipped"}
    return [f"{names[type(i)]} {getattr(i, 'origin', i).sequence}" for i in items]


def test_they_come_by_turns_and_labels_that_are_left_at_the_end() -> None:
    stream = opened([image(0), image(1)], [label(0), label(1), label(2), label(3)])
    assert shown(read(stream)) == [
        "label 0",
        "image 0",
        "label 1",
        "image 1",
        "label 2",
        "label 3",
    ]


def test_images_await_their_labels_and_what_is_no_image_stays_as_it_is() -> None:
    rejected, skipped = Rejected(an_origin(sequence=1), "s", "r", ""), Skipped(an_origin(), 3)
    first, *others = read(opened([image(0), rejected, skipped], []))
    assert first.origin.awaits_label
    assert others == [rejected, skipped]


def test_both_go_on_where_they_stood() -> None:
    stream = opened([image(0), image(1)], [label(0), label(1)])
    stream.poll(0.0)
    stream.poll(0.0)
    again = opened([image(0), image(1)], [label(0), label(1)], stream.position())
    assert shown(read(again)) == ["label 1", "image 1"]


def test_it_waits_for_labels_when_the_images_have_ended() -> None:
    stream = opened([image(0)], [], wait_s=0.05)
    stream.poll(0.0)
    assert not stream.ended()
    assert stream.poll(0.0) is None
    assert not stream.ended(), "the time has not passed"
    while not stream.ended():
        stream.poll(0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_waiting": 0}, "Joined: `max_waiting` is a whole number from 1; got 0"),
        ({"wait_s": -1.0}, "`wait_s` is from 0; got -1.0"),
    ],
)
def test_what_cannot_be_waited_for_is_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        Joined(Given(()), Given(()), **options)


def test_claims_await_the_labels_of_their_images_and_the_source_redeems_them() -> None:
    (found,) = read(opened([claim(0)], []))
    assert isinstance(found, Claim)
    assert found.origin.awaits_label

    @dataclass(frozen=True)
    class Claimed(Given):
        def open(self, context):
            return lambda claim: iter([image(7)])

    redeem = Joined(Claimed(()), Given(())).open(a_context("read"))
    assert [one.origin.sequence for one in redeem(claim(0))] == [7]


def test_an_image_that_has_a_label_awaits_none() -> None:
    labelled = EncodedImage(an_origin(label="cat"), b"")
    (found,) = read(opened([labelled], []))
    assert not found.origin.awaits_label


def test_labels_are_read_while_no_image_comes() -> None:
    source = Joined(Given((), ends=False), Given((label(0), label(1)), ends=False))
    stream = source.open_stream(a_context("read"), None)
    assert shown([stream.poll(0.0), stream.poll(0.0)]) == ["label 0", "label 1"]


def test_each_label_renews_the_time_that_is_waited_for_more() -> None:
    labels = _Given(Given((), ends=False), 0)
    stream = JoinedStream(_Given(Given(()), 0), labels, 0.1, was_turn_of_labels=False)
    assert stream.poll(0.0) is None
    time.sleep(0.06)
    labels._items.append(label(0))
    assert stream.poll(0.0) == label(0)
    time.sleep(0.06)
    assert not stream.ended()


def test_whose_turn_it_was_is_in_the_position() -> None:
    stream = opened([image(0), image(1)], [label(0), label(1)])
    stream.poll(0.0)
    again = opened([image(0), image(1)], [label(0), label(1)], stream.position())
    assert shown(read(again)) == shown(read(stream))


@pytest.mark.parametrize("name", ["images", "labels"])
def test_parts_that_are_no_streams_are_refused(name: str) -> None:
    parts = {"images": Given(()), "labels": Given(()), name: Directory("photos")}
    with pytest.raises(PipelineError, match=f"Joined: `{name}` is a stream, with a method `open_"):
        Joined(**parts)
